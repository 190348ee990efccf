"""A key that lives on a real PKCS#11 token, SoftHSM: made there, signing there, through all that befalls a process."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pkcs11
import pytest

from broker.bootstrap import make_keys, open_office
from broker.core import checkpoint
from broker.core.envelope import Algorithm, seal, unseal
from broker.core.errors import OperatorProblem
from broker.core.receipt import RECEIPT_TYPE
from broker.signing import http_message
from broker.signing.key_folder import Folder, open_key
from broker.signing.pkcs11 import Pkcs11Signer, TokenSlot, open_signer
from tests.flow import kit

_PLACES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so")
MODULE = next((one for one in _PLACES if Path(one).exists()), "")
PIN, LABEL = "2468", "receipt"
_P256 = bytes.fromhex("06082a8648ce3d030107")  # the curves' object identifiers
_KINDS = {
    Algorithm.P256: (pkcs11.KeyType.EC, _P256),
    Algorithm.ED25519: (pkcs11.KeyType.EC_EDWARDS, bytes.fromhex("06032b6570")),
}
_RUN = """import sys
from pathlib import Path
from broker.signing.pkcs11 import open_signer
signer = open_signer(Path(sys.argv[1]))
print(signer.key_id, signer.sign(b"message").hex())
"""

if not MODULE and os.environ.get("CI"):
    pytest.fail("SoftHSM is missing: apt-get install softhsm2", pytrace=False)
pytestmark = pytest.mark.skipif(
    not MODULE, reason="NO REAL TOKEN WAS TRIED: SoftHSM is missing (apt-get install softhsm2)"
)


class Drawer:
    """A folder of SoftHSM's tokens, and the references to keys on them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.tokens = folder, folder / "tokens"
        self.tokens.mkdir()
        (folder / "softhsm.conf").write_text(f"directories.tokendir = {self.tokens}\nlog.level = ERROR\n")
        (folder / "pin").write_text(f"{PIN}\n")
        (folder / "wrong-pin").write_text("1357\n")
        self.slot = TokenSlot(MODULE, "drawer", PIN)

    def make(self, token: str, *kinds: Algorithm) -> list[Path]:
        """A new token, and a key pair of each kind made in it; the references to them."""
        self._initialise(token)
        with pkcs11.lib(MODULE).get_token(token_label=token).open(rw=True, user_pin=PIN) as session:
            for kind in kinds:
                key_type, curve = _KINDS[kind]
                session.create_domain_parameters(
                    key_type, {pkcs11.Attribute.EC_PARAMS: curve}, local=True
                ).generate_keypair(store=True, label=f"{LABEL}-{kind.value}")
        self.slot.begin_again()  # as in a process that has not seen this token's making
        return [self.reference(token, kind) for kind in kinds]

    def _initialise(self, token: str) -> None:
        words = ["softhsm2-util", "--init-token", "--free", "--label", token, "--pin", PIN, "--so-pin", PIN]
        subprocess.run(words, check=True, capture_output=True)
        self.slot.begin_again()

    def reference(self, token: str, kind: Algorithm, pin_file: str = "pin") -> Path:
        """A file that names a key on a token."""
        path = self.folder / f"{token}-{kind.value}-{pin_file}.pkcs11"
        said = {"module": MODULE, "token": token, "label": f"{LABEL}-{kind.value}", "pin_file": pin_file}
        path.write_text(json.dumps(said | {"algorithm": kind.value}))
        return path

    def pulled(self) -> Callable[[], None]:
        """Take all tokens away; what is returned puts them back."""
        away = self.folder / "away"
        self.tokens.rename(away)
        self.tokens.mkdir()

        def put_back() -> None:
            self.tokens.rmdir()
            away.rename(self.tokens)

        return put_back


@pytest.fixture(scope="module")
def drawer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Drawer]:
    """One folder of tokens for all tests; each makes its own token."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("softhsm")
        patch.setenv("SOFTHSM2_CONF", str(folder / "softhsm.conf"))
        yield Drawer(folder)


def test_keys_of_one_token_sign_receipts_checkpoints_and_requests(drawer: Drawer) -> None:
    for path in drawer.make("both", *_KINDS):
        signer = open_signer(path)
        token = seal(b"{}", signer, RECEIPT_TYPE)
        assert unseal(token, {signer.key_id: signer.verifier()}, RECEIPT_TYPE) == b"{}"
        head = checkpoint.Checkpoint("broker.example/log", 1, bytes(32))
        assert checkpoint.verify(checkpoint.sign(head, [signer]), head.origin, [signer.verifier()]) == head
        now, url = int(datetime(2026, 11, 1, tzinfo=UTC).timestamp()), "https://broker.example/v1/verifications"
        headers = http_message.sign_request("POST", url, b"{}", "application/json", signer, now, "0" * 32)
        lowered = {name.lower(): value for name, value in headers.items()} | {"content-type": "application/json"}
        known = {signer.key_id: signer.verifier()}
        found = http_message.verify_request("POST", url, lowered, b"{}", known.get, now)
        assert found.key_id == signer.key_id


def test_a_broker_is_opened_with_all_its_signing_keys_but_sm2_on_a_token(drawer: Drawer, sqlite_url: str) -> None:
    receipt, log = drawer.make("broker", Algorithm.P256, Algorithm.ED25519)
    folder = drawer.folder / "keys"
    folder.mkdir()
    for path, name in ((receipt, "receipt"), (log, "log-ed25519")):
        shutil.copy(path, folder / f"{name}.pkcs11")
    shutil.copy(drawer.folder / "pin", folder / "pin")
    assert not {"receipt.pem", "log-ed25519.pem"} & set(make_keys(folder, Algorithm.ED25519))
    office = open_office(kit.settings(sqlite_url, folder), wake=kit.Bells())
    signers = [office.parts.signer, office.parts.log_signers[0]]
    assert [isinstance(one, Pkcs11Signer) for one in signers] == [True, True]
    published = {one.key_id for one in (*office.receipt_keys, *office.log_keys)}
    assert {one.key_id for one in signers} < published
    office.close()


def test_a_key_file_is_replaced_by_a_key_on_a_token_and_that_one_by_a_file(drawer: Drawer) -> None:
    made = drawer.make("rotated", Algorithm.P256)[0]
    path = drawer.folder / "rotated-keys"
    make_keys(path, Algorithm.ED25519)
    shutil.copy(drawer.folder / "pin", path / "pin")
    (path / "next").mkdir()
    shutil.copy(made, path / "next" / "receipt.pkcs11")
    folder = Folder(path)
    before = open_key(path / "receipt.pem").key_id
    coming = folder.prepare("receipt.pem", None).verifier.key_id
    folder.change_over("receipt.pem")
    on_token = open_key(path / "receipt.pem")
    assert (isinstance(on_token, Pkcs11Signer), on_token.key_id) == (True, coming)
    assert not (path / "receipt.pem").exists()
    folder.prepare("receipt.pem", Algorithm.ED25519)
    folder.change_over("receipt.pem")
    assert not (path / "receipt.pkcs11").exists()
    assert {one.verifier.key_id for one in folder.kept()[2]} == {before, coming}


def test_a_wrong_pin_is_refused_and_does_not_lock_the_token(drawer: Drawer) -> None:
    """SoftHSM counts refusals; a module that locks after three must not be brought there by our trying again."""
    good = drawer.make("pin", Algorithm.P256)[0]
    with pytest.raises(OperatorProblem, match=r"key\.unusable"):
        open_signer(drawer.reference("pin", Algorithm.P256, "wrong-pin"))
    signer = open_signer(good)
    slot = TokenSlot(MODULE, "pin", "1357")
    slot.begin_again()
    for _ in range(5):
        with pytest.raises(pkcs11.PinIncorrect), slot.turn:
            slot.session()
    assert slot._refused
    assert signer.verifier().verify(b"message", signer.sign(b"message"))


def test_a_token_that_is_pulled_out_stops_signing_until_it_is_back(drawer: Drawer) -> None:
    signer = open_signer(drawer.make("pulled", Algorithm.ED25519)[0])
    put_back = drawer.pulled()
    drawer.slot.begin_again()  # the module notices when it is initialised
    with pytest.raises(OperatorProblem, match=r"key\.away"):
        signer.sign(b"message")
    put_back()
    assert signer.verifier().verify(b"message", signer.sign(b"message"))


def test_another_key_under_the_same_label_signs_nothing_under_the_first_ones_id(drawer: Drawer) -> None:
    signer = open_signer(drawer.make("swapped", Algorithm.P256)[0])
    with pkcs11.lib(MODULE).get_token(token_label="swapped").open(rw=True) as session:
        for one in list(session.get_objects({pkcs11.Attribute.LABEL: f"{LABEL}-ES256"})):
            one.destroy()
        parameters = {pkcs11.Attribute.EC_PARAMS: _P256}
        session.create_domain_parameters(pkcs11.KeyType.EC, parameters, local=True).generate_keypair(
            store=True, label=f"{LABEL}-ES256"
        )
    with pytest.raises(OperatorProblem, match=r"key\.away"):
        signer.sign(b"message")


def test_after_a_restart_the_same_key_signs(drawer: Drawer) -> None:
    path = drawer.make("restart", Algorithm.P256)[0]
    before = open_signer(path)
    told = subprocess.run([sys.executable, "-c", _RUN, str(path)], check=True, capture_output=True, text=True)
    key_id, signature = told.stdout.split()
    assert key_id == before.key_id
    assert before.verifier().verify(b"message", bytes.fromhex(signature))


def test_a_process_that_was_forked_signs_and_so_does_its_parent(drawer: Drawer) -> None:
    """As gunicorn and Celery's prefork do it: opened before the fork, and a thread of the parent holding the module."""
    signer = open_signer(drawer.make("forked", Algorithm.P256)[0])
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with signer._slot.turn:
            held.set()
            done.wait()

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait()
    ends = [os.pipe() for _ in range(2)]
    children = [_child(signer, end) for _, end in ends]
    done.set()
    holder.join()
    assert signer.verifier().verify(b"parent", signer.sign(b"parent"))
    for (read, write), child in zip(ends, children, strict=True):
        os.close(write)
        with os.fdopen(read, "rb") as pipe:
            signatures = pipe.read()
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert signer.verifier().verify(b"child", signatures[:64])
        assert signer.verifier().verify(b"child", signatures[64:])


def _child(signer: Pkcs11Signer, end: int) -> int:
    """A forked process that signs twice and ends at once, without pytest's endings."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        os.write(end, signer.sign(b"child") + signer.sign(b"child"))
        status = 0
    finally:
        os._exit(status)
