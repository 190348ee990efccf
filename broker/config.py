"""The settings, read once from the environment.

An unknown ``BROKER_`` variable refuses to start: it is a typing error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from broker.core.errors import OperatorProblem

PREFIX = "BROKER_"
_HOST = re.compile(r"(\[[^]]*\]|/[^,]*|::1|[^:]*)")  # of host:port, as a backend's URL may name several
ROOT = Path(__file__).resolve().parent.parent
_FOREIGN = {f"BROKER_TEST_{one}_URL" for one in ("DATABASE", "MARIADB", "REDIS")}  # read by the tests' servers


@dataclass(frozen=True)
class Settings:
    """One field per setting; the environment variable is the upper-case name with ``BROKER_`` before it."""

    database_url: str = "sqlite:///var/broker.db"
    """PostgreSQL (``postgresql+psycopg://…``) for the fleet, SQLite for the embedded default."""
    migration_url: str = ""
    """The same PostgreSQL as the tables' owner, for ``broker migrate`` alone. Empty: as ``BROKER_DATABASE_URL``."""
    app_role: str = "broker_app"
    """The PostgreSQL role that everything but ``broker migrate`` runs as; given its rights there, where it exists."""
    redis_url: str = ""
    """Redis of the fleet. Empty: embedded, workers are threads of the web process."""
    keys_folder: str = "var/keys"
    """Folder of the signing, wrapping and pseudonym keys; made by ``broker keys init``."""
    platforms_file: str = "var/platforms.yaml"
    """How this deployment reaches each platform: endpoints, credentials by reference, service ids."""
    ca_file: str = ""
    """Certificate authorities (PEM) that are believed of sources besides the system's, for networks with their own."""
    catalog_file: str = str(ROOT / "data_catalog.yaml")
    """The sharing list's file; `broker serve` refuses to start where it is not the newest edition."""
    schemas_folder: str = str(ROOT / "schemas")
    """Folder of the JSON Schemas, those of the sources below ``sources/``."""
    public_url: str = "http://127.0.0.1:8080"
    """The base URL callers sign, `https` but on this machine; never taken from a request: headers can be forged."""
    host: str = "127.0.0.1"
    """Address the web server listens on."""
    port: int = 8080
    """Port the web server listens on."""
    proxies: int = 0
    """Our own proxies before the web server, each adding to `X-Forwarded-For`; only what they add is believed."""
    web_processes: int = 2
    """Web processes of the fleet; the embedded default always runs one."""
    web_threads: int = 64
    """Requests one web process works on at a time, waiting ones included."""
    issuer: str = "exemption-broker.localhost"
    """Who issues the receipts, as printed in them."""
    log_origin: str = "exemption-broker.localhost/log"
    """The audit log's name in its checkpoints."""
    witness_checkpoint: str = ""
    """File or URL of the last checkpoint that a witness has kept; no sequencer starts on a log that is behind it."""
    witness_keys: str = ""
    """File of the witnesses' verifier keys, one a line; one of them must have co-signed that checkpoint."""
    probe_minutes: float = 30.0
    """A source that was not asked for so long is asked its agreed probe. 0: never."""
    sweep_seconds: float = 2.0
    """How often due work is looked for, whatever messages were lost."""
    approval_days_unconditional: int = 1
    """Working days in which a source department decides an application for a source shared unconditionally."""
    approval_days_conditional: int = 10
    """The same for a source shared conditionally."""
    consent_hours: int = 72
    """How long a holder has to decide on a consent; then the lookups that wait for it move on."""
    key_warning_days: int = 30
    """Days before the end of a key or a source's credential, from which on `/v1/health` and the console tell of it."""
    answer_days: int = 30
    """Days after which a case's requests, questions and answers are destroyed, from its close or last activity on."""
    misuse_file: str = ""
    """YAML with `rules` against misuse (name: flag, stop, suspend, off) and `thresholds`, where not the defaults."""
    log_level: str = "INFO"
    """DEBUG, INFO, WARNING or ERROR."""

    passwords_file: str = ""
    """Passwords that nobody may choose: one a line, or SHA-1 digests in ascending order. Empty: those of our own."""
    totp_neighbours: int = 1
    """Steps of 30 s before and after the present one whose codes are taken: 1 where telephones' clocks differ, or 0."""
    backend_tls: str = ""
    """`verify`: PostgreSQL and Redis off this machine are refused without verified TLS. Empty: as their URLs say."""
    tls_certificate_file: str = ""
    """Certificate chain (PEM) of the web server itself, for a proxy on another machine. Empty: plain HTTP."""
    tls_key_file: str = ""
    """The private key of that certificate (PEM)."""

    oidc_issuer: str = ""
    """Identity provider of the console (OpenID Connect), as its discovery names itself. Empty: local accounts only."""
    oidc_client_id: str = ""
    """What the identity provider calls the console."""
    oidc_client_secret_file: str = ""
    """File that holds the console's secret at the identity provider."""
    oidc_label: str = "OpenID Connect"
    """What the console's button calls the identity provider."""
    oidc_acr: str = ""
    """Strengths (`acr`), separated by spaces, one of which the identity provider must tell. Empty: whatever it does."""
    oidc_amr: str = ""
    """Ways (`amr`), separated by spaces, one of which the identity provider must name: `otp`, `mfa`. Empty: any."""
    oidc_groups_file: str = ""
    """YAML: which `groups` of the identity provider give which roles (operations.md). Empty: roles are given here."""

    @property
    def plain(self) -> bool:
        """Whether people would reach us over a network without https; on this machine alone there is no network."""
        parts = urlsplit(self.public_url)
        host = parts.hostname or ""
        here = host in {"localhost", "::1"} or host.startswith("127.") or host.endswith(".localhost")
        return parts.scheme != "https" and not here

    @property
    def unencrypted(self) -> tuple[str, ...]:
        """The settings that lead over a network to a backend whose certificate nobody verifies."""
        found = [("BROKER_DATABASE_URL", self.database_url), ("BROKER_MIGRATION_URL", self.migration_url)]
        postgres = [name for name, url in found if _travels(url) and not _verified_postgres(url)]
        redis = _travels(self.redis_url) and not _verified_redis(self.redis_url)
        return (*postgres, *(["BROKER_REDIS_URL"] if redis else []))

    @property
    def embedded(self) -> bool:
        """Whether workers are threads of the web process."""
        return not self.redis_url


def settings_from(environment: Mapping[str, str]) -> Settings:
    """The settings an environment tells. Raises ``OperatorProblem`` ``config.invalid`` naming the variable."""
    kinds = {PREFIX + field.name.upper(): field for field in fields(Settings)}
    values: dict[str, str | int | float] = {}
    for name, text in environment.items():
        if not name.startswith(PREFIX) or name in _FOREIGN:
            continue
        if name not in kinds:
            raise OperatorProblem("config.invalid", got=name, expected="a known setting")
        values[kinds[name].name] = _read(name, text, str(kinds[name].type))
    return Settings(**values)  # type: ignore[arg-type]  # each was read as its field's type


def require_sense(settings: Settings) -> None:
    """Raises ``OperatorProblem`` ``config.invalid`` for what each setting allows and they together do not."""
    if settings.totp_neighbours not in {0, 1}:
        raise OperatorProblem("config.invalid", got="BROKER_TOTP_NEIGHBOURS", expected="0 or 1")
    if settings.backend_tls not in {"", "verify"}:
        raise OperatorProblem("config.invalid", got="BROKER_BACKEND_TLS", expected="verify")
    if settings.backend_tls and settings.unencrypted:
        expected = "sslmode=verify-full, or rediss:// with ssl_cert_reqs=required"
        raise OperatorProblem("config.invalid", got=", ".join(settings.unencrypted), expected=expected)
    if bool(settings.tls_certificate_file) != bool(settings.tls_key_file):
        raise OperatorProblem("config.invalid", got="BROKER_TLS_CERTIFICATE_FILE", expected="with BROKER_TLS_KEY_FILE")


def _travels(url: str) -> bool:
    """Whether a URL leads off this machine."""
    parts = urlsplit(url)
    if parts.scheme.startswith("sqlite") or parts.scheme in {"", "redis+socket", "unix"}:
        return False
    asked = [parts.netloc.rpartition("@")[2], *parse_qs(parts.query).get("host", [])]
    hosts = [_HOST.match(one).group(1) for text in asked for one in text.split(",") if one]  # type: ignore[union-attr]
    return not hosts or not all(one in {"localhost", "[::1]", "::1"} or one.startswith(("127.", "/")) for one in hosts)


def _verified_postgres(url: str) -> bool:
    return parse_qs(urlsplit(url).query).get("sslmode") == ["verify-full"]


def _verified_redis(url: str) -> bool:
    parts = urlsplit(url)
    asked = parse_qs(parts.query)
    return parts.scheme == "rediss" and asked.get("ssl_cert_reqs", ["required"])[-1] in {"required", "CERT_REQUIRED"}


def _read(name: str, text: str, kind: str) -> str | int | float:
    try:
        if kind == "int":
            return int(text)
        return float(text) if kind == "float" else text
    except ValueError as error:
        raise OperatorProblem("config.invalid", got=name, expected=kind) from error
