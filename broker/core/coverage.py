"""How far the list reaches: what every item requires, what of it is replaced, and which source would free most more.

A *line* is one requirement of one item in one region, as the plans count: two cities make two lines of one item. A line
is *confirmed* where a confirmed row of its chain replaces the material, *proposed* where only a proposed row would, and
*missing* where nothing but submission is left. Reuse promises nothing by itself, so it is passed over; the result of an
earlier item counts where that item stands in the same scene. Pure: the same list and day give the same figures.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from broker.core.catalog import Catalog, Item, Material, Mode, Place, Replacement, Requirement, RowState, Text

REQUIRED_NUMBERS = 100  # numbered items per life cycle and city that the two plans promise at least
OWN_PAPERS = frozenset({"form", "document"})  # kinds of material that the applicant writes
MAX_STEPS = 10  # of the ranking; what comes after frees a handful


class State(StrEnum):
    """What the list knows of a line."""

    CONFIRMED = "confirmed"
    PROPOSED = "proposed"
    MISSING = "missing"


class By(StrEnum):
    """What the figures are told apart by."""

    REGION = "region"
    LIFE_CYCLE = "life_cycle"
    STAGE = "stage"
    SCENE = "scene"
    DEPARTMENT = "department"


class Kind(StrEnum):
    """What kind of step would free further materials."""

    SOURCE = "source"  # the owner of a proposed source confirms its rows
    UNIT = "unit"  # a unit confirms that it answers other departments
    NEW = "new"  # nobody is known to hold this material: a source has to be found


@dataclass(frozen=True, slots=True)
class Line:
    """One requirement of one item in one region, and what becomes of it."""

    item: Item
    place: Place
    requirement: Requirement
    material: Material
    state: State
    mode: Mode | None  # None where nothing replaces it
    here: bool  # whether the region's own bodies decide the item


@dataclass(frozen=True, slots=True)
class Figures:
    """The counts of one group. ``confirmed``, ``proposed`` and ``missing`` together are ``materials``."""

    items: int
    numbered: int  # distinct numbers of the plan
    not_in_force: int  # of the items; what they required is not counted
    elsewhere: int  # of the items; decided above the region
    departments: int  # that lead
    materials: int
    confirmed: Mapping[Mode, int]
    proposed: Mapping[Mode, int]
    missing: int
    own: int  # of the missing: forms and documents that the applicant writes, and that no authority holds
    saved: int  # of the confirmed: where the region decides itself, so that its applicants notice

    @property
    def exempt(self) -> int:
        """Lines that a confirmed row replaces."""
        return sum(self.confirmed.values())

    @property
    def waiting(self) -> int:
        """Lines that only a proposed row would replace."""
        return sum(self.proposed.values())


@dataclass(frozen=True, slots=True)
class Group:
    """The figures of one region, life cycle, stage, scene or department."""

    key: str
    name: Text
    figures: Figures


@dataclass(frozen=True, slots=True)
class Proof:
    """Whether a city's life cycle has the numbered items that its plan promises."""

    region: str
    life_cycle: str
    numbered: int

    @property
    def met(self) -> bool:
        """Whether there are enough."""
        return self.numbered >= REQUIRED_NUMBERS


@dataclass(frozen=True, slots=True)
class Step:
    """One further source: what it frees by itself, and what it adds to the steps ranked before it."""

    kind: Kind
    key: str
    name: Text
    alone: int
    adds: int
    materials: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Coverage:
    """Everything ``broker catalog coverage`` tells."""

    by: By
    day: date
    groups: tuple[Group, ...]
    total: Figures
    proof: tuple[Proof, ...]
    steps: tuple[Step, ...]


LIFE_CYCLES: Mapping[str, Text] = {
    "enterprise": {"zh": "企业全生命周期", "en": "Enterprise life cycle"},
    "individual": {"zh": "个人全生命周期", "en": "Individual life cycle"},
}
_NO_LEAD: Text = {"zh": "（未列牵头部门）", "en": "(no lead named)"}


def coverage(catalog: Catalog, day: date, by: By = By.REGION, region: str | None = None) -> Coverage:
    """The coverage of the whole list, or of one region of it, on a day.

    An item that two departments lead counts for both, so that the groups of ``DEPARTMENT`` add up to more than the
    total; all other groups add up to it.
    """
    places = [one for one in _places(catalog) if region in {None, one[1].region}]
    found = [line for item, place in places for line in lines_of(catalog, item, place, day)]
    return Coverage(
        by=by,
        day=day,
        groups=_groups(catalog, places, found, day, by, region),
        total=_figures(places, found, day, catalog),
        proof=_proof(catalog, places, region),
        steps=further_sources(catalog, found),
    )


def lines(catalog: Catalog, day: date) -> Iterator[Line]:
    """Every line of the list on a day, in the order of the list."""
    for item, place in _places(catalog):
        yield from lines_of(catalog, item, place, day)


def lines_of(catalog: Catalog, item: Item, place: Place, day: date) -> Iterator[Line]:
    """The lines of an item in a region; none where the item is not in force."""
    if not item.effective.covers(day):
        return
    here = place.level in catalog.regions[place.region].levels
    for requirement in item.requirements:
        if requirement.effective.covers(day):
            material = catalog.materials[requirement.material]
            state, mode = _standing(catalog, place, material, day)
            yield Line(item, place, requirement, material, state, mode, here)


def _standing(catalog: Catalog, place: Place, material: Material, day: date) -> tuple[State, Mode | None]:
    ways = [row for row in material.chain if _replaces(catalog, row, place, day)]
    for state, wanted in ((State.CONFIRMED, RowState.CONFIRMED), (State.PROPOSED, RowState.PROPOSED)):
        for row in ways:
            if row.state is wanted:
                return state, row.mode
    return State.MISSING, None


def _replaces(catalog: Catalog, row: Replacement, place: Place, day: date) -> bool:
    if row.mode is Mode.SCENE_RESULT:
        issuer = catalog.items.get(row.item or "")
        there = issuer.places.get(place.region) if issuer else None
        handled = there is not None and there.level in catalog.regions[place.region].levels
        return bool(issuer and there and handled and there.scene == place.scene and issuer.effective.covers(day))
    return row.mode not in {Mode.REUSE, Mode.SUBMISSION}


# ---- figures


def _places(catalog: Catalog) -> Iterator[tuple[Item, Place]]:
    for item in catalog.items.values():
        for place in item.places.values():
            yield item, place


def _figures(places: Iterable[tuple[Item, Place]], found: Iterable[Line], day: date, catalog: Catalog) -> Figures:
    places, found = list(places), list(found)
    confirmed = Counter(line.mode for line in found if line.state is State.CONFIRMED and line.mode)
    proposed = Counter(line.mode for line in found if line.state is State.PROPOSED and line.mode)
    missing = [line for line in found if line.state is State.MISSING]
    return Figures(
        items=len(places),
        numbered=len({_number(item, place) for item, place in places}),
        not_in_force=sum(not item.effective.covers(day) for item, _ in places),
        elsewhere=sum(place.level not in catalog.regions[place.region].levels for _, place in places),
        departments=len({lead for _, place in places for lead in place.lead}),
        materials=len(found),
        confirmed={mode: confirmed[mode] for mode in Mode if confirmed[mode]},
        proposed={mode: proposed[mode] for mode in Mode if proposed[mode]},
        missing=len(missing),
        own=sum(line.material.kind in OWN_PAPERS for line in missing),
        saved=sum(line.state is State.CONFIRMED and line.here for line in found),
    )


def _number(item: Item, place: Place) -> tuple[str, str, str]:
    return place.region, item.life_cycle, place.sequence


def _proof(catalog: Catalog, places: Iterable[tuple[Item, Place]], region: str | None) -> tuple[Proof, ...]:
    numbers = {_number(item, place) for item, place in places}
    counted = Counter((code, life_cycle) for code, life_cycle, _ in numbers)
    regions = [code for code in catalog.regions if region in {None, code}]
    return tuple(Proof(code, cycle, counted[code, cycle]) for code in regions for cycle in LIFE_CYCLES)


# ---- groups


def _groups(
    catalog: Catalog, places: list[tuple[Item, Place]], found: list[Line], day: date, by: By, region: str | None
) -> tuple[Group, ...]:
    names = _names(catalog, places, by, region)
    keys = _keys(catalog, by)
    placed: dict[str, list[tuple[Item, Place]]] = {key: [] for key in names}
    lined: dict[str, list[Line]] = {key: [] for key in names}
    for item, place in places:
        for key in keys(item, place):
            placed[key].append((item, place))
    for line in found:
        for key in keys(line.item, line.place):
            lined[key].append(line)
    return tuple(Group(key, names[key], _figures(placed[key], lined[key], day, catalog)) for key in names)


def _keys(catalog: Catalog, by: By) -> Callable[[Item, Place], tuple[str, ...]]:
    """To which groups a place belongs: to several only by department."""
    return {
        By.REGION: lambda _, place: (place.region,),
        By.LIFE_CYCLE: lambda item, _: (item.life_cycle,),
        By.STAGE: lambda _, place: (_stage(catalog, place.scene),),
        By.SCENE: lambda _, place: (place.scene,),
        By.DEPARTMENT: lambda _, place: place.lead or ("",),
    }[by]


def _stage(catalog: Catalog, scene: str) -> str:
    one = catalog.scenes[scene]
    return f"{one.life_cycle}-{one.number.partition('.')[0]}"


def _names(catalog: Catalog, places: Iterable[tuple[Item, Place]], by: By, region: str | None) -> dict[str, Text]:
    """Every group in the list's order, also those to which nothing belongs yet: an empty scene is a gap."""
    if by is By.REGION:
        return {code: one.name for code, one in catalog.regions.items() if region in {None, code}}
    if by is By.LIFE_CYCLE:
        return dict(LIFE_CYCLES)
    if by is By.STAGE:
        return {_stage(catalog, key): scene.stage for key, scene in catalog.scenes.items()}
    if by is By.SCENE:
        return {key: scene.name for key, scene in catalog.scenes.items()}
    leads = dict.fromkeys(lead for _, place in places for lead in place.lead or ("",))
    return {lead: {"zh": lead, "en": lead} if lead else _NO_LEAD for lead in leads}


# ---- what would free most


def further_sources(catalog: Catalog, found: Iterable[Line], limit: int = MAX_STEPS) -> tuple[Step, ...]:
    """Which single further source would free most lines, then which in addition to it, and so on (greedy cover).

    A proposed source frees the lines in whose chains it stands; where no row but submission stands, a new source would
    have to be found, except for what the applicant writes. Commitments are no source and are left out.
    """
    frees: dict[tuple[Kind, str], dict[int, str]] = {}
    for number, line in enumerate(found):
        for who in _who(catalog, line):
            frees.setdefault(who, {})[number] = line.material.key
    steps: list[Step] = []
    covered: set[int] = set()
    while frees and len(steps) < limit:
        best = max(frees, key=lambda who: (len(frees[who].keys() - covered), len(frees[who])))
        lines_freed = frees.pop(best)
        added = lines_freed.keys() - covered
        if not added:
            break
        covered |= added
        materials = tuple(dict.fromkeys(lines_freed.values()))
        steps.append(Step(*best, _named(catalog, *best), len(lines_freed), len(added), materials))
    return tuple(steps)


def _who(catalog: Catalog, line: Line) -> list[tuple[Kind, str]]:
    """Who could free a line that nothing confirmed replaces."""
    if line.state is State.CONFIRMED:
        return []
    proposed = [row for row in line.material.chain if row.state is RowState.PROPOSED]
    sources = [(Kind.SOURCE, row.source) for row in proposed if row.source in catalog.sources and row.mode.asks_source]
    units = [(Kind.UNIT, row.unit) for row in proposed if row.mode is Mode.DEPARTMENT_CHECK]
    if line.state is State.MISSING and line.material.kind not in OWN_PAPERS:
        return [(Kind.NEW, line.material.key)]
    return [(kind, key) for kind, key in (*sources, *units) if key]


def _named(catalog: Catalog, kind: Kind, key: str) -> Text:
    if kind is Kind.SOURCE:
        return catalog.sources[key].name
    return {"zh": key, "en": key} if kind is Kind.UNIT else catalog.materials[key].name
