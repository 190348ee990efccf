"""The ``broker`` command: run its processes, keep its registers, check and publish the list, verify what it signed."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType

import click
from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server import Server

from broker import __version__, log
from broker.bootstrap import Office, make_keys, open_office, read_client_key
from broker.config import ROOT, Settings, settings_from
from broker.core.authorise import IN_FORCE, REVOKED, SUSPENDED, Grant
from broker.core.case import Basis
from broker.core.catalog import Form
from broker.core.check import check
from broker.core.envelope import Algorithm
from broker.core.errors import OperatorProblem, Problem
from broker.core.findings import ERROR, Finding, as_json, has_errors, render
from broker.core.identifiers import is_credit_code
from broker.core.problems import PROBLEMS
from broker.core.receipt import bundle_from, verify_bundle
from broker.core.receipt_text import receipt_text
from broker.flow import register
from broker.flow.publish import publish
from broker.flow.review import verify_log
from broker.housekeeping import Housekeeping
from broker.ports import Client, ClientKey
from broker.signing import keys
from broker.store.catalog_file import CatalogFile, read_catalog
from broker.store.migrate import current, head, migrate

_DEFAULT_LIST = str(ROOT / "data_catalog.yaml")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__)
def main() -> None:
    """材料免提交数据共享平台 – the data-sharing broker. Settings are environment variables; see docs/settings.md."""


# --- processes -----------------------------------------------------------------------------------------------------


@main.command()
def serve() -> None:
    """Serve the API; in the embedded default (no BROKER_REDIS_URL) with the workers in the same process."""
    settings = _settings()
    with _told(), _office(settings) as office:
        _require_schema(office)
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
        log_access=False,  # a path may be personal in somebody's eyes; the audit log has what matters
    )
    server.serve()


@main.command()
@click.option("--source", "sources", multiple=True, help="Work on this source only; may be repeated. Default: all.")
@click.option("--name", default="worker", show_default=True, help="A name for this worker among others on the machine.")
def work(sources: tuple[str, ...], name: str) -> None:
    """Ask sources, as a Celery worker of the fleet; run as many as needed."""
    if _settings().embedded:
        raise click.ClickException("嵌入模式的工作线程在 broker serve 内 / embedded, the workers are in `broker serve`")
    # The command becomes the worker: a signal sent to it reaches Celery, and nothing stands in between.
    arguments = [word for source in sources for word in ("--source", source)]
    os.execv(sys.executable, [sys.executable, "-m", "broker.worker", "--name", name, *arguments])  # noqa: S606


@main.command()
def sweep() -> None:
    """Sequence the log, deliver callbacks, and find work whose message was lost; run one or more in the fleet."""
    settings = _settings()
    log.set_up(settings.log_level)
    with _told(), _office(settings) as office:
        _require_schema(office)
        housekeeping = Housekeeping(office.parts, settings.sweep_seconds)
        _on_stop(housekeeping.stop_soon)
        housekeeping.start()
        housekeeping.wait()
        housekeeping.stop()


@main.command("migrate")
def migrate_command() -> None:
    """Bring the database to the current schema. The database itself must exist, to prevent typing errors."""
    settings = _settings()
    with _told(), _office(settings) as office:
        click.echo(f"schema {migrate(office.database)}")


# --- registers -----------------------------------------------------------------------------------------------------


@main.group("keys")
def keys_group() -> None:
    """The deployment's own keys."""


@keys_group.command("init")
@click.option("--algorithm", type=click.Choice([one.value for one in Algorithm]), default="EdDSA", show_default=True,
              help="What receipts and answers are signed with.")  # fmt: skip
def keys_init(algorithm: str) -> None:
    """Make the keys that are missing in BROKER_KEYS_FOLDER; existing ones are never touched."""
    folder = Path(_settings().keys_folder)
    with _told():
        made = make_keys(folder, Algorithm(algorithm))
    click.echo("\n".join(made) if made else "密钥均已存在 / all keys exist")


@main.group("client")
def client_group() -> None:
    """Approval systems and their keys."""


@client_group.command("add")
@click.argument("name_id")
@click.option("--name", required=True, help="The system's name, as sources are told it.")
@click.option("--unit", required=True, help="Credit code of the body that runs it.")
@click.option("--callback-url", help="Where decisions are announced; must be https outside a test.")
def client_add(name_id: str, name: str, unit: str, callback_url: str | None) -> None:
    """Register an approval system under an id."""
    if not is_credit_code(unit):
        raise click.ClickException("统一社会信用代码校验不通过 / the credit code's check digit is wrong")
    with _told(), _office(_settings()) as office:
        register.register_client(office.parts, Client(name_id, name, unit, callback_url, "active"))


@client_group.command("add-key")
@click.argument("client_id")
@click.argument("public_pem", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--days", type=int, help="How long the key may be used. Default: until revoked.")
def client_add_key(client_id: str, public_pem: Path, days: int | None) -> None:
    """Register a public key (SPKI PEM; Ed25519, P-256 or SM2) of an approval system; prints its key id."""
    with _told(), _office(_settings()) as office:
        pem = public_pem.read_text("ascii")
        verifier = keys.load_public(pem.encode("ascii"))
        now = datetime.now(UTC)
        end = now + timedelta(days=days) if days else None
        key = ClientKey(client_id, read_client_key(pem, verifier.key_id), now - timedelta(minutes=1), end, None)
        register.register_key(office.parts, key, pem)
        click.echo(verifier.key_id)


@client_group.command("revoke-key")
@click.argument("key_id")
def client_revoke_key(key_id: str) -> None:
    """Revoke a key at once."""
    with _told(), _office(_settings()) as office:
        register.revoke_key(office.parts, key_id)


@main.group("grant")
def grant_group() -> None:
    """Grants of source departments (场景应用授权)."""


@grant_group.command("add")
@click.argument("grant_id")
@click.option("--client", required=True)
@click.option("--source", required=True)
@click.option("--form", "forms", multiple=True, type=click.Choice([one.value for one in Form]), required=True)
@click.option("--field", "granted", multiple=True, required=True, help="A field that may leave the source.")
@click.option("--scene", "scenes", multiple=True)
@click.option("--item", "items", multiple=True)
@click.option("--basis", "bases", multiple=True, type=click.Choice([one.value for one in Basis]), required=True)
@click.option("--legal-reference", required=True, help="The law the grant rests on.")
@click.option("--days", type=int, default=365, show_default=True, help="Validity from now on.")
@click.option("--daily-calls", type=int, help="Cap of calls per day (UTC).")
def grant_add(  # noqa: PLR0913, PLR0917 - one parameter per option
    grant_id: str,
    client: str,
    source: str,
    forms: tuple[str, ...],
    granted: tuple[str, ...],
    scenes: tuple[str, ...],
    items: tuple[str, ...],
    bases: tuple[str, ...],
    legal_reference: str,
    days: int,
    daily_calls: int | None,
) -> None:
    """Register a grant that a source department has given."""
    if not scenes and not items:
        raise click.ClickException("须指定场景或事项 / name at least one --scene or --item")
    now = datetime.now(UTC)
    grant = Grant(
        id=grant_id, client=client, source=source, forms=tuple(map(Form, forms)), fields=granted,
        bases=tuple(map(Basis, bases)), legal_reference=legal_reference, valid_from=now - timedelta(minutes=1),
        valid_to=now + timedelta(days=days), scenes=scenes, items=items, daily_calls=daily_calls,
    )  # fmt: skip
    with _told(), _office(_settings()) as office:
        register.register_grant(office.parts, grant)


@grant_group.command("set")
@click.argument("grant_id")
@click.argument("state", type=click.Choice([IN_FORCE, SUSPENDED, REVOKED]))
def grant_set(grant_id: str, state: str) -> None:
    """Suspend, revoke or restore a grant at once; lookups already queued under it are not asked any more."""
    with _told(), _office(_settings()) as office:
        register.set_grant_state(office.parts, grant_id, state)


# --- the sharing list ----------------------------------------------------------------------------------------------


@main.group("catalog")
def catalog_group() -> None:
    """The sharing list (数据共享应用清单)."""


@catalog_group.command("check")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path), default=_DEFAULT_LIST)
@click.option("--json", "json_lines", is_flag=True, help="Findings as JSON lines.")
@click.option("--quiet", is_flag=True, help="Errors only.")
@click.option("--lang", type=click.Choice(["zh", "en"]), default="zh", show_default=True)
def catalog_check(file: Path, *, json_lines: bool, quiet: bool, lang: str) -> None:
    """Check a catalogue file; exit 1 if it has errors."""
    read, findings = _checked(_settings(), file)
    shown = [one for one in findings if one.severity == ERROR] if quiet else findings
    if json_lines:
        lines = [json.dumps(one, ensure_ascii=False) for one in as_json(shown, read.places)]
    else:
        lines = render(shown, read.places, lang)
    click.echo("\n".join(lines)) if lines else None
    sys.exit(1 if has_errors(findings) else 0)


@catalog_group.command("publish")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path), default=_DEFAULT_LIST)
@click.option("--by", "publisher", required=True, help="Who publishes, as the audit log shall name them.")
@click.option("--effective", type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]), help="UTC. Default: now.")
def catalog_publish(file: Path, publisher: str, effective: datetime | None) -> None:
    """Publish a catalogue file as the next edition; a file with errors is refused and the old edition stays."""
    settings = _settings()
    read, findings = _checked(settings, file)
    errors = [one for one in findings if one.severity == ERROR]
    for line in render(errors, read.places, "zh"):
        click.echo(line, err=True)
    with _told(), _office(settings) as office:
        if errors:
            raise OperatorProblem("catalog.broken", got=f"{len(errors)}")
        moment = effective.replace(tzinfo=UTC) if effective else None
        edition = publish(office.parts, read.document, moment, publisher)
        click.echo(f"edition {edition.number} {edition.digest}")


def _checked(settings: Settings, file: Path) -> tuple[CatalogFile, list[Finding]]:
    schema = json.loads((Path(settings.schemas_folder) / "catalog.schema.json").read_text("utf-8"))
    read = read_catalog(file)
    return read, list(read.findings) or check(read.document, schema)


# --- verify --------------------------------------------------------------------------------------------------------


@main.group("receipt")
def receipt_group() -> None:
    """Receipts (核验凭证)."""


@receipt_group.command("verify")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--keys", "key_set", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=True,
              help="The published key set (/.well-known/jwks.json), saved as a file.")  # fmt: skip
@click.option("--lang", type=click.Choice(["zh", "en"]), default="zh", show_default=True)
def receipt_verify(file: Path, key_set: Path, lang: str) -> None:
    """Verify a receipt or a bundle (receipt with log proof) offline, with nothing but the published keys."""
    with _told():
        published = keys.from_jwks(json.loads(key_set.read_text("utf-8")))
        verified = verify_bundle(bundle_from(file.read_bytes()), published, list(published.values()))
    click.echo(receipt_text(verified.payload, lang))
    if verified.position is None:
        click.echo("签名有效；未附日志收录证明 / signature valid; no log proof given")
    else:
        click.echo(f"签名有效，日志收录于第 {verified.position} 位（共 {verified.size} 条）/ "
                   f"signature valid, included at {verified.position} of {verified.size}")  # fmt: skip


@main.group("log")
def log_group() -> None:
    """The audit log."""


@log_group.command("verify")
def log_verify() -> None:
    """Recompute the whole log from its entries and compare with tiles and the signed checkpoint."""
    with _told(), _office(_settings()) as office:
        report = verify_log(office.parts, office.log_keys)
        click.echo(f"{report.size} entries, root {report.root.hex()}, {report.unsequenced} waiting for their place")


# --- shared --------------------------------------------------------------------------------------------------------


def _settings() -> Settings:
    with _told():
        return settings_from(os.environ)


@contextmanager
def _office(settings: Settings) -> Iterator[Office]:
    office = open_office(settings, wake=_Silent())
    try:
        yield office
    finally:
        office.close()


class _Silent:
    """Commands admit nothing, so they wake nobody."""

    def wake(self, sources: object) -> None:
        """Do nothing."""


def _require_schema(office: Office) -> None:
    found, newest = current(office.database), head()
    if found != newest:
        raise OperatorProblem("config.invalid", got=found or "no schema", expected=f"{newest}: run broker migrate")


def _on_stop(stop: Callable[[], None]) -> None:
    def handle(_signal: int, _frame: FrameType | None) -> None:
        stop()

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)


@contextmanager
def _told() -> Iterator[None]:
    """A problem as two lines on standard error, Chinese first, and exit status 1."""
    try:
        yield
    except Problem as problem:
        kind = PROBLEMS[problem.code]
        named = (("got", problem.got), ("expected", problem.expected))
        facts = " ".join(f"{name}={value}" for name, value in named if value)
        click.echo(f"{problem.code} {facts}\n{kind.zh}。{kind.next_zh}。\n{kind.en}. {kind.next_en}.", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
