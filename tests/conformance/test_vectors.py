"""The product and the independent verifier judge every golden vector alike, and as the vector says."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from broker.cli import main
from broker.core.cosignature import witness_key
from broker.core.edition import verify_edition
from broker.core.errors import Problem
from broker.core.log_export import verify_export
from broker.core.receipt import bundle_from, verify_bundle
from broker.signing import keys
from broker.signing.ed25519 import Ed25519Verifier
from tests.conformance import independent_verifier, make_vectors

DOCUMENT = json.loads(make_vectors.VECTORS.read_text("utf-8"))
KEYS, VECTORS = DOCUMENT["keys"], DOCUMENT["vectors"]
RECEIPT_KEYS, LOG_KEYS = keys.from_jwks(KEYS, "receipt"), list(keys.from_jwks(KEYS, "log").values())
WITNESSES = [(one := witness_key(text), Ed25519Verifier(one.public, one.name)) for text in DOCUMENT["witnesses"]]
VERIFIER = Path(independent_verifier.__file__)


def product(vector: dict[str, Any]) -> dict[str, Any]:
    """What the product finds proved."""
    data = vector["data"].encode()
    if vector["kind"] == "edition":
        return {"number": verify_edition(data, vector["seal"], RECEIPT_KEYS).number}
    if vector["kind"] == "export":
        export = verify_export(data.splitlines(keepends=True), LOG_KEYS, WITNESSES)
        return {"log": export.log, "size": export.size, "entries": export.entries, "whole": export.whole,
                "seen": [one.witness for one in export.seen]}  # fmt: skip
    found = verify_bundle(bundle_from(data), RECEIPT_KEYS, LOG_KEYS, WITNESSES)
    told = {"verification": found.payload["verification"], "position": found.position}
    return told if found.position is None else told | {"size": found.size, "seen": [one.witness for one in found.seen]}


def independent(vector: dict[str, Any]) -> dict[str, Any]:
    """What the other one finds proved."""
    data, witnesses = vector["data"].encode(), [independent_verifier.witness_from(one) for one in DOCUMENT["witnesses"]]
    if vector["kind"] == "edition":
        return independent_verifier.edition(data, KEYS, vector["seal"])
    judge = {"receipt": independent_verifier.receipt, "export": independent_verifier.export}[vector["kind"]]
    return judge(data, KEYS, witnesses)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_both_judge_the_vector_as_it_says(vector: dict[str, Any]) -> None:
    if vector["good"]:
        assert product(vector) == independent(vector)
        return
    with pytest.raises(Problem):
        product(vector)
    with pytest.raises(Exception):  # noqa: B017, PT011 - any of them means that it is not proved
        independent(vector)


def test_there_are_at_least_sixty_and_each_has_its_name() -> None:
    assert len(VECTORS) >= 60
    assert len({one["name"] for one in VECTORS}) == len(VECTORS)
    assert {one["good"] for one in VECTORS if one["kind"] == "export"} == {True, False}


def test_what_is_committed_is_what_the_generator_makes() -> None:
    """Signatures may differ, names and judgements may not; and the vectors made now are judged alike too."""
    made = make_vectors.document()
    assert (made["keys"], made["witnesses"]) == (KEYS, DOCUMENT["witnesses"])
    judged: Callable[[dict[str, Any]], tuple[str, str, bool]] = lambda one: (one["name"], one["kind"], one["good"])  # noqa: E731
    assert list(map(judged, made["vectors"])) == list(map(judged, VECTORS))


def test_a_witness_is_seen_only_where_it_signed() -> None:
    seen = {one["name"]: product(one)["seen"] for one in VECTORS if one["good"] and "witness" in one["name"]}
    assert seen == {
        "bundle with a witness": [make_vectors.WITNESS],
        "bundle with an unknown witness": [],
        "export with a witness": [make_vectors.WITNESS],
        "bundle signed by a revoked key of the log alone, which a witness had seen before": [make_vectors.WITNESS],
        "export signed by a revoked key of the log, which a witness had seen before": [make_vectors.WITNESS],
    }


def test_the_independent_verifier_is_short_and_imports_nothing_of_ours() -> None:
    text = VERIFIER.read_text("utf-8")
    assert len(text.splitlines()) <= 250
    imported = {line.split()[1].split(".")[0] for line in text.splitlines() if line.startswith(("import ", "from "))}
    assert imported - sys.stdlib_module_names == {"cryptography"}


@pytest.mark.parametrize("name", ["bundle with a witness", "bundle: an altered entry", "export of the whole log"])
def test_both_commands_say_the_same(name: str, tmp_path: Path) -> None:
    vector = next(one for one in VECTORS if one["name"] == name)
    file, key_set, names = (tmp_path / one for one in ("proof", "keys.json", "witnesses.txt"))
    file.write_text(vector["data"], "utf-8")
    key_set.write_text(json.dumps(KEYS))
    names.write_text("\n".join(DOCUMENT["witnesses"]))
    given = [str(file), "--keys", str(key_set), "--witness-keys", str(names)]
    other = subprocess.run(
        [sys.executable, "-I", str(VERIFIER), vector["kind"], *given], capture_output=True, check=False
    )
    words = ["receipt", "verify"] if vector["kind"] == "receipt" else ["log", "verify-export"]
    ours: Result = CliRunner().invoke(main, [*words, *given])
    assert (other.returncode == 0, ours.exit_code == 0) == (vector["good"], vector["good"])
