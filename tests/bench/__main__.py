"""``python -m tests.bench``: measures this machine, prints the tables, writes bench.json. See docs/performance.md."""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

import click
import psycopg
import redis

from broker.core.envelope import Algorithm
from tests.bench.profiling import profile
from tests.bench.report import tables, write_docs
from tests.bench.suite import CORES, Plan, Suite
from tests.bench.work_unit import REPOSITORY
from tests.bench.world import World

RESULT = REPOSITORY / "bench.json"
PAGE = REPOSITORY / "docs" / "performance.md"
ALGORITHMS = {"ed25519": Algorithm.ED25519, "sm2": Algorithm.SM2}
QUICK = {"rounds": 1, "seconds": 3.0, "warm": 2.0, "rest_samples": 30}


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--rounds", type=int, default=3, show_default=True, help="Alternating rounds of a, b, c, d.")
@click.option("--seconds", type=float, default=10.0, show_default=True, help="Of each measured window.")
@click.option("--quick", is_flag=True, help="One short round of everything: shows that it runs, not how fast it is.")
@click.option("--only", default="a,b,c,d,e", show_default=True, help="Letters to measure.")
@click.option("--algorithms", default="ed25519,sm2", show_default=True, help="Keys of caller and server.")
@click.option("--profile", "role", type=click.Choice(["web", "worker", "sweep"]), help="Profile a role instead.")
@click.option("--write-docs", "docs", is_flag=True, help="Fill docs/performance.md from bench.json, measuring nothing.")
def main(rounds: int, seconds: float, quick: bool, only: str, algorithms: str, role: str | None, docs: bool) -> None:
    """Measure the broker against the stack a team would have written, a plain client, and the bound."""
    signal.signal(signal.SIGTERM, _interrupted)
    chosen = [ALGORITHMS[name] for name in algorithms.split(",")]
    if docs:
        write_docs(json.loads(RESULT.read_text("utf-8")), PAGE)
    elif role:
        profile(role, chosen[0])
    else:
        sizes: dict[str, Any] = dict(QUICK) if quick else {"rounds": rounds, "seconds": seconds}
        _measure(Plan(letters=tuple(only.split(",")), algorithms=chosen, **sizes))


def _measure(plan: Plan) -> None:
    with World() as world:
        machine = _machine(world)
        found = Suite(plan, world).run()
    result = {
        "measured_at": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "rounds": plan.rounds,
        "seconds": plan.seconds,
        "machine": machine,
        "algorithms": found,
    }
    RESULT.write_text(json.dumps(result, ensure_ascii=False, indent=1), encoding="utf-8")
    print(tables(result))


def _machine(world: World) -> dict[str, str]:
    """What the figures depend on."""
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    with psycopg.connect(world.postgres.libpq_url) as connection:
        row = connection.execute("SHOW server_version").fetchone()
    with redis.Redis.from_url(world.redis.url) as client:
        info: Any = client.info("server")
    revision = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    ).stdout.strip()
    return {
        "CPU": models[0].partition(":")[2].strip() if models else "?",
        "cores": f"{len(os.sched_getaffinity(0))} (bounds for {CORES})",
        "load before": f"{os.getloadavg()[0]:.2f}",
        "Python": platform.python_version(),
        "PostgreSQL": str(row[0]).split()[0] if row else "?",
        "Redis": str(info["redis_version"]),
        "revision": revision or "?",
    }


def _interrupted(_signal: int, _frame: FrameType | None) -> None:
    """SIGTERM unwinds like ^C, so that every process is stopped."""
    sys.exit(143)


if __name__ == "__main__":
    main()
