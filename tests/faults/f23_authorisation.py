"""Authorisation: every route of the application × who asks × whose it is × the draft's state.

The rows are made from Flask's own route map; a route that stands in no table here, or in two, fails. Who may call a
signed route stands in ``tests/unit/test_roles.py`` (by hand, not read from the code it checks).
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from broker.core.envelope import Algorithm
from broker.core.roles import Role
from broker.signing import keys
from broker.web.routes import ROUTES
from tests.faults.figure import Figure, Scale, Tally
from tests.unit.test_roles import BODIES, MATRIX, SIGNED, call, sets_for
from tests.unit.test_web_editions import EDITOR, LIST, REVIEWER, Desk, changed
from tests.unit.web_ground import CLERK, Ground, document_of, enrol, lay_ground

REPOSITORY = Path(__file__).parents[2]
DEMANDED = "role × route × owner × draft's state, from the route map: 100 % of routes have a row, every cell as it says"
OPEN = {
    "guide", "plan", "items", "guide_index", "guide_page", "guide_style", "editions", "edition", "checkpoint", "tile",
    "consistency", "jwks", "openapi", "docs", "health", "ready", "fitness", "metrics",
    "verify_page", "verify_file", "verify_sheet", "verify_bundle_file",
}  # fmt: skip
"""Routes that anyone may call."""
ELSEWHERE = {"console.": "tests/console/test_matrix.py"}
"""Prefixes of endpoints whose guard is another than the signature → the test that holds their own table."""
OWNED = ("read", "receipt", "proof", "bundle")
"""Routes that show a verification to the system that submitted it, and to no other."""
ACTS: dict[str, tuple[str, dict[str, Any], str]] = {  # act → (state it is for, its body, the state after it)
    "submit": ("draft", {"by": EDITOR}, "submitted"),
    "review": ("submitted", {"by": REVIEWER, "approve": True}, "approved"),
    "publish": ("approved", {"by": REVIEWER}, "published"),
    "way": ("rejected", {"by": EDITOR, "way": "rework"}, "draft"),
    "rows": ("draft", {"by": EDITOR, "revision": 1, "section": "items", "key": "food-licence", "row": None}, "draft"),
}
WAYS: dict[str, tuple[str, ...]] = {  # state → what leads there
    "draft": (), "submitted": ("submit",), "approved": ("submit", "review"), "rejected": ("submit", "reject"),
    "published": ("submit", "review", "publish"),
}  # fmt: skip


def run(scale: Scale) -> Figure:
    """The matrix over the application itself, without sockets; a sample asks as every caller at fewer routes."""
    routes, callers, owners, states = Tally(), Tally(), Tally(), Tally()
    with _ground() as ground:
        _rows(ground, routes)
        _callers(ground, list(SIGNED)[: scale.of(len(SIGNED))], callers)
        _owners(ground, owners)
    _states(states)
    measured = f"{routes} routes with one row; {callers} callers, {owners} owners, {states} states of drafts as told"
    return Figure("F23", DEMANDED, measured, all(one.clean for one in (routes, callers, owners, states)))


@contextmanager
def _ground(**how: object) -> Iterator[Ground]:
    with tempfile.TemporaryDirectory(prefix="broker-f23-") as name:
        ground = lay_ground(Path(name), **how)  # type: ignore[arg-type] # keywords of lay_ground
        yield ground
        ground.database.dispose()


def _rows(ground: Ground, tally: Tally) -> None:
    """Every rule and method of the application is guarded by exactly one table."""
    named = {(route.method, route.path): route.name for route in ROUTES}
    for rule in ground.app.url_map.iter_rules():
        path = rule.rule.replace("<path:", "{").replace("<int:", "{").replace("<", "{").replace(">", "}")
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            name = named.get((method, path), "")
            elsewhere = any(
                rule.endpoint.startswith(prefix) and (REPOSITORY / test).exists() for prefix, test in ELSEWHERE.items()
            )
            rows = [name in MATRIX, name in OPEN, elsewhere]
            tally.note(f"{method} {path} stands in {sum(rows)} tables", right=sum(rows) == 1)


def _callers(ground: Ground, names: list[str], tally: Tally) -> None:
    """Each signed route: unsigned, by a stranger, suspended, and in every set of roles that tells something."""
    stranger, suspended = (keys.generate(Algorithm.ED25519, name) for name in ("stranger", "suspended"))
    enrol(ground, "suspended", suspended, roles=tuple(Role), state="suspended")
    known: dict[tuple[Role, ...], keys.PrivateKey] = {}
    for name in names:
        route = SIGNED[name]
        body = ground.request() if name == "submit" else BODIES.get(name)
        path = route.path.replace("{number}", "0" * 32).replace("{path}", "000")
        bare = ground.http.open(path, method=route.method, json=body)
        _tell(tally, f"{name} unsigned", document_of(bare).get("code"), "signature.missing")
        for who, signer, code in (
            ("a stranger", stranger, "signature.unknown-key"), ("suspended", suspended, "caller.suspended"),
        ):  # fmt: skip
            _tell(tally, f"{name} by {who}", document_of(call(ground, route, signer)).get("code"), code)
        for roles in sets_for(name):
            signer = _in_roles(ground, known, roles)
            before = ground.rows()["verification"]
            told = document_of(call(ground, route, signer)).get("code")
            let_in = bool(MATRIX[name] & set(roles))
            right = (told != "caller.role") == let_in and (let_in or ground.rows()["verification"] == before)
            tally.note(f"{name} as {'+'.join(roles)}: {told}", right=right)


def _in_roles(
    ground: Ground, known: dict[tuple[Role, ...], keys.PrivateKey], roles: tuple[Role, ...]
) -> keys.PrivateKey:
    """The key of a system in these roles; made once."""
    if roles not in known:
        name = "-".join(("as", *roles))
        known[roles] = keys.generate(Algorithm.ED25519, name)
        enrol(ground, name, known[roles], roles=roles)
    return known[roles]


def _tell(tally: Tally, what: str, got: object, expected: str) -> None:
    tally.note(f"{what}: {got}", right=got == expected)


def _owners(ground: Ground, tally: Tally) -> None:
    """What a system submitted is shown to it, and is unknown to every other of the same role; so is its case."""
    other = keys.generate(Algorithm.ED25519, "neighbour")
    enrol(ground, "neighbour", other)
    document = ground.request()
    number = ground.sequenced(**document)["id"]
    for name in OWNED:
        path = SIGNED[name].path.replace("{number}", number)
        own = ground.send("GET", path)
        tally.note(f"{name} of one's own: {own.status_code}", right=own.status_code == 200)
        foreign = ground.send("GET", path, signer=other)
        missing = ground.send("GET", SIGNED[name].path.replace("{number}", "0" * 32), signer=other)
        told = document_of(foreign).get("code")
        tally.note(f"{name} of another's: {told}", right=told == "verification.unknown")
        same = {**document_of(foreign), "instance": ""} == {**document_of(missing), "instance": ""}
        tally.note(f"{name} of another's tells more than one that is missing", right=same)
    closing = {"case": document["case"], "outcome": "approved", "operator": CLERK}
    told = document_of(ground.send("POST", "/v1/cases/outcome", closing, signer=other)).get("code")
    tally.note(f"another's case closed: {told}", right=told == "case.unknown")
    own = ground.send("POST", "/v1/cases/outcome", closing)
    tally.note(f"one's own case: {own.status_code} {document_of(own).get('code')}", right=own.status_code == 200)


def _states(tally: Tally) -> None:
    """Every act in every state of a draft, by another person and by the same one."""
    with _ground(granted=False, document=LIST) as ground:
        signer = keys.generate(Algorithm.ED25519, "lists")
        enrol(ground, "lists", signer, roles=(Role.LIST_EDITOR, Role.LIST_APPROVER))
        desk = Desk(ground, signer)
        for turn, (state, way) in enumerate(WAYS.items()):
            for act, (due, body, after) in ACTS.items():
                number = _led(desk, way, f"{turn} {act}")
                code = document_of(desk.act(number, act, **body)).get("code")
                right = (code is None and desk.read(number)["state"] == after) if state == due else (
                    code == "edition.state" and desk.read(number)["state"] == state)  # fmt: skip
                tally.note(f"{act} of a draft that is {state}: {code}", right=right)
        number = _led(desk, ("submit",), "by oneself")
        code = document_of(desk.act(number, "review", by=EDITOR, approve=True)).get("code")
        right = code == "edition.self-approval" and desk.read(number)["state"] == "submitted"
        tally.note(f"review by the editor: {code}", right=right)


def _led(desk: Desk, way: tuple[str, ...], name: str) -> str:
    number = str(document_of(desk.draft(changed(f"Food licence {name}")))["id"])
    reject = {"by": REVIEWER, "approve": False, "comment": "不行"}
    for one in way:
        answer = desk.act(number, "review", **reject) if one == "reject" else desk.act(number, one, **ACTS[one][1])
        if answer.status_code != 200:
            raise AssertionError(f"a draft cannot be led to {way}: {document_of(answer)['code']}")
    return number
