"""The broker's processes: serve, work, sweep, migrate."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import click
from granian.constants import Interfaces, SSLProtocols
from granian.log import LogLevels
from granian.server import Server

from broker import log
from broker.bootstrap import Office
from broker.cli.shared import adopt, current_settings, office, require_schema, require_witnessed, told
from broker.config import require_sense
from broker.core.errors import OperatorProblem
from broker.flow.publish import edition_digest
from broker.housekeeping import Housekeeping
from broker.store.catalog_file import read_catalog
from broker.store.engine import Database
from broker.store.migrate import migrate


@click.command()
@click.option("--accept-edition", is_flag=True, help="Start although BROKER_CATALOG_FILE is not the newest edition.")
def serve(*, accept_edition: bool) -> None:
    """Serve the API; in the embedded default (no BROKER_REDIS_URL) with the workers in the same process."""
    settings = current_settings()
    with told(), office(settings) as opened:
        if settings.plain:  # cookies could be read and pages altered on the road
            raise OperatorProblem(
                "config.invalid", got="BROKER_PUBLIC_URL", expected="https, or this machine's own name"
            )
        require_schema(opened)
        if settings.embedded:
            require_witnessed(opened)
        if not accept_edition:
            _require_edition(opened, Path(settings.catalog_file))
        adopt(opened)
    server = Server(
        "broker.web.wsgi:application",
        factory=True,
        interface=Interfaces.WSGI,
        address=settings.host,
        port=settings.port,
        workers=1 if settings.embedded else settings.web_processes,
        blocking_threads=settings.web_threads,
        backlog=1024,
        respawn_failed_workers=True,
        log_level=LogLevels.warning,
        ssl_cert=Path(settings.tls_certificate_file) if settings.tls_certificate_file else None,
        ssl_key=Path(settings.tls_key_file) if settings.tls_key_file else None,
        ssl_protocol_min=SSLProtocols.tls12,
        log_access=False,  # a path may be personal in somebody's eyes; the audit log has what matters
    )
    server.serve()


@click.command()
@click.option("--source", "sources", multiple=True, help="Work on this source only; may be repeated. Default: all.")
@click.option("--name", default="worker", show_default=True, help="A name for this worker among others on the machine.")
def work(sources: tuple[str, ...], name: str) -> None:
    """Ask sources, as a Celery worker of the fleet; run as many as needed."""
    if current_settings().embedded:
        raise click.ClickException("嵌入模式的工作线程在 broker serve 内 / embedded, the workers are in `broker serve`")
    # The command becomes the worker: a signal sent to it reaches Celery, and nothing stands in between.
    arguments = [word for source in sources for word in ("--source", source)]
    os.execv(sys.executable, [sys.executable, "-m", "broker.worker", "--name", name, *arguments])  # noqa: S606 - our own module


@click.command()
def sweep() -> None:
    """Sequence the log, deliver callbacks, and find work whose message was lost; run one or more in the fleet."""
    settings = current_settings()
    log.set_up(settings.log_level)
    with told(), office(settings, waking=True) as opened:
        require_schema(opened)
        require_witnessed(opened)
        adopt(opened)
        housekeeping = Housekeeping(opened.parts, settings.sweep_seconds)
        _on_stop(housekeeping.stop_soon)
        housekeeping.start()
        housekeeping.wait()
        housekeeping.stop()


@click.command("migrate")
def migrate_command() -> None:
    """Bring the database to the current schema. The database itself must exist, to prevent typing errors.

    In PostgreSQL, BROKER_APP_ROLE is given the rights to work with rows, and to add to what only grows.
    """
    settings = current_settings()
    with told():
        require_sense(settings)
    database = Database(settings.migration_url or settings.database_url)
    with told():
        click.echo(f"schema {migrate(database, settings.app_role, lambda: _without(settings.app_role))}")
    database.dispose()


def _without(role: str) -> None:
    """Say that the log is guarded by its triggers alone: an owner can drop those."""
    click.echo(f"没有数据库角色 {role}：日志只受触发器保护，见运维手册 Two roles in PostgreSQL\n"
               f"There is no database role {role}: the log is guarded by its triggers alone, see the operations "
               "handbook, Two roles in PostgreSQL", err=True)  # fmt: skip


def _require_edition(opened: Office, file: Path) -> None:
    """Refuse to serve another list than the file says: somebody has edited it, or forgotten to publish it."""
    with opened.parts.store.read() as work:
        number = max((number for number, _ in opened.parts.policy(work, work.pulse()).editions), default=0)
        digest = work.edition(number)[0] if number else ""
    if number and edition_digest(read_catalog(file).document) != digest:
        raise OperatorProblem("edition.differs", got=file.name, expected=f"edition {number}")


def _on_stop(stop: Callable[[], None]) -> None:
    def handle(_signal: int, _frame: FrameType | None) -> None:
        stop()

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)
