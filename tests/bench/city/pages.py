"""Which pages are timed, by whom they are opened, and the rows that they are about."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import text

from tests.console.kit import House
from tests.flow import kit

_READER, _EDITOR, _AUDITOR = "reader", "list-editor", "auditor"
_OPERATOR, _CLERK, _SOURCE = "operator", "clerk", f"source-department:unit={kit.DEPARTMENT}"

PAGES: tuple[tuple[str, str], ...] = (
    (_READER, "/console"),
    (_READER, "/console/account"),
    (_READER, "/console/list"),
    (_READER, "/console/list?q=公司&region=370400"),
    (_READER, "/console/list?state=missing&page=5"),
    (_READER, "/console/list/items/company-setup"),
    (_READER, "/console/list/materials"),
    (_READER, "/console/list/materials/identity"),
    (_READER, "/console/list/sources/mca-marriage"),
    (_EDITOR, "/console/drafts"),
    (_EDITOR, "/console/drafts/{draft}"),
    (_EDITOR, "/console/drafts/{draft}/findings"),
    (_EDITOR, "/console/drafts/{draft}/rows/materials/identity"),
    (_EDITOR, "/console/drafts/{draft}/rebase"),
    (_EDITOR, "/console/drafts/{draft}/preview"),
    (_READER, "/console/editions"),
    (_READER, "/console/editions/1"),
    (_READER, "/console/coverage"),
    (_READER, "/console/coverage?by=department"),
    (_READER, "/console/figures"),
    (_READER, "/console/figures?by=item"),
    (_READER, "/console/figures?by=material&region=370400"),
    (_READER, "/console/figures?by=source&month={month}"),
    (_READER, "/console/figures/export/csv?by=item"),
    (_READER, "/console/figures/export/xlsx?by=item"),
    (_READER, "/console/papers"),
    (_READER, "/console/papers?by=item"),
    (_READER, "/console/papers/export/xlsx?by=item"),
    (_OPERATOR, "/console/papers/reports"),
    (_OPERATOR, "/console/papers/reports?item={item}"),
    (_OPERATOR, "/console/papers/reports/export/csv"),
    (_READER, "/console/supply"),
    (_READER, "/console/supply/export/xlsx"),
    (_READER, "/console/supply/department?name=税务部门"),
    (_READER, "/console/supply/department/export/csv?name=税务部门"),
    (_READER, "/console/sources"),
    (_OPERATOR, "/console/sources/ps-identity"),
    (_OPERATOR, "/console/sources/{rare_source}"),
    (_CLERK, "/console/cases"),
    (_CLERK, "/console/cases?q={number}"),
    (_CLERK, "/console/cases?q=no-such-case"),
    (_CLERK, "/console/cases/{case}"),
    (_CLERK, "/console/verifications/{verification}"),
    (_CLERK, "/console/verifications/{old}"),
    (_CLERK, "/console/verifications/{pending}"),
    (_CLERK, "/console/verifications/{verification}/sheet"),
    (_CLERK, "/console/verifications/{verification}/bundle"),
    (_CLERK, "/console/verifications/{verification}/objection?material=identity&source=ps-identity"),
    (_CLERK, "/console/objections"),
    (_SOURCE, "/console/objections"),
    (_OPERATOR, "/console/objections?late=1"),
    (_OPERATOR, "/console/objections/{objection}"),
    (_SOURCE, "/console/orders"),
    (_SOURCE, "/console/orders?all=1"),
    (_OPERATOR, "/console/orders"),
    (_OPERATOR, "/console/orders?all=1"),
    (_OPERATOR, "/console/grants"),
    (_OPERATOR, "/console/grants/matrix"),
    (_OPERATOR, "/console/grants/matrix?source=ps-identity&field=name"),
    (_OPERATOR, "/console/grants/g-ps-identity"),
    (_SOURCE, "/console/grants/apply"),
    (_AUDITOR, "/console/audit"),
    (_AUDITOR, "/console/audit?before={deep}"),
    (_AUDITOR, "/console/audit?kind=decided"),
    (_AUDITOR, "/console/audit?kind=published"),
    (_AUDITOR, "/console/audit?client=approvals-3&before={deep}"),
    (_AUDITOR, "/console/audit?operator=auto"),
    (_AUDITOR, "/console/audit?operator=auto&source={rare_source}"),
    (_AUDITOR, "/console/audit?case={number}"),
    (_AUDITOR, "/console/audit?subject={subject}"),
    (_AUDITOR, "/console/audit?source=ps-identity&outcome=unknown.not-found"),
    (_AUDITOR, "/console/audit?outcome=no-such-reason"),
    (_AUDITOR, "/console/audit?unit=no-such-unit"),
    (_AUDITOR, "/console/audit?since={day}&until={day}"),
    (_AUDITOR, "/console/audit?since={day}&until={day}&outcome=no-such-reason"),
    (_AUDITOR, "/console/audit/entries/{position}"),
    (_AUDITOR, "/console/audit/entries/{deep}"),
    (_AUDITOR, "/console/audit/flags"),
    (_AUDITOR, "/console/audit/flags/{flag}"),
    (_AUDITOR, "/console/audit/log"),
    (_AUDITOR, "/console/audit/verify"),
    ("", "/console/sign-in"),
    ("", "/health"),
    ("", "/ready"),
    ("", "/metrics"),
    ("", "/v1/health"),
)

_TARGETS = {
    "verification": "SELECT id FROM verification WHERE state = 'decided' ORDER BY id DESC OFFSET 500 LIMIT 1",
    "old": "SELECT id FROM verification ORDER BY id OFFSET 5 LIMIT 1",
    "pending": "SELECT id FROM verification WHERE state = 'pending' LIMIT 1",
    "case": "SELECT case_id FROM verification ORDER BY id DESC OFFSET 500 LIMIT 1",
    "number": "SELECT number FROM case_file ORDER BY id DESC OFFSET 250 LIMIT 1",
    "subject": "SELECT applicant FROM case_file ORDER BY id DESC OFFSET 250 LIMIT 1",
    "objection": "SELECT id FROM objection LIMIT 1",
    "flag": "SELECT id FROM misuse_flag LIMIT 1",
    "position": "SELECT max(position) - 1000 FROM log_leaf",
    "deep": "SELECT max(position) / 3 FROM log_leaf",
    "rare_source": "SELECT source FROM lookup TABLESAMPLE SYSTEM (1) GROUP BY source ORDER BY count(*) LIMIT 1",
    "item": "SELECT item FROM paper_report LIMIT 1",
    "day": "SELECT to_char(now() - interval '100 days', 'YYYY-MM-DD')",
    "month": "SELECT to_char(now() - interval '100 days', 'YYYY-MM')",
}


def targets(city: House) -> Mapping[str, str]:
    """What the pages' addresses name."""
    with city.office.database.engine.connect() as connection:
        connection.exec_driver_sql("SET statement_timeout = 0")
        return {name: str(connection.execute(text(wanted)).scalar_one()) for name, wanted in _TARGETS.items()}
