"""The log over the copied entries: every tile from their bytes, and checkpoints on the way, signed as ever."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import psycopg

from broker.core import checkpoint, merkle
from broker.core.envelope import Signer
from broker.store.tables import milliseconds

_CHECKPOINTS = 5_000  # kept on the way; a real log has one for every batch
_TILES = """
SELECT string_agg(sha256('\\x00'::bytea || body), ''::bytea ORDER BY id)
FROM entry WHERE id > %s AND id <= %s GROUP BY (id - 1) / 256 ORDER BY (id - 1) / 256
"""
_COSIGNED = """
INSERT INTO log_cosignature (size, witness, line, signed_at)
SELECT size, 'centre.example/witness', '— centre.example/witness AAAA' || E'\\n', signed_at FROM log_checkpoint
"""


def build(connection: psycopg.Connection[Any], origin: str, signers: Sequence[Signer], now: datetime) -> int:
    """Grow the log to its size; returns it."""
    ((size,),) = connection.execute("SELECT count(*) FROM entry").fetchall()
    connection.execute("CREATE INDEX bench_entry ON entry (id); ANALYZE entry")  # its key is away meanwhile
    tiles: dict[tuple[int, int], bytes] = {}
    step, grown = max(256, size // _CHECKPOINTS // 256 * 256), 0
    notes = []

    def read(level: int, index: int) -> bytes:
        return tiles[level, index]

    while grown < size:
        stop = min(size, grown + 64 * step)
        rows = connection.execute(_TILES, (grown, stop)).fetchall()
        hashes = b"".join(row[0] for row in rows)
        for start in range(0, len(hashes), step * merkle.HASH_SIZE):
            part = hashes[start : start + step * merkle.HASH_SIZE]
            leaves = [part[at : at + merkle.HASH_SIZE] for at in range(0, len(part), merkle.HASH_SIZE)]
            growth = merkle.grow(grown, leaves, read)
            tiles |= growth.tiles
            grown = growth.size
            note = checkpoint.sign(checkpoint.Checkpoint(origin, growth.size, growth.root), signers)
            notes.append((growth.size, note, milliseconds(now)))
    with connection.cursor() as cursor:
        with cursor.copy("COPY log_tile (level, index, hashes) FROM STDIN") as copy:
            for (level, index), kept in tiles.items():
                copy.write_row((level, index, kept))
        with cursor.copy("COPY log_checkpoint (size, note, signed_at) FROM STDIN") as copy:
            for row in notes:
                copy.write_row(row)
    connection.execute("DROP INDEX bench_entry")
    connection.execute(_COSIGNED)
    connection.execute("SELECT setval(pg_get_serial_sequence('entry', 'id'), %s)", (size,))
    return int(size)
