"""``python -m tests.bench.sequencer``: entries integrated per second on PostgreSQL, and whether the log's size matters.

A log of a given size is begun with the right edge of its tiles alone, filled with chance, and a checkpoint over it:
all that the sequencer reads of an old log. What this leaves out: the indexes of ``entry`` and ``log_leaf`` are as small
as a young log's. Entries are written first and not measured; their sequencing is, fsync included.
"""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import click

from broker.bootstrap import Office, make_keys, open_office
from broker.config import Settings
from broker.core import checkpoint, merkle
from broker.core.entry import entry
from broker.core.envelope import Algorithm
from broker.flow.sequence import sequence
from broker.sandbox.servers import fresh_database, start_postgres
from broker.store.migrate import migrate
from broker.wakes.drain import Drain, InProcessWake

SIZES = (0, 10**4, 10**5, 10**6, 10**7)
CHUNK = 5_000


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--entries", type=int, default=40_000, show_default=True, help="Integrated at each size.")
@click.option("--batch", type=int, help="Entries in one transaction. Default: the product's.")
def main(entries: int, batch: int | None) -> None:
    """Integrate entries into logs of growing size, and say how many a second and how long a batch takes."""
    with start_postgres() as server, tempfile.TemporaryDirectory() as folder:
        make_keys(Path(folder), Algorithm.ED25519)
        for size in SIZES:
            settings = Settings(database_url=fresh_database(server), keys_folder=folder)
            office = open_office(settings, wake=InProcessWake(Drain(lambda _: 0)))
            migrate(office.database)
            if batch:
                office.parts.limits = replace(office.parts.limits, sequence_batch=batch)
            _begin(office, size)
            _write(office, entries)
            seconds, batches = _sequenced(office)
            rate, cost, width = entries / seconds, 1000 * seconds / batches, office.parts.limits.sequence_batch
            click.echo(f"log of {size:>10,}: {rate:>8,.0f} entries/s, {cost:6.1f} ms a batch of {width:,}")
            office.close()


def _begin(office: Office, size: int) -> None:
    """A log of so many entries, as far as the sequencer looks at it."""
    if size == 0:
        return
    tiles = {
        (level, index): os.urandom(merkle.HASH_SIZE * ((size >> merkle.TILE_HEIGHT * level) % merkle.TILE_WIDTH))
        for level, index in merkle.tiles_for_growth(size)
    }
    root = merkle.root(size, lambda level, index: tiles[level, index])
    note = checkpoint.sign(checkpoint.Checkpoint(office.parts.log_origin, size, root), office.parts.log_signers)
    with office.parts.store.write() as work:
        work.record([entry("tested", datetime.now(UTC))])
        ((number, _),) = work.unsequenced(1)
        work.extend_log(size - 1, [number], tiles, size, note, work.pulse().now)
        work.commit()


def _write(office: Office, count: int) -> None:
    """Entries of the usual length, waiting for their places."""
    facts = {
        "client": "approval", "operator": "op-7", "unit": "113704000042880080", "source": "samr-enterprise",
        "grant": "g" * 20, "fields": ["name", "status", "valid_to"], "subject": "0" * 32, "form": "query",
    }  # fmt: skip
    for start in range(0, count, CHUNK):
        now = datetime.now(UTC)
        with office.parts.store.write() as work:
            work.record([
                entry("asked", now, verification=f"{number:032x}", case=f"2026-{number // 4:06}", **facts)
                for number in range(start, min(start + CHUNK, count))
            ])  # fmt: skip
            work.commit()


def _sequenced(office: Office) -> tuple[float, int]:
    start, batches = time.perf_counter(), 0
    while sequence(office.parts):
        batches += 1
    return time.perf_counter() - start, batches


if __name__ == "__main__":
    main()
