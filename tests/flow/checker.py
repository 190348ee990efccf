"""Holds a whole database against the invariants, by reading its tables and nothing of the flow's code.

I1  every verification has one entry ``admitted`` that names its request, and no such entry is without one.
I2  decided ⇔ one receipt ⇔ one entry ``decided`` with the receipt's digest; a receipt once seen never changes.
I3  one entry per state change, none without one; each entry waits for its place in the log or has it, never both.
I4  the places are without gap, their root and every earlier checkpoint's is what the entries hash to, all signed.
I5  no exemption without an answer HELD whose digest stands in an entry ``answered`` of the same verification.
I6  every answered lookup was asked before, for an open case, under its grant, in force then, for granted fields and
    below its cap – or was stopped by a rule; its answer is that of the latest claim.
I7  when told that all is finished: nothing is due, everything is decided.
I8  no identifier of a person stands anywhere in the tables, except encrypted.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import text

from broker.core import checkpoint
from broker.core.envelope import Verifier, unb64, unseal
from broker.core.errors import Problem
from broker.core.receipt import RECEIPT_TYPE
from broker.store.engine import Database

_IDENTIFIER = re.compile(rb"999999(?:19|20)[0-9]{9}[0-9X]|91999999MA[0-9A-Z]{8}|13800001111|\xe5\xbc\xa0\xe6\x9f\x90")
_GRANT_KINDS = {"grant_in_force": "in_force", "grant_suspended": "suspended", "grant_revoked": "revoked"}
_CONSENT_STATES = {"requested": "requested", "shown": "waiting", "granted": "granted", "refused": "refused",
                   "revoked": "revoked", "expired": "expired"}  # fmt: skip
_LINES = 2  # of the log under each checkpoint, by whichever keys signed then
_ORDER_ENDS = ("order_answered", "order_overdue", "order_stopped")
_LINE = ("region", "department", "scene", "item", "material", "mode", "decision", "source", "reach", "count")
_PAPER_LINE = ("region", "department", "scene", "item", "material", "standing", "reason", "original", "count")
_POLICY_KINDS = {
    "published", "edition_withdrawn", "client_registered", "key_registered", "key_revoked", "grant_registered",
    *_GRANT_KINDS,
    "own_key_registered", "own_key_prepared", "own_key_rotated", "own_key_limited", "own_key_revoked",
    "source_stopped", "source_opened",
    "operator_stopped", "operator_released", "record_marked", "record_unmarked", "record_corrected",
}  # fmt: skip


class BrokenInvariant(AssertionError):
    """What does not hold, with its number."""


def _frozen_digest(tables: Mapping[str, Sequence[Any]], month: str) -> str:
    """What docs/figures.md says that the digest is."""
    papers = [
        [*(row[name] for name in _PAPER_LINE[:-2]), bool(row["original"]), row["count"]]
        for row in tables["paper_month"]
        if row["month"] == month
    ]
    lines = [[row[name] for name in _LINE] for row in tables["figures_month"] if row["month"] == month]
    body = json.dumps([month, sorted(lines), sorted(papers)], ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(body.encode()).hexdigest()


def _must(holds: object, what: str) -> None:
    if not holds:
        raise BrokenInvariant(what)


@dataclass
class _Picture:
    """Everything, read in one transaction."""

    tables: dict[str, list[Any]]
    entries: dict[int, dict[str, Any]]

    def of_kind(self, *kinds: str) -> list[tuple[int, dict[str, Any]]]:
        return [(number, one) for number, one in self.entries.items() if one.get("kind") in kinds]


@dataclass
class Checker:
    """Checks one database; remembers the receipts it has seen."""

    TABLES = (
        "access_grant",
        "annotation",
        "attempt",
        "case_file",
        "client",
        "client_key",
        "conduct",
        "consent",
        "delivery",
        "draft",
        "draft_remark",
        "edition",
        "edition_origin",
        "edition_withdrawal",
        "embargo",
        "entry",
        "entry_queue",
        "errand",
        "sign_in_origin",
        "figures_cursor",
        "figures_day",
        "figures_frozen",
        "figures_month",
        "figures_refused",
        "grant_application",
        "grant_usage",
        "holder_usage",
        "job",
        "log_checkpoint",
        "log_cosignature",
        "log_index",
        "log_leaf",
        "log_named",
        "log_related",
        "log_tile",
        "lookup",
        "misuse_cursor",
        "misuse_flag",
        "nonce",
        "objection",
        "objection_words",
        "own_key",
        "paper",
        "paper_month",
        "paper_report",
        "person",
        "person_role",
        "platform_session",
        "policy",
        "promise",
        "reopened",
        "row_change",
        "session",
        "source_gate",
        "source_health",
        "source_probe",
        "source_stop",
        "source_key",
        "verification",
        "work_order",
    )

    database: Database
    receipt_keys: Sequence[Verifier]
    log_keys: Sequence[Verifier]
    log_origin: str
    seen: dict[str, str] = field(default_factory=dict)
    seen_before: dict[str, str] = field(default_factory=dict)  # preliminary receipts
    heads: dict[str, checkpoint.Checkpoint] = field(default_factory=dict)  # notes whose signatures were verified
    checks: int = 0

    def check(self, *, finished: bool = False) -> None:
        """Raise ``BrokenInvariant`` naming the first invariant that does not hold."""
        picture = self._read()
        try:
            self._check(picture, finished)
        except Problem as problem:  # a signature that does not hold
            raise BrokenInvariant(f"I2 or I4: {problem.code}") from problem
        self.checks += 1

    def _check(self, picture: _Picture, finished: bool) -> None:
        self._admitted(picture)  # I1
        self._decided(picture)  # I2
        self._changes(picture)  # I3
        self._objected(picture)  # I3
        self._log(picture)  # I4
        self._exempt(picture)  # I5
        self._asked(picture)  # I6
        self._ordered(picture)  # I6
        self._consented(picture)  # I6
        self._stopped(picture)  # I6
        if finished:
            self._finished(picture)  # I7
        self._private(picture)  # I8

    def _read(self) -> _Picture:
        with self.database.begin(write=False) as connection:
            if not self.database.is_sqlite:
                connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            tables = {
                name: [dict(row) for row in connection.execute(text(f"SELECT * FROM {name}")).mappings()]  # noqa: S608 - ours
                for name in self.TABLES
            }
        entries = {row["id"]: json.loads(row["body"]) for row in sorted(tables["entry"], key=lambda row: row["id"])}
        return _Picture(tables, entries)

    def _admitted(self, picture: _Picture) -> None:
        told = {one["verification"]: one for _, one in picture.of_kind("admitted")}
        _must(len(told) == len(picture.of_kind("admitted")), "I1: a verification was admitted twice")
        rows = {row["id"]: row for row in picture.tables["verification"]}
        _must(told.keys() == rows.keys(), "I1: admitted entries are not those of the verifications")
        for number, row in rows.items():
            _must(told[number]["request"] == row["request_digest"], "I1: the entry names another request")
            _must(told[number]["edition"] == row["edition"], "I1: the entry names another edition")

    def _decided(self, picture: _Picture) -> None:
        told = Counter(one["verification"] for _, one in picture.of_kind("decided"))
        told_before: dict[str, list[str]] = {}
        for _, one in picture.of_kind("pending"):
            told_before.setdefault(one["verification"], []).append(one["receipt"])
        digests = {one["verification"]: one["receipt"] for _, one in picture.of_kind("decided")}
        keys = {key.key_id: key for key in self.receipt_keys}
        for row in picture.tables["verification"]:
            number, receipt = row["id"], row["receipt"]
            decided = row["state"] == "decided"
            _must(row["state"] in {"admitted", "pending", "decided"}, "I2: an unknown state")
            self._preliminary(row, told_before.get(number, []), keys)
            _must(decided == (receipt is not None) == (row["decided_at"] is not None), "I2: half decided")
            _must(told[number] == int(decided), f"I2: {told[number]} entries for a verification {row['state']}")
            if not decided:
                continue
            _must(digests[number] == _digest(receipt), "I2: the entry names another receipt")
            if number not in self.seen:
                says = json.loads(unseal(receipt, keys, RECEIPT_TYPE))
                _must(says["verification"] == number, "I2: the receipt is another verification's")
                _must(says["request"]["digest"] == row["request_digest"], "I2: the receipt answers another request")
            _must(self.seen.setdefault(number, receipt) == receipt, "I2: a receipt has changed")
        _must(self.seen.keys() <= {row["id"] for row in picture.tables["verification"]}, "I2: a receipt is gone")

    def _preliminary(self, row: Any, told: list[str], keys: Mapping[str, Verifier]) -> None:
        """At most one preliminary receipt, named by its entry, and superseded by name."""
        first = row["preliminary"]
        _must(told == ([_digest(first)] if first else []), "I2: the preliminary receipt is not that of its entry")
        _must(first is not None or row["state"] != "pending", "I2: pending without a preliminary receipt")
        if first is not None:
            says = json.loads(unseal(first, keys, RECEIPT_TYPE))
            _must((says["status"], says["verification"]) == ("preliminary", row["id"]), "I2: not a preliminary receipt")
            _must(self.seen_before.setdefault(row["id"], first) == first, "I2: a preliminary receipt has changed")
        if row["receipt"] is not None:
            says = _payload(row["receipt"])
            _must(says["status"] == "final", "I2: decided by a receipt that is not final")
            _must(says.get("supersedes") == (_digest(first) if first else None), "I2: it supersedes another receipt")

    def _changes(self, picture: _Picture) -> None:
        tables = picture.tables
        answered = Counter(one["lookup"] for _, one in picture.of_kind("answered", "stopped"))
        expected = Counter(row["id"] for row in tables["lookup"] if row["state"] == "answered")
        _must(answered == expected, "I3: answered lookups and their entries differ")
        closed = Counter((one["client"], one["case"]) for _, one in picture.of_kind("closed"))
        _must(closed == Counter((row["client_id"], row["number"]) for row in tables["case_file"]
                                if row["state"] == "closed"), "I3: closed cases and their entries differ")  # fmt: skip
        editions = [(one["edition"], one["digest"]) for _, one in picture.of_kind("published")]
        _must(sorted(editions) == sorted((row["number"], row["digest"]) for row in tables["edition"]),
              "I3: editions and their entries differ")  # fmt: skip
        versions = 1 + len(picture.of_kind(*_POLICY_KINDS))
        _must(tables["policy"][0]["version"] == versions, "I3: the policy moved without an entry, or did not move")
        flags = Counter(one["flag"] for _, one in picture.of_kind("flagged", "operator_stopped"))
        _must(flags == Counter(row["id"] for row in tables["misuse_flag"]), "I3: flags and their entries differ")
        cleared = Counter(one["flag"] for _, one in picture.of_kind("flag_cleared", "operator_released"))
        _must(cleared == Counter(row["id"] for row in tables["misuse_flag"] if row["state"] == "cleared"),
              "I3: cleared flags and their entries differ")  # fmt: skip
        known = Counter(one["key"] for _, one in picture.of_kind("own_key_registered", "own_key_prepared"))
        _must(known == Counter(row["key_id"] for row in tables["own_key"]), "I3: our keys and their entries differ")
        gone = Counter(one["key"] for _, one in picture.of_kind("own_key_revoked", "own_key_registered")
                       if one["kind"] == "own_key_revoked" or one["state"] == "revoked")  # fmt: skip
        _must(gone == Counter(row["key_id"] for row in tables["own_key"] if row["revoked_at"] is not None),
              "I3: revoked keys of ours and their entries differ")  # fmt: skip
        delivered = Counter(one["delivery"] for _, one in picture.of_kind("delivered"))
        _must(delivered == Counter(row["id"] for row in tables["delivery"] if row["state"] == "delivered"),
              "I3: deliveries and their entries differ")  # fmt: skip
        self._figures(picture)
        for row in tables["entry"]:
            body = picture.entries[row["id"]]
            _must((row["kind"], row["verification_id"]) == (body.get("kind"), body.get("verification")),
                  "I3: an entry's columns are not its body's")  # fmt: skip

    def _objected(self, picture: _Picture) -> None:
        """Each objection has the entries of the acts that its row tells of, and reopened what its entries say."""
        acts = {"objection_raised": "raised_at", "record_marked": "accepted_at", "objection_verified": "verified_at"}
        rows = picture.tables["objection"]
        for kind, column in acts.items():
            told = Counter(one["objection"] for _, one in picture.of_kind(kind))
            _must(told == Counter(row["id"] for row in rows if row[column] is not None), f"I3: {kind}")
        lifted = Counter(one["objection"] for _, one in picture.of_kind("record_unmarked", "record_corrected"))
        _must(lifted == Counter(row["id"] for row in rows if row["lifted_at"] is not None), "I3: marks lifted")
        reopened = Counter((one["objection"], one["verification"]) for _, one in picture.of_kind("decision_reopened"))
        _must(reopened == Counter((row["objection_id"], row["verification_id"]) for row in picture.tables["reopened"]),
              "I3: reopened decisions and their entries differ")  # fmt: skip

    def _figures(self, picture: _Picture) -> None:
        tables = picture.tables
        told = {one["report"]: sorted(one["materials"]) for _, one in picture.of_kind("collected")}
        kept: dict[str, list[str]] = {row["id"]: [] for row in tables["paper_report"]}
        for row in tables["paper"]:
            kept[row["report_id"]].append(row["material"])
        _must(told == {report: sorted(papers) for report, papers in kept.items()},
              "I3: reports of paper and their entries differ")  # fmt: skip
        _must(len(told) == len(picture.of_kind("collected")), "I3: a report of paper was told twice")
        frozen = Counter((one["month"], one["digest"]) for _, one in picture.of_kind("figures_frozen"))
        found = Counter((row["month"], _frozen_digest(tables, row["month"])) for row in tables["figures_frozen"])
        _must(frozen == found, "I3: a frozen month is not what its entry says")

    def _log(self, picture: _Picture) -> None:
        tables = picture.tables
        places = {row["position"]: row["entry_id"] for row in tables["log_leaf"]}
        waiting = {row["entry_id"] for row in tables["entry_queue"]}
        _must(sorted(places) == list(range(len(places))), "I4: the places have gaps")
        _must(waiting.isdisjoint(places.values()), "I3: an entry waits although it has its place")
        _must(waiting | set(places.values()) == picture.entries.keys(), "I3: an entry neither waits nor has a place")
        bodies = {row["id"]: bytes(row["body"]) for row in tables["entry"]}
        leaves = [hashlib.sha256(b"\0" + bodies[places[position]]).digest() for position in range(len(places))]
        heads = sorted(tables["log_checkpoint"], key=lambda row: row["size"])
        _must((heads[-1]["size"] if heads else 0) == len(leaves), "I4: the last checkpoint is not of the whole log")
        for row in heads:
            head = self.heads.get(row["note"]) or checkpoint.verify(
                row["note"], self.log_origin, self.log_keys, at_least=_LINES
            )
            self.heads[row["note"]] = head
            _must(head.size == row["size"], "I4: a checkpoint's size is not its row's")
            _must(head.root == _root(leaves[: head.size]), f"I4: the first {head.size} entries have another root")
        for row in tables["log_tile"]:
            if row["level"] == 0:
                start = row["index"] * 256
                _must(bytes(row["hashes"]) == b"".join(leaves[start : start + 256]), "I4: a tile is not its entries'")

    def _exempt(self, picture: _Picture) -> None:
        held = {
            (one["verification"], one["answer"]) for _, one in picture.of_kind("answered") if one["outcome"] == "held"
        }
        reused = {
            (one["verification"], one["material"], one["origin"], one["answer"]) for _, one in picture.of_kind("reused")
        }
        digests = {(row["verification_id"], row["digest"]) for row in picture.tables["lookup"]}
        for row in picture.tables["verification"]:
            if row["receipt"] is None:
                continue
            for material in _payload(row["receipt"])["materials"]:
                last = material["steps"][-1]
                proof = (row["id"], last.get("digest"))
                if material["decision"] == "exempt":
                    proof = (last.get("origin", row["id"]), last.get("digest"))
                    _must(last["reason"] == "held.valid", "I5: exempt for another reason than HELD")
                    _must(("origin" in last) == (last["mode"] == "reuse"), "I5: reused without saying from where")
                    _must(proof in held, "I5: exempt without an entry that says HELD")
                    _must(proof in digests, "I5: exempt by an answer that no lookup has")
                    told = "origin" not in last or (row["id"], material["material"], *proof) in reused
                    _must(told, "I5: reused without an entry")
                elif material["decision"] == "not_met":
                    _must(last["reason"].startswith("not_held."), "I5: refused without a business fact")
                    _must(proof in digests, "I5: refused without an answer")
                else:
                    _must(not last["reason"].startswith("held."), "I5: held, and yet not exempt")

    def _asked(self, picture: _Picture) -> None:
        lookups = {row["id"]: row for row in picture.tables["lookup"]}
        grants = {row["id"]: row for row in picture.tables["access_grant"]}
        closed = {(one["client"], one["case"]): number for number, one in picture.of_kind("closed")}
        asked: dict[str, list[tuple[int, dict[str, Any]]]] = {}
        for number, one in picture.of_kind("asked"):
            _must(one["lookup"] in lookups, "I6: asked for a lookup that does not exist")
            asked.setdefault(one["lookup"], []).append((number, one))
            row = lookups[one["lookup"]]
            told = (one["grant"], one["source"], one["verification"])
            _must(told == (row["grant_id"], row["source"], row["verification_id"]), "I6: asked for something else")
            _granted(one, number, grants[one["grant"]], picture)
            if one.get("purpose") != "promise":
                _must(number < closed.get((one["client"], one["case"]), number + 1), "I6: asked for a closed case")
        ordered = {row["lookup_id"]: row["attempt"] for row in picture.tables["work_order"] if row["reply"]}
        for number, one in picture.of_kind("answered"):
            before = [place for place, _ in asked.get(one["lookup"], []) if place < number]
            _must(before, "I6: answered before it was asked")
            row = lookups[one["lookup"]]
            _must(one["answer"] == row["digest"], "I6: the entry names another answer")
            claim = ordered.get(row["id"], row["fence"])
            latest = [_milliseconds(told["at"]) for _, told in asked[row["id"]] if told["attempt"] == claim]
            _must(latest == [row["asked_at"]], "I6: the answer is not that of the latest claim")
        for _, one in picture.of_kind("stopped"):
            _must(one.get("rule"), "I6: stopped by no rule")
        for _, one in picture.of_kind("waiting"):
            _must(any(told["attempt"] for _, told in asked.get(one["lookup"], [])), "I6: waits before it was asked")
        for number, row in lookups.items():
            attempts = [one["attempt"] for _, one in asked.get(number, [])]
            _must(len(set(attempts)) == len(attempts), "I6: one claim asked twice")
            _must(all(attempt <= row["fence"] for attempt in attempts), "I6: asked without a claim")
        _capped(picture, grants)

    def _ordered(self, picture: _Picture) -> None:
        """Each work order has its entries, is answered by its own unit, and ends with its lookup."""
        placed = {one["order"]: (number, one) for number, one in picture.of_kind("ordered")}
        _must(placed.keys() == {row["id"] for row in picture.tables["work_order"]}, "I3: an order without its entry")
        lookups = {row["id"]: row for row in picture.tables["lookup"]}
        ended = Counter((one["order"], one["kind"].removeprefix("order_")) for _, one in picture.of_kind(*_ORDER_ENDS))
        for row in picture.tables["work_order"]:
            lookup, (_, told) = lookups[row["lookup_id"]], placed[row["id"]]
            _must((told["lookup"], told["attempt"]) == (lookup["id"], row["attempt"]), "I3: an order of something else")
            _must(
                (row["state"] == "open") == (lookup["state"] == "due"),
                "I6: an order outlives its lookup, or dies first",
            )
            own = Counter({state: count for (order, state), count in ended.items() if order == row["id"]})
            _must(own == Counter([] if row["state"] == "open" else [row["state"]]), "I3: an order ended otherwise")
        for number, one in picture.of_kind("order_answered"):
            _must(number > placed[one["order"]][0], "I6: answered before it was ordered")
            _must(one["unit"] == placed[one["order"]][1]["unit"], "I6: answered by another unit")
            _must(one["answer"] == lookups[one["lookup"]]["digest"], "I6: the order's entry names another answer")
        reminded = Counter(one["order"] for _, one in picture.of_kind("order_reminded"))
        marked = Counter(row["id"] for row in picture.tables["work_order"] if row["reminded_at"] is not None)
        _must(reminded == marked, "I3: reminders and their entries differ")

    def _consented(self, picture: _Picture) -> None:
        """Each state of a consent has its entry, and nobody is asked under one that is not granted just then."""
        told: dict[str, list[tuple[int, str]]] = {row["id"]: [] for row in picture.tables["consent"]}
        for number, one in picture.of_kind(*(f"consent_{state}" for state in _CONSENT_STATES)):
            told[one["consent"]].append((number, one["kind"].removeprefix("consent_")))
        for row in picture.tables["consent"]:
            states = [_CONSENT_STATES[kind] for _, kind in told[row["id"]]]
            _must(states[:1] == ["requested"], "I3: a consent that was not asked for")
            _must(states[-1] == row["state"], "I3: a consent in another state than its entries say")
        for number, one in picture.of_kind("asked"):
            consent = next(row["consent_id"] for row in picture.tables["lookup"] if row["id"] == one["lookup"])
            if consent is not None:
                states = [_CONSENT_STATES[kind] for place, kind in told[consent] if place < number]
                _must(states[-1:] == ["granted"], "I6: asked without the holder's consent")

    def _stopped(self, picture: _Picture) -> None:
        """Nobody is asked between the entries that say that a source was stopped and opened again."""
        stopped: set[str] = set()
        for number, one in picture.of_kind("source_stopped", "source_opened", "asked"):
            source = one["source"]
            if one["kind"] == "asked":
                _must(source not in stopped, f"I6: {source} was asked while it was stopped, entry {number}")
            else:
                _must((source in stopped) == (one["kind"] == "source_opened"), "I3: a source stopped or opened twice")
                stopped ^= {source}
        _must(stopped == {row["source"] for row in picture.tables["source_stop"]}, "I3: stopped sources and entries")

    def _finished(self, picture: _Picture) -> None:
        _must(all(row["state"] == "answered" for row in picture.tables["lookup"]), "I7: a lookup is unfinished")
        _must(all(row["state"] == "decided" for row in picture.tables["verification"]), "I7: a verification is open")
        _must(not picture.tables["entry_queue"], "I7: an entry still waits for its place")

    def _private(self, picture: _Picture) -> None:
        for name, rows in picture.tables.items():
            for row in rows:
                values = row.values()
                data = b"|".join(one if isinstance(one, bytes) else str(one).encode() for one in values)
                _must(not _IDENTIFIER.search(data), f"I8: a person's data in {name}")
        for row in picture.tables["verification"]:
            for receipt in filter(None, (row["receipt"], row["preliminary"])):
                data = json.dumps(_payload(receipt), ensure_ascii=False).encode()
                _must(not _IDENTIFIER.search(data), "I8: a person's data in a receipt")


def _granted(asked: dict[str, Any], number: int, grant: Any, picture: _Picture) -> None:
    """The grant was in force when the entry was written, by its dates and by the entries before this one."""
    at = _milliseconds(asked["at"])
    _must(grant["valid_from"] <= at < grant["valid_to"], "I6: asked outside the grant's validity")
    states = [_GRANT_KINDS[one["kind"]] for place, one in picture.of_kind(*_GRANT_KINDS)
              if one["grant"] == grant["id"] and place < number]  # fmt: skip
    _must((states or ["in_force"])[-1] == "in_force", "I6: asked under a grant that was not in force")
    scope = json.loads(grant["scope"])
    _must(set(asked["fields"]) <= set(scope["fields"]), "I6: asked for fields that are not granted")
    _must(asked["form"] in scope["forms"], "I6: asked in a form that is not granted")
    _must(asked["basis"] in scope["bases"], "I6: asked on a basis that is not granted")


def _capped(picture: _Picture, grants: dict[str, Any]) -> None:
    calls = Counter((one["grant"], one["at"][:10]) for _, one in picture.of_kind("asked"))
    for (grant, _), count in calls.items():
        cap = json.loads(grants[grant]["scope"])["daily_calls"]
        _must(cap is None or count <= cap, "I6: asked more often than the grant's cap")
    holders: dict[tuple[str, ...], set[str]] = {}
    for _, one in picture.of_kind("asked"):
        whose = (one["grant"], one["at"][:10], one["client"], one["unit"], one["operator"])
        holders.setdefault(whose, set()).add(one["subject"])
    for (grant, *_), subjects in holders.items():
        cap = json.loads(grants[grant]["scope"])["distinct_holders"]
        _must(cap is None or len(subjects) <= cap, "I6: an operator asked about more persons than the grant's cap")


def _root(leaves: Sequence[bytes]) -> bytes:
    """RFC 6962, section 2.1, word by word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    middle = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + _root(leaves[:middle]) + _root(leaves[middle:])).digest()


def _digest(receipt: str) -> str:
    return hashlib.sha256(receipt.encode()).hexdigest()


def _payload(token: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(unb64(token.split(".")[1]))  # its signature was verified under I2
    return document


def _milliseconds(moment: str) -> int:
    when = datetime.strptime(moment, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    return round(when.timestamp() * 1000)
