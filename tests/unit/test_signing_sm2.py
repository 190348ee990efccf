"""SM2 and SM3 against the standard's examples, the openssl command and gmalg, a second implementation in Python."""

from __future__ import annotations

import gc
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import gmalg
import pytest
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from hypothesis import given
from hypothesis import strategies as st

from broker.core.errors import OperatorProblem, SourceProblem
from broker.signing import der, keys, sm2

DISTID = "distid:1234567812345678"
MESSAGE = "材料免提交 message to sign".encode()

# GB/T 32918.5-2017, annexes A and C: one key for both
D = "3945208f7b2144b13f36e38ac6d39f95889393692860b51a42fb81ef4df7c5b8"
POINT = bytes.fromhex(
    "04"
    "09f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020"
    "ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13"
)
STANDARD_SIGNATURE = bytes.fromhex(
    "f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3"
    "b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa"
)
STANDARD_C1 = bytes.fromhex(
    "04"
    "04ebfc718e8d1798620432268e77feb6415e2ede0e073c0f4f640ecd2e149a73"
    "e858f9d81e5430a57b36daab8f950a3c64e6ee6a63094d99283aff767e124df0"
)
STANDARD_C2 = bytes.fromhex("21886ca989ca9c7d58087307ca93092d651efa")
STANDARD_C3 = bytes.fromhex("59983c18f809e262923c53aec295d30383b54e39d609d160afcb1908d0bd8766")


def standard_key() -> sm2.Sm2Signer:
    """The standard's example key, from a PKCS#8 without the public point: OpenSSL derives it."""
    inner = bytes.fromhex("302502010104 20".replace(" ", "")) + bytes.fromhex(D)
    body = bytes.fromhex("020100") + sm2.SPKI_PREFIX[2:23] + der.element(der.OCTETS, inner)
    return sm2.Sm2Signer.from_pkcs8(der.element(der.SEQUENCE, body), "standard")


@pytest.fixture(scope="module")
def key() -> sm2.Sm2Signer:
    return sm2.Sm2Signer.generate("k")


def openssl(*arguments: str | Path, at: Path) -> bytes:
    done = subprocess.run(["openssl", *map(str, arguments)], cwd=at, capture_output=True, check=True)
    return done.stdout


def raw(encoded: bytes) -> bytes:
    r, s = decode_dss_signature(encoded)
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def encoded(signature: bytes) -> bytes:
    return encode_dss_signature(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))


@pytest.mark.parametrize("digest", [sm2.sm3, sm2._sm3_by_cryptography], ids=["chosen", "fallback"])
def test_sm3_of_abc_is_the_standard_one(digest: object) -> None:
    assert callable(digest)
    assert digest(b"abc").hex() == "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"


def test_the_standards_key_gives_the_standards_point_and_z() -> None:
    assert standard_key().public == POINT
    assert sm2.z_value(POINT).hex() == "b2e14c5c79c6df5b85f4fe7ed8db7a262b9da7e07ccb0ea9f4747b8ccda8a4f3"


def test_the_standards_signature_verifies() -> None:
    verifier = sm2.Sm2Verifier(POINT, "standard")
    assert verifier.verify(b"message digest", STANDARD_SIGNATURE)
    assert not verifier.verify(b"message digest.", STANDARD_SIGNATURE)


def test_the_standards_ciphertext_decrypts() -> None:
    assert standard_key().decrypt(STANDARD_C1 + STANDARD_C2 + STANDARD_C3) == b"encryption standard"


def test_the_new_order_is_not_mistaken_for_the_old() -> None:
    with pytest.raises(SourceProblem, match=r"source\.ciphertext"):
        standard_key().decrypt(STANDARD_C1 + STANDARD_C3 + STANDARD_C2)


def test_a_signature_is_64_bytes_and_its_own_verifier_accepts_it(key: sm2.Sm2Signer) -> None:
    for _ in range(50):  # about every hundredth r or s is shorter than 32 bytes and must be padded
        signature = key.sign(MESSAGE)
        assert len(signature) == 64
        assert key.verifier().verify(MESSAGE, signature)


@given(st.binary(max_size=80))
def test_random_bytes_are_never_a_signature_and_never_an_error(signature: bytes) -> None:
    assert not sm2.Sm2Verifier(POINT, "k").verify(MESSAGE, signature)


@pytest.mark.parametrize(
    "signature",
    [
        b"",
        bytes(64),
        bytes(63),
        b"\xff" * 64,
        bytes(32) + b"\x01" * 32,
        STANDARD_SIGNATURE + b"\x00",
        STANDARD_SIGNATURE[:32] + b"\x00" + STANDARD_SIGNATURE[32:],
    ],
    ids=["empty", "zero", "short", "beyond the order", "r is zero", "long", "s in 33 bytes"],
)
def test_degenerate_signatures_are_refused(signature: bytes) -> None:
    assert not sm2.Sm2Verifier(POINT, "k").verify(b"message digest", signature)


def test_every_bit_of_a_signature_counts() -> None:
    verifier = sm2.Sm2Verifier(POINT, "k")
    for bit in range(512):
        changed = bytearray(STANDARD_SIGNATURE)
        changed[bit // 8] ^= 1 << bit % 8
        assert not verifier.verify(b"message digest", bytes(changed))


def test_another_key_refuses_the_signature(key: sm2.Sm2Signer) -> None:
    assert not sm2.Sm2Verifier(POINT, "k").verify(MESSAGE, key.sign(MESSAGE))


@pytest.mark.parametrize(
    "public",
    [
        b"",
        POINT[1:],
        POINT[:-1] + bytes((POINT[-1] ^ 1,)),
        b"\x04" + bytes(64),
        b"\x02" + POINT[1:33],
        b"\x00",
        POINT + b"\x00",
        b"\x07" + POINT[1:],
        b"\x04" + b"\xff" * 64,
    ],
    ids=["empty", "no 04", "off the curve", "zero", "compressed", "infinity", "trailing", "hybrid", "not reduced"],
)
def test_what_is_not_a_point_of_the_curve_is_refused(public: bytes) -> None:
    with pytest.raises(OperatorProblem, match=r"key\.unusable"):
        sm2.Sm2Verifier(public, "k")


def test_a_private_key_whose_public_point_is_anothers_is_refused(key: sm2.Sm2Signer) -> None:
    mixed = key.pkcs8().replace(key.public, POINT)
    with pytest.raises(OperatorProblem, match=r"key\.unusable"):
        sm2.Sm2Signer.from_pkcs8(mixed, "k")


@pytest.mark.parametrize("size", [1, 2, 31, 32, 33, 100, 127, 128, 255, 256, 4096, 70_000])
def test_what_is_encrypted_to_a_key_it_decrypts(key: sm2.Sm2Signer, size: int) -> None:
    plaintext = bytes(index % 251 for index in range(size))
    ciphertext = key.verifier().encrypt(plaintext)
    assert len(ciphertext) == 65 + size + 32
    assert ciphertext[0] == 4
    assert key.decrypt(ciphertext) == plaintext


def test_a_single_byte_never_travels_in_the_clear(key: sm2.Sm2Signer) -> None:
    """One key stream in 256 is zero for one byte; the standard wants another draw, and OpenSSL takes it."""
    verifier = key.verifier()
    assert all(verifier.encrypt(b"A")[65:66] != b"A" for _ in range(1000))


def test_nothing_cannot_be_encrypted(key: sm2.Sm2Signer) -> None:
    with pytest.raises(ValueError, match="nothing"):
        key.verifier().encrypt(b"")


@pytest.mark.parametrize("position", [0, 1, 40, 64, 65, 70, -32, -1])
def test_a_changed_ciphertext_is_refused_with_one_code(key: sm2.Sm2Signer, position: int) -> None:
    changed = bytearray(key.verifier().encrypt(MESSAGE))
    changed[position] ^= 1
    with pytest.raises(SourceProblem, match=r"source\.ciphertext"):
        key.decrypt(bytes(changed))


@given(st.binary(max_size=200))
def test_random_bytes_never_decrypt_and_never_crash(data: bytes) -> None:
    with pytest.raises(SourceProblem):
        standard_key().decrypt(data)
    with pytest.raises(SourceProblem):
        standard_key().decrypt(STANDARD_C1 + data)


def test_four_threads_share_a_key(key: sm2.Sm2Signer) -> None:
    verifier = key.verifier()

    def work(thread: int) -> int:
        good = 0
        for turn in range(200):
            message = f"{thread}/{turn}".encode()
            signature = key.sign(message)
            good += verifier.verify(message, signature) and not verifier.verify(message + b"!", signature)
        return good

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(4))) == [200] * 4


def test_keys_are_freed_while_others_are_in_use(key: sm2.Sm2Signer) -> None:
    """A thousand short-lived keys, good and bad; a double free or a leak of the wrong one crashes here."""
    signature = key.sign(MESSAGE)
    for _ in range(1000):
        assert sm2.Sm2Verifier(key.public, "k").verify(MESSAGE, signature)
        with pytest.raises(OperatorProblem):
            sm2.Sm2Signer.from_pkcs8(key.pkcs8() + b"\x00", "k")
    gc.collect()
    assert key.verifier().verify(MESSAGE, signature)


def test_openssl_verifies_our_signature(key: sm2.Sm2Signer, tmp_path: Path) -> None:
    (tmp_path / "public.pem").write_bytes(keys.public_pem(key))
    (tmp_path / "message").write_bytes(MESSAGE)
    (tmp_path / "signature").write_bytes(encoded(key.sign(MESSAGE)))
    pkeyutl = "pkeyutl -verify -rawin -digest sm3 -pubin -inkey public.pem -in message -sigfile signature -pkeyopt"
    assert b"Verified Successfully" in openssl(*pkeyutl.split(), DISTID, at=tmp_path)
    dgst = "dgst -sm3 -verify public.pem -signature signature -sigopt"
    assert b"Verified OK" in openssl(*dgst.split(), DISTID, "message", at=tmp_path)


@pytest.mark.parametrize("genpkey", ["-algorithm SM2", "-algorithm EC -pkeyopt ec_paramgen_curve:SM2"])
def test_a_key_that_openssl_made_signs_there_and_verifies_here(genpkey: str, tmp_path: Path) -> None:
    openssl("genpkey", *genpkey.split(), "-out", "private.pem", at=tmp_path)
    (tmp_path / "message").write_bytes(MESSAGE)
    pkeyutl = "pkeyutl -sign -rawin -digest sm3 -inkey private.pem -in message -pkeyopt"
    signature = openssl(*pkeyutl.split(), DISTID, at=tmp_path)
    verifier = keys.load_public(openssl("pkey", "-in", "private.pem", "-pubout", at=tmp_path))
    assert isinstance(verifier, sm2.Sm2Verifier)
    assert verifier.verify(MESSAGE, raw(signature))
    ours = keys.load_private((tmp_path / "private.pem").read_bytes())
    assert ours.public == verifier.public
    assert ours.key_id == verifier.key_id


def test_our_key_file_is_the_one_openssl_writes(key: sm2.Sm2Signer, tmp_path: Path) -> None:
    pem = keys.private_pem(key)
    (tmp_path / "private.pem").write_bytes(pem)
    assert openssl("pkey", "-in", "private.pem", at=tmp_path) == pem
    assert openssl("pkey", "-in", "private.pem", "-pubout", at=tmp_path) == keys.public_pem(key)


def test_openssl_decrypts_what_we_encrypt(key: sm2.Sm2Signer, tmp_path: Path) -> None:
    (tmp_path / "private.pem").write_bytes(keys.private_pem(key))
    ciphertext = sm2.asn1_order(key.verifier().encrypt(MESSAGE))
    assert ciphertext is not None
    (tmp_path / "ciphertext").write_bytes(ciphertext)
    assert openssl("pkeyutl", "-decrypt", "-inkey", "private.pem", "-in", "ciphertext", at=tmp_path) == MESSAGE


def test_we_decrypt_what_openssl_encrypts(key: sm2.Sm2Signer, tmp_path: Path) -> None:
    (tmp_path / "public.pem").write_bytes(keys.public_pem(key))
    (tmp_path / "message").write_bytes(MESSAGE)
    ciphertext = openssl("pkeyutl", "-encrypt", "-pubin", "-inkey", "public.pem", "-in", "message", at=tmp_path)
    assert key.decrypt(sm2.old_order(ciphertext)) == MESSAGE


def gmalg_key() -> gmalg.SM2:
    return gmalg.SM2(bytes.fromhex(D), b"1234567812345678", POINT)


def test_gmalg_and_we_accept_each_others_signatures() -> None:
    ours, theirs = standard_key(), gmalg_key()
    signature = ours.sign(MESSAGE)
    assert theirs.verify(MESSAGE, signature[:32], signature[32:])
    r, s = theirs.sign(MESSAGE)
    assert ours.verifier().verify(MESSAGE, r.rjust(32, b"\x00") + s.rjust(32, b"\x00"))


def test_gmalg_and_we_read_each_others_ciphertexts() -> None:
    ours, theirs = standard_key(), gmalg_key()
    c = ours.verifier().encrypt(MESSAGE)
    assert theirs.decrypt(c[:65] + c[-32:] + c[65:-32]) == MESSAGE  # gmalg has the new order, C1‖C3‖C2
    c = theirs.encrypt(MESSAGE)
    assert ours.decrypt(c[:65] + c[97:] + c[65:97]) == MESSAGE


@given(st.binary(min_size=64, max_size=64), st.binary(min_size=1, max_size=300), st.binary(min_size=32, max_size=32))
def test_both_orders_of_a_ciphertext_say_the_same(point: bytes, c2: bytes, c3: bytes) -> None:
    """Coordinates with leading zeros or a high first bit change length in DER and must come back whole."""
    ciphertext = b"\x04" + point + c2 + c3
    asn1 = sm2.asn1_order(ciphertext)
    assert asn1 is not None
    assert sm2.old_order(asn1) == ciphertext


@pytest.mark.parametrize(
    "data", ["", "30", "3000", "3003020101", "310602010102 0101", "3084ffffffff02", "300602010102"]
)
def test_der_that_is_not_such_a_sequence_is_refused(data: str) -> None:
    with pytest.raises(ValueError, match="element|bytes"):
        der.read_sequence(bytes.fromhex(data), (der.INTEGER, der.INTEGER))


def test_der_with_something_after_it_is_refused() -> None:
    good = der.sequence(der.integer(b"\x01"), der.integer(b"\x80"))
    assert der.read_sequence(good, (der.INTEGER, der.INTEGER)) == [b"\x01", b"\x00\x80"]
    for bad in (good + b"\x00", der.sequence(der.integer(b"\x01"), der.integer(b"\x02"), der.integer(b"\x03"))):
        with pytest.raises(ValueError, match="trailing"):
            der.read_sequence(bad, (der.INTEGER, der.INTEGER))
