"""However large the database: every page reads it in few statements, and in no more where there is more to show."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event

from broker.core.answer import Reason
from broker.core.misuse import Action, RuleName
from broker.core.work_order import OrderReply
from broker.flow import orders, preview
from broker.flow import publish as steps
from broker.flow.orders import Evidence, Person, Said
from broker.flow.subject import Wish, request_embargo
from tests.console.kit import House, Visitor
from tests.console.test_audit import flagged
from tests.console.test_cases import stock
from tests.console.test_figures import _report
from tests.console.test_grants import form
from tests.console.test_matrix import pages
from tests.flow import catalogue, kit
from tests.flow.test_orders import CLUB, with_club

MOST = 14  # of one page, its session included
MORE = {  # pages that put together what stands in many places; a proof reads tiles, by the logarithm of the log's size
    "cases_verification": 18, "cases_bundle": 30, "objections_doubt": 18, "audit_entry": 18, "audit_index": 16,
    "figures_index": 18, "figures_export": 20, "taken_form": 18,
}  # fmt: skip
CLERK, OFFICER = f"clerk:unit={kit.UNIT}", f"source-department:unit={kit.DEPARTMENT}"
# Who opens each page that is read, and where; a page without its row here fails.
PAGES: Mapping[str, tuple[str, str]] = {
    "home_index": ("reader", ""),
    "sharing_index": ("reader", "/list?q=公司"),
    "sharing_export": ("reader", "/list/export/xlsx?q=公司"),
    "sharing_item": ("reader", f"/list/items/{catalogue.SHOP}"),
    "sharing_materials": ("reader", "/list/materials"),
    "sharing_material": ("reader", "/list/materials/licence"),
    "sharing_source": ("reader", f"/list/sources/{catalogue.LICENCES}"),
    "drafts_index": ("list-editor", "/drafts"),
    "drafts_draft": ("list-editor", "/drafts/{draft}"),
    "drafts_findings": ("list-editor", "/drafts/{draft}/findings"),
    "drafts_begin": ("list-editor", "/drafts/{draft}/begin?section=materials&key=new"),
    "drafts_row": ("list-editor", "/drafts/{draft}/rows/materials/licence"),
    "drafts_rebase": ("list-editor", "/drafts/{draft}/rebase"),
    "previews_preview": ("list-editor", "/drafts/{draft}/preview"),
    "editions_index": ("reader", "/editions"),
    "editions_edition": ("reader", "/editions/1"),
    "coverage_index": ("reader", "/coverage"),
    "coverage_export": ("reader", "/coverage/export/xlsx"),
    "figures_index": ("reader", "/figures?by=item"),
    "figures_export": ("reader", "/figures/export/xlsx"),
    "papers_index": ("reader", "/papers"),
    "papers_export": ("reader", "/papers/export/csv"),
    "papers_reports": ("operator", "/papers/reports"),
    "papers_reports_export": ("operator", "/papers/reports/export/csv"),
    "supply_index": ("reader", "/supply"),
    "supply_export": ("reader", "/supply/export/csv"),
    "supply_department": ("reader", "/supply/department?name=部门"),
    "supply_department_export": ("reader", "/supply/department/export/csv?name=部门"),
    "cases_index": (CLERK, "/cases?list=recent"),
    "cases_case": (CLERK, "/cases/{case}"),
    "cases_verification": (CLERK, "/verifications/{verification}"),
    "cases_sheet": (CLERK, "/verifications/{verification}/sheet"),
    "cases_bundle": (CLERK, "/verifications/{verification}/bundle"),
    "objections_index": ("operator", "/objections"),
    "objections_export": ("operator", "/objections/export/csv"),
    "objections_objection": ("operator", "/objections/{objection}"),
    "objections_doubt": (CLERK, "/verifications/{verification}/objection?material=licence&source=licences"),
    "taken_form": (CLERK, "/verifications/{verification}/paper"),
    "orders_index": ("operator", "/orders?state=all"),
    "orders_export": ("operator", "/orders/export/csv?state=all"),
    "orders_order": (OFFICER, "/orders/{order}"),
    "sources_index": ("reader", "/sources"),
    "sources_export": ("reader", "/sources/export/csv"),
    "sources_source": ("operator", f"/sources/{catalogue.LICENCES}"),
    "grants_index": ("operator", "/grants"),
    "grants_matrix": ("operator", f"/grants/matrix?source={catalogue.LICENCES}"),
    "grants_matrix_export": ("operator", "/grants/matrix/export/csv"),
    "grants_apply": (OFFICER, "/grants/apply"),
    "grants_application": ("operator", "/grants/applications/{application}"),
    "grants_grant": ("operator", f"/grants/g-{catalogue.LICENCES}"),
    "audit_index": ("auditor", "/audit"),
    "audit_entry": ("auditor", "/audit/entries/{position}"),
    "audit_person": ("auditor", "/audit/person"),
    "audit_flags": ("auditor", "/audit/flags"),
    "audit_flag": ("auditor", "/audit/flags/{flag}"),
    "audit_log": ("auditor", "/audit/log"),
    "audit_verify": ("auditor", "/audit/verify"),
    "embargoes_index": ("operator", "/embargoes"),
    "embargoes_embargo": ("operator", "/embargoes/{embargo}"),
    "keys_index": ("operator", "/keys"),
    "accounts_index": ("operator", "/accounts"),
    "accounts_new": ("operator", "/accounts/new"),
    "accounts_account": ("operator", "/accounts/reader"),
    "choices_options": ("reader", "/choices/item?field=q&q=开办"),
    "access_account": ("reader", "/account"),
    "access_prove": ("reader", "/prove"),
    "orders_evidence": (OFFICER, "/orders/{answered}/evidence"),
    "audit_progress": ("auditor", "/audit/log/progress"),
}  # fmt: skip


def test_every_page_needs_few_statements_and_no_more_of_them_for_more_rows(small: House) -> None:
    broker, values = filled(small)
    visitors = {role: small.http(small.account(role, login=login_of(role))) for role, _ in PAGES.values()}
    read = {name for name, page in pages(small).items() if page.method == "GET" and page.allowed.stage == "open"}
    assert read == set(PAGES)
    before = _counts(small, visitors, values)
    for number in (20, 30, 40):
        _lived(small, broker, number)
    after = _counts(small, visitors, values)
    assert {name: count for name, count in after.items() if count > MORE.get(name, MOST)} == {}
    grown = {name: (count, after[name]) for name, count in before.items() if name not in MORE and after[name] > count}
    assert grown == {}, "a page asks once for each row that it shows"


def login_of(role: str) -> str:
    """The login of whoever opens the pages in a role."""
    return role.partition(":")[0] + role.partition("=")[2].lower()


def filled(house: House) -> tuple[kit.Broker, dict[str, Any]]:
    """A house with one of everything that pages show, and what the pages' addresses name."""
    broker = with_club(stock(house))
    draft = steps.draft(house.parts, _published(house), "somebody", "对照").id
    preview.ask(house.parts, draft, 7, "somebody", lambda _: [])
    _lived(house, broker, 10)
    order = orders.list_orders(broker.parts, kit.DEPARTMENT)[0].id
    page = Evidence("application/pdf", b"%PDF-1.7")
    orders.answer_order(broker.parts, order, Said(Person("jw-1", kit.DEPARTMENT), OrderReply.CONFIRM, "属实", page))
    return broker, _named(broker) | {"draft": draft}


def _lived(house: House, broker: kit.Broker, number: int) -> None:
    """One more of everything: a case of two verifications, an order, an objection, an application, a flag, a report."""
    broker.sources.script[catalogue.POPULATION] = kit.just(Reason.NOT_FOUND)
    first = broker.admit(number)
    broker.admit(number, request_id=f"again-{number}", item=catalogue.KITCHEN)
    broker.admit(number + 1, item=CLUB)
    broker.work_off()
    broker.sequence_all()
    clerk = house.http(house.account(CLERK))
    said = {"material": "licence", "source": catalogue.LICENCES, "words": "执照已换发"}
    assert clerk.post(f"/console/verifications/{first}/objection", said).status_code == 303
    using = house.http(house.account(f"source-department:unit={kit.UNIT}"))
    assert using.post("/console/grants/apply", form()).status_code == 303
    flagged(house, RuleName.AFTER_HOURS, Action.FLAG)
    ends = datetime.now(UTC) + timedelta(days=9)
    request_embargo(house.parts, Wish("李某", "调查", ends, client=kit.CLIENT, case=f"case-{number}"), kit.as_client())
    _report(broker, f"case-{number}", {"material": "licence", "reason": "clerk_habit"}, {"material": "form"})
    broker.sequence_all()


def _named(broker: kit.Broker) -> dict[str, Any]:
    """What the pages' addresses name: the latest of each."""

    def last(column: str, table: str, where: str = "1 = 1") -> Any:
        return broker.rows(f"SELECT {column} AS one FROM {table} WHERE {where} ORDER BY 1 DESC")[0].one  # noqa: S608

    verification = last("verification_id", "objection")
    return {
        "verification": verification,
        "case": last("case_id", "verification", f"id = '{verification}'"),
        "number": last("case_number", "objection"),
        "objection": last("id", "objection"),
        "order": last("id", "work_order"),
        "answered": last("id", "work_order", "evidence IS NOT NULL"),
        "application": last("id", "grant_application"),
        "embargo": last("id", "embargo"),
        "flag": last("id", "misuse_flag"),
        "position": last("position", "log_index", "kind = 'decided'"),
    }


def _counts(house: House, visitors: Mapping[str, Visitor], values: Mapping[str, Any]) -> dict[str, int]:
    """How many statements each page runs, once this process knows list and grants."""
    found = {}
    for name, (role, path) in PAGES.items():
        where = f"/console{path.format(**values)}"
        answer = visitors[role].get(where)
        assert answer.status_code in {200, 303}, (name, where, answer.status_code)
        with _seen(house) as statements:
            _ = visitors[role].get(where).data
        assert statements, name
        found[name] = len(statements)
    return found


@contextmanager
def _seen(house: House) -> Iterator[list[str]]:
    run: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if not statement.startswith("BEGIN"):
            run.append(statement)

    event.listen(house.office.database.engine, "before_cursor_execute", note)
    try:
        yield run
    finally:
        event.remove(house.office.database.engine, "before_cursor_execute", note)


def _published(house: House) -> Any:
    with house.parts.store.read() as work:
        return json.loads(work.edition(1)[1])


@pytest.mark.parametrize("path", ["/health", "/ready", "/metrics", "/v1/health", "/console/sign-in"])
def test_what_anybody_may_open_needs_few_statements(small: House, path: str) -> None:
    visitor = small.http(None)
    visitor.get(path)  # this process knows the policy afterwards
    with _seen(small) as statements:
        assert visitor.get(path).status_code == 200
    assert len(statements) <= MOST
