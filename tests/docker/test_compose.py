"""The container files are right as far as that can be known without a container engine."""

from __future__ import annotations

import dataclasses
import itertools
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from broker.cli import main
from broker.config import Settings

REPOSITORY = Path(__file__).parents[2]
DOCKER = REPOSITORY / "docker"
COMPOSE: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
DOCKERFILE = (DOCKER / "Dockerfile").read_text()


def instructions(name: str) -> list[str]:
    """The Dockerfile's instructions of one kind, continuation lines joined."""
    return re.findall(rf"^{name} (.*)$", DOCKERFILE.replace("\\\n", " "), re.MULTILINE)


def test_every_image_is_pinned_by_tag() -> None:
    stages = {line.split()[-1] for line in instructions("FROM") if " AS " in line}
    bases = [base for line in instructions("FROM") if (base := line.split()[0]) not in stages]
    for image in [*bases, *(service["image"] for service in SERVICES.values())]:
        assert re.fullmatch(r"[\w./-]+:[\w.-]*\d[\w.-]*", image), image


@pytest.mark.parametrize("name", sorted(name for name in OURS if name != "sources"))
def test_every_command_is_one_of_the_brokers(name: str) -> None:
    assert OURS[name]["command"][0] in main.commands


def test_the_dockerfile_lists_commands_that_exist() -> None:
    listed = re.search(r"^#   (\w+(?: \| \w+)+)$", DOCKERFILE, re.MULTILINE)
    assert listed is not None
    assert set(listed[1].split(" | ")) <= set(main.commands)


@pytest.mark.parametrize("name", sorted(OURS))
def test_every_variable_is_a_setting(name: str) -> None:
    known = {f"BROKER_{field.name.upper()}" for field in dataclasses.fields(Settings)}
    assert set(OURS[name]["environment"]) <= known


def test_no_password_stands_in_the_file() -> None:
    for name, service in SERVICES.items():
        for variable, value in service.get("environment", {}).items():
            assert re.search(r"://[^/@]*:[^/@]*@", value) is None, f"{name}: {variable}"
            assert "PASSWORD" not in variable or variable.endswith("_FILE"), f"{name}: {variable}"


def test_every_secret_is_a_file_that_the_script_makes(tmp_path: Path) -> None:
    script = DOCKER / "make-secrets"
    subprocess.run([script, tmp_path / "secrets"], check=True, capture_output=True)
    made = {path.name: path.read_bytes() for path in (tmp_path / "secrets").iterdir() if path.is_file()}
    assert {Path(secret["file"]).name for secret in COMPOSE["secrets"].values()} == set(made)
    assert all(stat.S_IMODE((tmp_path / "secrets" / name).stat().st_mode) == 0o600 for name in made)
    owner, app = made["owner_password"].decode(), made["app_password"].decode()
    assert len({owner, app}) == 2
    assert made["app.pgpass"].decode() == f"postgres:5432:broker:broker_app:{app}"
    subprocess.run([script, tmp_path / "secrets"], check=True, capture_output=True)
    assert made == {name: (tmp_path / "secrets" / name).read_bytes() for name in made}


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_what_a_service_names_is_declared(name: str) -> None:
    service = SERVICES[name]
    assert set(service.get("secrets", [])) <= set(COMPOSE["secrets"])
    assert set(service.get("networks", [])) <= set(COMPOSE["networks"])
    assert set(service.get("depends_on", [])) <= set(SERVICES)
    for volume in service.get("volumes", []):
        source = volume.split(":")[0]
        assert source in COMPOSE["volumes"] or source.startswith("./secrets/") or (DOCKER / source).is_file()


@pytest.mark.parametrize("name", sorted(OURS))
def test_our_containers_have_no_rights_to_spare(name: str) -> None:
    service = OURS[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]


def test_only_the_web_process_is_published_and_only_on_this_host() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {"web": ["127.0.0.1:8080:8080"]}


def test_the_image_holds_no_simulated_source_and_works_without(tmp_path: Path) -> None:
    """The default target copies a tree from which both are gone; whatever starts a process can be loaded without."""
    *_, last = re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)
    assert last.split() == ["base", "COPY", "--from=working", "/srv/broker", "/srv/broker"]
    (gone,) = [line for line in instructions("RUN") if line.startswith("rm -rf ")]
    assert gone.split()[2:] == ["broker/sandbox", "broker/demo"]
    left = shutil.ignore_patterns("sandbox", "demo")
    shutil.copytree(REPOSITORY / "broker", tmp_path / "broker", ignore=left)
    loading = (
        "import sys, broker, broker.cli, broker.web.wsgi, broker.worker, broker.witness, broker.housekeeping\n"
        "assert broker.__file__.startswith(sys.argv[1]), broker.__file__\n"
        "assert not [one for one in sys.modules if one.startswith(('broker.sandbox', 'broker.demo'))]\n"
    )
    python = (sys.executable, "-c", loading, str(tmp_path))
    done = subprocess.run(python, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [name for name, one in OURS.items() if one["build"].get("target") == "trial"] == ["sources"]


def test_the_image_does_not_run_as_root() -> None:
    assert instructions("USER") == ["10001"]
    assert DOCKERFILE.index("\nUSER ") < DOCKERFILE.index("\nENTRYPOINT ")


def test_the_image_installs_nothing_that_is_not_locked() -> None:
    installs = [line for line in instructions("RUN") if "pip install" in line]
    assert len(installs) == 2
    assert "--require-hashes" in installs[0]
    assert "--no-deps" in installs[1]
    assert "--no-index" in installs[1]


def test_what_the_image_copies_is_in_the_repository_and_not_ignored() -> None:
    ignored = (REPOSITORY / ".dockerignore").read_text().split()
    copied = [words[:-1] for line in instructions("COPY") if not (words := line.split())[0].startswith("--from")]
    for source in itertools.chain.from_iterable(copied):
        assert (REPOSITORY / source).exists(), source
        assert f"!{source}" in ignored, source
