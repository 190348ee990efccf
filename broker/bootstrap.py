"""The one place where adapters are chosen and wired; everything else sees ports."""

from __future__ import annotations

import ctypes
import logging
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson
import requests
import yaml
from chinese_calendar import constants as state_council

from broker.config import Settings, require_sense
from broker.connectors import connectors
from broker.connectors.management import Management
from broker.core.day import CHINA
from broker.core.envelope import Algorithm, Revoked, Signer, Verifier
from broker.core.errors import OperatorProblem
from broker.core.grammar import Grammar
from broker.core.grant_application import Terms
from broker.core.misuse import MisuseRules, rules_from
from broker.core.own_key import KeyRole
from broker.core.provided import GroupRules, group_rules_from
from broker.core.working_days import Calendar
from broker.flow.look_up import look_up
from broker.flow.parts import Limits, Parts
from broker.ports import Connection, Connector, Store, Vault, Wake
from broker.ports.console import IdentityProvider
from broker.ports.health import CredentialReference
from broker.ports.management import Manages
from broker.ports.own_keys import KeptKey
from broker.signing import http_message, keys
from broker.signing.key_folder import LOG, RECEIPT, Folder, key_file, open_key
from broker.signing.pkcs11 import SUFFIX
from broker.signing.sm2 import Sm2Signer
from broker.signing.vault import KEY_BYTES, CaseVault
from broker.store.engine import Database
from broker.store.password_list import PasswordList
from broker.store.sessions import SharedSession
from broker.store.work import SqlStore
from broker.transport import deadline
from broker.transport.answers import load_answer_schemas
from broker.transport.https import HttpsTransport
from broker.transport.oidc import OidcProvider
from broker.transport.reach import RoadParts
from broker.transport.roads import SourceRoads
from broker.wakes.aside import WakeAside
from broker.wakes.drain import Drain, InProcessWake
from broker.wakes.fleet import FleetWake

_log = logging.getLogger(__name__)

_M_ARENA_MAX = -8  # malloc.h
_CALLBACK_SECONDS = (2, 5)  # to connect, to answer: an approval system only has to store the callback
_WRAPPING, _PSEUDONYM = "wrapping.key", "pseudonym.key"


@dataclass
class Office:
    """A process's wiring: the parts of the steps, and what the entry points need besides."""

    settings: Settings
    parts: Parts
    database: Database
    drain: Drain
    receipt_keys: list[Verifier]
    log_keys: list[Verifier]
    provider: IdentityProvider | None = None
    folder: Folder = field(default_factory=lambda: Folder(Path()))
    """Of the deployment's own keys."""
    queue: Callable[[], bool] = field(default=lambda: True)
    """Whether the queue answers; in the embedded default it is this process itself."""
    closers: list[Callable[[], None]] = field(default_factory=list)

    def close(self) -> None:
        """Let go of connections and threads."""
        for close in self.closers:
            close()
        self.database.dispose()


def open_office(settings: Settings, *, wake: Wake | None = None) -> Office:
    """Wire a process from its settings. Raises ``OperatorProblem`` where keys or configuration are unusable."""
    _spare_memory()
    require_sense(settings)
    folder = Path(settings.keys_folder)
    signer = open_key(folder / RECEIPT)
    log_signers = [open_key(folder / name) for name in LOG]
    database = Database(settings.database_url)
    roads = SourceRoads()
    transport = HttpsTransport(ca_file=settings.ca_file or None, roads=roads)
    schemas = Path(settings.schemas_folder)
    store = SqlStore(database, read_client_key)
    vault = CaseVault(_secret(folder / _WRAPPING), _secret(folder / _PSEUDONYM))
    calendar = working_calendar()
    answer_ok = load_answer_schemas(schemas / "sources")
    parts = Parts(
        store=store,
        wake=wake or _NoWake(),
        transport=transport,
        connectors=connectors(answer_ok, sm2_decrypt, calendar),
        noting=noting_connectors(answer_ok, calendar),
        reach=RoadParts(settings.ca_file or None),
        connections=_shared(read_platforms(Path(settings.platforms_file)), store, vault),
        vault=vault,
        signer=signer,
        log_signers=log_signers,
        issuer=settings.issuer,
        log_origin=settings.log_origin,
        check_request=Grammar(orjson.loads((schemas / "request.schema.json").read_bytes())).check,
        post=_poster(signer),
        limits=Limits(
            answer_days=settings.answer_days,
            consent_hours=settings.consent_hours,
            probe_minutes=settings.probe_minutes,
            totp_neighbours=settings.totp_neighbours,
            key_warning_days=settings.key_warning_days,
        ),
        roads=roads,
        references=read_references(Path(settings.platforms_file), vault.pseudonym),
        calendar=calendar,
        misuse=read_misuse_rules(settings.misuse_file),
        terms=Terms(settings.approval_days_unconditional, settings.approval_days_conditional),
        groups=read_group_rules(settings.oidc_groups_file),
        known_password=PasswordList(Path(settings.passwords_file)).holds
        if settings.passwords_file
        else lambda _: False,
    )
    drain = Drain(lambda source: look_up(parts, source))
    held = Folder(folder)
    receipt_keys, log_keys = (_held(held, role) for role in KeyRole)
    parts.receipt_keys, parts.log_keys = receipt_keys, log_keys
    provider = _identity_provider(settings, parts.groups.scopes if parts.groups else ())
    office = Office(
        settings, parts, database, drain, receipt_keys, log_keys, provider, held, closers=[transport.close]
    )  # fmt: skip
    if wake is None:
        _wake_for(office)
    return office


def _wake_for(office: Office) -> None:
    """Threads of this process, or the fleet's messages, for which nobody who has committed waits."""
    if office.settings.embedded:
        office.parts.wake = InProcessWake(office.drain)
        return
    fleet = FleetWake(office.settings.redis_url)
    office.parts.wake = aside = WakeAside(fleet)
    office.queue = fleet.answers
    office.closers.insert(0, aside.close)


def _identity_provider(settings: Settings, scopes: tuple[str, ...]) -> OidcProvider | None:
    """The identity provider of the console, None where it is not configured."""
    if not settings.oidc_issuer:
        return None
    try:
        secret = Path(settings.oidc_client_secret_file).read_text("utf-8").strip()
    except OSError as error:
        raise OperatorProblem("config.invalid", got="BROKER_OIDC_CLIENT_SECRET_FILE", expected="a file") from error
    return OidcProvider(
        settings.oidc_issuer.rstrip("/"), settings.oidc_client_id, secret, settings.oidc_label,
        tuple(settings.oidc_acr.split()), tuple(settings.oidc_amr.split()), scopes,
    )  # fmt: skip


def _shared(connections: Mapping[str, Connection], store: Store, vault: Vault) -> dict[str, Connection]:
    """The same connections, their short-lived secrets shared with every process over this database."""
    return {
        name: replace(one, session=SharedSession(name, store, vault, remaining=deadline.remaining))
        for name, one in connections.items()
    }


def read_misuse_rules(path: str) -> MisuseRules:
    """The rules against misuse as a deployment's file has them. Raises ``OperatorProblem`` ``config.invalid``."""
    if not path:
        return MisuseRules()
    try:
        return rules_from(yaml.safe_load(Path(path).read_text("utf-8")) or {})
    except (ValueError, KeyError, TypeError, AttributeError, OSError, yaml.YAMLError) as error:
        expected = "rules (name: flag, stop or off) and thresholds"
        raise OperatorProblem("config.invalid", got=Path(path).name, expected=expected) from error


def read_group_rules(path: str) -> GroupRules | None:
    """Which groups of the identity provider give which roles. Raises ``OperatorProblem`` ``config.invalid``."""
    if not path:
        return None
    try:
        return group_rules_from(yaml.safe_load(Path(path).read_text("utf-8")))
    except (ValueError, KeyError, TypeError, AttributeError, OSError, yaml.YAMLError, OperatorProblem) as error:
        got = f"{Path(path).name}: {error.got}" if isinstance(error, OperatorProblem) else Path(path).name
        expected = "groups (name: role or role:kind=value), claim, scopes, master, login, name, unit, hours"
        raise OperatorProblem("config.invalid", got=got, expected=expected) from error


def noting_connectors(
    answer_ok: Callable[[str, object], bool], calendar: Calendar
) -> Callable[[Callable[[bool], None]], Mapping[str, Connector]]:
    """Makes connectors that tell what the schema said of each answer they read, for a test of a connection."""

    def noting(noted: Callable[[bool], None]) -> Mapping[str, Connector]:
        def listening(source: str, document: object) -> bool:
            fits = answer_ok(source, document)
            noted(fits)
            return fits

        return connectors(listening, sm2_decrypt, calendar)

    return noting


def management() -> Manages:
    """What makes an operator's calls of the platforms themselves."""
    return Management(sm2_decrypt)


def working_calendar() -> Calendar:
    """The State Council's days off and make-up days, as far as the installed ``chinesecalendar`` knows them.

    A year that it does not know counts as plain weekdays. That is said once per process, and by each deadline in it.
    """
    calendar = Calendar(frozenset(state_council.holidays), frozenset(state_council.workdays))
    today = datetime.now(CHINA).date()
    if not calendar.covers(today, today):
        known = str(max(calendar.holidays).year)
        _log.warning("this year's holidays are not known; upgrade chinesecalendar", extra={"facts": {"known": known}})
    return calendar


def _spare_memory() -> None:
    """Two malloc arenas instead of eight per core: with many threads, glibc otherwise keeps what each once needed."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc's own; elsewhere there is nothing to spare
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 2)


class _NoWake:
    """Stands in while the parts are wired; nothing is admitted before its successor is in place."""

    def wake(self, sources: object) -> None:
        raise AssertionError(sources)


def read_witnessed(place: str) -> str:
    """The note that a witness kept, from a file or URL. Raises ``OperatorProblem`` ``config.invalid``."""
    try:
        if place.startswith(("http://", "https://")):
            answer = requests.get(place, timeout=_CALLBACK_SECONDS, allow_redirects=False)
            answer.raise_for_status()
            return answer.content.decode("utf-8")
        return Path(place).read_text("utf-8")
    except (OSError, ValueError) as error:  # what requests raises is an OSError
        raise OperatorProblem("config.invalid", got="BROKER_WITNESS_CHECKPOINT", expected="a witness's note") from error


def _held(folder: Folder, role: KeyRole) -> list[Verifier]:
    """What signs, will sign, or has signed: all of it is published, so that nothing signed by it is ever lost."""
    found = [one for listed in folder.kept() for one in listed if one.role is role]
    return list({one.verifier.key_id: _as_kept(one) for one in reversed(found)}.values())[::-1]


def _as_kept(one: KeptKey) -> Verifier:
    return one.verifier if one.revoked_at is None else Revoked(one.verifier, one.revoked_at)


def make_keys(folder: Path, algorithm: Algorithm) -> list[str]:
    """Make the deployment's keys where there are none; returns the names of those made. Existing ones stay."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    made = []
    for name, kind in ((RECEIPT, algorithm), (LOG[0], Algorithm.ED25519), (LOG[1], Algorithm.SM2)):
        if not (folder / name).exists() and not (folder / name).with_suffix(SUFFIX).exists():
            keys.save_private(folder / name, keys.generate(kind))
            made.append(name)
    for name in (_WRAPPING, _PSEUDONYM):
        if not (folder / name).exists():
            descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(os.urandom(KEY_BYTES))
            made.append(name)
    return made


def read_client_key(pem: str, key_id: str) -> Verifier:
    """A registered key from its row."""
    return keys.load_public(pem.encode("ascii"), key_id)


def read_platforms(path: Path) -> dict[str, Connection]:
    """The deployment's connections by platform; credentials given as ``{file: path}`` are read, relative to the file.

    A missing file means that nothing is connected: every lookup then ends UNKNOWN, not configured.
    """
    if not path.exists():
        return {}
    document = yaml.safe_load(path.read_text("utf-8"))
    try:
        return {
            name: Connection(
                platform=name,
                endpoint=entry["endpoint"],
                credentials={key: _credential(path.parent, value) for key, value in entry["credentials"].items()},
                options=entry.get("options", {}),
            )
            for name, entry in document["platforms"].items()
        }
    except (KeyError, TypeError, AttributeError, OSError) as error:
        expected = "platforms with endpoint and credentials"
        raise OperatorProblem("config.invalid", got=path.name, expected=expected) from error


def read_references(path: Path, pseudonym: Callable[[str], str]) -> dict[str, list[CredentialReference]]:
    """What may be shown of each platform's credentials; the file is one that ``read_platforms`` has read."""
    if not path.exists():
        return {}
    found: dict[str, list[CredentialReference]] = {}
    for platform, entry in yaml.safe_load(path.read_text("utf-8"))["platforms"].items():
        for name, value in entry["credentials"].items():
            file = str(value["file"]) if isinstance(value, dict) else ""
            changed = datetime.fromtimestamp((path.parent / file if file else path).stat().st_mtime, UTC)
            fingerprint = pseudonym(f"credential:{platform}:{name}:{_credential(path.parent, value)}")[:12]
            made = CredentialReference(name, Path(file).name, changed, fingerprint, _until(platform, value))
            found.setdefault(platform, []).append(made)
    return found


def _until(platform: str, credential: Any) -> datetime | None:
    """When a credential ends, where ``until`` names its last day; in China, as those who gave it would say it."""
    said = credential.get("until") if isinstance(credential, dict) else None
    if said is None:
        return None
    try:
        last = date.fromisoformat(str(said))
    except ValueError as error:
        raise OperatorProblem("config.invalid", got=platform, expected="until: YYYY-MM-DD") from error
    return datetime.combine(last + timedelta(days=1), datetime.min.time(), CHINA)


def _credential(folder: Path, value: Any) -> str:
    if isinstance(value, dict):
        return str((folder / value["file"]).read_text("utf-8")).strip()
    return str(value)


def _secret(path: Path) -> bytes:
    data = key_file(path)
    if len(data) != KEY_BYTES:
        raise OperatorProblem("key.unusable", got=path.name, expected=f"{KEY_BYTES} bytes")
    return data


@lru_cache(maxsize=64)
def _sm2_key(private_pem: str) -> Sm2Signer:
    key = keys.load_private(private_pem.encode("ascii"))
    if not isinstance(key, Sm2Signer):
        raise OperatorProblem("key.unusable", expected="an SM2 key")
    return key


def sm2_decrypt(private_pem: str, ciphertext: bytes) -> bytes:
    """A source's ciphertext with the key of a connection; what the connectors are given."""
    return _sm2_key(private_pem).decrypt(ciphertext)


def _poster(signer: Signer) -> Callable[[str, bytes], int]:
    """Callbacks signed like any request of ours; 0 where nothing answered."""
    session = requests.Session()
    session.trust_env = False

    def post(url: str, body: bytes) -> int:
        headers = http_message.sign_request(
            "POST", url, body, "application/json", signer, int(time.time()), os.urandom(16).hex()
        )
        try:
            response = session.post(
                url,
                data=body,
                headers={**headers, "Content-Type": "application/json"},
                timeout=_CALLBACK_SECONDS,
                allow_redirects=False,
            )
        except requests.RequestException:
            return 0
        return response.status_code

    return post
