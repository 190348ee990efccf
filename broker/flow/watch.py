"""Watch: what operators did of late is held against the rules against misuse; what is remarkable is flagged or stopped.

It reads the log as an auditor would: entry by entry from where it last ended, in batches. Numbers of persons are looked
at only here, in memory, out of the encrypted requests of one operator's latest verifications; what is kept of them is
how many there were and in which verifications.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from broker.core.authorise import IN_FORCE, SUSPENDED, Grant, asker
from broker.core.case import CITIZEN_ID, CREDIT_CODE, Channel
from broker.core.catalog import Catalog
from broker.core.entry import Entry, entry
from broker.core.errors import BrokerProblem, CallerProblem, OperatorProblem
from broker.core.misuse import OF_A_BODY, Act, Action, Conduct, Evidence, RuleName, describe, examine
from broker.core.roles import Role
from broker.flow.caller import Identify, identified
from broker.flow.grants import follow
from broker.flow.parts import Parts, new_id
from broker.ports import Work
from broker.ports.grants import ConductRow, Flag

BATCH = 2000  # places of the log looked at in one transaction
EVERYBODY = "*"  # the staff number of a flag about a whole body
_WINDOW = timedelta(hours=24)  # of an operator's acts that the rules see together
_LATEST = 200  # and at most so many of them; their requests are opened in memory to compare numbers
_REMEMBERED = timedelta(days=90)
_NUMBERS = frozenset((CITIZEN_ID, CREDIT_CODE))
_BY_TIME = frozenset((RuleName.NO_DECISION,))
_BORN_HERE = "child"  # a child's number is new and next to its neighbours' for good reasons


def watch(parts: Parts) -> int:
    """Look at one batch of new entries; returns how many there were. One watcher at a time."""
    with parts.store.write() as work:
        start = work.watch_from()
        if start is None:
            return 0
        end, now = min(start + BATCH, work.log_size()), work.pulse().now
        told = [(position, json.loads(body)) for position, body in work.conduct_in(start, end)]
        acts = [_conduct(position, says) for position, says in told if "operator" in says]
        overdue = _overdue(parts, work, now)
        if end == start and not overdue:
            return 0
        work.add_conduct(acts)
        flags = [flag for who in sorted({act.operator for act in acts}) for flag in _raised(parts, work, who, now)]
        flags += [flag for body in sorted({_body(act.operator) for act in acts})
                  for flag in _raised_of_body(parts, work, body, now)]  # fmt: skip
        raised = {(flag.operator, flag.rule) for flag in flags}
        flags += [flag for who in overdue for flag in _raised_in_time(parts, work, who, now)
                  if (flag.operator, flag.rule) not in raised]  # fmt: skip
        for flag in flags:
            _raise(parts, work, flag)
        work.watched_to(end)
        work.overdue_looked(now - timedelta(days=parts.misuse.thresholds.undecided_days))
        work.forget_conduct(now - _REMEMBERED)
        # Crash before this commit: nothing was looked at, the next run does it. After it: every flag has its entry, and
        # whoever is stopped is refused by every process from its next transaction on.
        work.commit()
    return end - start


def _raise(parts: Parts, work: Work, flag: Flag) -> None:
    """Keep a flag with its entry; what it stops and suspends is so with this transaction."""
    grants = _suspended(parts, work, flag) if flag.action is Action.SUSPEND else []
    raised = replace(flag, evidence=replace(flag.evidence, grants=tuple(one.id for one in grants)))
    work.add_flag(raised)
    work.record([_told(raised)])
    if flag.action.stops:
        work.move_policy()
    for one in grants:
        work.move_policy()
        work.record([
            entry("grant_suspended", flag.raised_at, grant=one.id, client=one.client, source=one.source, flag=flag.id,
                  rule=flag.rule.value, comment=describe(flag.rule, flag.evidence)["en"])
        ])  # fmt: skip
        work.record(follow(work, one.id, SUSPENDED, Role.CENTRE.value, flag.raised_at))


def _suspended(parts: Parts, work: Work, flag: Flag) -> list[Grant]:
    """The grants by which the flagged verifications were permitted, as far as they were in force until now."""
    kept = [one for one in flag.evidence.verifications if work.verification(one) is not None]  # a refused one is not
    permits = [permit for one in kept for permit in json.loads(work.permits_of(one)).values()]
    known = parts.policy(work, work.pulse()).grants
    used = sorted({permit["grant"] for permit in permits if permit.get("grant") in known})
    rules_of = Role.CENTRE.value  # which may restore it, as the department may
    return [known[name] for name in used if work.change_grant_state(name, IN_FORCE, SUSPENDED, rules_of)]


def clear(parts: Parts, number: str, by: str, comment: str, identify: Identify | None = None) -> Flag:
    """An auditor has looked at a flag; an operator whom it stopped may ask again.

    Raises ``CallerProblem``: ``misuse.unknown``, ``misuse.cleared``, ``application.reason``.
    """
    if not comment.strip():
        raise CallerProblem("application.reason", pointer="/comment")
    with parts.store.write() as work:
        pulse = work.pulse()
        signed: dict[str, str] = {}
        if identify is not None:
            caller = identified(work, parts.policy(work, pulse), identify, pulse.now)
            signed = {"signer": caller.client.id, "key": caller.key_id}
        found = work.flag(number)
        if found is None:
            raise CallerProblem("misuse.unknown")
        if found.state != "open":
            raise CallerProblem("misuse.cleared")
        cleared = replace(found, state="cleared", cleared_by=by, cleared_at=pulse.now, comment=comment)
        work.clear_flag(cleared)
        stopped = found.action.stops
        if stopped:
            work.move_policy()
        facts = {"flag": number, "rule": found.rule.value, "client": found.client, "by": by, "comment": comment}
        work.record([entry("operator_released" if stopped else "flag_cleared", pulse.now, **facts, **signed)])
        # Crash before this commit: it is open. After it: it is cleared, and whoever clears it again is told so.
        work.commit()
    return cleared


def _conduct(position: int, told: Mapping[str, Any]) -> ConductRow:
    return ConductRow(
        position=position,
        verification=told.get("verification") or told["request_id"],
        client=told["client"],
        operator=asker(told["client"], told["unit"], told["operator"]),
        case=told["case"],
        region=told["region"],
        item=told.get("item"),
        scene=told.get("scene"),
        channel=told["channel"],
        basis=told["basis"],
        reference=told.get("basis_reference", ""),
        subject=told["subject"],
        edition=told.get("edition", 0),
        related=tuple(told.get("related", ())),
        refused=told["code"] if told["kind"] == "refused" else "",
        at=datetime.fromisoformat(told["at"]),
    )


def _raised(parts: Parts, work: Work, operator: str, now: datetime) -> list[Flag]:
    """New flags for an operator: one rule is raised once until it is cleared, and then only for what came after."""
    standing, looked = _looked(work, operator, now)
    rows = work.conduct_of(operator, max(now - _WINDOW, looked), _LATEST)
    if not rows:
        return []
    found = examine(_known(parts, work, rows, looked, now), parts.misuse, parts.calendar)
    client = rows[-1].client
    return [_flag(parts, client, operator, rule, one, now) for rule, one in found.items() if rule not in standing]


def _raised_of_body(parts: Parts, work: Work, body: str, now: datetime) -> list[Flag]:
    """New flags for a whole body of a system; whether all of its people are to be stopped, is for a person to say."""
    everybody = f"{body}/{EVERYBODY}"
    standing, looked = _looked(work, everybody, now)
    since = max(now - _WINDOW, looked)
    rows = work.conduct_of_body(body, since, _LATEST)
    if not rows:
        return []
    apart = [row for row in rows if row.channel != Channel.WINDOW or row.refused]
    numbers = _opened(parts, work, apart)[1]
    conduct = Conduct([_act(parts, work, row) for row in apart], numbers=numbers, newcomers=work.newcomers(body, since))
    found = examine(conduct, parts.misuse, parts.calendar, OF_A_BODY)
    return [
        replace(_flag(parts, rows[-1].client, everybody, rule, evidence, now), action=Action.FLAG)
        for rule, evidence in found.items() if rule not in standing
    ]  # fmt: skip


def _overdue(parts: Parts, work: Work, now: datetime) -> list[str]:
    """Operators who asked so long ago, since the last look, that their cases should have an outcome by now."""
    due = now - timedelta(days=parts.misuse.thresholds.undecided_days)
    return work.overdue_since(work.overdue_at() or now - _REMEMBERED, due)


def _raised_in_time(parts: Parts, work: Work, operator: str, now: datetime) -> list[Flag]:
    """New flags for an operator who may do nothing any more: what becomes remarkable by time alone."""
    standing, looked = _looked(work, operator, now)
    old, undecided = _undecided(parts, work, operator, looked, now)
    found = examine(Conduct((), old_cases=old, undecided=undecided), parts.misuse, parts.calendar, _BY_TIME)
    client = operator.partition("/")[0]
    return [_flag(parts, client, operator, rule, one, now) for rule, one in found.items() if rule not in standing]


def _looked(work: Work, operator: str, now: datetime) -> tuple[set[RuleName], datetime]:
    """The rules under which an operator is flagged, and when an auditor last looked at them."""
    before = work.flags(operators=[operator])
    standing = {flag.rule for flag in before if flag.state == "open"}
    return standing, max((flag.cleared_at for flag in before if flag.cleared_at), default=now - _REMEMBERED)


def _undecided(parts: Parts, work: Work, operator: str, looked: datetime, now: datetime) -> tuple[int, list[str]]:
    overdue = timedelta(days=parts.misuse.thresholds.undecided_days)
    since = max(now - _REMEMBERED, looked - overdue)  # what had become overdue by then was looked at
    return work.undecided_of(operator, since, now - overdue, _LATEST)


def _flag(parts: Parts, client: str, operator: str, rule: RuleName, evidence: Evidence, now: datetime) -> Flag:
    return Flag(new_id(now), rule, client, operator, parts.misuse.actions[rule], "open", now, evidence)


def _known(parts: Parts, work: Work, rows: Sequence[ConductRow], looked: datetime, now: datetime) -> Conduct:
    """Everything the rules ask about one operator, at whom an auditor ``looked`` last."""
    operator, client = rows[0].operator, rows[0].client
    names, numbers = _opened(parts, work, rows)
    old, undecided = _undecided(parts, work, operator, looked, now)
    return Conduct(
        acts=[_act(parts, work, row) for row in rows],
        names=[_named(client, operator)[1], *names],
        numbers=numbers,
        old_cases=old,
        undecided=undecided,
        added=work.added_parties(client, sorted({row.case for row in rows}), looked),
    )


def _act(parts: Parts, work: Work, row: ConductRow) -> Act:
    try:
        scenes = frozenset() if row.refused else _scenes(parts.edition(work, row.edition).catalog, row)
    except OperatorProblem:  # an edition that is gone decides nothing about relations
        scenes = frozenset((row.item or row.scene or "",))
    return Act(row.verification, row.case, scenes, row.item or row.scene or "", row.channel, row.basis, row.reference,
               row.subject, row.at, row.related, row.refused)  # fmt: skip


def _scenes(catalog: Catalog, row: ConductRow) -> frozenset[str]:
    """The scenes that an act's item belongs to in its region, or the scene itself."""
    if row.scene is not None:
        return frozenset((row.scene,))
    item = catalog.items.get(row.item or "")
    place = None if item is None else item.places.get(row.region)
    return frozenset() if place is None else frozenset((place.scene,))


def _opened(parts: Parts, work: Work, rows: Sequence[ConductRow]) -> tuple[set[str], list[tuple[str, str]]]:
    """Operators' names and persons' numbers out of these verifications' requests, in order; in memory only."""
    asked = [row.verification for row in rows if not row.refused]
    sealed = {one: (request, key) for one, request, key in work.requests_of(asked)}
    names: set[str] = set()
    numbers: list[tuple[str, str]] = []
    for row in rows:
        request, wrapped = sealed.get(row.verification, (b"", b""))
        try:
            document = json.loads(parts.vault.decrypt(parts.vault.unwrap(wrapped), request, row.verification))
        except BrokerProblem:
            continue  # its case's key is destroyed: there is nothing to compare any more
        names.add(document["operator"]["name"])
        numbers += [(row.verification, number) for number in _numbers(document)]
    return names, numbers


def _numbers(document: Mapping[str, Any]) -> Iterable[str]:
    others = [one for one in document.get("parties", ()) if one["role"] != _BORN_HERE]
    agent = [document["agent"]] if "agent" in document else []
    return [one["number"] for one in (document["applicant"], *others, *agent) if one["id_type"] in _NUMBERS]


def _body(operator: str) -> str:
    """System and body out of that spelling."""
    return "/".join(operator.split("/")[:2])


def _named(client: str, operator: str) -> tuple[str, str]:
    """Body and staff number out of the spelling that tells operators apart."""
    unit, _, number = operator.removeprefix(f"{client}/").partition("/")
    return unit, number


def _told(flag: Flag) -> Entry:
    unit, operator = _named(flag.client, flag.operator)
    kind = "operator_stopped" if flag.action.stops else "flagged"
    return entry(
        kind, flag.raised_at, flag=flag.id, rule=flag.rule.value, client=flag.client, unit=unit, operator=operator,
        case=flag.evidence.case, count=flag.evidence.count, verifications=list(flag.evidence.verifications),
        text=describe(flag.rule, flag.evidence)["en"],
    )  # fmt: skip
