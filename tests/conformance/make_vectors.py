"""Makes the golden vectors: ``python -m tests.conformance.make_vectors``. Keys are fixed, and belong to nobody.

Each vector is a proof, good or bad, with what a verifier needs to judge it; ``why`` says what is wrong with a bad one.
ECDSA and SM2 sign with a random number, so a new run gives other signatures and the same judgements.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from broker.core import checkpoint, merkle
from broker.core.cosignature import WitnessKey, cosign
from broker.core.edition import EDITION_TYPE, digest_of, edition_seal
from broker.core.entry import entry
from broker.core.envelope import Algorithm, Revoked, Signer, b64, canonical, seal, unb64
from broker.core.log_export import Filter, Head, Line, as_csv, as_json_lines
from broker.core.own_key import Dated
from broker.core.receipt import RECEIPT_TYPE, moment, receipt_digest
from broker.signing import der, keys
from broker.signing.ed25519 import SPKI_PREFIX

VECTORS = Path(__file__).parent / "vectors" / "proofs.json"
LOG, WITNESS, NOW = "broker.example/log", "centre.example/witness", datetime(2026, 11, 1, 8, tzinfo=UTC)
SIZE, PLACE, SECONDS = 37, 33, 1_793_520_000
_EC = bytes.fromhex("06072a8648ce3d0201")
_CURVES = {Algorithm.P256: bytes.fromhex("06082a8648ce3d030107"), Algorithm.SM2: bytes.fromhex("06082a811ccf5501822d")}


def fixed_key(algorithm: Algorithm, name: str) -> keys.PrivateKey:
    """The key that everybody can make from a name, and that hence proves nothing to anybody."""
    seed = hashlib.sha256(f"golden vectors, {name}".encode()).digest()
    if algorithm is Algorithm.ED25519:
        identifier, inner = SPKI_PREFIX[2:9], der.element(der.OCTETS, seed)
    else:
        identifier = der.sequence(_EC, _CURVES[algorithm])
        inner = der.sequence(der.integer(b"\1"), der.element(der.OCTETS, seed))
    pkcs8 = der.sequence(der.integer(b"\0"), identifier, der.element(der.OCTETS, inner))
    pem = b"-----BEGIN PRIVATE KEY-----\n" + base64.encodebytes(pkcs8) + b"-----END PRIVATE KEY-----\n"
    return keys.load_private(pem, name)


SIGNERS = {one: fixed_key(one, f"receipt-{one.name.lower()}") for one in Algorithm}
LOG_SIGNERS = [fixed_key(Algorithm.ED25519, "log-ed25519"), fixed_key(Algorithm.SM2, "log-sm2")]
OTHER_LOG = fixed_key(Algorithm.ED25519, "log-stranger")
RETIRED = fixed_key(Algorithm.P256, "receipt-retired")
LEAKED, LEAKED_LOG = (fixed_key(Algorithm.ED25519, name) for name in ("receipt-leaked", "log-leaked"))
REVOKED_AT = NOW + timedelta(hours=1)
TIMED = fixed_key(Algorithm.P256, "receipt-timed")
BEGINS, ENDS = NOW - timedelta(hours=1), NOW + timedelta(hours=1)
STRANGER = fixed_key(Algorithm.ED25519, "stranger")
WITNESS_SIGNER, OTHER_WITNESS = (fixed_key(Algorithm.ED25519, name) for name in ("witness", "other-witness"))
WITNESS_KEY = WitnessKey(WITNESS, WITNESS_SIGNER.public)
VERIFICATION = f"{7:032x}"


def key_set() -> dict[str, Any]:
    """The published keys: of receipts by each algorithm, retired and with a time; of the log; revoked ones."""
    told: list[tuple[Any, str]] = [(one, "receipt") for one in (*SIGNERS.values(), RETIRED)] + [
        (one, "log") for one in LOG_SIGNERS
    ]
    told += [(Revoked(one.verifier(), REVOKED_AT), role) for one, role in ((LEAKED, "receipt"), (LEAKED_LOG, "log"))]
    told.append((Dated(TIMED.verifier(), BEGINS, ENDS), "receipt"))
    return {"keys": [{**keys.published(one), "roles": [role]} for one, role in told]}


def token(signer: Signer = SIGNERS[Algorithm.ED25519], typ: str = RECEIPT_TYPE, **changes: Any) -> str:
    """A receipt; its payload has what verification looks at."""
    payload = {
        "version": 1, "issuer": "broker.example", "verification": VERIFICATION, "client": "approval",
        "request": {"id": "r1", "digest": "0" * 64}, "case": "案-1", "region": "370400", "item": "some-item",
        "applicant": "0" * 32, "edition": {"number": 3, "digest": "0" * 64}, "status": "final",
        "materials": [], "left_out": [],
        "decided_at": "2026-11-01T08:00:00.000Z", "log": LOG,
    } | changes  # fmt: skip
    return seal(canonical(payload), signer, typ)


def header(token: str, **changes: Any) -> str:
    """The same with another header, signed anew by the Ed25519 key."""
    first, payload, _ = token.split(".")
    document = {key: value for key, value in (json.loads(unb64(first)) | changes).items() if value is not None}
    return signed_again(b64(canonical(document)), payload)


def signed_again(first: str, payload: str) -> str:
    """Two parts with a good Ed25519 signature over them."""
    said = f"{first}.{payload}"
    return f"{said}.{b64(SIGNERS[Algorithm.ED25519].sign(said.encode()))}"


@dataclass(frozen=True)
class World:
    """A log with the entry of one receipt in it."""

    receipt: str
    bodies: list[bytes]
    tiles: dict[tuple[int, int], bytes]
    root: bytes
    place: int = PLACE

    @property
    def entry(self) -> bytes:
        """The entry that names the receipt."""
        return self.bodies[self.place]

    def note(self, signers: Sequence[Signer] = LOG_SIGNERS, origin: str = LOG) -> str:
        """The checkpoint."""
        return checkpoint.sign(checkpoint.Checkpoint(origin, len(self.bodies), self.root), signers)

    def path(self, place: int | None = None) -> tuple[bytes, ...]:
        """The inclusion proof of a place, by default the receipt's."""
        place = self.place if place is None else place
        return tuple(merkle.inclusion_proof(place, len(self.bodies), lambda *key: self.tiles[key]))

    def bundle(self, **changes: Any) -> str:
        """The bundle, or what is left of it after changes to receipt, entry, index, path or note."""
        told = {"receipt": self.receipt, "entry": self.entry.decode(), "note": self.note()}
        given: dict[str, Any] = {"index": self.place, "path": self.path(), **told, **changes}
        proof = checkpoint.InclusionProof(given["index"], tuple(given["path"]), given["note"], given.get("extra", b""))
        return json.dumps({"receipt": given["receipt"], "entry": given["entry"], "proof": proof.format()})

    def export(self, places: Sequence[int] | None = None, **changes: Any) -> str:
        """The whole log, or some of its entries with their proofs."""
        wanted = Filter() if places is None else Filter(kind="decided")
        head = Head(LOG, changes.get("size", len(self.bodies)), changes.get("note", self.note()), wanted, NOW)
        found = range(len(self.bodies)) if places is None else places
        lines = [Line(place, self.bodies[place], () if places is None else self.path(place)) for place in found]
        written = as_csv if changes.get("csv") else as_json_lines
        return b"".join(written(head, lines)).decode()


def world(
    signer: Signer = SIGNERS[Algorithm.ED25519],
    size: int = SIZE,
    place: int = PLACE,
    at: datetime = NOW,
    decided_at: datetime = NOW,
) -> World:
    """A log of so many entries with a receipt's at one place."""
    receipt = token(signer, decided_at=moment(decided_at))
    bodies = [entry("asked", NOW, case=f"案-{number}", attempt=1).body for number in range(size)]
    bodies[place] = entry("decided", at, verification=VERIFICATION, receipt=receipt_digest(receipt)).body
    grown = merkle.grow(0, [merkle.leaf_hash(body) for body in bodies], lambda *_: b"")
    return World(receipt, bodies, grown.tiles, grown.root, place)


def receipts() -> list[dict[str, Any]]:
    """Receipts without a log proof."""
    good, (first, payload, signature) = token(), token().split(".")
    wide = b64(b"x" + unb64(signature))
    altered = b64(canonical(json.loads(unb64(payload)) | {"case": "案-2"}))
    twice = b64(b'{"verification":"0","verification":"1"}')
    bad = {
        "altered payload": f"{first}.{altered}.{signature}",
        "signature of another receipt": f"{first}.{payload}.{token(case='b').split('.')[2]}",
        "signature of 65 bytes": f"{first}.{payload}.{wide}",
        "empty signature": f"{first}.{payload}.",
        "alg none": header(good, alg="none"),
        "alg of another key's kind": header(good, alg="ES256"),
        "header without a key id": header(good, kid=None),
        "unknown key": token(STRANGER),
        "a key of the log": token(LOG_SIGNERS[0]),
        "another type": token(typ=EDITION_TYPE),
        "a header member more": header(good, crit=["b64"]),
        "a header with a key twice": signed_again(
            b64(unb64(first)[:-1] + b',"kid":"receipt-ed25519"}'), payload),
        "a header that is no object": signed_again(b64(b"[]"), payload),
        "four parts": f"{good}.",
        "two parts": f"{first}.{payload}",
        "base64 with padding": f"{first}.{payload}.{signature}==",
        "base64 of the standard alphabet": signed_again(first, b64(b'{"a":"???>>>"}').replace("_", "/")),
        "another spelling of the last letter": f"{first}.{payload}.{signature[:-1]}{_next(signature[-1])}",
        "a payload with a key twice": signed_again(first, twice),
        "the key id of another key": header(token(), kid="receipt-p256"),
        "the signature of another algorithm's key": ".".join([*token(RETIRED).split(".")[:2], signature]),
        "empty": "",
        "by a revoked key, without proof": token(LEAKED),
        "made before its key's time": token(TIMED, decided_at=moment(BEGINS - _INSTANT)),
        "made at the end of its key's time": token(TIMED, decided_at=moment(ENDS)),
        "of no time, by a key that has one": token(TIMED, decided_at="today"),
        "text": "no receipt at all",
    }  # fmt: skip
    return [
        *(_vector("receipt", f"receipt by {one.value}", True, token(signer)) for one, signer in SIGNERS.items()),
        _vector("receipt", "receipt by a retired key", True, token(RETIRED)),
        _vector("receipt", "receipt of its key's first moment", True, token(TIMED, decided_at=moment(BEGINS))),
        _vector("receipt", "receipt of its key's last moment", True, token(TIMED, decided_at=moment(ENDS - _INSTANT))),
        _vector("receipt", "receipt in a bundle without proof", True, json.dumps({"receipt": good})),
        *(_vector("receipt", f"receipt: {name}", False, data) for name, data in bad.items()),
    ]


_INSTANT = timedelta(milliseconds=1)


def _next(letter: str) -> str:
    """The letter that differs only in bits which a 64-byte value does not use."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return letters[letters.index(letter) + 1]


def bundles() -> list[dict[str, Any]]:
    """Receipts with a log proof."""
    one, other = world(), world(SIGNERS[Algorithm.P256])
    note, path = one.note(), one.path()
    forged = World(one.receipt, one.bodies, one.tiles, bytes(32))
    line, false_line = (cosign(note, WITNESS, signer, SECONDS) for signer in (WITNESS_SIGNER, OTHER_WITNESS))
    stolen = f"— {WITNESS} " + base64.b64encode(
        WITNESS_KEY.hash + base64.b64decode(line.split()[2])[4:12] + bytes(64)).decode() + "\n"  # fmt: skip
    other_time = (
        f"— {WITNESS} "
        + base64.b64encode(
            WITNESS_KEY.hash + (SECONDS + 1).to_bytes(8, "big") + base64.b64decode(line.split()[2])[12:]
        ).decode()
        + "\n"
    )
    text, _, _ = note.partition("\n\n")
    good = {
        "bundle": one.bundle(),
        "bundle with SM2": world(SIGNERS[Algorithm.SM2]).bundle(),
        "bundle in a log of one entry": world(size=1, place=0).bundle(),
        "bundle with a witness": one.bundle(note=note + line),
        "bundle with an unknown witness": one.bundle(note=note + false_line),
        "bundle with something extra": one.bundle(extra=b"more"),
        "bundle of a key revoked since": world(LEAKED).bundle(),
        "bundle signed by one key of the log, and one revoked": one.bundle(note=one.note([LOG_SIGNERS[0], LEAKED_LOG])),
        "bundle by a key within its time": world(TIMED).bundle(),
        "bundle signed by a revoked key of the log alone, which a witness had seen before": one.bundle(
            note=(old := one.note([LEAKED_LOG])) + cosign(old, WITNESS, WITNESS_SIGNER, SECONDS)
        ),
        "bundle signed by one key of the log": one.bundle(note=one.note(LOG_SIGNERS[:1])),
        "bundle with a stranger's line too": one.bundle(note=checkpoint.signed_also(note, "else.example", [STRANGER])),
    }
    document = json.loads(one.bundle())
    bad = {
        "of a revoked key, its entry of the very moment": world(LEAKED, at=REVOKED_AT).bundle(),
        "of an entry behind the end of its key's time": world(TIMED, at=ENDS).bundle(),
        "of an entry before its key's time": world(TIMED, at=BEGINS - _INSTANT).bundle(),
        "with the entry in its key's time, and itself not": world(TIMED, decided_at=ENDS).bundle(),
        "signed by a revoked key of the log, which a witness saw since": one.bundle(
            note=old + cosign(old, WITNESS, WITNESS_SIGNER, int(REVOKED_AT.timestamp()))),
        "signed by a revoked key of the log, which a witness saw that nobody named": one.bundle(
            note=old + cosign(old, WITNESS, OTHER_WITNESS, SECONDS)),
        "of a revoked key, in a log whose key was revoked too": (both := world(LEAKED)).bundle(
            note=both.note([LEAKED_LOG])),
        "signed by a revoked key of the log alone": one.bundle(note=one.note([LEAKED_LOG])),
        "another receipt": one.bundle(receipt=token(case="b")),
        "an altered entry": one.bundle(entry=one.entry.decode().replace("decided", "refused")),
        "another receipt's entry": one.bundle(entry=other.entry.decode()),
        "another entry of the log": one.bundle(entry=one.bodies[3].decode(), index=3, path=one.path(3)),
        "another index": one.bundle(index=PLACE - 1),
        "an index beyond the log": one.bundle(index=SIZE),
        "a hash less": one.bundle(path=path[:-1]),
        "a hash more": one.bundle(path=(*path, bytes(32))),
        "a hash altered": one.bundle(path=(bytes(32), *path[1:])),
        "hashes exchanged": one.bundle(path=(path[1], path[0], *path[2:])),
        "another root, signed": one.bundle(note=forged.note()),
        "another log's checkpoint": one.bundle(note=one.note(origin="other.example/log")),
        "a checkpoint of a stranger": one.bundle(note=one.note([OTHER_LOG])),
        "a checkpoint by a receipt key": one.bundle(note=one.note([SIGNERS[Algorithm.ED25519]])),
        "a checkpoint without signature": one.bundle(note=f"{text}\n\n"),
        "a checkpoint with another size": one.bundle(note=note.replace(f"\n{SIZE}\n", f"\n{SIZE - 1}\n", 1)),
        "one of two signatures spoilt": one.bundle(note=_spoilt(note)),
        "a size with a zero before it": one.bundle(note=_resigned(text.replace(f"\n{SIZE}\n", f"\n0{SIZE}\n", 1))),
        "a control character": one.bundle(note=_resigned(f"{text}\n\x01")),
        "no line feed at the end": one.bundle(note=note[:-1]),
        "a signature line that is none": one.bundle(note=f"{note}* x y\n"),
        "a witness's forged line": one.bundle(note=note + stolen),
        "a witness's line with another time": one.bundle(note=note + other_time),
        "a proof of another form": json.dumps(document | {"proof": document["proof"].replace("@v1", "@v2")}),
        "an index with a zero before it": json.dumps(
            document | {"proof": document["proof"].replace(f"index {PLACE}", f"index 0{PLACE}")}),
        "a key twice": one.bundle()[:-1] + ', "entry": "{}"}',
        "an entry that is no JSON": one.bundle(entry="decided"),
    }  # fmt: skip
    return [*(_vector("receipt", name, True, data) for name, data in good.items()),
            *(_vector("receipt", f"bundle: {name}", False, data) for name, data in bad.items())]  # fmt: skip


def _resigned(text: str) -> str:
    """A note over any text, signed by the log's keys."""
    whole = f"{text}\n"
    lines = [checkpoint.key_hash(LOG, one) + one.sign(whole.encode()) for one in LOG_SIGNERS]
    return f"{whole}\n" + "".join(f"— {LOG} {base64.b64encode(one).decode()}\n" for one in lines)


def _spoilt(note: str) -> str:
    """The same with the last signature false."""
    head, _, last = note[:-1].rpartition(" ")
    data = base64.b64decode(last)
    return f"{head} {base64.b64encode(data[:-1] + bytes([data[-1] ^ 1])).decode()}\n"


def editions() -> list[dict[str, Any]]:
    """Lists with their seals."""
    body = '{"items":{},"说明":"一份清单"}'.encode()
    good = {one: _sealed(body, signer) for one, signer in SIGNERS.items()}
    seal_, text = good[Algorithm.ED25519], body.decode()
    return [
        *(_vector("edition", f"edition by {one.value}", True, text, seal=told) for one, told in good.items()),
        _vector("edition", "edition: a letter altered", False, text.replace("一", "二"), seal=seal_),
        _vector("edition", "edition: a line feed more", False, f"{text}\n", seal=seal_),
        _vector("edition", "edition: a receipt as seal", False, text, seal=token(digest=digest_of(body))),
        _vector("edition", "edition: sealed by a stranger", False, text,
                seal=_sealed(body, STRANGER)),
        _vector("edition", "edition sealed in its key's time", True, text, seal=_sealed(body, TIMED)),
        _vector("edition", "edition of a seal that tells no time", True, text, seal=_untimed(body, TIMED)),
        _vector("edition", "edition: sealed after its key's time", False, text, seal=_sealed(body, TIMED, ENDS)),
        _vector("edition", "edition: sealed by a revoked key", False, text, seal=_sealed(body, LEAKED)),
        _vector("edition", "edition: the seal altered", False, text, seal=seal_[:-4] + "AAAA"),
    ]  # fmt: skip


def _sealed(body: bytes, signer: Signer, at: datetime = NOW) -> str:
    return edition_seal("broker.example", 3, digest_of(body), NOW, signer, at)


def _untimed(body: bytes, signer: Signer) -> str:
    """As releases sealed whose keys had no time."""
    said = {
        "version": 1,
        "issuer": "broker.example",
        "number": 3,
        "digest": digest_of(body),
        "effective_at": moment(NOW),
    }
    return seal(canonical(said), signer, EDITION_TYPE)


def exports() -> list[dict[str, Any]]:
    """The whole log, and parts of it."""
    one = world()
    whole, some = one.export(), one.export([3, PLACE])
    lines, few = whole.splitlines(keepends=True), some.splitlines(keepends=True)
    empty = one.export([])
    table, part = one.export(csv=True), one.export([3, PLACE], csv=True)
    rows, less = table.splitlines(keepends=True), part.splitlines(keepends=True)

    def joined(parts: Sequence[str]) -> str:
        return "".join(parts)

    good = {
        "export of the whole log": whole,
        "export of two entries": some,
        "export of no entries": empty,
        "export signed by a revoked key of the log, which a witness had seen before": one.export(
            note=(old := one.note([LEAKED_LOG])) + cosign(old, WITNESS, WITNESS_SIGNER, SECONDS)
        ),
        "export with a witness": one.export(note=one.note() + cosign(one.note(), WITNESS, WITNESS_SIGNER, SECONDS)),
        "export of the whole log as CSV": table,
        "export of two entries as CSV": part,
        "export of no entries as CSV": one.export([], csv=True),
        "export as CSV whose readable columns say something else": table.replace(",asked,", ",seen,"),
    }
    bad = {
        "an entry altered": whole.replace("案-17", "案-71", 1),
        "an entry left out": joined([*lines[:9], *lines[10:]]),
        "an entry left out, and not counted": joined([*lines[:9], *lines[10:-1], f'{{"end":{SIZE - 1}}}\n']),
        "the last entry left out": joined([*lines[:-2], f'{{"end":{SIZE - 1}}}\n']),
        "two entries exchanged": joined([*lines[:5], lines[6], lines[5], *lines[7:]]),
        "an entry twice": joined([*lines[:5], lines[4], *lines[5:]]),
        "no end": joined(lines[:-1]),
        "something after the end": joined([*lines, lines[4]]),
        "no head": joined(lines[1:]),
        "another size": whole.replace(f'"size":{SIZE}', f'"size":{SIZE - 1}', 1),
        "part said to be whole": some.replace('"whole":false', '"whole":true', 1),
        "part: an entry altered": some.replace("案-3", "案-4", 1),
        "part: another place": joined([few[0], few[1].replace('"position":3', '"position":4'), *few[2:]]),
        "part: proofs exchanged": joined([few[0], *_exchanged(few[1], few[2]), few[3]]),
        "part: no proof": joined([few[0], json.dumps(json.loads(few[1]) | {"proof": []}) + "\n", *few[2:]]),
        "part: places that descend": joined([few[0], few[2], few[1], few[3]]),
        "a false checkpoint": one.export(note=_spoilt(one.note())),
        "another log": whole.replace('"log":"broker', '"log":"breaker', 1),
        "signed by a revoked key of the log": one.export(note=old),
        "signed by a stranger": one.export(note=one.note([OTHER_LOG])),
        "CSV: an entry altered": table.replace('案-17""', '案-71""', 1),
        "CSV: an entry left out, and not counted": joined([*rows[:9], *rows[10:-1], _end(SIZE - 1)]),
        "CSV: two entries exchanged": joined([*rows[:5], rows[6], rows[5], *rows[7:]]),
        "CSV: no end": joined(rows[:-1]),
        "CSV: something after the end": joined([*rows, rows[4]]),
        "CSV: no head": joined([rows[0], *rows[2:]]),
        "CSV: no columns' names": joined(rows[1:]),
        "CSV: columns exchanged": table.replace("client,operator", "operator,client", 1),
        "CSV: a cell too many": joined([*rows[:4], rows[4].replace("\r\n", ",\r\n"), *rows[5:]]),
        "CSV: a cell too few": joined([*rows[:4], ",".join(rows[4].split(",")[1:]), *rows[5:]]),
        "CSV: a place spelt otherwise": joined([*rows[:4], f"0{rows[4]}", *rows[5:]]),
        "CSV: an end spelt otherwise": joined([*rows[:-1], _end(f"0{SIZE}")]),
        "CSV: a quote that never ends": joined([*rows[:4], rows[4].replace('}",[]', "},[]"), *rows[5:]]),
        "CSV: a bare carriage return": joined([*rows[:4], rows[4].replace(",asked,", ",as\rked,"), *rows[5:]]),
        "CSV: part said to be whole": part.replace('whole"":false', 'whole"":true', 1),
        "CSV: part: another place": joined([*less[:2], f"4{less[2][1:]}", *less[3:]]),
        "CSV: part: no proof": joined([*less[:2], less[2].rpartition(',"[')[0] + ",[]\r\n", *less[3:]]),
    }
    return [*(_vector("export", name, True, data) for name, data in good.items()),
            *(_vector("export", f"export: {name}", False, data) for name, data in bad.items())]  # fmt: skip


def _end(count: object) -> str:
    return f"end,,,,,,{count},\r\n"


def _exchanged(one: str, other: str) -> list[str]:
    first, second = json.loads(one), json.loads(other)
    first["proof"], second["proof"] = second["proof"], first["proof"]
    return [json.dumps(first) + "\n", json.dumps(second) + "\n"]


def _vector(kind: str, name: str, good: bool, data: str, **more: str) -> dict[str, Any]:
    return {"name": name, "kind": kind, "good": good, "data": data, **more}


MAKERS: tuple[Callable[[], list[dict[str, Any]]], ...] = (receipts, bundles, editions, exports)


def document() -> dict[str, Any]:
    """All vectors, and what is published beside them."""
    return {"keys": key_set(), "witnesses": [WITNESS_KEY.text()], "vectors": [one for make in MAKERS for one in make()]}


if __name__ == "__main__":
    VECTORS.write_text(json.dumps(document(), ensure_ascii=False, indent=1) + "\n", "utf-8")
