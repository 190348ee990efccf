"""Every route against every role, from the routes themselves: what is let in is written here, all else is refused."""

from __future__ import annotations

import json
import re

import pytest
from flask import Flask

from broker.core.people import ConsoleRole
from broker.web.console import AREAS, frame
from broker.web.console.area import Area, Console, Page
from tests.console.kit import House

EVERYBODY = set(ConsoleRole)
OPERATOR, EDITOR, APPROVER, SOURCE, AUDITOR, READER, CLERK, USING = (
    ConsoleRole.OPERATOR, ConsoleRole.LIST_EDITOR, ConsoleRole.LIST_APPROVER, ConsoleRole.SOURCE_DEPARTMENT,
    ConsoleRole.AUDITOR, ConsoleRole.READER, ConsoleRole.CLERK, ConsoleRole.USING_DEPARTMENT,
)  # fmt: skip

# Who is let in, by the page's name. A page without its row here fails.
MATRIX: dict[str, set[ConsoleRole]] = {
    "home_index": EVERYBODY,
    "sharing_index": EVERYBODY,
    "sharing_export": EVERYBODY,
    "sharing_item": EVERYBODY,
    "sharing_materials": EVERYBODY,
    "sharing_material": EVERYBODY,
    "sharing_source": EVERYBODY,
    "drafts_index": {EDITOR, APPROVER},
    "drafts_make": {EDITOR},
    "drafts_draft": {EDITOR, APPROVER},
    "drafts_findings": {EDITOR, APPROVER},
    "drafts_begin": {EDITOR},
    "drafts_row": {EDITOR},
    "drafts_save": {EDITOR},
    "drafts_remove": {EDITOR},
    "drafts_submit": {EDITOR},
    "drafts_review": {APPROVER},
    "drafts_publish": {APPROVER},
    "drafts_first": {EDITOR},
    "drafts_back": {EDITOR},
    "drafts_carry_on": {EDITOR},
    "drafts_rebase": {EDITOR},
    "drafts_rebasing": {EDITOR},
    "drafts_remark": {EDITOR, APPROVER},
    "editions_index": EVERYBODY,
    "editions_edition": EVERYBODY,
    "editions_withdraw": {APPROVER},
    "editions_move": {APPROVER},
    "coverage_index": EVERYBODY,
    "coverage_export": EVERYBODY,
    "figures_index": EVERYBODY,
    "figures_export": EVERYBODY,
    "papers_index": EVERYBODY,
    "papers_export": EVERYBODY,
    "papers_reports": {OPERATOR, AUDITOR, SOURCE, USING},
    "papers_reports_export": {OPERATOR, AUDITOR, SOURCE, USING},
    "supply_index": EVERYBODY,
    "supply_export": EVERYBODY,
    "supply_department": EVERYBODY,
    "supply_row": {EDITOR},
    "supply_department_export": EVERYBODY,
    "previews_preview": {EDITOR, APPROVER},
    "previews_ask": {EDITOR, APPROVER},
    "previews_cancel": {EDITOR, APPROVER},
    "cases_index": {OPERATOR, AUDITOR, CLERK},
    "cases_receipt": {OPERATOR, AUDITOR, CLERK},
    "cases_case": {OPERATOR, AUDITOR, CLERK},
    "cases_verification": {OPERATOR, AUDITOR, CLERK},
    "cases_sheet": {OPERATOR, AUDITOR, CLERK},
    "cases_bundle": {OPERATOR, AUDITOR, CLERK},
    "taken_form": {CLERK},
    "taken_report": {CLERK},
    "objections_index": {SOURCE, OPERATOR, AUDITOR, CLERK},
    "objections_export": {SOURCE, OPERATOR, AUDITOR, CLERK},
    "objections_objection": {SOURCE, OPERATOR, AUDITOR, CLERK},
    "objections_act": {SOURCE, OPERATOR},
    "objections_doubt": {CLERK},
    "objections_raising": {CLERK},
    "orders_index": {SOURCE, OPERATOR},
    "orders_export": {SOURCE, OPERATOR},
    "orders_order": {SOURCE},
    "orders_evidence": {SOURCE},
    "orders_answer": {SOURCE},
    "sources_index": EVERYBODY,
    "sources_export": EVERYBODY,
    "sources_source": EVERYBODY,
    "sources_test": {OPERATOR},
    "sources_stop": {OPERATOR},
    "sources_open": {OPERATOR},
    "grants_index": {OPERATOR, SOURCE, AUDITOR, USING},
    "grants_matrix": EVERYBODY - {CLERK},
    "grants_matrix_export": EVERYBODY - {CLERK},
    "grants_apply": {SOURCE, USING},
    "grants_applying": {SOURCE, USING},
    "grants_application": {OPERATOR, SOURCE, AUDITOR, USING},
    "grants_decide": {OPERATOR, SOURCE},
    "grants_grant": {OPERATOR, SOURCE, AUDITOR, USING},
    "grants_change": {OPERATOR, SOURCE},
    "audit_index": {AUDITOR},
    "audit_entry": {AUDITOR},
    "audit_annotate": {AUDITOR},
    "audit_export": {AUDITOR},
    "audit_person": {AUDITOR},
    "audit_seek": {AUDITOR},
    "audit_flags": {AUDITOR},
    "audit_flag": {AUDITOR},
    "audit_judge": {AUDITOR},
    "audit_log": {AUDITOR},
    "audit_progress": {AUDITOR},
    "audit_check": {AUDITOR},
    "audit_cancel": {AUDITOR},
    "audit_verify": {AUDITOR},
    "audit_verifying": {AUDITOR},
    "embargoes_index": {OPERATOR, AUDITOR},
    "embargoes_embargo": {OPERATOR, AUDITOR},
    "embargoes_approve": {OPERATOR},
    "embargoes_lift": {OPERATOR},
    "keys_index": {OPERATOR, AUDITOR},
    "accounts_index": {OPERATOR},
    "accounts_add": {OPERATOR},
    "accounts_new": {OPERATOR},
    "accounts_account": {OPERATOR},
    "accounts_roles": {OPERATOR},
    "accounts_state": {OPERATOR},
    "accounts_unlock": {OPERATOR},
    "accounts_password": {OPERATOR},
    "accounts_second_factor": {OPERATOR},
    "choices_options": EVERYBODY,
    "access_account": EVERYBODY,
    "access_stay": EVERYBODY,
    "access_changing": EVERYBODY,
    "access_ending": EVERYBODY,
    "access_prove": EVERYBODY,
    "access_proving": EVERYBODY,
}
# Pages around signing in, with the step of it they belong to; "" is open to anybody.
STEPS = {
    "access_sign_in": "", "access_signing_in": "", "access_provider": "", "access_back": "", "access_sign_out": "",
    "access_leave": "",
    "access_language": "", "access_choose": "password", "access_choosing": "password", "access_enrol": "enrol",
    "access_enrolling": "enrol", "access_second": "second", "access_confirming": "second",
}  # fmt: skip


def pages(house: House) -> dict[str, Page]:
    """Every page of the console, by its name."""
    console = Console(house.parts, house.url, lambda _: [])
    return {page.name: page for make in AREAS for page in make(console).pages}


def path_of(page: Page) -> str:
    """A path of the page; what it names does not exist."""
    return re.sub(r"<int:\w+>", "999999", re.sub(r"<(?:path:)?\w+>", "0" * 32, page.rule))


def test_every_page_has_its_row_and_says_the_same(city: House) -> None:
    found = pages(city)
    assert {name: set(page.allowed.roles) for name, page in found.items() if page.allowed.stage == "open"} == MATRIX
    assert {name: page.allowed.stage for name, page in found.items() if page.allowed.stage != "open"} == STEPS


def test_every_role_is_let_into_its_pages_and_into_no_other(city: House) -> None:
    """A refusal is told, is an entry of the log, and comes before anything else is looked at."""
    found = pages(city)
    for role in ConsoleRole:
        visitor = city.http(city.role(role))
        for name, page in found.items():
            if name in STEPS:
                continue
            answer = visitor.get(path_of(page)) if page.method == "GET" else visitor.post(path_of(page))
            refused = answer.status_code == 403 and "console.role" in answer.text
            assert refused == (role not in MATRIX[name]), (role, name, answer.status_code)
            assert answer.status_code < 500, (role, name)


def test_whatever_an_auditor_opens_is_an_entry(small: House) -> None:
    visitor = small.http(small.account("auditor", login="auditor"))
    visitor.get("/console/editions/1")
    with small.parts.store.read() as work:
        last = json.loads(work.unsequenced(10_000)[-1][1])
    assert (last["kind"], last["login"], last["subject"], last["key"]) == (
        "viewed", "auditor", "console.editions_edition", "1",
    )  # fmt: skip


def test_nobody_is_let_in_without_a_session(city: House) -> None:
    visitor = city.http(None)
    for name, page in pages(city).items():
        if STEPS.get(name) == "":
            continue
        if page.method == "GET":
            assert visitor.get(path_of(page)).headers["Location"].startswith("/console/sign-in"), name
        else:
            assert visitor.post(path_of(page), csrf="x").status_code == 403, name


def test_a_form_without_its_token_is_refused_on_every_page(city: House) -> None:
    visitor = city.http(city.account("operator"))
    for name, page in pages(city).items():
        if page.method == "POST":
            assert "console.form" in visitor.post(path_of(page), csrf="x").text, name


def test_a_route_that_no_area_declares_keeps_the_application_from_starting(small: House) -> None:
    app = Flask("other")
    app.add_url_rule("/console/secret", "secret", lambda: "open to everybody")
    with pytest.raises(ValueError, match="without a permission"):
        frame.assemble(app, Console(small.parts, small.url, lambda _: []), [Area("home")])
