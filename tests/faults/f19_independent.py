"""Independent verification: our command and the independent verifier's, each a process, judge every golden vector.

The vectors are receipts, bundles, editions and exports, good ones and attacks on them. Each goes through ``broker
receipt verify``, ``broker edition verify`` or ``broker log verify-export``, and through ``independent_verifier.py``,
which shares no line with the broker; an Ed25519 signature of each good receipt is held by OpenSSL's command line, too.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.conformance import independent_verifier, make_vectors
from tests.faults.figure import Figure, Scale, Tally

DEMANDED = "≥ 60 vectors, ≥ 50 of them attacks: both verifiers judge all as they say; OpenSSL agrees on the signatures"
VECTORS, ATTACKS = 60, 50
_OURS = {"receipt": ("receipt", "verify"), "edition": ("edition", "verify"), "export": ("log", "verify-export")}
_SPKI = bytes.fromhex("302a300506032b6570032100")  # what stands before a raw Ed25519 key in SubjectPublicKeyInfo


def run(scale: Scale) -> Figure:
    """Every vector twice, as an auditor would type it."""
    document = json.loads(make_vectors.VECTORS.read_text("utf-8"))
    vectors: Sequence[Mapping[str, Any]] = document["vectors"]
    chosen = vectors[: scale.of(len(vectors), at_least=4)]
    ours, theirs, openssl = Tally(), Tally(), Tally()
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "keys.json").write_text(json.dumps(document["keys"]))
        (folder / "witnesses.txt").write_text("\n".join(document["witnesses"]))
        for vector in chosen:
            given = _given(folder, vector)
            words = ["-m", "broker.cli", *_OURS[vector["kind"]], *given]
            ours.note(f"ours: {vector['name']}", right=_accepted(words) == vector["good"])
            words = ["-I", independent_verifier.__file__, vector["kind"], *given]
            theirs.note(f"theirs: {vector['name']}", right=_accepted(words) == vector["good"])
            if vector["good"] and vector["kind"] == "receipt":
                _with_openssl(folder, vector, document["keys"], openssl)
    attacks = sum(not one["good"] for one in chosen)
    measured = (
        f"{len(chosen)} vectors, {attacks} of them attacks: {ours} judged right by ours, {theirs} by the independent "
        f"one; OpenSSL: {openssl} signatures"
    )
    enough = not scale.whole or (len(chosen) >= VECTORS and attacks >= ATTACKS)
    return Figure("F19", DEMANDED, measured, ours.clean and theirs.clean and openssl.clean and enough)


def _given(folder: Path, vector: Mapping[str, Any]) -> list[str]:
    """The vector as files, and the arguments that both commands share."""
    (folder / "file").write_bytes(vector["data"].encode())
    given = [str(folder / "file"), "--keys", str(folder / "keys.json")]
    if vector["kind"] == "edition":
        (folder / "seal").write_bytes(vector["seal"].encode())
        return [*given, "--seal", str(folder / "seal")]
    return [*given, "--witness-keys", str(folder / "witnesses.txt")]


def _accepted(words: Sequence[str]) -> bool:
    """Whether the command ends with 0; one that breaks down rather than refuses is no judge."""
    done = subprocess.run([sys.executable, *words], capture_output=True, check=False, text=True)
    if "broker.cli" in words and "Traceback" in done.stderr:
        raise AssertionError(f"{' '.join(words[2:4])} broke down")
    return done.returncode == 0


def _with_openssl(folder: Path, vector: Mapping[str, Any], published: Mapping[str, Any], tally: Tally) -> None:
    """The receipt's own signature, by a third program; receipts of other algorithms are left out."""
    data = vector["data"].strip()
    token = json.loads(data)["receipt"] if data.startswith("{") else data
    head, payload, signature = token.split(".")
    says = json.loads(_unb64(head))
    if says["alg"] != "EdDSA":
        return
    key = next(one for one in published["keys"] if one["kid"] == says["kid"])
    (folder / "key.der").write_bytes(_SPKI + _unb64(key["x"]))
    (folder / "signed").write_bytes(f"{head}.{payload}".encode())
    (folder / "signature").write_bytes(_unb64(signature))
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", str(folder / "key.der"), "-keyform", "DER",
               "-rawin", "-in", str(folder / "signed"), "-sigfile", str(folder / "signature")]  # fmt: skip
    done = subprocess.run(command, capture_output=True, check=False)
    tally.note(f"openssl: {vector['name']}", right=done.returncode == 0)


def _unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
