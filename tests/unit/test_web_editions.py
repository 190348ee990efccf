"""The list by API: drafted, handed in, reviewed by another person, published; anyone verifies what came of it."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from werkzeug.test import TestResponse

from broker.cli import main
from broker.core.edition import digest_of, verify_edition
from broker.core.envelope import Algorithm, unb64
from broker.core.errors import CallerProblem
from broker.core.person import person
from broker.core.receipt import moment
from broker.core.roles import Role
from broker.flow.parts import Parts
from broker.flow.register import register_grant
from broker.signing import keys
from broker.web.app import published_keys
from broker.web.editions import MAX_LIST
from broker.web.guard import MAX_BODY
from tests.unit.web_ground import CATALOG, Ground, check_answer, document_of, enrol, lay_ground

EDITOR, REVIEWER = "编辑员 赵某", "审核员 钱某"


def _sound_list() -> dict[str, Any]:
    """A list that passes its check."""
    source = CATALOG["sources"]["licences"] | {
        "connector": "exchange", "service": "s-1", "fields": ["status", "holder_number"],
        "options": {"shape": "json", "fields": {"status": "zt", "holder_number": "zjhm"}},
    }  # fmt: skip
    asked = {
        "mode": "data_query", "source": "licences", "form": "query", "fields": ["status", "holder_number"],
        "expect": [{"field": "holder_number", "op": "equals", "to": "holder.number"}], "basis": "测试",
    }  # fmt: skip
    place = {"seq": "1", "scene": "enterprise-1.1", "level": "city", "lead": ["市行政审批局"]}
    return {
        "regions": CATALOG["regions"],
        "scenes": CATALOG["scenes"],
        "sources": {"licences": source},
        "materials": {
            "business-licence": {
                "name": {"zh": "营业执照", "en": "Business licence"}, "kind": "certificate", "basis": "测试",
                "chain": [asked, {"mode": "submission"}],
            },
            "form": {
                "name": {"zh": "申请表", "en": "Form"}, "kind": "form", "basis": "测试",
                "chain": [{"mode": "submission"}],
            },
        },
        "items": {
            "food-licence": {
                "name": {"zh": "食品经营许可", "en": "Food licence"}, "type": "行政许可", "life_cycle": "enterprise",
                "basis": "测试", "regions": {"370400": place},
                "materials": [{"material": "business-licence"}, {"material": "form"}],
            },
        },
    }  # fmt: skip


LIST = _sound_list()


def changed(en: str = "Food business licence") -> dict[str, Any]:
    """The sound list with another English name of its item."""
    document = copy.deepcopy(LIST)
    document["items"]["food-licence"]["name"]["en"] = en
    return document


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    """The sound list in force; the list's own system, in both roles, beside the approval system."""
    ground = lay_ground(tmp_path, granted=False, document=LIST)
    register_grant(ground.parts, ground.grant("g", "licences", fields=("status", "holder_number")))
    yield ground
    ground.database.dispose()


@pytest.fixture
def signer(ground: Ground) -> keys.PrivateKey:
    """The key of the list's own system."""
    key = keys.generate(Algorithm.ED25519, "lists")
    enrol(ground, "lists", key, roles=(Role.LIST_EDITOR, Role.LIST_APPROVER))
    return key


class Desk:
    """What those who keep the list send."""

    def __init__(self, ground: Ground, signer: keys.PrivateKey) -> None:
        self.ground = ground
        self.signer = signer

    def draft(self, document: Any, by: str = EDITOR, **more: Any) -> TestResponse:
        """Draft a list."""
        return self.ground.send("POST", "/v1/drafts", {"by": by, "document": document, **more}, signer=self.signer)

    def act(self, number: str, act: str, **body: Any) -> TestResponse:
        """Hand in, review or publish."""
        return self.ground.send("POST", f"/v1/drafts/{number}/{act}", body, signer=self.signer)

    def read(self, number: str) -> dict[str, Any]:
        """A draft as it stands, or the refusal."""
        return document_of(self.ground.send("GET", f"/v1/drafts/{number}", signer=self.signer))

    def approved(self, document: Any) -> str:
        """The number of a draft that another person has approved."""
        number = str(document_of(self.draft(document))["id"])
        assert self.act(number, "submit", by=EDITOR).status_code == 200
        assert self.act(number, "review", by=REVIEWER, approve=True, comment="好").status_code == 200
        return number

    def published(self, document: Any, **more: Any) -> dict[str, Any]:
        """The edition that a list has become, by the whole way."""
        answer = self.act(self.approved(document), "publish", by=REVIEWER, **more)
        assert answer.status_code == 200, answer.data
        return document_of(answer)


@pytest.fixture
def desk(ground: Ground, signer: keys.PrivateKey) -> Desk:
    return Desk(ground, signer)


def receipt_keys(ground: Ground) -> dict[str, Any]:
    return dict(keys.from_jwks(published_keys(ground.surface), role="receipt"))


# --- editions --------------------------------------------------------------------------------------------------------


def test_anyone_reads_the_editions_and_the_list_byte_for_byte_with_its_seal(ground: Ground) -> None:
    listed = ground.http.get("/v1/editions")
    check_answer("GET", "/v1/editions", listed)
    (edition,) = document_of(listed)["editions"]
    assert (document_of(listed)["in_force"], edition["number"]) == (1, 1)
    assert "published_by" not in edition
    answer = ground.http.get("/v1/editions/1")
    check_answer("GET", "/v1/editions/1", answer)
    assert document_of(answer) == LIST
    assert digest_of(answer.data) == edition["digest"] == answer.headers["ETag"].strip('"')
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    sealed = verify_edition(answer.data, answer.headers["Edition-Seal"], receipt_keys(ground))
    assert (sealed.number, sealed.effective_at, sealed.issuer) == (1, edition["effective_at"], "broker.example")


@pytest.mark.parametrize("number", ["2", "0", "01", "x", "9" * 40])
def test_an_edition_that_is_not_there_is_unknown(ground: Ground, number: str) -> None:
    answer = ground.http.get(f"/v1/editions/{number}")
    assert (answer.status_code, document_of(answer)["code"]) == (404, "edition.unknown")


def test_the_seal_names_no_person(ground: Ground, desk: Desk) -> None:
    """An edition is public; who published it stands in the audit log."""
    edition = desk.published(changed())
    said = json.loads(unb64(edition["seal"].split(".")[1]))
    assert set(said) == {"version", "issuer", "number", "digest", "effective_at", "sealed_at"}


def test_another_list_or_another_signer_does_not_verify(ground: Ground) -> None:
    answer = ground.http.get("/v1/editions/1")
    seal, known = answer.headers["Edition-Seal"], receipt_keys(ground)
    with pytest.raises(CallerProblem, match="edition.digest"):
        verify_edition(answer.data.replace(b"Food licence", b"Fool licence"), seal, known)
    with pytest.raises(CallerProblem, match="envelope.signature"):
        verify_edition(answer.data, seal[:-8] + "AAAAAAAA", known)
    with pytest.raises(CallerProblem, match="envelope.unknown-key"):
        verify_edition(answer.data, seal, {})


# --- the way of a draft ----------------------------------------------------------------------------------------------


def test_a_list_goes_from_draft_over_another_person_s_review_to_publication_each_step_with_its_entry(
    ground: Ground, desk: Desk
) -> None:
    drafted = desk.draft(changed(), comment="改名")
    view = document_of(drafted)
    number = view["id"]
    assert drafted.status_code == 201
    assert drafted.headers["Location"].endswith(f"/v1/drafts/{number}")
    assert (view["state"], view["base"], view["drafted_by"], view["comment"]) == ("draft", 1, EDITOR, "改名")
    assert document_of(desk.act(number, "submit", by=EDITOR))["state"] == "submitted"
    reviewed = document_of(desk.act(number, "review", by=REVIEWER, approve=True, comment="好"))
    assert (reviewed["state"], reviewed["reviewed_by"], reviewed["review"]) == ("approved", REVIEWER, "好")
    edition = document_of(desk.act(number, "publish", by=REVIEWER))
    assert edition["number"] == 2
    assert desk.read(number)["edition"] == 2
    told = [one for one in ground.entries() if one["kind"] in {"drafted", "submitted", "reviewed", "published"}]
    assert [(one["kind"], one["by"], one.get("client")) for one in told] == [
        ("published", "tester", None), ("drafted", EDITOR, "lists"), ("submitted", EDITOR, "lists"),
        ("reviewed", REVIEWER, "lists"), ("published", REVIEWER, "lists"),
    ]  # fmt: skip
    assert document_of(ground.http.get("/v1/editions"))["in_force"] == 2
    guide = document_of(ground.http.get("/v1/guide?region=370400&item=food-licence"))
    assert (guide["edition"], guide["items"][0]["name"]["en"]) == (2, "Food business licence")


@pytest.mark.parametrize("reviewer", [EDITOR, "编辑员赵某", "编辑员　赵某", "提交人 SUN", "提交人sun", "提交人 ＳＵＮ"])
def test_whoever_drafted_or_handed_it_in_cannot_approve_it_however_they_spell_their_name(
    desk: Desk, reviewer: str
) -> None:
    number = document_of(desk.draft(changed()))["id"]
    desk.act(number, "submit", by="提交人 Sun")
    before = desk.ground.rows()
    refused = desk.act(number, "review", by=reviewer, approve=True)
    assert (refused.status_code, document_of(refused)["code"]) == (403, "edition.self-approval")
    assert desk.ground.entries()[-1]["code"] == "edition.self-approval"
    assert {name for name, count in desk.ground.rows().items() if count != before[name]} == {
        "entry", "entry_queue", "nonce",
    }  # fmt: skip
    assert desk.read(number)["state"] == "submitted"


def test_two_people_are_told_apart() -> None:
    assert person("李 某") == person("李某") == person("李　某")
    assert person("李某") != person("李某某")


@pytest.mark.parametrize(
    ("done", "act"),
    [
        ((), "review"), ((), "publish"), (("submit",), "submit"), (("submit",), "publish"),
        (("submit", "review"), "submit"), (("submit", "review"), "review"), (("submit", "reject"), "publish"),
        (("submit", "reject"), "submit"), (("submit", "review", "publish"), "publish"),
    ],
)  # fmt: skip
def test_a_step_out_of_turn_is_refused_and_changes_nothing(desk: Desk, done: tuple[str, ...], act: str) -> None:
    number = str(document_of(desk.draft(changed()))["id"])
    bodies: dict[str, dict[str, Any]] = {
        "submit": {"by": EDITOR}, "review": {"by": REVIEWER, "approve": True}, "publish": {"by": REVIEWER},
        "reject": {"by": REVIEWER, "approve": False, "comment": "不行"},
    }  # fmt: skip
    for one in done:
        assert desk.act(number, "review" if one == "reject" else one, **bodies[one]).status_code == 200
    before = desk.read(number)
    refused = desk.act(number, act, **bodies[act])
    assert (refused.status_code, document_of(refused)["code"]) == (409, "edition.state")
    assert desk.read(number) == before


def test_a_draft_that_is_not_there_is_unknown_to_every_step(desk: Desk) -> None:
    for act, body in (
        ("submit", {"by": EDITOR}), ("review", {"by": REVIEWER, "approve": True}), ("publish", {"by": REVIEWER}),
    ):  # fmt: skip
        assert document_of(desk.act("0" * 32, act, **body))["code"] == "edition.unknown"
    assert desk.read("0" * 32)["code"] == "edition.unknown"


def test_a_draft_shows_what_the_check_finds_and_what_it_changes(desk: Desk) -> None:
    view = desk.read(document_of(desk.draft(changed()))["id"])
    assert not [one for one in view["findings"] if one["severity"] == "error"]
    (change,) = view["changes"]
    assert change["kind"] == "renamed"
    assert "Food business licence" in change["text"]["en"]
    broken = changed()
    broken["items"]["food-licence"]["materials"].append({"material": "nothing-like-it"})
    number = document_of(desk.draft(broken))["id"]
    view = desk.read(number)
    (finding,) = [one for one in view["findings"] if one["severity"] == "error"]
    assert (finding["rule"], finding["pointer"]) == ("reference", "/items/food-licence/materials/2/material")
    assert view["changes"] is None
    assert document_of(desk.act(number, "submit", by=EDITOR))["code"] == "catalog.broken"
    assert desk.read(number)["state"] == "draft"


def test_drafts_are_listed_the_newest_first_without_their_findings(desk: Desk) -> None:
    first, second = (document_of(desk.draft(changed(en=name)))["id"] for name in ("One", "Two"))
    listed = document_of(desk.ground.send("GET", "/v1/drafts", signer=desk.signer))["drafts"]
    assert [one["id"] for one in listed] == [second, first]
    assert "findings" not in listed[0]


def test_of_two_drafts_on_one_edition_only_the_first_is_published(desk: Desk) -> None:
    first, second = desk.approved(changed(en="One")), desk.approved(changed(en="Two"))
    assert desk.act(first, "publish", by=REVIEWER).status_code == 200
    refused = desk.act(second, "publish", by=REVIEWER)
    assert (refused.status_code, document_of(refused)["code"]) == (409, "edition.outdated")


def test_the_very_list_that_is_in_force_is_not_published_again(desk: Desk) -> None:
    refused = desk.act(desk.approved(LIST), "publish", by=REVIEWER)
    assert document_of(refused)["code"] == "register.exists"


# --- from when -------------------------------------------------------------------------------------------------------


def test_an_edition_takes_effect_when_it_says_and_plans_nothing_before(ground: Ground, desk: Desk) -> None:
    later = datetime.now(UTC) + timedelta(days=30)
    shanghai = later.astimezone().isoformat(timespec="seconds")
    edition = desk.published(changed(), effective_at=shanghai)
    assert edition["effective_at"][:19] == moment(later)[:19]
    assert document_of(ground.http.get("/v1/editions"))["in_force"] == 1
    assert document_of(ground.submit(ground.request(parties=None)))["edition"] == 1


@pytest.mark.parametrize(
    ("effective_at", "code"),
    [
        ("2020-01-01T00:00:00Z", "edition.effective"),
        ("2026-13-01T00:00:00Z", "request.schema"),
        ("2026-01-01", "request.schema"),
        ("9999-12-31T23:59:59-12:00", "request.schema"),
        ("tomorrow", "request.schema"),
    ],
)
def test_a_time_that_is_past_or_none_is_refused(desk: Desk, effective_at: str, code: str) -> None:
    number = desk.approved(changed())
    refused = desk.act(number, "publish", by=REVIEWER, effective_at=effective_at)
    assert document_of(refused)["code"] == code
    assert desk.read(number)["state"] == "approved"


def test_what_is_in_flight_keeps_its_edition(ground: Ground, desk: Desk) -> None:
    before = document_of(ground.submit(ground.request(parties=None)))
    assert (before["state"], before["edition"]) == ("admitted", 1)
    dropped = changed()
    dropped["items"]["food-licence"]["materials"] = [{"material": "form"}]
    desk.published(dropped)
    after = document_of(ground.submit(ground.request(parties=None)))
    assert (after["state"], after["edition"]) == ("decided", 2)
    ground.settle_all()
    decided = document_of(ground.send("GET", f"/v1/verifications/{before['id']}"))
    assert (decided["state"], decided["edition"]) == ("decided", 1)
    assert [one["material"] for one in decided["materials"]] == ["business-licence", "form"]
    assert [one["material"] for one in after["materials"]] == ["form"]


def test_requests_that_come_while_an_edition_is_published_are_planned_by_one_of_the_two(
    ground: Ground, desk: Desk
) -> None:
    """Each by exactly the edition it names; by the new one, once its publication has been answered."""
    number = desk.approved(changed())
    with ThreadPoolExecutor(5) as pool:
        running = [pool.submit(lambda: document_of(ground.submit(ground.request(parties=None)))) for _ in range(24)]
        publication = pool.submit(lambda: desk.act(number, "publish", by=REVIEWER))
        running += [pool.submit(lambda: document_of(ground.submit(ground.request(parties=None)))) for _ in range(24)]
        assert publication.result().status_code == 200
        views = [one.result() for one in running]
    assert document_of(ground.submit(ground.request(parties=None)))["edition"] == 2
    ground.settle_all()
    assert {view["edition"] for view in views} <= {1, 2}
    for view in views:
        decided = document_of(ground.send("GET", f"/v1/verifications/{view['id']}"))
        assert (decided["state"], decided["edition"]) == ("decided", view["edition"])


# --- bad input -------------------------------------------------------------------------------------------------------

BAD: dict[str, tuple[str, Any, str]] = {
    "no person": ("", {"document": {}}, "request.schema"),
    "an empty person": ("", {"by": "", "document": {}}, "request.schema"),
    "a person of spaces": ("", {"by": "  ", "document": {}}, "request.schema"),
    "no list": ("", {"by": EDITOR}, "request.schema"),
    "a list that is a list": ("", {"by": EDITOR, "document": []}, "request.schema"),
    "an unknown field": ("", {"by": EDITOR, "document": {}, "state": "approved"}, "request.schema"),
    "a number beyond any column": ("", {"by": EDITOR, "document": {"n": 10**30}}, "body.not-json"),
    "a submission without a person": ("submit", {}, "request.schema"),
    "a review without a decision": ("review", {"by": REVIEWER}, "request.schema"),
    "a decision that is no yes or no": ("review", {"by": REVIEWER, "approve": "yes"}, "request.schema"),
    "a comment without end": ("review", {"by": REVIEWER, "approve": True, "comment": "x" * 2001}, "request.schema"),
}


@pytest.mark.parametrize(("act", "body", "code"), BAD.values(), ids=BAD)
def test_what_cannot_be_meant_is_refused_and_recorded(desk: Desk, act: str, body: Any, code: str) -> None:
    path = "/v1/drafts" if not act else f"/v1/drafts/{document_of(desk.draft(changed()))['id']}/{act}"
    before = desk.ground.rows()
    refused = desk.ground.send("POST", path, body, signer=desk.signer)
    assert document_of(refused)["code"] == code
    assert desk.ground.entries()[-1]["code"] == code
    assert desk.ground.rows()["draft"] == before["draft"]


def test_a_draft_may_be_larger_than_other_bodies_and_not_without_end(desk: Desk) -> None:
    document = changed()
    document["padding"] = "x" * (MAX_BODY + 1)
    assert desk.draft(document).status_code == 201
    document["padding"] = "x" * (MAX_LIST + 1)
    assert document_of(desk.draft(document))["code"] == "body.too-large"


def test_a_replayed_draft_is_refused_though_its_signature_holds(desk: Desk) -> None:
    body = {"by": EDITOR, "document": LIST}
    nonce = "n" * 32
    assert desk.ground.send("POST", "/v1/drafts", body, signer=desk.signer, nonce=nonce).status_code == 201
    refused = desk.ground.send("POST", "/v1/drafts", body, signer=desk.signer, nonce=nonce)
    assert document_of(refused)["code"] == "signature.replayed"
    assert desk.ground.rows()["draft"] == 1


def test_a_draft_is_verified_before_it_is_parsed(desk: Desk) -> None:
    stranger = keys.generate(Algorithm.ED25519, "stranger")
    refused = desk.ground.send("POST", "/v1/drafts", body=b"{", signer=stranger)
    assert document_of(refused)["code"] == "signature.unknown-key"


# --- offline ---------------------------------------------------------------------------------------------------------


def verified(folder: Path, ground: Ground, body: bytes, seal: str) -> Result:
    (folder / "edition.json").write_bytes(body)
    (folder / "edition.seal").write_text(seal + "\n")
    (folder / "keys.json").write_text(json.dumps(published_keys(ground.surface)))
    words = [str(folder / "edition.json"), "--seal", str(folder / "edition.seal"), "--keys", str(folder / "keys.json")]
    return CliRunner().invoke(main, ["edition", "verify", *words], catch_exceptions=False)


def test_the_command_verifies_an_edition_with_nothing_but_the_published_keys(ground: Ground, tmp_path: Path) -> None:
    answer = ground.http.get("/v1/editions/1")
    seal = answer.headers["Edition-Seal"]
    held = verified(tmp_path, ground, answer.data, seal)
    assert held.exit_code == 0
    assert f"edition 1 {digest_of(answer.data)}" in held.output
    for body, token, code in (
        (answer.data + b" ", seal, "edition.digest"),
        (answer.data, "a.b", "envelope.malformed"),
        (answer.data, "é", "envelope.malformed"),
        (answer.data, ground.decided(parties=None)["receipt"], "envelope.type"),
    ):
        refused = verified(tmp_path, ground, body, token)
        assert refused.exit_code == 1
        assert refused.output.startswith(code)


def test_a_process_that_has_read_an_edition_reads_the_new_one_at_once(ground: Ground, desk: Desk) -> None:
    other = Parts(**{name: getattr(ground.parts, name) for name in Parts.__dataclass_fields__ if name[0] != "_"})

    def planned_by() -> int:
        with other.store.read() as work:
            pulse = work.pulse()
            return other.edition_in_force(work, other.policy(work, pulse), pulse.now).number

    assert planned_by() == 1
    desk.published(changed())
    assert planned_by() == 2
