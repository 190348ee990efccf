"""The people of the console: the roles they may have, within which scope, and which roles exclude each other.

Whoever audits does nothing else that could be audited; that an editor does not approve their own list is held where
it is approved (``flow.publish``), because it depends on the list and not on the role.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from broker.core.catalog import Catalog, Source
from broker.core.errors import CallerProblem, OperatorProblem
from broker.core.identifiers import is_credit_code

LOGIN = re.compile(r"[a-z][a-z0-9._-]{1,39}\Z")
PROVIDER = "provider"  # as the log names the identity provider where it gave or took something: nobody's login
SHORTEST_PASSWORD = 12  # characters; ASVS 5 6.2.1 asks for 8 at least and recommends 15
LONGEST_PASSWORD = 128
FREE_FAILURES = 5  # so often somebody may mistype before sign-in is delayed
_FIRST_DELAY = timedelta(seconds=30)
_LONGEST_DELAY = timedelta(hours=1)


class ConsoleRole(StrEnum):
    """What a person may do in the console; one person may have several that do not exclude each other."""

    OPERATOR = "operator"  # 中心操作员: accounts, connections, the platform's health
    LIST_EDITOR = "list-editor"  # 清单编制
    LIST_APPROVER = "list-approver"  # 清单审核
    SOURCE_DEPARTMENT = "source-department"  # 数源部门
    USING_DEPARTMENT = "using-department"  # 用数部门: applies for grants for the systems of its own body
    CLERK = "clerk"  # 窗口人员: sees the cases of the own body, raises objections, reports paper
    AUDITOR = "auditor"  # 审计
    READER = "reader"  # 只读


class ScopeKind(StrEnum):
    """To what a role may be limited."""

    EVERYTHING = "everything"
    STAGE = "stage"  # a stage of a life cycle, by its Chinese name
    DEPARTMENT = "department"  # items it leads, sources it owns
    UNIT = "unit"  # a body, by its credit code


_LIST = frozenset({ScopeKind.EVERYTHING, ScopeKind.STAGE, ScopeKind.DEPARTMENT})
_BODY = frozenset({ScopeKind.EVERYTHING, ScopeKind.UNIT, ScopeKind.DEPARTMENT})
SCOPES_OF: Mapping[ConsoleRole, frozenset[ScopeKind]] = {
    ConsoleRole.OPERATOR: frozenset({ScopeKind.EVERYTHING, ScopeKind.UNIT}),
    ConsoleRole.LIST_EDITOR: _LIST,
    ConsoleRole.LIST_APPROVER: _LIST,
    ConsoleRole.SOURCE_DEPARTMENT: _BODY,
    ConsoleRole.USING_DEPARTMENT: _BODY,
    ConsoleRole.CLERK: frozenset({ScopeKind.EVERYTHING, ScopeKind.UNIT}),
    ConsoleRole.AUDITOR: frozenset({ScopeKind.EVERYTHING}),
    ConsoleRole.READER: frozenset({ScopeKind.EVERYTHING}),
}
"""To what each role may be limited; a limit that no page would hold is no limit, and is refused."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """One role of one person, and its scope; ``value`` is empty for everything."""

    role: ConsoleRole
    kind: ScopeKind = ScopeKind.EVERYTHING
    value: str = ""

    def __str__(self) -> str:
        return self.role.value if self.kind is ScopeKind.EVERYTHING else f"{self.role}:{self.kind}={self.value}"


@dataclass(frozen=True, slots=True)
class Person:
    """An account of the console. The login is the name under which the log knows the person, for ever."""

    id: str
    login: str
    name: str = field(repr=False)
    unit: str
    state: str  # active | disabled
    assignments: tuple[Assignment, ...] = ()  # given here
    provided: tuple[Assignment, ...] = ()  # by the identity provider's groups, as of the last sign-in

    @property
    def effective(self) -> tuple[Assignment, ...]:
        """Every assignment, each once, whoever gave it."""
        return tuple(dict.fromkeys((*self.assignments, *self.provided)))

    @property
    def roles(self) -> frozenset[ConsoleRole]:
        """Every role, whatever its scope."""
        return frozenset(one.role for one in self.effective)

    def scopes(self, role: ConsoleRole) -> tuple[Assignment, ...]:
        """The assignments of one role; empty where the person does not have it."""
        return tuple(one for one in self.effective if one.role is role)

    def reaches_unit(self, unit: str, *roles: ConsoleRole) -> bool:
        """Whether one of these roles reaches what belongs to a body: it has no limit, or is limited to this body."""
        return any(
            one.kind is ScopeKind.EVERYTHING or (one.kind is ScopeKind.UNIT and one.value == unit)
            for role in roles
            for one in self.scopes(role)
        )

    def units(self, role: ConsoleRole) -> tuple[str, ...]:
        """The bodies, by their credit codes, for which the person has a role; none where it has no limit."""
        return tuple(one.value for one in self.scopes(role) if one.kind is ScopeKind.UNIT)

    def departments(self, role: ConsoleRole) -> frozenset[str]:
        """The departments, by their names in the list, for which the person has a role."""
        return frozenset(one.value for one in self.scopes(role) if one.kind is ScopeKind.DEPARTMENT)

    def bodies(self, role: ConsoleRole, catalog: Catalog) -> frozenset[str]:
        """The credit codes for which the person has a role: those it names, and its departments' by the list.

        For a department that the list gives no code, that is the one in the account.
        """
        theirs = self.departments(role)
        coded = {one.authority["zh"]: one.unit for one in catalog.sources.values() if one.unit}
        own = {self.unit} if theirs - set(coded) and is_credit_code(self.unit) else set()
        named = {one.unit for one in catalog.sources.values() if one.unit and one.authority["zh"] in theirs}
        return frozenset(named | own).union(self.units(role))

    def answers_for(self, source: Source) -> bool:
        """Whether the person speaks for the department that owns a source, by its code or by its name in the list."""
        named = source.authority["zh"] in self.departments(ConsoleRole.SOURCE_DEPARTMENT)
        return named or (bool(source.unit) and source.unit in self.units(ConsoleRole.SOURCE_DEPARTMENT))

    def everywhere(self, role: ConsoleRole) -> bool:
        """Whether the person has a role without any limit."""
        return any(one.kind is ScopeKind.EVERYTHING for one in self.scopes(role))


_AUDITS_NOTHING_OF_ITS_OWN = frozenset({ConsoleRole.AUDITOR, ConsoleRole.READER})


def require_separation(assignments: Iterable[Assignment]) -> None:
    """Raises ``OperatorProblem`` ``person.separation`` where an auditor would also act."""
    roles = {one.role for one in assignments}
    if ConsoleRole.AUDITOR in roles and not roles <= _AUDITS_NOTHING_OF_ITS_OWN:
        raise OperatorProblem("person.separation", got=", ".join(sorted(roles)))


def assignment_from(text: str) -> Assignment:
    """``role`` or ``role:kind=value``. Raises ``OperatorProblem`` ``person.role``."""
    role, _, scope = text.partition(":")
    kind, _, value = scope.partition("=")
    try:
        made = Assignment(ConsoleRole(role), ScopeKind(kind) if scope else ScopeKind.EVERYTHING, value.strip())
    except ValueError as error:
        raise OperatorProblem("person.role", got=text, expected="role or role:kind=value") from error
    if (made.kind is ScopeKind.EVERYTHING) != (not made.value):
        raise OperatorProblem("person.role", got=text, expected="role or role:kind=value")
    if made.kind not in SCOPES_OF[made.role]:
        raise OperatorProblem("person.limit", got=text, expected=", ".join(sorted(SCOPES_OF[made.role])))
    return made


def require_known(assignments: Iterable[Assignment], catalog: Catalog | None) -> None:
    """Raises ``OperatorProblem`` ``person.scope`` for a stage or department that the list does not name, or no body."""
    for one in unknown(assignments, catalog):
        raise OperatorProblem("person.scope", got=str(one))


def unknown(assignments: Iterable[Assignment], catalog: Catalog | None) -> list[Assignment]:
    """Those with a stage or department that the list does not name, or no body; without a list (None) none is named."""
    known = {ScopeKind.STAGE: stages_of(catalog), ScopeKind.DEPARTMENT: departments_of(catalog)} if catalog else {}
    return [one for one in assignments if not _is_known(one, known)]


def _is_known(one: Assignment, known: Mapping[ScopeKind, Collection[str]]) -> bool:
    if one.kind is ScopeKind.UNIT:
        return is_credit_code(one.value)
    return one.kind is ScopeKind.EVERYTHING or one.value in known.get(one.kind, ())


def stages_of(catalog: Catalog) -> frozenset[str]:
    """The stages of a list, by their Chinese names."""
    return frozenset(one.stage["zh"] for one in catalog.scenes.values())


def departments_of(catalog: Catalog) -> frozenset[str]:
    """The departments of a list, by their Chinese names: who leads or helps with an item, owns a source, owes a row."""
    owning = {one.authority["zh"] for one in catalog.sources.values()}
    owing = {name for one in catalog.materials.values() for step in one.chain for name in (step.owner, step.unit)}
    places = [place for item in catalog.items.values() for place in item.places.values()]
    return frozenset(name for name in owning | owing if name).union(*((*one.lead, *one.cooperating) for one in places))


def require_login(login: str) -> str:
    """A login as the log shall know it. Raises ``OperatorProblem`` ``person.login``."""
    if not LOGIN.match(login) or login == PROVIDER:
        raise OperatorProblem("person.login", got=login, expected=f"{LOGIN.pattern}, and not {PROVIDER}")
    return login


def require_password(password: str, login: str, common: Collection[str], known: Callable[[str], bool]) -> None:
    """Raises ``CallerProblem`` ``person.password``: too short, too long, too well known, or the login itself.

    ``common`` are parts that no password may have, ``known`` says whether a whole password stands in the deployment's
    list of those that others have used or lost.
    """
    told = f"{SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters, not a well-known one, not the login"
    plain = password.casefold()
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD or login in plain or len(set(plain)) < 5:
        raise CallerProblem("person.password", expected=told)
    if any(word in plain for word in common) or known(password):
        raise CallerProblem("person.password", expected=told)


def delay_after(failures: int) -> timedelta:
    """How long sign-in is closed after so many failures in a row: none at first, then doubling up to an hour."""
    beyond = failures - FREE_FAILURES
    if beyond < 0:
        return timedelta()
    return min(_FIRST_DELAY * (1 << min(beyond, 10)), _LONGEST_DELAY)
