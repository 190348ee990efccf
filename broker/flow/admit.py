"""Admit: a signed request becomes a planned, authorised, stored verification – or a refusal with its entry."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from broker.core.authorise import Grant, Permit, Refusal, Used, asker, authorise, kept_back
from broker.core.case import MAX_PARTIES, Request, doubtful_certificates, request_from
from broker.core.day import day_of
from broker.core.entry import Entry, entry
from broker.core.envelope import parse
from broker.core.errors import BrokerProblem, CallerProblem, Problem
from broker.core.plan import Plan, plan
from broker.core.receipt import request_digest
from broker.flow.caller import NONCE_KEPT, Caller, Identify
from broker.flow.matters import SALT_BYTES, Known, Matters, permits_of, permits_text
from broker.flow.parts import Parts, new_id
from broker.flow.promises import PROMISE
from broker.flow.settle import Settled, carry_on
from broker.ports import CaseFile, Client, NewLookup, NewVerification, Policy, StoredVerification, Vault, Work
from broker.ports.grants import Parties

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Admitted:
    """The outcome: the verification as stored, and whether this request created it."""

    verification: StoredVerification
    created: bool


@dataclass(frozen=True, slots=True)
class Submission:
    """A request as received: its bytes, and what verifies who sent them."""

    body: bytes = field(repr=False)
    identify: Identify


@dataclass
class _Draft:
    """What admission has worked out of one submission so far; the first problem is its outcome."""

    submission: Submission
    outcome: Admitted | Problem | None = None
    caller: Caller | None = None
    document: Any = field(default=None, repr=False)
    request: Request | None = None
    plan: Plan | None = None
    permits: dict[str, Permit | Refusal] = field(default_factory=dict)
    case: CaseFile | None = None
    parties: Parties = ()
    row: NewVerification | None = None


def admit(parts: Parts, body: bytes, identify: Identify) -> Admitted:
    """Store a verification once: the same request id and body again return the same one.

    Raises ``Problem``; a refusal of a known caller is recorded, and changes nothing else.
    """
    outcome = admit_all(parts, [Submission(body, identify)])[0]
    if isinstance(outcome, Problem):
        raise outcome
    return outcome


def admit_all(parts: Parts, submissions: Sequence[Submission]) -> list[Admitted | Problem]:
    """Admit several requests in one transaction; each comes out as it would have alone.

    A fault that is no ``Problem`` fails them all and changes nothing: the caller may then admit them one by one.
    """
    with parts.store.write() as work:
        pulse = work.pulse()
        admission = _Admission(parts, work, parts.policy(work, pulse), pulse.now, [_Draft(one) for one in submissions])
        admission.run()
        # Crash before this commit: nothing happened, the callers repeat. After it: they repeat and are given the same
        # verifications; the lookups are due, and the sweeper wakes their workers if we cannot.
        work.commit()
    parts.wake.wake(sorted(admission.sources))  # our connection is back by now: a queue that hangs must not hold it
    return [draft.outcome or BrokerProblem("broker.fault") for draft in admission.drafts]


@dataclass
class _Admission:
    """One transaction's worth of drafts, taken through the stages together."""

    parts: Parts
    work: Work
    policy: Policy
    now: datetime
    drafts: list[_Draft]
    turn: list[_Draft] = field(default_factory=list)
    sources: set[str] = field(default_factory=set)
    entries: list[Entry] = field(default_factory=list)

    def run(self) -> None:
        """The stages, in order; what one refuses, the next ones do not see."""
        self.turn = self.drafts
        self._each(self._identify)
        self._spend_nonces()
        self._each(self._read)
        waiting = self._open()
        while waiting:  # once, unless two of them have one request id: the later finds what became of the earlier
            self.turn, waiting = _firsts(waiting)
            self._recognise(self._open())
            self._each(self._plan)
            self._authorise()
            self._open_cases()
            self._store()
        self._record_refusals()
        self.work.record(self.entries)

    def _open(self) -> list[_Draft]:
        return [draft for draft in self.turn if draft.outcome is None]

    def _each(self, stage: Callable[[_Draft], None]) -> None:
        for draft in self._open():
            try:
                stage(draft)
            except Problem as problem:
                draft.outcome = problem

    def _identify(self, draft: _Draft) -> None:
        draft.caller = draft.submission.identify(self.policy, self.now)

    def _spend_nonces(self) -> None:
        carried = [(one.key_id, one.nonce) for one in map(_caller, self._open())]
        fresh = self.work.spend_nonces(carried, self.now + NONCE_KEPT)
        for draft, carries in zip(self._open(), carried, strict=True):
            if carries in fresh:
                fresh.remove(carries)  # the same twice in one batch is a replay as well
            else:
                draft.outcome = CallerProblem("signature.replayed")

    def _read(self, draft: _Draft) -> None:
        document = parse(draft.submission.body)
        self.parts.check_request(document)
        draft.document = document

    def _recognise(self, drafts: Sequence[_Draft]) -> None:
        """What was submitted before under the same id is the answer, if it is the same."""
        asked = [(_caller(draft).client.id, draft.document["request_id"]) for draft in drafts]
        known = self.work.find_verifications(asked)
        if not known:
            return
        sealed = {one: rest for one, *rest in self.work.requests_of([one.id for one in known.values()])}
        for draft, name in zip(drafts, asked, strict=True):
            if name in known:
                draft.outcome = self._repeated(draft, known[name], *sealed[known[name].id])

    def _repeated(
        self, draft: _Draft, before: StoredVerification, request: bytes, wrapped: bytes
    ) -> Admitted | Problem:
        """The same bytes are the same request; where those from before were destroyed, nobody can say."""
        if not request:
            return CallerProblem("request.forgotten", got=before.id)
        try:
            same = self.parts.vault.decrypt(self.parts.vault.unwrap(wrapped), request, before.id)
        except BrokerProblem as problem:
            return problem
        if same != draft.submission.body:
            return CallerProblem("request.conflict", got=before.request_id)
        return Admitted(before, created=False)

    def _plan(self, draft: _Draft) -> None:
        draft.request = request_from(draft.document)
        if self.policy.stopped and _asker(draft) in self.policy.stopped:
            raise CallerProblem("misuse.stopped", pointer="/operator")
        check_unit(_caller(draft).client, draft.request.operator.unit)
        doubtful = doubtful_certificates(draft.request)
        if doubtful:
            facts = {"client": _caller(draft).client.id, "request": draft.request.request_id, "identifiers": doubtful}
            _log.warning("certificate identifiers with a doubtful check character", extra={"facts": facts})
        edition = self.parts.edition_in_force(self.work, self.policy, self.now)
        draft.plan = plan(edition, draft.request, day_of(self.now))

    def _authorise(self) -> None:
        """Permit or refuse every lookup; where not a single one of a plan is permitted, refuse the request."""
        clients = {_caller(draft).client.id for draft in self._open()}
        grants = [grant for client in sorted(clients) for grant in self.policy.grants_of.get(client, ())]
        capped = [grant.id for grant in grants if grant.daily_calls is not None]
        calls = self.work.usage(capped, day_of(self.now).isoformat()) if capped else {}
        holders = self._holders(grants)
        self._each(lambda draft: self._authorise_one(draft, self._used(draft, calls, holders)))

    def _holders(self, grants: Sequence[Grant]) -> dict[tuple[str, str], set[str]]:
        """About whom these operators have asked today, under the grants that limit it."""
        limited = [grant.id for grant in grants if grant.distinct_holders is not None]
        if not limited:
            return {}
        return self.work.holders(limited, {_asker(draft) for draft in self._open()}, day_of(self.now).isoformat())

    def _used(self, draft: _Draft, calls: Mapping[str, int], holders: Mapping[tuple[str, str], set[str]]) -> Used:
        theirs = {grant: subjects for (grant, who), subjects in holders.items() if who == _asker(draft)}
        return Used(calls, theirs, self.parts.vault.pseudonym)

    def _authorise_one(self, draft: _Draft, used: Used) -> None:
        request, lookups = _request(draft), _plan_of(draft).lookups
        grants = self.policy.grants_of.get(_caller(draft).client.id, ())
        sources = self.parts.edition(self.work, _plan_of(draft).edition).catalog.sources
        draft.permits = {
            key: Refusal("grant.withheld")
            if kept_back(sources[one.source], one)
            else authorise(grants, one, request, self.now, used)
            for key, one in lookups.items()
        }
        refusals = [permit for permit in draft.permits.values() if isinstance(permit, Refusal)]
        if lookups and len(refusals) == len(lookups):
            raise CallerProblem(refusals[0].rule, got=next(iter(lookups.values())).source)

    def _open_cases(self) -> None:
        """Each case, opened for its applicant by its first verification."""
        drafts = self._open()
        fresh = [self._fresh_case(draft) for draft in drafts]
        cases = self.work.open_cases(fresh, self.now)
        for draft, ours in zip(drafts, fresh, strict=True):
            case = draft.case = cases[ours.client, ours.number]
            if case.applicant != ours.applicant:
                draft.outcome = CallerProblem("case.applicant-differs", pointer="/applicant")
            elif case.erased:
                draft.outcome = CallerProblem("case.shredded", pointer="/case/number")
            elif case.state != "open":
                draft.outcome = CallerProblem("case.closed", pointer="/case/number")
            elif len(_together(case.parties, ours.parties)) > MAX_PARTIES:
                draft.outcome = CallerProblem("case.parties", expected=f"at most {MAX_PARTIES}", pointer="/parties")
            else:
                draft.parties = ours.parties
                draft.case = self._with_key(case, ours)

    def _with_key(self, case: CaseFile, ours: CaseFile) -> CaseFile:
        """A case that lay still until its answers expired gets a new key: what the old one encrypted stays gone."""
        if case.wrapped_key:
            return case
        self.work.renew_case_key(case.id, ours.wrapped_key)
        return _there(self.work.find_case(case.client, case.number))  # ours, or that of whoever was faster

    def _fresh_case(self, draft: _Draft) -> CaseFile:
        request = _request(draft)
        applicant = self.parts.vault.pseudonym(request.applicant.subject)
        _, wrapped = self.parts.vault.new_case_key()
        parties = [(one.role, self.parts.vault.pseudonym(one.subject)) for one in request.parties]
        client = _caller(draft).client.id
        return CaseFile(new_id(self.now), client, request.case_number, applicant, "open", wrapped, tuple(parties))

    def _register_parties(self) -> None:
        """Whom a later verification names beside the case's parties becomes one of them, and an entry says so.

        A spouse or heir may come to light at the second item of a case, so this is allowed; that it happened is seen.
        """
        for draft in sorted(self._open(), key=lambda draft: _case(draft).id):  # in one order, as all lock rows
            case = _case(draft)
            while added := _added(case.parties, draft.parties):
                if self.work.change_parties(case.id, case.parties, (*case.parties, *added)):
                    self.entries += [self._party_added(draft, role, subject) for role, subject in added]
                    break
                case = _there(self.work.find_case(case.client, case.number))  # somebody was faster, or we ourselves

    def _party_added(self, draft: _Draft, role: str, subject: str) -> Entry:
        request, row = _request(draft), _row(draft)
        return entry("party_added", self.now, verification=row.id, client=row.client, case=request.case_number,
                     role=role, subject=subject, operator=request.operator.id, unit=request.operator.unit)  # fmt: skip

    def _store(self) -> None:
        drafts = self._open()
        for draft in drafts:
            draft.row = self._row(draft)
        added = self.work.add_verifications([_row(draft) for draft in drafts], self.now)
        # The others' ids were taken meanwhile, by another connection: theirs is the answer.
        self._recognise([draft for draft in drafts if _row(draft).id not in added])
        self._register_parties()
        begun = Settled()
        for draft in self._open():
            self._begin(draft, begun)
            draft.outcome = Admitted(self._stored(draft, begun), created=True)
        begun.store(self.work, self.now)
        self.sources |= {one.source for one in begun.lookups}

    def _begin(self, draft: _Draft, begun: Settled) -> None:
        """Its entry, and the lookups that are due – or, where nothing is to be asked, the receipt at once."""
        matters = self._matters(draft)
        place, known = len(begun.entries), len(begun.lookups)
        carry_on(self.parts, self.work, self.policy, matters, Known({}, {}), self.now, begun)
        begun.entries.insert(place, self._admitted(draft, matters, begun.lookups[known:]))

    def _row(self, draft: _Draft) -> NewVerification:
        number, case = new_id(self.now), _case(draft)
        key, salt = self.parts.vault.unwrap(case.wrapped_key), os.urandom(SALT_BYTES)
        return NewVerification(
            id=number,
            client=case.client,
            request_id=_request(draft).request_id,
            request_digest=request_digest(salt, draft.submission.body),
            case=case.id,
            edition=_plan_of(draft).edition,
            request=self.parts.vault.encrypt(key, draft.submission.body, number),
            request_salt=self.parts.vault.encrypt(key, salt, number),
            permits=permits_text(draft.permits),
            unit=_request(draft).operator.unit,
        )

    def _matters(self, draft: _Draft) -> Matters:
        row = _row(draft)
        edition = self.parts.edition(self.work, row.edition)
        return Matters(
            verification=row.id,
            client=row.client,
            request_digest=row.request_digest,
            applicant=_case(draft).applicant,
            admitted_at=self.now,
            request=_request(draft),
            edition=edition,
            plan=_plan_of(draft),
            permits=draft.permits,
            key=self.parts.vault.unwrap(_case(draft).wrapped_key),
        )

    def _stored(self, draft: _Draft, begun: Settled) -> StoredVerification:
        row = _row(draft)
        receipt, first = begun.receipts.get(row.id), begun.preliminary.get(row.id)
        return StoredVerification(
            id=row.id,
            client=row.client,
            request_id=row.request_id,
            request_digest=row.request_digest,
            case_number=_request(draft).case_number,
            edition=row.edition,
            state="decided" if receipt else "pending" if first else "admitted",
            admitted_at=self.now,
            decided_at=self.now if receipt else None,
            receipt=receipt or first,
            request_salt=row.request_salt,
            wrapped_key=_case(draft).wrapped_key,
        )

    def _admitted(self, draft: _Draft, matters: Matters, due: Sequence[NewLookup]) -> Entry:
        request = matters.request
        return entry(
            "admitted",
            self.now,
            verification=matters.verification,
            client=matters.client,
            key=_caller(draft).key_id,
            operator=request.operator.id,
            unit=request.operator.unit,
            case=request.case_number,
            region=request.region,
            item=request.item,
            scene=request.scene,
            channel=request.channel.value,
            basis=request.basis.value,
            basis_reference=request.basis_reference,
            subject=matters.applicant,
            related=sorted({subject for _, subject in draft.parties}),
            edition=matters.edition.number,
            request=matters.request_digest,
            lookups=sorted(one.key for one in due if not one.key.startswith(PROMISE)),
        )

    def _record_refusals(self) -> None:
        """The refusal of a known caller has its entry; beside that and the spent nonce it leaves nothing."""
        for draft in self.drafts:
            if isinstance(draft.outcome, Problem) and draft.caller is not None:
                wanted = {} if draft.document is None else wanted_in(self.parts.vault, draft.document)
                if draft.plan is not None:
                    wanted |= {"edition": draft.plan.edition, "permits": permits_of(draft.permits)}
                self.entries.append(refused(draft.caller, draft.outcome, self.now, wanted))


def check_unit(client: Client, unit: str) -> None:
    """Raises ``CallerProblem`` ``request.unit`` where a system does not act for the body of the person it names."""
    if unit not in {client.unit, *client.units}:
        raise CallerProblem("request.unit", got=unit, pointer="/operator/unit")


def refused(caller: Caller, problem: Problem, now: datetime, wanted: Mapping[str, Any]) -> Entry:
    """The entry of a refusal: who was refused what, about whom."""
    facts = {"client": caller.client.id, "key": caller.key_id, "code": problem.code, "got": problem.got}
    return entry("refused", now, **facts, **wanted)


def wanted_in(vault: Vault, document: Mapping[str, Any]) -> dict[str, Any]:
    """What a request that follows the grammar wants, as an entry says it: persons as pseudonyms, the parties too."""
    operator, basis = document["operator"], document["basis"]
    persons = (*document.get("parties", ()), *([document["agent"]] if "agent" in document else ()))
    return {
        "request_id": document["request_id"],
        "operator": operator["id"],
        "unit": operator["unit"],
        "case": document["case"]["number"],
        "region": document["region"],
        "item": document.get("item"),
        "scene": document.get("scene"),
        "channel": document["channel"],
        "basis": basis["kind"],
        "basis_reference": basis.get("reference", ""),
        "subject": _pseudonym(vault, document["applicant"]),
        "related": sorted({_pseudonym(vault, one) for one in persons}),
    }


def _pseudonym(vault: Vault, party: Mapping[str, Any]) -> str:
    return vault.pseudonym(f"{party['id_type']}:{party['number']}")


def _added(before: Parties, named: Parties) -> Parties:
    return tuple(one for one in named if one not in before)


def _together(before: Parties, named: Parties) -> Parties:
    return (*before, *_added(before, named))


def _firsts(drafts: Sequence[_Draft]) -> tuple[list[_Draft], list[_Draft]]:
    """The first draft of each request id, and the rest."""
    named = [((_caller(draft).client.id, draft.document["request_id"]), draft) for draft in drafts]
    firsts = dict(reversed(named))
    rest = [draft for name, draft in named if firsts[name] is not draft]
    return [draft for name, draft in named if firsts[name] is draft], rest


# What earlier stages have set; a draft that lacks it has its outcome and is not seen by later ones.


def _caller(draft: _Draft) -> Caller:
    return _there(draft.caller)


def _request(draft: _Draft) -> Request:
    return _there(draft.request)


def _asker(draft: _Draft) -> str:
    operator = _request(draft).operator
    return asker(_caller(draft).client.id, operator.unit, operator.id)


def _plan_of(draft: _Draft) -> Plan:
    return _there(draft.plan)


def _case(draft: _Draft) -> CaseFile:
    return _there(draft.case)


def _row(draft: _Draft) -> NewVerification:
    return _there(draft.row)


_T = TypeVar("_T")


def _there(value: _T | None) -> _T:
    if value is None:
        raise TypeError("a stage was left out")
    return value
