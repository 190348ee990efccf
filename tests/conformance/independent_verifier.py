"""Verifies what the broker signs; written from docs/proof.md and schemas/ alone, and importing nothing of the broker.

    python independent_verifier.py receipt|edition|export FILE --keys JWKS [--seal SEAL] [--witness-keys NAMES]
Ends with 0 and what is proved, or with 1. As a module: any exception means that it is not proved.
"""

from __future__ import annotations

import argparse
import base64
import csv
import hashlib
import json
import re
import sys
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

LIFE = {"not_before": "", "not_after": "9999-12-31", "revoked_at": "9999-12-31"}  # of a key that says nothing of it
Key = tuple[str, bytes, dict[str, Any]]  # the algorithm, or a witness's name, the raw public key, the key's member


def must(holds: object, why: str) -> bool:
    if not holds:
        raise ValueError(why)
    return True


def unb64(text: str, alphabet: bytes = b"+/") -> bytes:
    """Base64, or with ``-_`` base64url without padding; one spelling of each value."""
    padded = text + "=" * (-len(text) % 4) * (alphabet == b"-_")
    data = base64.b64decode(padded, altchars=alphabet, validate=True)
    must(text == base64.b64encode(data, altchars=alphabet).decode().rstrip("=" * (alphabet == b"-_")), "spelling")
    return data


def strict(data: bytes) -> dict[str, Any]:
    """An object of JSON without duplicate keys and NaN."""
    unique = lambda pairs: must(len(dict(pairs)) == len(pairs), "a key twice") and dict(pairs)  # noqa: E731
    document = json.loads(data.decode(), object_pairs_hook=unique, parse_constant=lambda text: must(not text, text))
    must(isinstance(document, dict), "not an object")
    return dict(document)


# SM2 (GB/T 32918), which cryptography does not have
P = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF
B = 0x28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93
N = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123
GX = 0x32C4AE2C1F1981195F9904466A39C9948FE30BBFF2660BE1715A4589334C74C7
GY = 0xBC3736A2F4F6779C59BDCEE36B692153D0A9877CC62A474002DF32E52139F0A0
Point = tuple[int, int] | None


def add(one: Point, two: Point) -> Point:
    if one is None or two is None:
        return one or two
    (x1, y1), (x2, y2) = one, two
    if x1 == x2 and (y1 + y2) % P == 0:
        return None
    slope = 3 * (x1 * x1 - 1) * pow(2 * y1, -1, P) if one == two else (y2 - y1) * pow(x2 - x1, -1, P)
    x3 = (slope * slope - x1 - x2) % P
    return x3, (slope * (x1 - x3) - y1) % P


def times(factor: int, point: Point) -> Point:
    rest = times(factor >> 1, add(point, point)) if factor else None
    return add(rest, point) if factor & 1 else rest


def check_sm2(public: bytes, message: bytes, r: int, s: int) -> None:
    x, y = int.from_bytes(public[1:33], "big"), int.from_bytes(public[33:], "big")
    must(x < P and y < P and (y * y - x * x * x + 3 * x - B) % P == 0 and 0 < r < N and 0 < s < N, "range")
    curve = b"".join(value.to_bytes(32, "big") for value in (P - 3, B, GX, GY, x, y))
    za = hashlib.new("sm3", b"\x00\x801234567812345678" + curve).digest()
    point = add(times(s, (GX, GY)), times((r + s) % N, (x, y)))
    e = int.from_bytes(hashlib.new("sm3", za + message).digest(), "big")
    must(point and (r + s) % N and (e + point[0]) % N == r, "signature")


def check(key: Key, message: bytes, signature: bytes) -> None:
    algorithm, public, _ = key
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    must(len(signature) == 64, "signature")
    if algorithm == "SM2-SM3":
        check_sm2(public, message, r, s)
    elif algorithm == "EdDSA":
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    else:
        point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), public)
        point.verify(encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA256()))


KINDS = {("OKP", "Ed25519"): "EdDSA", ("EC", "P-256"): "ES256", ("EC", "SM2"): "SM2-SM3"}


def keys_of(jwks: dict[str, Any], role: str) -> dict[str, Key]:
    found: dict[str, Key] = {}
    for one in jwks["keys"]:
        algorithm = KINDS.get((one.get("kty"), one.get("crv")))
        if algorithm and role in one["roles"]:
            must(one["alg"] == algorithm and one["kid"] not in found, "key set")
            raw = [unb64(one[name], b"-_") for name in ("x", "y") if name in one]
            found[one["kid"]] = algorithm, b"\x04" * (len(raw) - 1) + b"".join(raw), {**LIFE, **one}
    return found


def unseal(token: str, keys: dict[str, Key], typ: str) -> tuple[dict[str, Any], dict[str, Any]]:
    head, payload, signature = [unb64(part, b"-_") for part in token.split(".")] if token.count(".") == 2 else [b""] * 3
    header = strict(head)
    key = keys[header["kid"]]  # which decides the algorithm
    must(header.keys() == {"alg", "kid", "typ"} and (header["typ"], header["alg"]) == (typ, key[0]), "header")
    check(key, token.rpartition(".")[0].encode(), signature)
    return strict(payload), key[2]


TYPES = {"EdDSA": b"\x01", "SM2-SM3": b"\xffexemption-broker/note/SM2-SM3", "ES256": b"\xffexemption-broker/note/ES256"}
LINE = re.compile(r"— ([^\s+\x00-\x1f]+) ([A-Za-z0-9+/=]+)")
SIZE = r"0|[1-9][0-9]{0,17}"
PROOF = re.compile(r"c2sp\.org/tlog-proof@v1\n(?:extra ([A-Za-z0-9+/=]+)\n)?index (" + SIZE + r")\n"
                   r"((?:[A-Za-z0-9+/]{43}=\n){0,63})\n(.+)", re.DOTALL)  # fmt: skip


def key_hash(name: str, kind: bytes, public: bytes) -> bytes:
    return sha256(name.encode() + b"\n" + kind + public).digest()[:4]


def witness_from(line: str) -> Key:
    name, hashed, encoded = line.strip().split("+", 2)
    key = unb64(encoded)
    must(key[:1] == b"\x04" and key_hash(name, b"\x04", key[1:]).hex() == hashed, "witness key")
    return name, key[1:], {}


def checkpoint(note: str, origin: str, keys: dict[str, Key], witnesses: list[Key] | None) -> tuple[Any, ...]:
    text, blank, lines = note.rpartition("\n\n")
    must(blank and lines.endswith("\n") and len(note.encode()) <= 1 << 17, "note")
    must(not re.search(r"[\x00-\x09\x0b-\x1f]", note), "control character")
    text, seen, dates, signed = f"{text}\n", [], [1 << 36], False
    logs = {(origin, key_hash(origin, TYPES[key[0]], key[1])): key for key in keys.values()}
    names = {(name, key_hash(name, b"\x04", public)): public for name, public, _ in witnesses or []}
    found = [match.groups() if (match := LINE.fullmatch(line)) else ("", "") for line in lines[:-1].split("\n")]
    parsed = [((name, unb64(encoded)[:4]), unb64(encoded)[4:]) for name, encoded in found]
    must(all(data for _, data in parsed), "signature line")
    for known, data in sorted(parsed, key=lambda one: one[0] not in names):  # witnesses first
        if known in names:
            dates.append(int.from_bytes(data[:8], "big"))
            check(("EdDSA", names[known], {}), f"cosignature/v1\ntime {dates[-1]}\n{text}".encode(), data[8:])
            seen.append(known[0])
        elif known in logs and min(dates) < datetime.fromisoformat(logs[known][2]["revoked_at"]).timestamp():
            check(logs[known], text.encode(), data)
            signed = True
    told, root = text[:-1].split("\n"), unb64(text.split("\n")[2])
    must(signed and all(told) and told[0] == origin and len(root) == 32 and re.fullmatch(SIZE, told[1]), "checkpoint")
    return int(told[1]), root, seen


def included(entry: bytes, index: int, size: int, path: list[bytes], root: bytes) -> None:
    must(0 <= index < size and all(len(one) == 32 for one in path), "index")
    place, last, found = index, size - 1, sha256(b"\x00" + entry).digest()
    for one in path:
        must(last, "path too long")
        found = sha256(b"\x01" + (one + found if place & 1 or place == last else found + one)).digest()
        while place == last and place and not place & 1:
            place, last = place >> 1, last >> 1
        place, last = place >> 1, last >> 1
    must(last == 0 and found == root, "not included")


def receipt(data: bytes, jwks: dict[str, Any], witnesses: list[Key] | None = None) -> dict[str, Any]:
    bundle = strict(data) if data.strip().startswith(b"{") else {"receipt": data.decode().strip()}
    payload, key = unseal(bundle["receipt"], keys_of(jwks, "receipt"), "exemption-receipt+jws")
    must(key["not_before"] <= payload["decided_at"] < key["not_after"], "not in the key's time")
    if not bundle.get("proof"):
        must(key["revoked_at"] == LIFE["revoked_at"], "the key is revoked")
        return {"verification": payload["verification"], "position": None}
    entry, match = strict(bundle["entry"].encode()), PROOF.fullmatch(bundle["proof"])
    must(entry["receipt"] == sha256(bundle["receipt"].encode()).hexdigest(), "the entry names another receipt")
    must(entry["verification"] == payload["verification"], "the entry is another verification's")
    must(key["not_before"] <= entry["at"] < min(key["not_after"], key["revoked_at"]), "the key's time")
    extra, index, path, note = match.groups() if match else ("", "", "", "")
    must(match and unb64(extra or "") is not None, "proof")
    size, root, seen = checkpoint(note, payload["log"], keys_of(jwks, "log"), witnesses)
    included(bundle["entry"].encode(), int(index), size, [unb64(one) for one in path.split()], root)
    return {"verification": payload["verification"], "position": int(index), "size": size, "seen": seen}


def edition(data: bytes, jwks: dict[str, Any], seal: str) -> dict[str, Any]:
    said, key = unseal(seal, keys_of(jwks, "receipt"), "sharing-list-edition+jws")
    at = said.get("sealed_at", key["not_before"])
    must(key["revoked_at"] == LIFE["revoked_at"] and key["not_before"] <= at < key["not_after"], "time")
    must(said["digest"] == sha256(data).hexdigest(), "another list")
    return {"number": said["number"]}


def rows_of(data: bytes) -> list[dict[str, Any]]:
    names, *rows = csv.reader(map(bytes.decode, data.splitlines(keepends=True)), strict=True)
    must(",".join(names) == "position,at,kind,client,operator,case,entry,proof" and {*map(len, rows)} == {8}, "columns")
    forms = {"#": "{6}", "end": '{{"end":{6}}}'}  # a row as the line of JSON would be
    texts = [forms.get(row[0], '{{"position":{0},"proof":{7}}}').format(*row) for row in rows]
    return [{"entry": row[6], **strict(text.encode())} for row, text in zip(rows, texts, strict=True)]


def export(data: bytes, jwks: dict[str, Any], witnesses: list[Key] | None = None) -> dict[str, Any]:
    head, *lines = map(strict, data.removesuffix(b"\n").split(b"\n")) if data.startswith(b"{") else rows_of(data)
    must(head["export"] == 1 and lines and lines[-1]["end"] == len(lines) - 1, "head or end")
    size, root, seen = checkpoint(head["checkpoint"], head["log"], keys_of(jwks, "log"), witnesses)
    last, peaks, whole = -1, [(64, b"")], head["whole"] is True
    must(size == head["size"] and (not whole or size == len(lines) - 1), "size")
    for line in lines[:-1]:
        must(type(line["position"]) is int and last < line["position"] < size, "places")
        last, height, found = line["position"], 0, sha256(b"\x00" + line["entry"].encode()).digest()
        while peaks[-1][0] == height:
            height, found = height + 1, sha256(b"\x01" + peaks.pop()[1] + found).digest()
        peaks.append((height, found))
        if not whole:
            included(line["entry"].encode(), last, size, [unb64(one) for one in line["proof"]], root)
    made = peaks.pop()[1] if len(peaks) > 1 else sha256(b"").digest()
    while len(peaks) > 1:
        made = sha256(b"\x01" + peaks.pop()[1] + made).digest()
    must(not whole or made == root, "not the log that was signed")
    return {"log": head["log"], "size": size, "entries": len(lines) - 1, "whole": whole, "seen": seen}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=["receipt", "edition", "export"])
    for name in ("file", "--keys", "--seal", "--witness-keys"):
        parser.add_argument(name, type=Path)
    said = parser.parse_args()
    data, jwks = said.file.read_bytes(), json.loads(said.keys.read_bytes())
    names = said.witness_keys.read_text("utf-8").split() if said.witness_keys else []
    try:
        beside: Any = said.seal.read_text("ascii").strip() if said.seal else [*map(witness_from, names)]
        found = globals()[said.kind](data, jwks, beside)
    except (InvalidSignature, csv.Error, LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        sys.exit(f"not proved: {error!r}")
    sys.stdout.write(f"{json.dumps(found)}\n")


if __name__ == "__main__":
    main()
