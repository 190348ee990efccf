"""Sharing lists made up for tests: small random ones that pass the check, and large ones for the benchmark."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

REGIONS = {"370400": "枣庄市", "371083": "乳山市"}
SCENES = ("enterprise-1.1", "enterprise-2.1", "enterprise-2.2", "individual-1.1")
SOURCES = ("s-zero", "s-one", "s-two", "s-three")
UNITS = ("公安局", "民政局")
LEADS = ("市审批服务局", "市市场监管局", "市公安局")
FIELDS = ("holder_number", "valid_until", "status")


def text(zh: str, en: str = "") -> dict[str, str]:
    """The same words twice where no English ones are given."""
    return {"zh": zh, "en": en or zh}


def source(name: str, state: str = "confirmed") -> dict[str, Any]:
    """A source that offers everything the rows below ask for."""
    return {
        "name": text(f"数源{name}"),
        "authority": text("省某厅"),
        "level": "province",
        "platform": "sd-exchange",
        "connector": "exchange",
        "service": name,
        "sharing": "conditional",
        "forms": ["query", "verify"],
        "fields": list(FIELDS),
        "freshness_days": 30,
        "sensitivity": "general",
        "budget_ms": 5000,
        "calls_per_second": 10,
        "state": state,
        "options": {"fields": {name: name for name in FIELDS}},
    }


def asking(name: str, state: str = "confirmed", *more: str) -> dict[str, Any]:
    """A row that asks a source by query."""
    return {
        "mode": "data_query",
        "state": state,
        "source": name,
        "form": "query",
        "fields": ["holder_number", *more],
        "expect": [{"field": "holder_number", "op": "equals", "to": "holder.number"}],
        "basis": "某法 第三条",
    }


def reusing(name: str) -> dict[str, Any]:
    """A row that counts an earlier answer of a source again."""
    return {**asking(name), "mode": "reuse"}


def checking(unit: str, state: str = "confirmed") -> dict[str, Any]:
    """A row in which departments ask each other."""
    return {"mode": "department_check", "state": state, "unit": unit, "basis": "某法 第四条"}


def promise(state: str = "confirmed") -> dict[str, Any]:
    """A row with a commitment."""
    return {"mode": "commitment", "state": state, "text": "some/1", "basis": "某法 第五条"}


def material(name: str, *rows: dict[str, Any], kind: str = "proof") -> dict[str, Any]:
    """A material that falls back to submission."""
    return {"name": text(name), "kind": kind, "basis": "某法 第二条", "chain": [*rows, {"mode": "submission"}]}


def scene(key: str) -> dict[str, Any]:
    """A scene by its key."""
    life_cycle, _, number = key.partition("-")
    stage = text(f"阶段{number.partition('.')[0]}")
    return {"life_cycle": life_cycle, "stage": stage, "name": text(f"场景{number}"), "number": number}


def item(
    name: str, number: int, where: str, *needs: dict[str, Any], regions: tuple[str, ...] = ("370400",)
) -> dict[str, Any]:
    """An item of one scene, with the same number and department in each region."""
    place = {"seq": str(number), "scene": where, "level": "city", "lead": [LEADS[0]]}
    return {
        "name": text(name),
        "type": "行政许可",
        "life_cycle": where.partition("-")[0],
        "basis": "某法 第一条",
        "regions": {region: dict(place) for region in regions},
        "materials": list(needs),
    }


def whole(materials: dict[str, Any], items: dict[str, Any], sources: tuple[str, ...] = SOURCES) -> dict[str, Any]:
    """The document of these materials and items."""
    return {
        "regions": {
            code: {"name": text(name), "levels": ["city", "county"] if code == "370400" else ["county"]}
            for code, name in REGIONS.items()
        },
        "scenes": {key: scene(key) for key in SCENES},
        "sources": {name: source(name) for name in sources},
        "materials": materials,
        "items": items,
    }


# ---- random lists

_STATES = st.sampled_from(["confirmed", "proposed"])
_ROWS = st.one_of(
    st.builds(lambda name, state, more: asking(name, state, *more),
              st.sampled_from(SOURCES), _STATES, st.lists(st.sampled_from(FIELDS[1:]), unique=True)),
    st.builds(checking, st.sampled_from(UNITS), _STATES),
    st.builds(promise, _STATES),
    st.builds(reusing, st.sampled_from(SOURCES)),
)  # fmt: skip
_MATERIALS = st.builds(
    lambda rows, kind: material("材料", *rows, kind=kind),
    st.lists(_ROWS, max_size=3),
    st.sampled_from(["certificate", "proof", "form", "document"]),
)
_PLACES = st.fixed_dictionaries(
    {
        "level": st.sampled_from(["province", "city", "county"]),
        "lead": st.lists(st.sampled_from(LEADS), min_size=1, unique=True),
    }
)
_ENDS = st.sampled_from([{}, {}, {"to": "2022-12-30", "reason": "已取消"}, {"from": "2025-05-10"}])


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """A small list that passes the check without errors."""
    keys = [f"m-{number}" for number in "abcdef"[: draw(st.integers(1, 6))]]
    materials = {key: draw(_MATERIALS) for key in keys}
    names = draw(
        st.lists(st.sampled_from([f"i-{letter}" for letter in "abcdefg"]), min_size=1, max_size=5, unique=True)
    )
    return whole(materials, {name: _item(draw, name, keys) for name in names})


def _item(draw: st.DrawFn, name: str, keys: list[str]) -> dict[str, Any]:
    where = draw(st.sampled_from(SCENES))
    pairs = st.tuples(st.sampled_from(keys), st.sampled_from(["applicant", "spouse"]))
    needs = [
        {"material": key, **({"holder": holder} if holder != "applicant" else {})}
        for key, holder in draw(st.lists(pairs, max_size=4, unique=True))
    ]
    regions = tuple(draw(st.lists(st.sampled_from(list(REGIONS)), min_size=1, max_size=2, unique=True)))
    entry = item(f"事项{name}", "abcdefg".index(name[-1]) + 1, where, *needs, regions=regions)
    for place in entry["regions"].values():
        place.update(draw(_PLACES))
    end = draw(_ENDS)
    return entry | ({"effective": dict(end)} if end else {})


# ---- large lists


def generated(items: int, materials_each: int) -> dict[str, Any]:
    """A list of many items, each with its own choice out of a thousand materials, twelve items to a scene."""
    count = 1000
    materials = {
        f"m-{number}": material(f"材料{number}", asking(SOURCES[number % len(SOURCES)]), promise("proposed"))
        for number in range(count)
    }
    document = whole(materials, {})
    for number in range(items):
        key = f"enterprise-{number // 12 // 99 + 1}.{number // 12 % 99 + 1}"
        document["scenes"].setdefault(key, scene(key))
        needs = [{"material": f"m-{(number * 7 + step * 97) % count}"} for step in range(materials_each)]
        document["items"][f"i-{number}"] = item(f"事项{number}", number % 9999 + 1, key, *needs)
    return document
