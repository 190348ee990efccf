"""The steps of a verification as a whole, and from when each one's duration counts."""

from __future__ import annotations

from typing import Any

from broker.core.timeline import Step, steps_of


def told(position: int | None, kind: str, second: int, **facts: Any) -> tuple[int | None, dict[str, Any]]:
    """An entry at a second of a minute."""
    return position, {"kind": kind, "at": moment(second), **facts}


def moment(second: int) -> str:
    """As entries write it."""
    return f"2026-05-06T07:08:{second:02}.000Z"


def test_each_step_counts_from_what_it_answers() -> None:
    entries = [
        told(1, "admitted", 1), told(2, "ordered", 2, order="a", source="police"), told(3, "ordered", 3, order="b"),
        told(4, "consent_requested", 4, consent="c"), told(5, "pending", 5), told(6, "delivered", 6),
        told(7, "asked", 7), told(8, "order_answered", 8, order="b"), told(9, "order_overdue", 9, order="a"),
        told(10, "decided", 11), told(None, "delivery_failed", 12), told(None, "consent_granted", 10, consent="c"),
    ]  # fmt: skip
    begins = {one.kind: one.began_at for one in steps_of(entries)}
    assert begins == {
        "admitted": "", "ordered": "", "consent_requested": "", "pending": moment(1), "delivered": moment(5),
        "order_answered": moment(3), "order_overdue": moment(2), "consent_granted": moment(4), "decided": moment(1),
        "delivery_failed": moment(11),
    }  # fmt: skip
    assert [one.at for one in steps_of(entries)] == sorted(one.at for one in steps_of(entries))
    assert steps_of(entries)[1] == Step("ordered", moment(2), "", 2, "police")


def test_what_answers_nothing_that_is_known_counts_from_nowhere() -> None:
    assert steps_of([told(1, "order_answered", 1, order="a")]) == [Step("order_answered", moment(1), "", 1, "")]
