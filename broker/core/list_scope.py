"""Which rows of the sharing list an editor with a limited role may change, and an approver with one may let pass.

Who is responsible for a stage may change its items, and a material only where no item of another stage needs it; who
is responsible for a department, the items it leads, the materials only those need, and the sources it owns. Scenes and
regions are everybody's, so only an editor without a limit changes them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from broker.core.errors import CallerProblem
from broker.core.list_rows import rows_changed
from broker.core.people import Assignment, ScopeKind

Document = Mapping[str, Any]


def require_scope(before: Document, after: Document, section: str, key: str, scopes: Iterable[Assignment]) -> None:
    """Raises ``CallerProblem`` ``console.scope`` unless the row lies in one scope, before the change and after it."""
    given = tuple(scopes)
    if not any(all(_covers(one, document, section, key) for document in (before, after)) for one in given):
        raise CallerProblem("console.scope", got=f"{section} {key}", expected=", ".join(map(str, given)))


def require_all_in_scope(before: Document, after: Document, scopes: Iterable[Assignment]) -> None:
    """Raises ``CallerProblem`` ``console.scope`` unless every row that differs lies in one scope."""
    given = tuple(scopes)
    for one in rows_changed(before, after):
        require_scope(before, after, one.section, one.key, given)


def _covers(scope: Assignment, document: Document, section: str, key: str) -> bool:
    if scope.kind is ScopeKind.EVERYTHING:
        return True
    rows = document.get(section, {})
    if not isinstance(rows, Mapping) or section not in {"items", "materials", "sources"}:
        return False
    row = rows.get(key)
    if row is None:
        return True  # it is not there before it is added, nor after it is removed
    if section == "items":
        return _item_in(scope, document, row)
    if section == "materials":
        return all(_item_in(scope, document, one) for one in _needing(document, key))
    return section == "sources" and scope.kind is ScopeKind.DEPARTMENT and row["authority"]["zh"] == scope.value


def _item_in(scope: Assignment, document: Document, item: Mapping[str, Any]) -> bool:
    places = item["regions"].values()
    if scope.kind is ScopeKind.STAGE:
        stages = {document["scenes"].get(place["scene"], {}).get("stage", {}).get("zh") for place in places}
        return stages == {scope.value}
    return scope.kind is ScopeKind.DEPARTMENT and all(scope.value in place["lead"] for place in places)


def _needing(document: Document, material: str) -> Iterator[Mapping[str, Any]]:
    for item in document["items"].values():
        if any(need["material"] == material for need in item["materials"]):
            yield item
