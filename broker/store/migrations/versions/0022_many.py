"""Indexes for a city's years: what is polled, listed or added up is found without reading everything there is.

Each is made only where it is not there, so that on a filled database the operator can make the large one beforehand,
``CONCURRENTLY`` (docs/operations.md).
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

_INDEXES: dict[str, tuple[str, list[str]]] = {
    "lookup_about": ("lookup", ["about", "answered_at"]),
    "objection_raised": ("objection", ["raised_at"]),
    "objection_ended": ("objection", ["ended_at"]),
    "work_order_verification": ("work_order", ["verification_id"]),
    "work_order_due": ("work_order", ["state", "due_at"]),
    "work_order_ended": ("work_order", ["state", "ended_at"]),
    "work_order_unit_ended": ("work_order", ["unit", "state", "ended_at"]),
    "consent_until": ("consent", ["state", "until_at"]),
    "misuse_flag_state": ("misuse_flag", ["state", "raised_at"]),
    "grant_application_at": ("grant_application", ["applied_at"]),
    "paper_report_at": ("paper_report", ["at"]),
    "paper_report_item": ("paper_report", ["item", "at"]),
    "paper_report_department": ("paper_report", ["department", "at"]),
    "paper_report_scene": ("paper_report", ["scene", "at"]),
    "job_state": ("job", ["kind", "state"]),
}
_NOTED = "length(note) > 0"
_HELD = "reason = 'held.valid'"


def upgrade() -> None:
    """Make them; the answers of a person are found by all of them, no longer by those alone that held."""
    for name, (table, columns) in _INDEXES.items():
        op.create_index(name, table, columns, unique=False, if_not_exists=True)
    op.create_index("paper_noted", "paper", ["report_id"], unique=False, if_not_exists=True,
                    postgresql_where=sa.text(_NOTED), sqlite_where=sa.text(_NOTED))  # fmt: skip
    op.drop_index("lookup_evidence", "lookup", if_exists=True)


def downgrade() -> None:
    """Take them away again."""
    op.create_index("lookup_evidence", "lookup", ["about", "answered_at"], unique=False,
                    postgresql_where=sa.text(_HELD), sqlite_where=sa.text(_HELD))  # fmt: skip
    op.drop_index("paper_noted", "paper")
    for name, (table, _) in reversed(_INDEXES.items()):
        op.drop_index(name, table)
