"""Roles by the identity provider: which of its groups give which roles here, and what its claims say of a person.

A deployment's file has the mapping (``BROKER_OIDC_GROUPS_FILE``). Only what is said as agreed gives anything: a claim
that is missing names no group, one of another type names nobody's groups and is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from broker.core.errors import OperatorProblem
from broker.core.people import Assignment, assignment_from, require_login

MOST_GROUPS = 10_000  # in one token; beyond that something is wrong, and nobody reads it all
_LONGEST = 120  # characters of a name or a body
_OVERFLOW = "_claim_names"  # OpenID Connect Core 5.6.2: the claim is elsewhere, in practice because it grew too long


@dataclass(frozen=True, slots=True)
class GroupRules:
    """What a deployment has agreed with its identity provider."""

    groups: Mapping[str, tuple[Assignment, ...]]
    claim: str = "groups"  # a key of the ID token, or keys with dots between them
    scopes: tuple[str, ...] = ()  # asked for besides ``openid``, so that the claims come
    master: bool = False  # whether the provider alone gives roles to those it vouches for
    login: str = ""  # the claim that becomes a new account's login; "" opens no accounts
    name: str = ""  # the claim with the person's name; "" leaves what is here
    unit: str = ""  # the claim with the person's body; "" leaves what is here
    lasts: timedelta = timedelta(hours=4)  # so long a sign-in counts, since groups are told at sign-in alone


@dataclass(frozen=True, slots=True)
class Told:
    """What the provider says of one person, as far as it means anything here; "" for what it leaves out."""

    assignments: tuple[Assignment, ...]
    login: str = ""
    name: str = field(default="", repr=False)
    unit: str = ""


def group_rules_from(document: Mapping[str, Any]) -> GroupRules:
    """The rules as a file has them. Raises ``ValueError``, ``TypeError``, ``OperatorProblem``: they cannot be meant."""
    known = {"groups", "claim", "scopes", "master", "login", "name", "unit", "hours"}
    if set(document) - known:
        raise ValueError(f"unknown: {sorted(set(document) - known)}")
    groups = {_text(name): tuple(map(assignment_from, _texts(given))) for name, given in document["groups"].items()}
    login, name, unit = (str(document.get(one, "")) for one in ("login", "name", "unit"))
    rules = GroupRules(
        groups, _text(document.get("claim", "groups")), _texts(document.get("scopes", [])),
        _flag(document.get("master", False)), login, name, unit, timedelta(hours=float(document.get("hours", 4))),
    )  # fmt: skip
    if not groups or rules.lasts <= timedelta() or (rules.login and not rules.unit):
        raise ValueError("groups, positive hours, and a unit for accounts that are opened")
    return rules


def told_of(rules: GroupRules, claims: Mapping[str, Any]) -> Told:
    """What these claims say of a person. Raises ``OperatorProblem`` ``access.claims`` where they are not as agreed."""
    named = _groups(rules.claim, claims)
    given = dict.fromkeys(one for group in rules.groups if group in named for one in rules.groups[group])
    login = _said(claims, rules.login).lower()
    if login:
        try:
            require_login(login)
        except OperatorProblem as problem:
            raise OperatorProblem("access.claims", got=rules.login, expected=problem.expected) from problem
    return Told(tuple(given), login, _said(claims, rules.name), _said(claims, rules.unit))


def _groups(claim: str, claims: Mapping[str, Any]) -> frozenset[str]:
    elsewhere = claims.get(_OVERFLOW)
    found = _claim(claims, claim)
    if found is None and isinstance(elsewhere, dict) and claim in elsewhere:
        raise OperatorProblem("access.claims", got=claim, expected="the groups in the token itself")
    if found is None:
        return frozenset()
    if not isinstance(found, list) or len(found) > MOST_GROUPS or not all(isinstance(one, str) for one in found):
        raise OperatorProblem("access.claims", got=claim, expected=f"a list of at most {MOST_GROUPS} names")
    return frozenset(found)


def _claim(claims: Mapping[str, Any], name: str) -> Any:
    """A claim by its name, which may hold dots itself, or by the way down to it; None where there is none."""
    if name in claims:
        return claims[name]
    found: Any = claims
    for step in name.split("."):
        found = found.get(step) if isinstance(found, dict) else None
    return found


def _said(claims: Mapping[str, Any], name: str) -> str:
    found = _claim(claims, name) if name else None
    if found is None:
        return ""
    if not isinstance(found, str) or len(found) > _LONGEST or not found.isprintable():
        raise OperatorProblem("access.claims", got=name, expected=f"at most {_LONGEST} characters")
    return found.strip()


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{value!r} is no text")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    """One text or a list of them."""
    return tuple(map(_text, [value] if isinstance(value, str) else value))


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{value!r} is neither true nor false")
    return value
