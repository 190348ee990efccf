"""A file that somebody brings – a receipt, a bundle or an export – held against the keys and against our own log."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import IO, Any

from broker.core import merkle
from broker.core.log_export import BEGINNING, is_export, verify_export
from broker.core.own_key import KeyRole
from broker.core.receipt import MAX_RECEIPT, Bundle, VerifiedReceipt, bundle_from, verify_bundle
from broker.flow.parts import Parts
from broker.flow.prove import checkpoint_size, tile_reader
from broker.web.key_book import KeyBook

MOST_BYTES = 64 * 1024 * 1024  # some 50,000 entries of an export; larger ones are for `broker log verify-export`


@dataclass(frozen=True, slots=True)
class Found:
    """What a file proves. ``ours``: whether our own log says the same; None where that cannot be compared."""

    kind: str  # receipt | bundle | export | whole-export
    receipt: Any = None  # the receipt's document
    decided_at: datetime | None = None
    position: int | None = None
    size: int | None = None
    entries: int = 0
    root: str = ""
    ours: bool | None = None


def verified(parts: Parts, file: IO[bytes]) -> Found:
    """What the file proves. Raises ``Problem`` with the code of the first thing that does not hold."""
    start = file.read(BEGINNING)
    file.seek(0)
    if is_export(start):
        return _export(parts, file)
    bundle = bundle_from(file.read(2 * MAX_RECEIPT))
    book = KeyBook(parts, parts.receipt_keys, parts.log_keys)
    return _receipt(parts, bundle, verify_bundle(bundle, book.receipt(), book.log()))


def _receipt(parts: Parts, bundle: Bundle, proved: VerifiedReceipt) -> Found:
    decided = datetime.fromisoformat(proved.payload["decided_at"])
    if proved.position is None:
        return Found("receipt", proved.payload, decided)
    with parts.store.read() as work:
        own = work.entries(proved.position, proved.position + 1)
    return Found("bundle", proved.payload, decided, proved.position, proved.size, ours=own == [bundle.entry])


def _export(parts: Parts, file: IO[bytes]) -> Found:
    found = verify_export(file, parts.published(KeyRole.LOG, parts.log_keys))
    with parts.store.read() as work:
        note = work.latest_checkpoint()
        ours = None
        if found.log == parts.log_origin:
            here = note is not None and checkpoint_size(note) >= found.size
            ours = here and merkle.root(found.size, tile_reader(work)) == found.root
    kind = "whole-export" if found.whole else "export"
    return Found(kind, size=found.size, entries=found.entries, root=found.root.hex(), ours=ours)
