"""Settings: one frozen object, each field a sentence, and a typing error refuses to start."""

from __future__ import annotations

import ast
import dataclasses
import inspect

import pytest

from broker import config
from broker.config import Settings, require_sense, settings_from
from broker.core.errors import OperatorProblem

FIELDS = dataclasses.fields(Settings)


def test_an_empty_environment_gives_the_embedded_default() -> None:
    settings = settings_from({})
    assert settings == Settings()
    assert settings.embedded
    assert settings.database_url.startswith("sqlite:///")


def test_a_redis_makes_it_a_fleet() -> None:
    assert not settings_from({"BROKER_REDIS_URL": "redis://127.0.0.1/0"}).embedded


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_every_setting_is_read_from_its_variable_as_its_type(field: dataclasses.Field[object]) -> None:
    text, value = {"int": ("7", 7), "float": ("0.5", 0.5), "str": (" x ", " x ")}[str(field.type)]
    assert getattr(settings_from({f"BROKER_{field.name.upper()}": text}), field.name) == value


@pytest.mark.parametrize("field", [one for one in FIELDS if one.type != "str"], ids=lambda field: field.name)
@pytest.mark.parametrize("text", ["", "x", "1,5", "1e", "0x10"])
def test_what_is_no_number_is_refused_by_the_variables_name(field: dataclasses.Field[object], text: str) -> None:
    name = f"BROKER_{field.name.upper()}"
    with pytest.raises(OperatorProblem, match="config.invalid") as caught:
        settings_from({name: text})
    assert caught.value.got == name


@pytest.mark.parametrize("name", ["BROKER_DATABSE_URL", "BROKER_", "BROKER_DATABASE_URL_", "BROKER_database_url"])
def test_an_unknown_variable_refuses_to_start(name: str) -> None:
    with pytest.raises(OperatorProblem, match="config.invalid") as caught:
        settings_from({name: "x"})
    assert caught.value.got == name


def test_other_programs_variables_and_the_tests_own_are_not_ours() -> None:
    foreign = {"PATH": "/bin", "BROKERAGE": "x", "broker_port": "1", "BROKER_TEST_DATABASE_URL": "x"}
    assert settings_from(foreign) == Settings()


def test_only_this_machine_itself_may_be_reached_without_https() -> None:
    for url in (
        "https://broker.example",
        "http://127.0.0.1:8080",
        "http://localhost",
        "http://[::1]:1",
        "http://a.localhost",
    ):
        assert not settings_from({"BROKER_PUBLIC_URL": url}).plain, url
    for url in ("http://broker.example", "http://10.0.0.1", "http://localhost.example", "broker.example"):
        assert settings_from({"BROKER_PUBLIC_URL": url}).plain, url


PLAIN = (
    {"BROKER_DATABASE_URL": "postgresql+psycopg://app@db.example/broker"},
    {"BROKER_DATABASE_URL": "postgresql+psycopg://app@db.example/broker?sslmode=require"},
    {"BROKER_DATABASE_URL": "postgresql+psycopg://app@127.0.0.1:5432,db.example:5432/broker"},
    {"BROKER_DATABASE_URL": "postgresql+psycopg://app@/broker?host=/run/postgresql,db.example"},
    {"BROKER_DATABASE_URL": "postgresql+psycopg:///broker"},  # libpq's own default, which nobody has written down
    {"BROKER_MIGRATION_URL": "postgresql+psycopg://owner@10.0.0.1/broker?sslmode=prefer"},
    {"BROKER_REDIS_URL": "redis://redis:6379/0"},
    {"BROKER_REDIS_URL": "rediss://redis:6379/0?ssl_cert_reqs=none"},
)
ENCRYPTED: tuple[dict[str, str], ...] = (
    {},
    {"BROKER_DATABASE_URL": "postgresql+psycopg://app@db.example/broker?sslmode=verify-full&sslrootcert=/ca.pem"},
    {"BROKER_DATABASE_URL": "postgresql+psycopg://app@127.0.0.1:5432,localhost:5433/broker"},
    {"BROKER_DATABASE_URL": "postgresql+psycopg://app:p%40w@[::1]:5432/broker"},
    {"BROKER_DATABASE_URL": "postgresql+psycopg://app@/broker?host=/run/postgresql"},
    {"BROKER_REDIS_URL": "rediss://redis:6379/0"},
    {"BROKER_REDIS_URL": "redis://localhost:6379/0"},
)


def test_backends_off_this_machine_are_refused_without_verified_tls_where_that_is_asked() -> None:
    asked = {"BROKER_BACKEND_TLS": "verify"}
    for environment in PLAIN:
        require_sense(settings_from(environment))  # not asked
        with pytest.raises(OperatorProblem, match=r"config\.invalid") as caught:
            require_sense(settings_from(environment | asked))
        assert caught.value.got == next(iter(environment)), environment
    for environment in ENCRYPTED:
        require_sense(settings_from(environment | asked))
    for wrong in (
        {"BROKER_BACKEND_TLS": "yes"},
        {"BROKER_TLS_CERTIFICATE_FILE": "a.pem"},
        {"BROKER_TOTP_NEIGHBOURS": "2"},
    ):
        with pytest.raises(OperatorProblem, match=r"config\.invalid"):
            require_sense(settings_from(wrong))


def test_settings_do_not_change_after_they_were_read() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().port = 1  # type: ignore[misc]


def test_a_refusal_names_the_variable_and_never_shows_its_value() -> None:
    with pytest.raises(OperatorProblem) as caught:
        settings_from({"BROKER_PORT": "secret"})
    problem = caught.value
    assert "secret" not in f"{problem!r} {problem} {problem.got} {problem.expected} {problem.pointer}"


def test_each_setting_has_its_sentence() -> None:
    (made,) = (one for one in ast.parse(inspect.getsource(config)).body if isinstance(one, ast.ClassDef))
    told = set()
    for before, after in zip(made.body, made.body[1:], strict=False):
        documented = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
        if isinstance(before, ast.AnnAssign) and isinstance(before.target, ast.Name) and documented:
            told.add(before.target.id)
    assert told == {field.name for field in FIELDS}
