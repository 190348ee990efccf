"""The body that asked beside its verification, for a clerk's lists; and what kind of holder a work order is about.

Rows from before, and those that processes of the release before still add, have no body here: housekeeping reads it
from their entries, the newest first, batch by batch (``flow.bodies``). So nothing waits for a table to be rewritten.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns, empty; the indexes are made of nothing but ids, within a second or two for a million rows."""
    op.add_column("verification", sa.Column("unit", sa.Text()))
    op.create_index("verification_unit", "verification", ["unit", "id"])
    without = sa.text("unit IS NULL")
    op.create_index("verification_bodiless", "verification", ["id"], postgresql_where=without, sqlite_where=without)
    op.add_column("work_order", sa.Column("holder", sa.Text()))


def downgrade() -> None:
    """Take them away again; the entries say the body still."""
    op.drop_column("work_order", "holder")
    op.drop_index("verification_bodiless", "verification")
    op.drop_index("verification_unit", "verification")
    op.drop_column("verification", "unit")
