"""Who may ask: the salt of a request's digest."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Room for the salt; what was admitted before has a bare digest, and no salt is given for it."""
    op.add_column("verification", sa.Column("request_salt", sa.LargeBinary(), nullable=True))


def downgrade() -> None:
    """Take it away again."""
    op.drop_column("verification", "request_salt")
