"""Keys of every algorithm: files, JWKs, ids, and the signed documents made with them."""

from __future__ import annotations

import base64
import stat
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from broker.core.envelope import Algorithm, Verifier, b64, canonical, seal, unb64, unseal
from broker.core.errors import CallerProblem, OperatorProblem, Problem
from broker.signing import ed25519, keys

MESSAGE = b"a message of some length"
TYPE = "receipt+jws"
KEYS = {algorithm: keys.generate(algorithm) for algorithm in Algorithm}

# RFC 9421 appendix B.1.3, B.1.4
RFC_ED25519_PRIVATE = b"""-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF
-----END PRIVATE KEY-----
"""
RFC_ED25519_PUBLIC = b"""-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAJrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=
-----END PUBLIC KEY-----
"""
RFC_P256_PUBLIC = b"""-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEqIVYZVLCrPZHGHjP17CTW0/+D9Lf
w0EkjqF7xB4FivAxzic30tMM4GF+hR6Dxh71Z50VGGdldkkDXZCnTNnoXQ==
-----END PUBLIC KEY-----
"""


def refused(because: str) -> Any:
    """A key that cannot be used, and what it should have been."""
    return pytest.raises(
        OperatorProblem, check=lambda problem: problem.code == "key.unusable" and because in problem.expected
    )


@pytest.fixture(params=list(Algorithm), ids=str)
def key(request: pytest.FixtureRequest) -> keys.PrivateKey:
    return KEYS[request.param]


def test_what_a_key_signs_its_verifier_accepts_and_no_other_message(key: keys.PrivateKey) -> None:
    signature = key.sign(MESSAGE)
    assert len(signature) == 64
    assert key.verifier().verify(MESSAGE, signature)
    assert not key.verifier().verify(MESSAGE + b".", signature)
    assert not key.verifier().verify(MESSAGE, signature[:-1])
    assert not key.verifier().verify(MESSAGE, signature + b"\x00")
    assert not key.verifier().verify(MESSAGE, bytes(64))
    assert not key.verifier().verify(MESSAGE, b"")


def test_a_saved_private_key_loads_as_itself(key: keys.PrivateKey) -> None:
    again = keys.load_private(keys.private_pem(key))
    assert type(again) is type(key)
    assert (again.public, again.key_id, again.algorithm) == (key.public, key.key_id, key.algorithm)
    assert key.verifier().verify(MESSAGE, again.sign(MESSAGE))


def test_a_saved_public_key_loads_as_itself(key: keys.PrivateKey) -> None:
    verifier = keys.load_public(keys.public_pem(key))
    assert (verifier.public, verifier.key_id, verifier.algorithm) == (key.public, key.key_id, key.algorithm)
    assert verifier.verify(MESSAGE, key.sign(MESSAGE))
    assert keys.public_pem(verifier) == keys.public_pem(key)


def test_a_raw_public_key_is_enough_for_a_verifier(key: keys.PrivateKey) -> None:
    assert keys.public_key(key.algorithm, key.public).verify(MESSAGE, key.sign(MESSAGE))


def test_a_key_file_is_for_its_owner_alone_and_never_overwritten(key: keys.PrivateKey, tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    keys.save_private(path, key)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_bytes() == keys.private_pem(key)
    with pytest.raises(FileExistsError):
        keys.save_private(path, KEYS[Algorithm.P256])
    assert path.read_bytes() == keys.private_pem(key)


def test_repr_and_str_name_the_key_and_show_nothing_of_it(key: keys.PrivateKey) -> None:
    der = key.pkcs8()
    start = 16 if key.algorithm is Algorithm.ED25519 else 36
    secret = der[start : start + 32]
    shown = f"{key!r} {key} {key.verifier()!r}"
    assert key.key_id in shown
    spellings = (secret.hex(), b64(secret), repr(secret), str(int.from_bytes(secret, "big")))
    assert not any(spelling in shown for spelling in spellings)


def test_a_given_id_is_kept_everywhere(key: keys.PrivateKey) -> None:
    named = keys.load_private(keys.private_pem(key), "zaozhuang/2026-1")
    assert named.key_id == named.verifier().key_id == keys.jwk(named)["kid"] == "zaozhuang/2026-1"
    assert keys.load_public(keys.public_pem(key), "zaozhuang/2026-1").key_id == "zaozhuang/2026-1"


@pytest.mark.parametrize("key_id", [" ", "a b", 'a"', "a;b", "a,b", "键", "a\n", "x" * 129, "\\"])
def test_an_id_that_could_break_a_header_is_refused(key_id: str) -> None:
    with refused("a key id"):
        keys.generate(Algorithm.ED25519, key_id)
    with refused("a key id"):
        keys.load_public(RFC_ED25519_PUBLIC, key_id)


def test_rfc_9421_ed25519_example_is_signed_and_verified_byte_for_byte() -> None:
    """Appendix B.2.6: its parts are not our profile's, its key and signature are."""
    base = (
        b'"date": Tue, 20 Apr 2021 02:07:55 GMT\n"@method": POST\n"@path": /foo\n"@authority": example.com\n'
        b'"content-type": application/json\n"content-length": 18\n'
        b'"@signature-params": ("date" "@method" "@path" "@authority" "content-type" "content-length")'
        b';created=1618884473;keyid="test-key-ed25519"'
    )
    signature = "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw=="
    assert base64.b64encode(keys.load_private(RFC_ED25519_PRIVATE).sign(base)).decode() == signature
    assert keys.load_public(RFC_ED25519_PUBLIC).verify(base, base64.b64decode(signature))


def test_rfc_9421_p256_example_verifies() -> None:
    """Appendix B.2.4."""
    base = (
        b'"@status": 200\n"content-type": application/json\n'
        b'"content-digest": sha-512=:mEWXIS7MaLRuGgxOBdODa3xqM1XdEvxoYhvlCFJ41QJgJc4GTsPp29l5oGX69wWdXymyU0rjJuahq4l5'
        b'aGgfLQ==:\n"content-length": 23\n'
        b'"@signature-params": ("@status" "content-type" "content-digest" "content-length")'
        b';created=1618884473;keyid="test-key-ecc-p256"'
    )
    signature = "wNmSUAhwb5LxtOtOpNa6W5xj067m5hFrj0XQ4fvpaCLx0NKocgPquLgyahnzDnDAUy5eCdlYUEkLIj+32oiasw=="
    assert keys.load_public(RFC_P256_PUBLIC).verify(base, base64.b64decode(signature))


def test_the_default_id_is_the_rfc_7638_thumbprint() -> None:
    """RFC 8037 appendix A.3."""
    public = unb64("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")
    assert keys.public_key(Algorithm.ED25519, public).key_id == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_a_published_key_set_gives_back_its_verifiers() -> None:
    published = keys.jwks(KEYS.values())
    assert "d" not in {member for jwk in published["keys"] for member in jwk}
    found = keys.from_jwks(published)
    assert list(found) == [key.key_id for key in KEYS.values()]
    for key in KEYS.values():
        assert found[key.key_id].verify(MESSAGE, key.sign(MESSAGE))
    assert keys.jwks(found.values()) == published


def test_a_key_set_may_hold_kinds_we_do_not_know() -> None:
    published: dict[str, Any] = {"keys": [{"kty": "AKP", "alg": "ML-DSA-65"}, keys.jwk(KEYS[Algorithm.SM2])]}
    assert list(keys.from_jwks(published)) == [KEYS[Algorithm.SM2].key_id]


def test_two_keys_with_one_id_are_refused() -> None:
    jwk = keys.jwk(KEYS[Algorithm.ED25519])
    with refused("one key to an id"):
        keys.from_jwks({"keys": [jwk, jwk]})


@pytest.mark.parametrize("document", [{}, {"keys": {}}, {"keys": [1]}, {"keys": None}])
def test_what_is_not_a_key_set_is_refused(document: dict[str, Any]) -> None:
    with refused("a JWK set"):
        keys.from_jwks(document)


@pytest.mark.parametrize(
    ("change", "because"),
    [
        ({"d": "AAAA"}, "without d"),
        ({"use": "enc"}, "use sig"),
        ({"alg": "none"}, "use sig"),
        ({"alg": "HS256"}, "use sig"),
        ({"crv": "secp256k1"}, "a key for EdDSA, ES256, SM2-SM3"),
        ({"x": "AAAA"}, "32 bytes"),
        ({"x": 7}, "32 bytes"),
        ({"x": None}, "32 bytes"),
        ({"x": "=" * 43}, "base64url"),
        ({"kid": 7}, "a key id"),
        ({"kid": "a b"}, "a key id"),
    ],
    ids=str,
)
def test_a_jwk_that_means_something_else_is_refused(key: keys.PrivateKey, change: dict[str, Any], because: str) -> None:
    with refused(because):
        keys.from_jwk(keys.jwk(key) | change)


@pytest.mark.parametrize("algorithm", [Algorithm.P256, Algorithm.SM2])
def test_a_jwk_off_the_curve_is_refused(algorithm: Algorithm) -> None:
    with refused("a point"):
        keys.from_jwk(keys.jwk(KEYS[algorithm]) | {"y": b64(bytes(32))})


def test_an_r_or_s_longer_than_its_32_bytes_is_refused(key: keys.PrivateKey) -> None:
    signature = key.sign(MESSAGE)
    assert not key.verifier().verify(MESSAGE, signature[:32] + b"\x00" + signature[32:])


def test_a_point_of_one_curve_is_not_a_key_of_the_other() -> None:
    with refused("a point of the SM2 curve"):
        keys.public_key(Algorithm.SM2, KEYS[Algorithm.P256].public)
    with refused("a point of P-256"):
        keys.public_key(Algorithm.P256, KEYS[Algorithm.SM2].public)


@pytest.mark.parametrize("algorithm", [Algorithm.P256, Algorithm.SM2])
def test_a_point_has_one_spelling_only(algorithm: Algorithm) -> None:
    """Compressed and hybrid forms would give one key several thumbprints."""
    public = KEYS[algorithm].public
    parity = public[-1] & 1
    for other in (bytes((2 + parity,)) + public[1:33], bytes((6 + parity,)) + public[1:]):
        with refused("65 bytes uncompressed"):
            keys.public_key(algorithm, other)


@pytest.mark.parametrize("y", sorted(ed25519._SMALL_ORDER), ids=bytes.hex)
@pytest.mark.parametrize("sign", [0, 0x80])
def test_an_ed25519_key_under_which_everything_verifies_is_refused(y: bytes, sign: int) -> None:
    with refused("an Ed25519 public key"):
        keys.public_key(Algorithm.ED25519, y[:31] + bytes((y[31] | sign,)))


def test_such_a_key_would_indeed_accept_a_signature_nobody_made() -> None:
    """The reason for the list: with the neutral element as key and R, and S = 0, every message verifies."""
    neutral = b"\x01" + bytes(31)
    weak = Ed25519PublicKey.from_public_bytes(neutral)
    weak.verify(neutral + bytes(32), b"I owe you everything")


def foreign_pem(private: Any) -> bytes:
    return bytes(
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )


def test_keys_of_algorithms_we_do_not_speak_are_named_as_such() -> None:
    for private in (rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP384R1())):
        with refused("a key for"):
            keys.load_private(foreign_pem(private))
        public = private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        with refused("a key for"):
            keys.load_public(public)


def test_public_and_private_files_are_not_mistaken_for_each_other(key: keys.PrivateKey) -> None:
    with refused("PUBLIC KEY"):
        keys.load_public(keys.private_pem(key))
    with refused("PRIVATE KEY"):
        keys.load_private(keys.public_pem(key))


def test_an_encrypted_key_file_is_named_as_such() -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    pem = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"password"),
    )
    with refused("PRIVATE KEY"):
        keys.load_private(pem)


def test_broken_key_files_are_refused(key: keys.PrivateKey) -> None:
    pem = keys.private_pem(key)
    for broken in (b"", pem[:-30], pem + pem, pem.replace(b"\n", b"\n=", 1), key.pkcs8()):
        with refused(""):
            keys.load_private(broken)
    cut = base64.b64encode(key.pkcs8()[:-5])
    with refused("private key in PKCS#8"):
        keys.load_private(b"-----BEGIN PRIVATE KEY-----\n" + cut + b"\n-----END PRIVATE KEY-----\n")


@given(st.binary(max_size=300))
def test_random_bytes_in_a_key_file_are_an_operators_problem(data: bytes) -> None:
    heads = [b"", *(family.spki_prefix for family in keys._FAMILIES.values())]
    for body in (head + data for head in heads):
        for label, load in ((b"PRIVATE KEY", keys.load_private), (b"PUBLIC KEY", keys.load_public)):
            pem = keys._wrap(body, label)
            try:
                loaded = load(pem)
            except OperatorProblem:
                continue
            assert keys.public_pem(loaded) == pem  # 32 random bytes may well be an Ed25519 key


# ---- signed documents ----


def sealed(key: keys.PrivateKey) -> tuple[str, dict[str, Verifier]]:
    return seal(b'{"outcome":"exempt"}', key, TYPE), {key.key_id: key.verifier()}


def refusal(token: str, known: dict[str, Verifier], typ: str = TYPE) -> str:
    with pytest.raises(CallerProblem) as caught:
        unseal(token, known, typ)
    return caught.value.code


def with_header(token: str, **changes: Any) -> str:
    _, payload, signature = token.split(".")
    header = canonical({"alg": "EdDSA", "kid": "k", "typ": TYPE} | changes)
    return f"{b64(header)}.{payload}.{signature}"


def test_a_sealed_document_opens_to_the_same_bytes(key: keys.PrivateKey) -> None:
    token, known = sealed(key)
    assert unseal(token, known, TYPE) == b'{"outcome":"exempt"}'


def test_every_character_of_a_sealed_document_counts(key: keys.PrivateKey) -> None:
    token, known = sealed(key)
    for position in range(0, len(token), 3):
        changed = token[:position] + ("A" if token[position] != "A" else "B") + token[position + 1 :]
        with pytest.raises(CallerProblem):
            unseal(changed, known, TYPE)


def test_each_part_of_a_sealed_document_is_bound(key: keys.PrivateKey) -> None:
    token, known = sealed(key)
    header, payload, signature = token.split(".")
    other = seal(b'{"outcome":"refused"}', key, TYPE).split(".")
    assert refusal(f"{header}.{other[1]}.{signature}", known) == "envelope.signature"
    assert refusal(f"{header}.{payload}.{other[2]}", known) == "envelope.signature"
    assert refusal(f"{header}.{payload}.", known) == "envelope.signature"
    assert refusal(f"{header}.{payload}", known) == "envelope.malformed"
    assert refusal(token, known, "edition+jws") == "envelope.type"
    assert refusal(token, {}) == "envelope.unknown-key"


def test_the_key_decides_the_algorithm_of_a_sealed_document(key: keys.PrivateKey) -> None:
    token, known = sealed(key)
    for alg in {"none", "HS256", "EdDSA", "ES256", "SM2-SM3"} - {key.algorithm.value}:
        assert refusal(with_header(token, kid=key.key_id, alg=alg), known) == "envelope.algorithm"


def test_no_header_parameter_can_be_smuggled_in(key: keys.PrivateKey) -> None:
    token, known = sealed(key)
    mine = {"kid": key.key_id, "alg": key.algorithm.value}
    assert refusal(with_header(token, **mine, jku="https://attacker.example/"), known) == "envelope.malformed"
    assert refusal(with_header(token, **mine, jwk={}), known) == "envelope.malformed"


def test_another_key_under_the_same_id_does_not_open_it(key: keys.PrivateKey) -> None:
    token, _ = sealed(key)
    impostor = keys.generate(key.algorithm, key.key_id)
    assert refusal(token, {key.key_id: impostor.verifier()}) == "envelope.signature"


@given(st.text(max_size=200))
def test_random_text_in_place_of_a_sealed_document_is_a_callers_problem(text: str) -> None:
    with pytest.raises(Problem) as caught:
        unseal(text, {}, TYPE)
    assert isinstance(caught.value, CallerProblem)
