"""Registers: the deployment's keys, approval systems and their keys, grants."""

from __future__ import annotations

import getpass
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from broker.bootstrap import make_keys, read_client_key
from broker.cli.shared import KEY_ID, current_settings, office, told
from broker.core.authorise import IN_FORCE, REVOKED, SUSPENDED, Grant
from broker.core.case import Basis
from broker.core.catalog import Form
from broker.core.envelope import Algorithm
from broker.core.identifiers import is_credit_code
from broker.core.receipt import moment
from broker.core.roles import Role
from broker.flow import key_ends, own_keys, register
from broker.ports import Client, ClientKey
from broker.signing import keys
from broker.signing.key_folder import NAMES

_ENDING_STATUS = 3


@click.group("keys")
def keys_group() -> None:
    """The deployment's own keys."""


@keys_group.command("init")
@click.option("--algorithm", type=click.Choice([one.value for one in Algorithm]), default="EdDSA", show_default=True,
              help="What receipts and answers are signed with.")  # fmt: skip
def keys_init(algorithm: str) -> None:
    """Make the keys that are missing in BROKER_KEYS_FOLDER; existing ones are never touched."""
    folder = Path(current_settings().keys_folder)
    with told():
        made = make_keys(folder, Algorithm(algorithm))
    click.echo("\n".join(made) if made else "密钥均已存在 / all keys exist")


@keys_group.command("list")
def keys_list() -> None:
    """Every signing key: its id, file, state, and the time in which what it signs counts."""
    with told(), office(current_settings()) as opened:
        own_keys.adopt_keys(opened.parts, opened.folder)
        for own, state in own_keys.all_keys(opened.parts):
            times = " – ".join(moment(at) if at else "…" for at in (own.not_before, own.not_after))
            click.echo(f"{own.verifier.key_id} {own.name or own.role.value} {state.value} {times}")


@keys_group.command("ending")
def keys_ending() -> None:
    """What ends within BROKER_KEY_WARNING_DAYS, or has just ended: our keys, callers' and sources'; exit 3 if any."""
    with told(), office(current_settings()) as opened, opened.parts.store.read() as work:
        pulse = work.pulse()
        found = key_ends.keys_ending(opened.parts, opened.parts.policy(work, pulse), pulse.now)
    for one in found:
        click.echo(f"{moment(one.ends_at)} {one.whose} {one.name} {one.key}")
    sys.exit(_ENDING_STATUS if found else 0)


@keys_group.command("prepare")
@click.argument("name", type=click.Choice(NAMES))
@click.option("--algorithm", type=click.Choice([one.value for one in Algorithm]), help="Default: as the present key.")
@click.option("--days", type=click.IntRange(1), help="How long it may sign, from now on. Default: until replaced.")
def keys_prepare(name: str, algorithm: str | None, days: int | None) -> None:
    """Make the successor of a key, or take the one that lies in next/: published at once, signing only once rotated.

    For a key on a token, create it there, and put its reference into next/ before.
    """
    lifetime = None if days is None else timedelta(days=days)
    chosen = Algorithm(algorithm) if algorithm else None
    with told(), office(current_settings()) as opened:
        click.echo(own_keys.prepare_key(opened.parts, opened.folder, name, chosen, lifetime))


@keys_group.command("rotate")
@click.argument("name", type=click.Choice(NAMES))
@click.option("--overlap-hours", type=click.FloatRange(0), default=24.0, show_default=True,
              help="Until when processes that were not started again may sign with the old key.")  # fmt: skip
def keys_rotate(name: str, overlap_hours: float) -> None:
    """Let the prepared key sign from the next restart on; the old one stays published, and all it signed verifies."""
    with told(), office(current_settings()) as opened:
        old, new = own_keys.rotate_key(opened.parts, opened.folder, name, timedelta(hours=overlap_hours))
    click.echo(f"{old} -> {new}")


@keys_group.command("limit", context_settings=KEY_ID)
@click.argument("key_id")
@click.option("--until", type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]), required=True, help="UTC.")
def keys_limit(key_id: str, until: datetime) -> None:
    """Let a key expire; what it signed before counts on. Once said, the end may come sooner, never later."""
    with told(), office(current_settings()) as opened:
        own_keys.adopt_keys(opened.parts, opened.folder)
        own_keys.limit_key(opened.parts, key_id, until.replace(tzinfo=UTC))


@keys_group.command("revoke", context_settings=KEY_ID)
@click.argument("key_id")
@click.option("--reason", required=True, help="The log keeps it; it is not published.")
def keys_revoke(key_id: str, reason: str) -> None:
    """Revoke a key that is not the one that signs, as after a theft: at once, everywhere, and for ever.

    What it signed counts only where it is shown to be older: receipts by their log proof, checkpoints by a witness.
    """
    with told(), office(current_settings()) as opened:
        own_keys.adopt_keys(opened.parts, opened.folder)
        own_keys.revoke_own_key(opened.parts, key_id, reason)
    click.echo(f"{key_id} 已吊销 / revoked")


_by = click.option("--by", default=getpass.getuser, show_default="the system's user", help="Who does it; for the log.")
_reason = click.option("--reason", default="", help="Why; for the log.")


@click.group("client")
def client_group() -> None:
    """Systems, their roles and their keys."""


@client_group.command("add")
@click.argument("name_id")
@click.option("--name", required=True, help="The system's name, as sources are told it.")
@click.option("--unit", required=True, help="Credit code of the body that runs it.")
@click.option("--callback-url", help="Where decisions are announced; must be https outside a test.")
@click.option("--role", "roles", multiple=True, type=click.Choice([one.value for one in Role]),
              default=(Role.APPROVAL.value,), show_default=True, help="What it may do; may be repeated.")  # fmt: skip
@click.option("--also-unit", "units", multiple=True,
              help="Credit code of a further body for whose people it may ask; may be repeated.")  # fmt: skip
@_by
def client_add(
    name_id: str,
    name: str,
    unit: str,
    callback_url: str | None,
    roles: tuple[str, ...],
    units: tuple[str, ...],
    by: str,
) -> None:
    """Register an approval system, or the system of those who keep the list, under an id."""
    if not all(map(is_credit_code, (unit, *units))):
        raise click.ClickException("统一社会信用代码校验不通过 / the credit code's check digit is wrong")
    with told(), office(current_settings()) as opened:
        register.register_client(opened.parts, Client(name_id, name, unit, callback_url, "active", roles, units), by)


@client_group.command("add-key")
@click.argument("client_id")
@click.argument("public_pem", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--days", type=int, help="How long the key may be used. Default: until revoked.")
@_by
def client_add_key(client_id: str, public_pem: Path, days: int | None, by: str) -> None:
    """Register a public key (SPKI PEM; Ed25519, P-256 or SM2) of an approval system; prints its key id."""
    with told(), office(current_settings()) as opened:
        pem = public_pem.read_text("ascii")
        verifier = keys.load_public(pem.encode("ascii"))
        now = datetime.now(UTC)
        end = now + timedelta(days=days) if days else None
        key = ClientKey(client_id, read_client_key(pem, verifier.key_id), now - timedelta(minutes=1), end, None)
        register.register_key(opened.parts, key, pem, by)
        click.echo(verifier.key_id)


@client_group.command("revoke-key", context_settings=KEY_ID)
@click.argument("key_id")
@_by
@_reason
def client_revoke_key(key_id: str, by: str, reason: str) -> None:
    """Revoke a key at once."""
    with told(), office(current_settings()) as opened:
        register.revoke_key(opened.parts, key_id, reason, by)


@click.group("grant")
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
@click.option("--daily-calls", type=int, help="Cap of calls per day, as days run in China.")
@click.option("--distinct-holders", type=int, help="Cap of persons that one operator may ask about per day.")
@_by
@_reason
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
    distinct_holders: int | None,
    by: str,
    reason: str,
) -> None:
    """Write a grant directly, with no application: for the operator, to set a deployment up or to mend it.

    It stands for what a source department has given on paper, and its entry says that it was written directly. Where
    departments work with the broker, they use `broker grant apply` and `broker grant approve`.
    """
    if not scenes and not items:
        raise click.ClickException("须指定场景或事项 / name at least one --scene or --item")
    now = datetime.now(UTC)
    grant = Grant(
        id=grant_id, client=client, source=source, forms=tuple(map(Form, forms)), fields=granted,
        bases=tuple(map(Basis, bases)), legal_reference=legal_reference, valid_from=now - timedelta(minutes=1),
        valid_to=now + timedelta(days=days), scenes=scenes, items=items, daily_calls=daily_calls,
        distinct_holders=distinct_holders,
    )  # fmt: skip
    with told(), office(current_settings()) as opened:
        register.register_grant(opened.parts, grant, by, reason)


@grant_group.command("set")
@click.argument("grant_id")
@click.argument("state", type=click.Choice([IN_FORCE, SUSPENDED, REVOKED]))
@_by
@_reason
def grant_set(grant_id: str, state: str, by: str, reason: str) -> None:
    """Change a grant's state directly: for the operator, in an emergency; what is queued under it is not asked.

    A revoked grant stays revoked. The entry says that it was done directly; a department's person uses `broker grant
    suspend`, `revoke` or `restore`, which name them and their reason. What is suspended, or in
    force, already is left as it is, and the command says so.
    """
    with told(), office(current_settings()) as opened:
        changed = register.set_grant_state(opened.parts, grant_id, state, by, reason)
    if not changed:
        click.echo(f"{grant_id} 已是此状态，未作改动 / is {state} already, nothing was changed")
