"""``docs/problems.md`` from the table of problems; a test holds the file current.

To write it anew: ``python -m broker.web.problem_page > docs/problems.md``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from broker.core.errors import Fault
from broker.core.problems import PROBLEMS, ProblemKind

_HEAD = """# Problems

Every refusal is `application/problem+json` (RFC 9457), in one shape (`schemas/problem.schema.json`):

```json
{
  "type": "urn:exemption-broker:problem:case.closed",
  "title": "The case is closed",
  "status": 409,
  "code": "case.closed",
  "fault": "caller",
  "rule": "docs/problems.md#caseclosed",
  "detail": {"zh": "该办件已办结", "en": "The case is closed"},
  "next": {"zh": "已办结的办件不再查询数据", "en": "Nothing is asked for a closed case"},
  "pointer": "/case/number",
  "instance": "urn:uuid:6c1d0c1e-6a0e-4a53-9b0f-2f1f3a1f7a55"
}
```

`code` is stable. `fault` says whose move it is. `pointer` names the place in the request; `got` and `expected` are
names and codes, never a person's data. `instance` is the id under which the operator finds the refusal in the log. With
`retry_after` (and the header `Retry-After`) repeating helps; without it, repeating the same request does not.

This page is made from `broker/core/problems.py` by `python -m broker.web.problem_page > docs/problems.md`.
"""
_FAULTS = {
    Fault.CALLER: "The caller must change the request",
    Fault.SOURCE: "A source is wrong, late or away",
    Fault.OPERATOR: "Those who run the broker or keep the list must act",
    Fault.BROKER: "The broker cannot carry out a correct request just now",
}


def problems_page() -> str:
    """The whole page."""
    return _HEAD + "".join(f"\n{line}\n" for fault in Fault for line in _section(fault))


def _section(fault: Fault) -> Iterator[str]:
    kinds = [kind for kind in PROBLEMS.values() if kind.fault is fault]
    if kinds:
        yield f"## {_FAULTS[fault]}"
    yield from map(_paragraph, kinds)


def _paragraph(kind: ProblemKind) -> str:
    return f"### {kind.code}\n\n{kind.status} · {kind.en}. {kind.next_en}.\n\n{kind.zh}。{kind.next_zh}。"


if __name__ == "__main__":
    sys.stdout.write(problems_page())
