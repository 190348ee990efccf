"""Tell roles that were given here from those that the identity provider's groups give; a person may have one by both.

The release before knows only those given here, and its rows are: what it writes gets the column's default.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

_KEY = ("person_id", "role", "scope_kind", "scope_value")


def upgrade() -> None:
    """Add the column, and take it into the primary key."""
    _rekeyed((*_KEY, "origin"), add=True)


def downgrade() -> None:
    """Take it away, and every role that only the provider gave with it."""
    op.execute("DELETE FROM person_role WHERE origin <> 'here'")
    _rekeyed(_KEY, add=False)


def _rekeyed(key: tuple[str, ...], *, add: bool) -> None:
    """SQLite makes the table anew, PostgreSQL changes it in place; it holds a few rows for each account."""
    origin = sa.Column("origin", sa.Text(), nullable=False, server_default="here")
    if op.get_bind().dialect.name == "sqlite":
        _made_anew(key, origin, add=add)
        return
    if add:
        op.add_column("person_role", origin)
    op.drop_constraint("person_role_pkey", "person_role", type_="primary")
    if not add:
        op.drop_column("person_role", "origin")
    op.create_primary_key("person_role_pkey", "person_role", list(key))


def _made_anew(key: tuple[str, ...], origin: sa.Column[str], *, add: bool) -> None:
    kept = ("person_id", "role", "scope_kind", "scope_value", "given_by", "given_at")
    op.rename_table("person_role", "person_role_before")
    op.create_table(
        "person_role",
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("scope_kind", sa.Text(), nullable=False),
        sa.Column("scope_value", sa.Text(), nullable=False),
        sa.Column("given_by", sa.Text(), nullable=False),
        sa.Column("given_at", sa.BigInteger(), nullable=False),
        *([origin] if add else []),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"]),
        sa.PrimaryKeyConstraint(*key),
    )
    columns = ", ".join(kept)
    op.execute(f"INSERT INTO person_role ({columns}) SELECT {columns} FROM person_role_before")  # noqa: S608 - our own
    op.drop_table("person_role_before")
