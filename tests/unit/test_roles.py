"""Who may call what: every signed route against every role. A route without its row here fails the build."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from werkzeug.test import TestResponse

from broker.cli import main
from broker.core.envelope import Algorithm
from broker.core.identifiers import credit_check_digit
from broker.core.roles import Role
from broker.ports import Client
from broker.signing import keys
from broker.store.engine import Database
from broker.store.work import SqlStore
from broker.web.openapi import openapi_document
from broker.web.routes import ROUTES, Route
from tests.unit.web_ground import CLERK, PUBLIC_URL, SCHEMAS, Ground, document_of, enrol, lay_ground

MATRIX: dict[str, set[Role]] = {
    "submit": {Role.APPROVAL},
    "read": {Role.APPROVAL},
    "receipt": {Role.APPROVAL},
    "proof": {Role.APPROVAL},
    "bundle": {Role.APPROVAL},
    "promises": {Role.APPROVAL},
    "refusals": {Role.APPROVAL, Role.CENTRE, Role.AUDITOR},
    "explanation": {Role.APPROVAL, Role.CENTRE, Role.AUDITOR},
    "close": {Role.APPROVAL},
    "collected": {Role.APPROVAL},
    "drafts": {Role.LIST_EDITOR, Role.LIST_APPROVER},
    "draft": {Role.LIST_EDITOR},
    "read_draft": {Role.LIST_EDITOR, Role.LIST_APPROVER},
    "submit_draft": {Role.LIST_EDITOR},
    "review_draft": {Role.LIST_APPROVER},
    "publish_draft": {Role.LIST_APPROVER},
    "edit_row": {Role.LIST_EDITOR},
    "another_way": {Role.LIST_EDITOR},
    "carry_on_draft": {Role.LIST_EDITOR},
    "rebase_draft": {Role.LIST_EDITOR},
    "remark_on_draft": {Role.LIST_EDITOR, Role.LIST_APPROVER},
    "draft_of_edition": {Role.LIST_EDITOR},
    "withdraw_edition": {Role.LIST_APPROVER},
    "move_edition": {Role.LIST_APPROVER},
    "flags": {Role.AUDITOR, Role.CENTRE},
    "read_flag": {Role.AUDITOR, Role.CENTRE},
    "clear_flag": {Role.AUDITOR, Role.CENTRE},
    "applications": {Role.APPROVAL, Role.SOURCE, Role.CENTRE, Role.AUDITOR},
    "overdue_applications": {Role.APPROVAL, Role.SOURCE, Role.CENTRE, Role.AUDITOR},
    "read_application": {Role.APPROVAL, Role.SOURCE, Role.CENTRE, Role.AUDITOR},
    "apply": {Role.APPROVAL},
    "decide": {Role.SOURCE, Role.CENTRE},
    "withdraw": {Role.SOURCE, Role.CENTRE},
    "entries": {Role.CENTRE, Role.AUDITOR, Role.WITNESS},
    "export": {Role.CENTRE, Role.AUDITOR},
    "erase": {Role.CENTRE},
    "accesses": {Role.PORTAL},
    "embargo": {Role.CENTRE},
    "approve_embargo": {Role.CENTRE},
    "lift_embargo": {Role.CENTRE},
    "embargoes": {Role.CENTRE},
    "sources": set(Role) - {Role.WITNESS, Role.PORTAL},
    "consents": {Role.PORTAL},
    "request_consent": {Role.APPROVAL},
    "decide_consent": {Role.PORTAL},
    "orders": {Role.SOURCE},
    "order": {Role.SOURCE},
    "answer_order": {Role.SOURCE},
    "raise_objection": {Role.APPROVAL},
    "objection": {Role.APPROVAL},
    "objections": {Role.SOURCE},
    "objection_dossier": {Role.SOURCE},
    "act_on_objection": {Role.SOURCE},
    "cosign": {Role.WITNESS},
}
SIGNED = {route.name: route for route in ROUTES if route.roles}
UNIT = "113704000042880080"
BODIES: dict[str, Any] = {
    "consents": {"subject": {"id_type": "111", "number": "11010119900307109X"}},
    "request_consent": {"case": {"number": "none"}, "sources": ["licences"],
                        "subject": {"id_type": "111", "number": "11010119900307109X"}},
    "decide_consent": {"subject": {"id_type": "111", "number": "11010119900307109X"}, "decision": "grant",
                       "statement": {"text": "holder-consent/1", "reference": "auth-1"}},
    "answer_order": {"by": {"id": "jw-1", "unit": "113704000000000000"}, "reply": "confirm"},
    "act_on_objection": {"by": {"id": "sjj-1", "unit": "113704000000000000"}, "act": "accept"},
    "raise_objection": {"verification": "0" * 32, "material": "form", "source": "licences", "words": "有误",
                        "by": {"id": "op-1", "unit": "113704000042880080"}},
    "close": {"case": {"number": "none"}, "outcome": "approved", "operator": CLERK},
    "collected": {
        "request_id": "c1", "case": {"number": "none"}, "region": "370400", "item": "form-only",
        "operator": {"id": "op-1", "unit": UNIT}, "materials": [{"material": "form"}],
    },
    "draft": {"by": "李某", "document": {}},
    "submit_draft": {"by": "李某"},
    "review_draft": {"by": "李某", "approve": True},
    "publish_draft": {"by": "李某"},
    "edit_row": {"by": "李某", "revision": 1, "section": "items", "key": "none", "row": None},
    "another_way": {"by": "李某", "way": "discard"},
    "carry_on_draft": {"by": "李某"},
    "rebase_draft": {"by": "李某", "revision": 1},
    "remark_on_draft": {"by": "李某", "text": "请补充依据"},
    "draft_of_edition": {"by": "李某"},
    "withdraw_edition": {"by": "李某", "reason": "有误"},
    "move_edition": {"by": "李某", "reason": "改期", "effective_at": "2030-01-01T00:00:00Z"},
    "apply": {
        "by": "李某", "unit": UNIT, "source": "none", "items": ["food-licence"], "forms": ["query"],
        "fields": ["status"], "bases": ["statutory_duty"], "legal_reference": "法", "purpose": "核验",
        "daily_calls": 1, "valid_from": "2026-01-01", "valid_to": "2026-12-31",
    },
    "clear_flag": {"by": "李某", "comment": "已核实"},
    "decide": {"by": "李某", "unit": UNIT, "approve": True, "reason": "符合"},
    "withdraw": {"by": "李某", "unit": UNIT, "state": "revoked", "reason": "职责调整"},
    "export": {"by": "李某", "reason": "检查"},
    "cosign": {"size": 1, "name": "w", "line": "— w AAAA\n"},
    "accesses": {"subject": {"id_type": "111", "number": "11010119900307109X"}},
    "embargo": {"by": "李某", "reason": "调查", "until": "2026-01-01T00:00:00Z", "client": "none", "case": "none"},
    "approve_embargo": {"by": "王某"},
    "lift_embargo": {"by": "王某", "reason": "调查结束"},
    "erase": {"client": "none", "case": {"number": "none"}, "by": "李某", "reason": "本人要求"},
}  # fmt: skip


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """One for all of them: each cell brings a system of its own, and counts what it adds."""
    ground = lay_ground(tmp_path_factory.mktemp("ground"))
    yield ground
    ground.database.dispose()


@pytest.fixture
def signer(ground: Ground) -> keys.PrivateKey:
    """The key of a system that nobody else in this file uses, named as the system will be."""
    return keys.generate(Algorithm.ED25519, f"other-{next(ground.numbers)}")


def call(ground: Ground, route: Route, signer: keys.PrivateKey) -> TestResponse:
    """A well-formed request to the route, for something that does not exist where it names one."""
    body = ground.request() if route.name == "submit" else BODIES.get(route.name)
    path = route.path.replace("{number}", "0" * 32).replace("{path}", "000")
    return ground.send(route.method, path, body, signer=signer)


def test_every_signed_route_has_its_row_and_the_table_of_routes_says_the_same() -> None:
    assert {name: set(route.roles) for name, route in SIGNED.items()} == MATRIX


def sets_for(name: str) -> Iterator[tuple[Role, ...]]:
    """Each role alone; all but the route's, none of which helps another; and every one of them."""
    others = tuple(role for role in Role if role not in MATRIX[name])
    yield from chain(((role,) for role in Role), (others, tuple(Role)))


CELLS = [pytest.param(name, roles, id=f"{name}-{'+'.join(roles)}") for name in SIGNED for roles in sets_for(name)]


@pytest.mark.parametrize(("name", "roles"), CELLS)
def test_a_system_is_let_in_by_one_of_the_routes_roles_and_by_no_other(
    ground: Ground, signer: keys.PrivateKey, name: str, roles: tuple[Role, ...]
) -> None:
    enrol(ground, signer.key_id, signer, roles=roles)
    before = ground.rows()
    answer = call(ground, SIGNED[name], signer)
    code = document_of(answer).get("code")
    if MATRIX[name] & set(roles):
        assert code != "caller.role"
        return
    assert (answer.status_code, code) == (403, "caller.role")
    assert ground.entries()[-1] | {"at": ""} == {
        "version": 1, "kind": "refused", "at": "", "client": signer.key_id, "key": signer.key_id,
        "code": "caller.role",
    }  # fmt: skip
    grown = {table: count - before[table] for table, count in ground.rows().items() if count != before[table]}
    assert grown == {"entry": 1, "entry_queue": 1, "nonce": 1}, "the refusal's entry and the spent nonce, nothing else"


def test_a_system_without_any_role_that_we_know_may_do_nothing(ground: Ground, signer: keys.PrivateKey) -> None:
    enrol(ground, signer.key_id, signer, roles=("retired",))
    for route in SIGNED.values():
        assert document_of(call(ground, route, signer))["code"] == "caller.role"


def test_a_suspended_system_is_refused_whatever_its_roles(ground: Ground, signer: keys.PrivateKey) -> None:
    enrol(ground, signer.key_id, signer, roles=tuple(Role), state="suspended")
    for route in SIGNED.values():
        assert document_of(call(ground, route, signer))["code"] == "caller.suspended"


def test_the_document_names_the_roles_of_every_route() -> None:
    document = openapi_document(SCHEMAS, PUBLIC_URL)
    for route in ROUTES:
        security = document["paths"][route.path][route.method.lower()]["security"]
        assert [role for one in security for role in one["signature"]] == list(route.roles)


def test_a_client_is_for_approval_unless_told_otherwise() -> None:
    assert Client("sys", "审批系统", "unit", None, "active").roles == (Role.APPROVAL,)


def test_the_command_registers_roles_and_the_log_tells_them(tmp_path: Path) -> None:
    settings = {
        "BROKER_DATABASE_URL": f"sqlite:///{tmp_path / 'broker.db'}",
        "BROKER_KEYS_FOLDER": str(tmp_path / "keys"),
        "BROKER_PLATFORMS_FILE": str(tmp_path / "platforms.yaml"),
    }
    unit = "11370400MB0000001" + credit_check_digit("11370400MB0000001")

    def typed(*words: str) -> int:
        return CliRunner().invoke(main, words, env=settings, catch_exceptions=False).exit_code

    assert typed("keys", "init") == typed("migrate") == 0
    assert typed("client", "add", "plain", "--name", "审批系统", "--unit", unit) == 0
    both = ("--role", "list-editor", "--role", "list-approver")
    assert typed("client", "add", "lists", "--name", "清单系统", "--unit", unit, *both) == 0
    assert typed("client", "add", "odd", "--name", "清单系统", "--unit", unit, "--role", "king") == 2
    database = Database(settings["BROKER_DATABASE_URL"])
    with SqlStore(database, lambda pem, key_id: keys.load_public(pem.encode(), key_id)).read() as work:
        clients = work.policy(work.pulse().version).clients
    database.dispose()
    assert {name: client.roles for name, client in clients.items()} == {
        "plain": ("approval",), "lists": ("list-editor", "list-approver"),
    }  # fmt: skip
