"""Charts as SVG, drawn here: no script, no style attribute, nothing told by colour alone; a table stands beside each.

Colours and patterns are those of ``core.coverage_picture``, so that the printed report and the page look alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from flask_babel import gettext

from broker.core.cells import width
from broker.core.health import Day
from broker.web.console.words import mark

_WIDTH, _LEFT, _RIGHT, _ROW, _BAR, _TOP = 900, 230, 60, 30, 20, 34
_PARTS = (
    ("exempt", "#1f5f99", mark("Exempt")),
    ("proposed", "url(#striped)", mark("Proposed")),
    ("missing", "#d5d8dc", mark("Missing")),
)
_STRIPES = (
    '<defs><pattern id="striped" width="8" height="8" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<rect width="8" height="8" fill="#f6c667"/><rect width="3" height="8" fill="#b06f00"/></pattern></defs>'
)


@dataclass(frozen=True, slots=True)
class Share:
    """One bar: how many lines are exempt, proposed and missing."""

    name: str
    exempt: int
    proposed: int
    missing: int

    @property
    def total(self) -> int:
        """All lines."""
        return self.exempt + self.proposed + self.missing

    @property
    def percent(self) -> str:
        """The exempt share, in words."""
        return f"{self.exempt / self.total:.0%}" if self.total else "–"


def bars(shares: Sequence[Share]) -> str:
    """Stacked bars, one per share."""
    most = max((one.total for one in shares), default=0) or 1
    drawn = [_row(one, _TOP + number * _ROW, most) for number, one in enumerate(shares)]
    title, height = gettext("Exempt, proposed and missing materials"), _TOP + _ROW * len(shares) + 6
    return _picture(title, height, _legend(_PARTS) + "".join(drawn))


def trend(past: Sequence[tuple[str, Share]]) -> str:
    """One column per edition, the oldest first."""
    drawn = [
        Column(f"{name} · {share.percent}", name, (share.exempt, share.proposed, share.missing)) for name, share in past
    ]
    return columns(gettext("Exempt, proposed and missing materials by edition"), _PARTS, drawn)


@dataclass(frozen=True, slots=True)
class Column:
    """One column: the words below it, its name in tooltips, and the count of each part."""

    label: str
    name: str
    counts: tuple[int, ...]


def columns(title: str, parts: Sequence[tuple[str, str, str]], drawn: Sequence[Column]) -> str:
    """Stacked columns, the first part at the bottom; ``parts`` as (name, fill, words)."""
    high, base = 150, 190
    most = max((sum(one.counts) for one in drawn), default=0) or 1
    step = min(90, (_WIDTH - 40) // max(1, len(drawn)))
    said = []
    for place, one in enumerate(drawn):
        left, bottom = 20 + place * step, float(base)
        for (_, colour, words), count in zip(parts, one.counts, strict=True):
            size = count / most * high
            bottom -= size
            tip = escape(f"{one.name}: {gettext(words)} {count}")
            said.append(
                f'<rect x="{left}" y="{bottom:.1f}" width="{step * 0.6:.0f}" height="{size:.1f}" fill="{colour}">'
                f"<title>{tip}</title></rect>"
            )
        for line, words in enumerate(one.label.split("\n")):
            said.append(f'<text x="{left}" y="{base + 18 + 16 * line}">{escape(words)}</text>')
    lines = max((one.label.count("\n") for one in drawn), default=0)
    return _picture(title, base + 28 + 16 * lines, _legend(parts) + "".join(said))


def _row(share: Share, top: int, most: int) -> str:
    said = [f'<text x="{_LEFT - 10}" y="{top + 15}" text-anchor="end">{escape(_short(share.name))}</text>']
    left = float(_LEFT)
    for part, colour, words in _PARTS:
        count = getattr(share, part)
        size = count / most * (_WIDTH - _LEFT - _RIGHT)
        if count:
            title = escape(f"{share.name}: {gettext(words)} {count}")
            said.append(
                f'<rect x="{left:.1f}" y="{top}" width="{size:.1f}" height="{_BAR}" fill="{colour}">'
                f"<title>{title}</title></rect>"
            )
        left += size
    said.append(f'<text x="{left + 8:.1f}" y="{top + 15}">{share.percent}</text>')
    return "".join(said)


def _legend(parts: Sequence[tuple[str, str, str]]) -> str:
    left, drawn = _LEFT, []
    for _, colour, words in parts:
        label = gettext(words)
        drawn.append(f'<rect x="{left}" y="6" width="14" height="14" fill="{colour}"/>')
        drawn.append(f'<text x="{left + 20}" y="18">{escape(label)}</text>')
        left += 50 + 8 * width(label)
    return "".join(drawn)


def _picture(title: str, height: int, inside: str) -> str:
    return (
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(title)}" font-size="13" '
        f'font-family="sans-serif"><title>{escape(title)}</title>{_STRIPES}{inside}</svg>'
    )


def _short(text: str, columns: int = 30) -> str:
    while width(text) > columns:
        text = f"{text.removesuffix('…')[:-1]}…"
    return text


def days(past: Sequence[Day]) -> str:
    """One column per day, the oldest first: lookups that went well, and those that met a fault, on top and striped."""
    high, base = 150, 190
    most = max((one.asked for one in past), default=0) or 1
    step = (_WIDTH - 40) // max(1, len(past))
    drawn = []
    for place, one in enumerate(past):
        left, bottom = 20 + place * step, float(base)
        for count, colour in ((one.asked - one.failed, "#1f5f99"), (one.failed, "url(#striped)")):
            size = count / most * high
            bottom -= size
            drawn.append(
                f'<rect x="{left}" y="{bottom:.1f}" width="{step * 0.7:.0f}" height="{size:.1f}" fill="{colour}">'
                f"<title>{escape(one.day)}: {count}</title></rect>"
            )
        drawn.append(f'<text x="{left}" y="{base + 18}">{escape(one.day[5:])}</text>')
    return _picture(gettext("Lookups by day: well, and on top those that met a fault"), base + 28, "".join(drawn))
