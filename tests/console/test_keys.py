"""Keys that end: told of on the home page, on the page of keys, by the health check and by a command, in time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from broker.bootstrap import read_client_key, read_references
from broker.cli import main
from broker.core.envelope import Algorithm
from broker.core.errors import OperatorProblem
from broker.flow import own_keys, register
from broker.flow.key_ends import keys_ending
from broker.ports import Client, ClientKey
from broker.signing import keys
from tests.console.kit import House
from tests.flow import kit

NOW = datetime.now(UTC)
PLATFORMS = "platforms:\n  police:\n    endpoint: ''\n    credentials: {app_key: {file: app_key, until: %s}, rid: x}\n"


def days(count: int) -> datetime:
    """So many days from now, and an hour, so that no test rests on the last second."""
    return datetime.now(UTC) + timedelta(days=count, hours=1)


def with_key(house: House, client: str, *ends: datetime | None) -> list[str]:
    """A system with a key for each of these ends; the keys' ids."""
    register.register_client(house.parts, Client(client, f"系统{client}", kit.UNIT, None, "active"))
    made = []
    for end in ends:
        pem = keys.public_pem(keys.generate(Algorithm.ED25519)).decode()
        key_id = keys.load_public(pem.encode()).key_id
        key = ClientKey(client, read_client_key(pem, key_id), NOW - timedelta(days=400), end, None)
        register.register_key(house.parts, key, pem)
        made.append(key_id)
    return made


def ending(house: House) -> list[tuple[str, str]]:
    """Whose keys end soon, and under which name."""
    with house.parts.store.read() as work:
        pulse = work.pulse()
        found = keys_ending(house.parts, house.parts.policy(work, pulse), pulse.now)
    return [(one.whose, one.name) for one in found]


@pytest.fixture
def keyed(small: House, tmp_path: Path) -> House:
    """A house with a key of each kind that ends soon, and others that do not."""
    own_keys.adopt_keys(small.parts, small.office.folder)
    own_keys.limit_key(small.parts, small.parts.signer.key_id, days(20))
    with_key(small, "soon", days(5))
    with_key(small, "just-over", days(-3))
    with_key(small, "later", days(90))
    with_key(small, "replaced", days(5), None)
    with_key(small, "long-gone", days(-200))
    (tmp_path / "app_key").write_text("secret")
    (tmp_path / "platforms.yaml").write_text(PLATFORMS % days(9).date())
    small.parts.references = read_references(tmp_path / "platforms.yaml", small.parts.vault.pseudonym)
    return small


def test_what_ends_soon_or_has_just_ended_is_known_and_nothing_that_has_a_successor(keyed: House) -> None:
    assert ending(keyed) == [
        ("client", "just-over"), ("client", "soon"), ("source", "police · app_key"), ("own", "receipt.pem"),
    ]  # fmt: skip
    keyed.parts.limits = type(keyed.parts.limits)(key_warning_days=1)
    assert ending(keyed) == []


def test_a_revoked_key_is_not_waited_for(keyed: House) -> None:
    register.revoke_key(keyed.parts, with_key(keyed, "other", days(3), days(100))[1], "泄露")
    assert ("client", "other") in ending(keyed), "the one that is left ends soon"


def test_the_operator_is_told_at_home_and_on_the_page(keyed: House) -> None:
    visitor = keyed.http(keyed.account("operator", login="chen"))
    home = visitor.get("/console").text
    assert '<a href="/console/keys"><strong class="count">4</strong>' in home
    assert "1 项逾期" in home
    page = visitor.get("/console/keys").text
    for named in ("系统soon", "just-over", "receipt.pem", "police · app_key", keyed.parts.signer.key_id):
        assert named in page
    assert "secret" not in page
    assert "long-gone" not in page


def test_the_health_check_counts_them_and_names_no_system(keyed: House) -> None:
    answer = keyed.http(None).get("/v1/health")
    assert answer.json["keys_ending"] == {"own": 1, "client": 2, "source": 1}
    assert (answer.json["status"], answer.json["broken"]) == ("ok", [])
    assert "soon" not in answer.text


def test_the_command_lists_them_and_its_status_tells_a_nightly_job(keyed: House) -> None:
    settings = keyed.office.settings
    environment = {"BROKER_DATABASE_URL": settings.database_url, "BROKER_KEYS_FOLDER": settings.keys_folder,
                   "BROKER_PLATFORMS_FILE": settings.platforms_file}  # fmt: skip
    done = CliRunner().invoke(main, ["keys", "ending"], env=environment, catch_exceptions=False)
    assert (done.exit_code, [line.split()[1:3] for line in done.output.splitlines()]) == (
        3, [["client", "just-over"], ["client", "soon"], ["own", "receipt.pem"]],
    )  # fmt: skip
    quiet = CliRunner().invoke(main, ["keys", "ending"], env=environment | {"BROKER_KEY_WARNING_DAYS": "1"})
    assert (quiet.exit_code, quiet.output) == (0, "")


def test_an_end_that_is_no_day_is_a_mistake_in_the_file(small: House, tmp_path: Path) -> None:
    (tmp_path / "app_key").write_text("secret")
    (tmp_path / "platforms.yaml").write_text(PLATFORMS % "soon")
    with pytest.raises(OperatorProblem, match=r"config\.invalid"):
        read_references(tmp_path / "platforms.yaml", small.parts.vault.pseudonym)
