"""Consents that a source asks for itself."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Say whose source asks; those from before are all the portal's."""
    op.add_column("consent", sa.Column("lookup_id", sa.Text()))
    op.create_index("consent_lookup", "consent", ["lookup_id"], unique=True)


def downgrade() -> None:
    """Take it away again, and those consents with it: without it the portal would ask for them."""
    op.execute("DELETE FROM consent WHERE lookup_id IS NOT NULL")
    op.drop_index("consent_lookup", "consent")
    op.drop_column("consent", "lookup_id")
