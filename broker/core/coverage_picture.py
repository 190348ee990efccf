"""The coverage as a picture: stacked bars in SVG, one per group, which stands alone and loads nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape

from broker.core.catalog import Text
from broker.core.cells import width
from broker.core.coverage import Coverage, Group
from broker.core.coverage_text import GROUPED

_WIDTH, _LEFT, _RIGHT, _TOP, _ROW, _BAR = 1000, 330, 70, 100, 36, 24
_FONTS = "'Noto Sans CJK SC', 'Source Han Sans SC', 'Microsoft YaHei', 'PingFang SC', sans-serif"
_PARTS: tuple[tuple[str, str, str, Text], ...] = (  # told apart without colour too: dark, striped, light
    ("exempt", "#1f5f99", "#ffffff", {"zh": "已确认免提交", "en": "exempt, confirmed"}),
    ("waiting", "url(#proposed)", "#3d2a00", {"zh": "拟议", "en": "proposed"}),
    ("missing", "#d5d8dc", "#333333", {"zh": "无来源", "en": "no source"}),
)
_STRIPES = (
    '<defs><pattern id="proposed" width="8" height="8" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<rect width="8" height="8" fill="#f6c667"/><rect width="2" height="8" fill="#dd9b2b"/></pattern></defs>'
)
_UNPRINTABLE = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # what XML cannot hold


def as_svg(report: Coverage) -> str:
    """Stacked bars: exempt, proposed, without a source, and behind each bar the share that is exempt."""
    groups, total = report.groups, report.total
    most = max((group.figures.materials for group in groups), default=0) or 1
    by = GROUPED[report.by]
    return "\n".join(
        [
            *_head(len(groups)),
            *_words(
                f"数据共享覆盖 · 按{by['zh']} / Coverage of the sharing list, by {by['en']}",
                f"{report.day.isoformat()} · 事项 items {total.items} · 材料 materials {total.materials} · "
                f"已确认 confirmed {total.exempt} · 拟议 proposed {total.waiting} · 无来源 no source {total.missing}",
            ),
            *_legend(),
            *(line for number, group in enumerate(groups) for line in _bar(group, _TOP + number * _ROW, most)),
            "</svg>\n",
        ]
    )


def _head(rows: int) -> Iterator[str]:
    height = _TOP + _ROW * rows + 8
    size = f'viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}"'
    yield f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" font-family="{_FONTS}" font-size="13">'
    yield _STRIPES
    yield f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>'


def _words(title: str, summary: str) -> Iterator[str]:
    yield f"<title>{_xml(title)}</title>"
    yield f"<desc>{_xml(summary)}</desc>"
    yield f'<text x="16" y="30" font-size="18" font-weight="bold">{_xml(title)}</text>'
    yield f'<text x="16" y="52" fill="#444444">{_xml(summary)}</text>'


def _legend() -> Iterator[str]:
    left = _LEFT
    for _, colour, _, words in _PARTS:
        label = f"{words['zh']} {words['en']}"
        yield f'<rect x="{left}" y="68" width="14" height="14" fill="{colour}"/>'
        yield f'<text x="{left + 20}" y="80">{_xml(label)}</text>'
        left += 44 + 7 * width(label)


def _bar(group: Group, top: int, most: int) -> Iterator[str]:
    """The group's two names, its bar, and how much of it is exempt."""
    zh, en = _short(group.name["zh"], 44), _short(group.name["en"], 52)
    yield f'<text x="{_LEFT - 12}" y="{top + (11 if en != zh else 17)}" text-anchor="end">{zh}</text>'
    if en != zh:
        yield f'<text x="{_LEFT - 12}" y="{top + 25}" text-anchor="end" font-size="11" fill="#666666">{en}</text>'
    left = float(_LEFT)
    for name, colour, ink, words in _PARTS:
        count = getattr(group.figures, name)
        size = count / most * (_WIDTH - _LEFT - _RIGHT)
        if count:
            told = _xml(f"{group.name['zh']} {group.name['en']}: {words['zh']} {words['en']} {count}")
            place = f'x="{left:.1f}" y="{top}" width="{size:.1f}" height="{_BAR}"'
            yield f'<rect {place} fill="{colour}"><title>{told}</title></rect>'
        if size >= 10 + 8 * len(str(count)):  # a number that does not fit is still in the tooltip
            yield f'<text x="{left + size / 2:.1f}" y="{top + 17}" text-anchor="middle" fill="{ink}">{count}</text>'
        left += size
    share = f"{group.figures.exempt / group.figures.materials:.0%}" if group.figures.materials else "–"
    yield f'<text x="{left + 8:.1f}" y="{top + 17}" fill="#444444">{share}</text>'


def _short(text: str, columns: int) -> str:
    """The text cut to so many columns, ready for XML."""
    while width(text) > columns:
        text = f"{text.removesuffix('…')[:-1]}…"
    return _xml(text)


def _xml(text: str) -> str:
    return escape(_UNPRINTABLE.sub("", text))
