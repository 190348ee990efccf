"""When two spellings are the same name or code: how it was typed does not count, which characters it has does.

What is folded, and nothing else (``docs/adr/0099`` says why):

    width, ligatures       Ａ → A, １ → 1, （ → (              Unicode NFKC
    compatibility forms    U+F90A 金 → U+91D1 金, ⼀ → 一      Unicode NFKC
    case                   a → A
    the dot in a name      U+00B7 · U+2022 • U+2027 ‧ U+2219 ∙ U+22C5 ⋅ U+30FB ・ U+FF65 ･ → ·
    what cannot be seen    format characters and variation selectors: dropped
    spaces                 around: dropped; within: dropped beside Chinese characters, else one for several

吕 and 呂, 黄 and 黃 stay different: which characters stand for one another in names no standard lists.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_DOTS: Final = dict.fromkeys(map(ord, "\u2022\u2027\u2219\u22c5\u30fb"), "\u00b7")  # U+FF65 is U+30FB by then
_SELECTORS: Final = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]")  # which glyph of a character is meant
_HAN: Final = re.compile("[\u3007\u3400-\u9fff\U00020000-\U0003ffff]")


def spelt(text: str) -> str:
    """The one spelling of all that are the same: folded until nothing changes, since what a space parted may join."""
    folded = _folded(text)
    return folded if folded == text else spelt(folded)


def _folded(text: str) -> str:
    plain = unicodedata.normalize("NFKC", _SELECTORS.sub("", text)).translate(_DOTS)
    seen = "".join(one for one in plain if unicodedata.category(one) != "Cf")
    return ("" if _HAN.search(seen) else " ").join(seen.split()).casefold()
