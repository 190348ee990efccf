"""The witness against a broker whose database is really tampered with: each deed is an alarm, and ends the signing."""

from __future__ import annotations

import json
import logging
import shlex
import shutil
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from broker.cli import main
from broker.core import checkpoint
from broker.core.cosignature import cosign, seen_by, witness_key
from broker.core.envelope import Algorithm, Revoked
from broker.core.errors import CallerProblem, OperatorProblem
from broker.core.log_export import Filter, as_csv, as_json_lines
from broker.core.roles import Role
from broker.flow import register
from broker.flow.adopt import require_history
from broker.flow.alive import alive
from broker.flow.export import Wanted, export_log
from broker.flow.prove import proved
from broker.ports import Client, ClientKey
from broker.signing import keys
from broker.web.app import Surface, create_app, published_keys
from broker.witness import Kind, Witness, make_witness
from tests.flow import kit
from tests.flow.kit import Broker

ON_SQLITE = pytest.mark.parametrize("store", ["sqlite"], indirect=True)  # where the database makes no difference
URL, NAME = "https://broker.example", "centre.example/witness"
Deed = Callable[[Broker], None]


@dataclass
class Watch:
    """A broker behind its web application, and a witness that knows nothing but its addresses."""

    broker: Broker
    folder: Path
    away: bool = False
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    sent: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        office = self.broker.office
        surface = Surface(URL, office.receipt_keys, office.log_keys)
        self.app = create_app(self.broker.parts, surface)
        make_witness(self.folder, NAME, URL, office.settings.log_origin, published_keys(surface), self.now)
        self.witness = Witness(self.folder, self.send)
        pem = (self.folder / "witness.pub.pem").read_text("ascii")
        register.register_client(
            self.broker.parts, Client("witness", "见证", kit.UNIT, None, "active", (Role.WITNESS,))
        )
        known = ClientKey("witness", keys.load_public(pem.encode()), self.now - timedelta(days=1), None, None)
        register.register_key(self.broker.parts, known, pem)

    def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> tuple[int, bytes]:
        """The road: into the application, unless the broker is away."""
        if self.away:
            return 0, b""
        path = url.removeprefix(URL)
        self.sent.append(f"{method} {path.partition('?')[0]}")
        answer = self.app.test_client().open(path, method=method, data=body, headers=dict(headers))
        return answer.status_code, answer.data

    def look(self) -> Kind | None:
        """One look; the kind of the alarm that stands."""
        alarm = self.witness.look(datetime.now(UTC), 10)
        return alarm.kind if alarm else None

    def grow(self, number: int) -> None:
        """Something happens at the broker, and gets its place."""
        self.broker.admit(number)
        self.broker.work_off()
        self.broker.sequence_all()

    def seen(self) -> int:
        """How far the witness has signed."""
        last = self.witness.latest()
        return last[0].size if last else 0


@pytest.fixture
def watch(prepared_url: str, open_broker: kit.OpenBroker, tmp_path: Path) -> Watch:
    """A broker whose log has grown and was seen; without the checker at the end, which would find the deeds too."""
    watch = Watch(open_broker(prepared_url), tmp_path / "witness")
    watch.grow(1)
    assert watch.look() is None
    return watch


def tamper(broker: Broker, *statements: str) -> None:
    """Change the database as its owner can, with its guards asleep."""
    with broker.database.begin(write=True) as connection:
        if broker.database.is_sqlite:
            triggers = connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).scalars().all()
            for name in triggers:
                if name != "entry_queued":
                    connection.execute(text(f"DROP TRIGGER {name}"))
        else:
            connection.execute(text("SET LOCAL session_replication_role = replica"))
        for statement in statements:
            connection.execute(text(statement))
        connection.commit()


def rebuild(broker: Broker) -> None:
    """Sign the log anew from its entries as they stand now, with the log's own stolen keys."""
    tables = ("log_leaf", "log_tile", "log_checkpoint", "log_index", "log_named", "log_related", "entry_queue")
    tamper(broker, *(f"DELETE FROM {one}" for one in tables),  # noqa: S608 - names of ours
           "INSERT INTO entry_queue SELECT id FROM entry")  # fmt: skip
    broker.sequence_all()


def altered(broker: Broker) -> None:
    """One entry says something else."""
    body = b'{"at":"2026-01-01T00:00:00.000Z","kind":"tested","version":1}'
    with broker.database.begin(write=True) as connection:
        if not broker.database.is_sqlite:
            connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text("UPDATE entry SET body = :body WHERE id = 3"), {"body": body})
        connection.commit()


def test_the_witness_signs_what_continues_and_the_broker_hands_it_on(watch: Watch) -> None:
    watch.grow(2)
    assert watch.look() is None
    last = watch.witness.latest()
    assert last is not None
    verifier = keys.load_public((watch.folder / "witness.pub.pem").read_bytes())
    served = watch.app.test_client().get("/log/checkpoint").text
    assert served == last[1]
    assert [one.witness for one in seen_by(served, [(watch.witness.key, verifier)])] == [NAME]
    assert witness_key(watch.witness.key.text()) == watch.witness.key
    assert len(watch.broker.rows("SELECT * FROM log_cosignature")) == 2
    size = watch.seen()
    assert watch.look() is None
    assert (watch.seen(), watch.sent.count("POST /v1/log/cosignatures")) == (size, 2), "nothing new, nothing signed"


def test_the_witness_reads_every_entry(watch: Watch) -> None:
    watch.grow(2)
    watch.look()
    assert watch.witness.audit(datetime.now(UTC)) is None
    assert any("entries" in one for one in watch.sent)


def cut(broker: Broker) -> None:
    """An older backup: the last entries and checkpoints are gone, and what is left is genuine."""
    first = "(SELECT MIN(size) FROM log_checkpoint)"
    leaves, heads = "DELETE FROM log_leaf WHERE position >= ", "DELETE FROM log_checkpoint WHERE size > "
    tamper(broker, leaves + first, heads + first)


def cut_and_regrown(broker: Broker) -> None:
    """The same, and then other things happen, until the log is longer than it was."""
    tamper(broker, "DELETE FROM entry WHERE id > (SELECT MAX(id) - 2 FROM entry)")
    rebuild(broker)
    for number in (7, 8):
        broker.admit(number)
    broker.sequence_all()


def rewritten_and_signed(broker: Broker) -> None:
    """An entry is altered and the whole log signed anew, with its own keys, at the same length."""
    tamper(broker)
    altered(broker)
    rebuild(broker)


def signed_by_another(broker: Broker) -> None:
    """Somebody without the log's keys puts a checkpoint in."""
    note = broker.rows("SELECT note FROM log_checkpoint ORDER BY size DESC LIMIT 1")[0].note
    head = checkpoint.verify(note, broker.parts.log_origin, broker.office.log_keys)
    forged = checkpoint.sign(head, [keys.generate(one.algorithm) for one in broker.parts.log_signers])
    broker_sql = "UPDATE log_checkpoint SET note = :note WHERE size = :size"
    with broker.database.begin(write=True) as connection:
        if broker.database.is_sqlite:
            connection.execute(text("DROP TRIGGER log_checkpoint_no_update"))
        else:
            connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text(broker_sql), {"note": forged, "size": head.size})
        connection.commit()


DEEDS: dict[Kind, list[Deed]] = {
    Kind.CUT: [cut],
    Kind.FORKED: [cut_and_regrown, rewritten_and_signed],
    Kind.FORGED: [signed_by_another],
}
CASES = [pytest.param(kind, deed, id=f"{kind}-{deed.__name__}") for kind, deeds in DEEDS.items() for deed in deeds]


@pytest.mark.parametrize(("kind", "deed"), CASES)
def test_a_tampered_log_is_an_alarm_and_is_not_signed(watch: Watch, kind: Kind, deed: Deed) -> None:
    watch.grow(2)
    assert watch.look() is None
    seen, kept = watch.seen(), sorted((watch.folder / "checkpoints").iterdir())
    deed(watch.broker)
    assert watch.look() is kind
    assert watch.look() is kind, "it stands until a person clears it"
    assert (watch.seen(), sorted((watch.folder / "checkpoints").iterdir())) == (seen, kept)
    watch.witness.clear()
    assert watch.look() is kind, "and comes back while the log is what it is"


def test_an_entry_rewritten_under_its_old_hash_is_found_by_reading(watch: Watch) -> None:
    tamper(watch.broker)
    altered(watch.broker)
    assert watch.look() is None, "tiles and checkpoint are as they were"
    alarm = watch.witness.audit(datetime.now(UTC))
    assert alarm is not None
    assert (alarm.kind, watch.look()) == (Kind.REWRITTEN, Kind.REWRITTEN)


def test_an_alarm_of_an_audit_outlives_a_look_that_began_before(watch: Watch) -> None:
    """Both are processes of their own; the look had read the state when the audit wrote its alarm."""
    tamper(watch.broker)
    altered(watch.broker)
    auditor = Witness(watch.folder, watch.send)
    audit = threading.Thread(target=auditor.audit, args=(datetime.now(UTC),))
    send = watch.send

    def meanwhile(method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> tuple[int, bytes]:
        if not audit.ident:
            audit.start()
            audit.join(0.5)  # without the lock it is over by then, and what it wrote is lost
        return send(method, url, headers, body)

    watch.witness._send = meanwhile
    watch.look()
    audit.join()
    assert watch.look() is Kind.REWRITTEN


def test_silence_is_an_alarm_that_ends_by_itself(watch: Watch) -> None:
    watch.away = True
    now = datetime.now(UTC)
    assert watch.witness.look(now + timedelta(minutes=9), 10) is None
    for minutes in (11, 60):
        alarm = watch.witness.look(now + timedelta(minutes=minutes), 10)
        assert alarm is not None
        assert alarm.kind is Kind.SILENT
    watch.away = False
    watch.grow(2)
    assert watch.look() is None
    assert watch.witness.state.alarm is None


def test_a_log_that_stands_still_is_silent_however_promptly_it_is_served(watch: Watch) -> None:
    now = datetime.now(UTC)
    assert watch.witness.look(now + timedelta(minutes=9), 10) is None
    alarm = watch.witness.look(now + timedelta(minutes=11), 10)
    assert alarm is not None
    assert (alarm.kind, alarm.evidence) == (Kind.SILENT, "")


def test_a_log_in_which_nothing_happens_says_that_it_is_alive(watch: Watch) -> None:
    broker = watch.broker
    assert not alive(broker.parts), "it has just grown"
    broker.parts.limits = replace(broker.parts.limits, quiet_minutes=0)
    assert alive(broker.parts)
    assert not alive(broker.parts), "one waits for its place: a sequencer that stands still is not covered up"
    assert broker.entries()[-1]["kind"] == "alive"
    seen = watch.seen()
    broker.sequence_all()
    assert watch.look() is None
    assert watch.seen() == seen + 1


def test_what_was_served_is_kept_as_evidence(watch: Watch) -> None:
    watch.grow(2)
    watch.look()
    rewritten_and_signed(watch.broker)
    served = watch.app.test_client().get("/log/checkpoint").data
    assert watch.look() is Kind.FORKED
    alarm = watch.witness.state.alarm
    assert alarm is not None
    assert (watch.folder / "evidence" / alarm.evidence).read_bytes() == served
    watch.witness.clear()
    assert len(list((watch.folder / "evidence").iterdir())) == 1, "clearing destroys nothing"


def test_a_line_that_the_broker_does_not_take_is_told_and_handed_in_again(watch: Watch) -> None:
    watch.broker.execute("UPDATE client SET state = 'suspended' WHERE id = 'witness'")
    watch.broker.execute("UPDATE policy SET version = version + 1")
    watch.grow(2)
    assert watch.look() is None
    assert watch.witness.state.refused == 403
    watch.broker.execute("UPDATE client SET state = 'active' WHERE id = 'witness'")
    watch.broker.execute("UPDATE policy SET version = version + 1")
    size = watch.seen()
    assert watch.look() is None, "the log stands still, the line goes all the same"
    assert (watch.witness.state.handed, watch.witness.state.refused, watch.seen()) == (size, 0, size)
    assert watch.broker.rows("SELECT MAX(size) AS size FROM log_cosignature")[0].size == size


def test_another_system_cannot_take_a_witnesss_name(watch: Watch, tmp_path: Path) -> None:
    config = watch.witness.config
    make_witness(tmp_path / "thief", NAME, URL, config["origin"], config["jwks"], watch.now)
    thief = Witness(tmp_path / "thief", watch.send)
    pem = (tmp_path / "thief" / "witness.pub.pem").read_text("ascii")
    register.register_client(watch.broker.parts, Client("thief", "见证", kit.UNIT, None, "active", (Role.WITNESS,)))
    known = ClientKey("thief", keys.load_public(pem.encode()), watch.now - timedelta(days=1), None, None)
    register.register_key(watch.broker.parts, known, pem)
    watch.broker.sequence_all()
    thief.look(datetime.now(UTC), 10)
    assert thief.state.refused == 403
    assert watch.look() is None
    assert watch.witness.state.handed == watch.seen(), "whose name it is hands in as before"


def test_a_receipt_of_another_log_is_told_from_one_of_the_log_that_was_seen(watch: Watch) -> None:
    last = watch.witness.latest()
    assert last is not None
    head, before = last[0], watch.witness.knows(last[0])
    assert before is True
    assert watch.witness.knows(replace(head, size=head.size + 1)) is None, "longer than what was seen"
    watch.grow(2)
    watch.look()
    assert watch.witness.knows(head) is True
    assert watch.witness.knows(replace(head, root=bytes(32))) is False
    watch.away = True
    assert watch.witness.knows(head) is None


def test_new_log_keys_are_handed_over_and_must_have_signed_what_was_seen(watch: Watch) -> None:
    published = watch.witness.config["jwks"]
    other = [keys.generate(one.algorithm).verifier() for one in watch.broker.parts.log_signers]
    strange = published_keys(Surface(URL, watch.broker.office.receipt_keys, other))
    with pytest.raises(OperatorProblem, match="config.invalid"):
        watch.witness.trust(strange)
    both = {"keys": [*published["keys"], *strange["keys"]]}
    watch.witness.trust(both)
    assert Witness(watch.folder, watch.send).config["jwks"] == both
    watch.grow(2)
    assert watch.look() is None


def test_a_line_of_another_key_or_for_another_size_is_refused(watch: Watch) -> None:
    last = watch.witness.latest()
    assert last is not None
    line = last[1].splitlines(keepends=True)[-1]
    before = watch.broker.rows("SELECT * FROM log_cosignature")
    for size, text_, status in ((last[0].size + 1, line, 404), (last[0].size, line.replace(" ", " x", 2), 422)):
        body = f'{{"line":"{text_.strip()}\\n","name":"{NAME}","size":{size}}}'.encode()
        got, _ = watch.witness._signed("POST", "/v1/log/cosignatures", body, datetime.now(UTC))
        assert got == status
    assert watch.broker.rows("SELECT * FROM log_cosignature") == before


# --- a restore that lost commits


def test_a_log_that_is_behind_what_was_witnessed_is_not_continued(watch: Watch) -> None:
    watch.grow(2)
    watch.look()
    last = watch.witness.latest()
    assert last is not None
    log_keys = watch.broker.office.log_keys
    assert require_history(watch.broker.parts, last[1], log_keys) == last[0].size
    cut(watch.broker)
    with pytest.raises(OperatorProblem, match="log.behind"):
        require_history(watch.broker.parts, last[1], log_keys)


def test_another_history_of_the_same_length_is_not_continued(watch: Watch) -> None:
    last = watch.witness.latest()
    assert last is not None
    rewritten_and_signed(watch.broker)
    with pytest.raises(OperatorProblem, match="log.forked"):
        require_history(watch.broker.parts, last[1], watch.broker.office.log_keys)
    with pytest.raises(CallerProblem, match="log.checkpoint"):
        require_history(watch.broker.parts, last[1], [keys.generate(watch.broker.parts.signer.algorithm).verifier()])


@pytest.fixture
def root_logger() -> Iterator[None]:
    """The root logger put back after a command has made it its process's."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers, root.level = handlers, level


@ON_SQLITE
@pytest.mark.usefixtures("root_logger")
@pytest.mark.parametrize("command", ["serve", "sweep"])
def test_no_sequencer_starts_on_a_log_that_is_behind_the_named_witness(
    watch: Watch, command: str, prepared_url: str, keys_folder: Path, tmp_path: Path
) -> None:
    """What the settings name is read, believed only under a line of the witness, and held against the log here."""
    watch.grow(2)
    assert watch.look() is None
    last = watch.witness.latest()
    assert last is not None
    kept, names = tmp_path / "kept.note", tmp_path / "names"
    other = replace(watch.witness.key, public=keys.generate(Algorithm.ED25519).public)

    def started(note: str, *known: str, **settings: str) -> str:
        kept.write_text(note)
        names.write_text("\n".join(known))
        environment = {
            "BROKER_DATABASE_URL": prepared_url, "BROKER_KEYS_FOLDER": str(keys_folder),
            "BROKER_WITNESS_CHECKPOINT": str(kept), "BROKER_WITNESS_KEYS": str(names), **settings,
        }  # fmt: skip
        done = CliRunner().invoke(main, [command], env=environment, catch_exceptions=False)
        assert done.exit_code == 1
        return next(line.split()[0] for line in done.output.splitlines() if not line.startswith("{"))

    unsigned = last[1][: last[1].rindex("— ")]
    named = watch.witness.key.text()
    assert started(unsigned, named) == "log.unwitnessed", "an older note of ours, which anybody can fetch"
    assert started(last[1], other.text()) == "log.unwitnessed"
    spoilt = cosign(unsigned, NAME, watch.witness.signer, 1).replace("AAAAAA", "AAAAAB", 1)
    assert started(unsigned + spoilt, named) == "log.checkpoint-signature"
    assert started(last[1], named, BROKER_WITNESS_CHECKPOINT="") == "config.invalid"
    assert started(last[1]) == "config.invalid", "a file that names nobody"
    assert started(last[1], named, BROKER_WITNESS_KEYS=str(tmp_path / "none")) == "config.invalid"
    before = len(watch.broker.entries())
    cut(watch.broker)
    assert started(last[1], named) == started(last[1], BROKER_WITNESS_KEYS="") == "log.behind"
    assert len(watch.broker.entries()) <= before, "and nothing was written"


def test_a_folder_is_a_witness_once(watch: Watch, tmp_path: Path) -> None:
    with pytest.raises(OperatorProblem, match="register.exists"):
        make_witness(watch.folder, NAME, URL, "x", {"keys": []}, datetime.now(UTC))
    with pytest.raises(OperatorProblem, match="config.invalid"):
        Witness(tmp_path / "none", watch.send)
    moved = tmp_path / "moved"
    shutil.copytree(watch.folder, moved)
    assert Witness(moved, watch.send).latest() == watch.witness.latest()


def test_the_commands_make_a_witness_look_and_tell(watch: Watch, tmp_path: Path) -> None:
    folder, key_set = tmp_path / "other", tmp_path / "keys.json"
    key_set.write_text(json.dumps(watch.witness.config["jwks"]))

    def typed(*words: str) -> tuple[int, str]:
        done = CliRunner().invoke(main, ["witness", *words], catch_exceptions=False)
        return done.exit_code, done.output

    named = ("--name", NAME, "--url", "http://127.0.0.1:9", "--origin", "x", "--keys", str(key_set))
    made = typed("init", str(folder), *named)
    assert (made[0], witness_key(made[1].strip()).name) == (0, NAME)
    assert typed("run", str(folder), "--once") == (0, ""), "nobody answers, but not for long yet"
    bell = "import sys, pathlib; pathlib.Path(sys.argv[1]).write_text(sys.argv[2])"
    hook = shlex.join([sys.executable, "-c", bell, str(tmp_path / "rung")])
    code, told = typed("run", str(folder), "--once", "--silence", "0", "--hook", hook)
    assert (code, '"kind": "silent"' in told) == (3, True)
    assert (tmp_path / "rung").read_text() == "silent"
    assert typed("status", str(folder))[0] == 3
    assert typed("clear", str(folder)) == (0, "")
    assert typed("status", str(folder))[0] == 0


def test_the_commands_check_a_receipt_and_take_new_keys(watch: Watch, tmp_path: Path) -> None:
    bare, whole, key_set = tmp_path / "bare.json", tmp_path / "whole.json", tmp_path / "keys.json"
    key_set.write_text(json.dumps(watch.witness.config["jwks"]))
    row = watch.broker.rows("SELECT id, receipt FROM verification WHERE receipt IS NOT NULL")[0]
    with watch.broker.parts.store.read() as work:
        bundle = proved(watch.broker.parts, work, row.id, "decided", row.receipt)
    whole.write_text(json.dumps(bundle.document()))
    bare.write_text(bundle.receipt)
    names = tmp_path / "names"
    names.write_text(watch.witness.key.text())

    def typed(*words: str) -> tuple[int, str]:
        done = CliRunner().invoke(main, words, catch_exceptions=False)
        return done.exit_code, done.output

    folder = str(watch.folder)
    assert typed("witness", "trust", folder, "--keys", str(key_set))[0] == 0
    code, told = typed("witness", "check", folder, str(whole))
    assert (code, "见证" in told) == (0, True), told
    code, told = typed("witness", "check", folder, str(bare))
    assert (code, "receipt.unproved" in told) == (1, True)
    for number, (written, taken) in enumerate(((as_json_lines, Filter()), (as_csv, Filter(kind="decided")))):
        export = tmp_path / f"export-{number}"
        head, lines = export_log(watch.broker.parts, Wanted(taken, "审计员", "检查"))
        export.write_bytes(b"".join(written(head, lines)))
        assert typed("witness", "check", folder, str(export))[0] == 0
        export.write_bytes(export.read_bytes().replace(b"case-1", b"case-9"))
        assert "export." in typed("witness", "check", folder, str(export))[1]
    verify = ("receipt", "verify", "--keys", str(key_set))
    assert typed(*verify, str(bare))[0] == typed(*verify, str(whole), "--require-proof")[0] == 0
    assert "receipt.unproved" in typed(*verify, str(bare), "--require-proof")[1]
    assert "receipt.unwitnessed" in typed(*verify, str(whole), "--require-witness")[1], "no witness was named"
    seen = typed(*verify, str(whole), "--require-witness", "--witness-keys", str(names))
    assert (seen[0], NAME in seen[1]) == (0, True), seen[1]


def test_a_key_of_the_log_that_was_revoked_signs_nothing_for_the_witness_who_was_told(watch: Watch) -> None:
    """What it kept it goes on from: its own line under that says when it was seen."""
    watch.grow(1)
    assert watch.look() is None
    seen = watch.seen()
    known = keys.from_jwks(watch.witness.config["jwks"], "log")
    told = [{**keys.published(Revoked(one, datetime.now(UTC))), "roles": ["log"]} for one in known.values()]
    new = [keys.generate(one) for one in (Algorithm.ED25519, Algorithm.SM2)]
    watch.witness.trust({"keys": [*told, *({**keys.jwk(one.verifier()), "roles": ["log"]} for one in new)]})
    assert Witness(watch.folder, watch.send).latest() == watch.witness.latest()
    assert watch.look() is Kind.FORGED  # the broker signs on with what was revoked
    watch.witness.clear()
    watch.broker.office.parts.log_signers, before = new, watch.broker.office.parts.log_signers
    watch.broker.checker.log_keys = [*watch.broker.checker.log_keys, *(one.verifier() for one in new)]
    watch.grow(2)
    assert watch.look() is None
    assert watch.seen() > seen
    watch.broker.office.parts.log_signers = before
    with pytest.raises(OperatorProblem, match=r"config\.invalid"):
        watch.witness.trust({"keys": told[:0]})
