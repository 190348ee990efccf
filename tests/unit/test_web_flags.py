"""Flags by the signed API: for auditors and the centre, cleared once, with the name and the reason in the log."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from broker.core.envelope import Algorithm
from broker.core.misuse import Action, Evidence, RuleName
from broker.core.roles import Role
from broker.ports.grants import Flag
from broker.signing import keys
from tests.unit.web_ground import document_of, enrol, lay_ground


def test_an_auditor_reads_and_clears_what_stopped_an_operator(tmp_path: Path) -> None:
    ground = lay_ground(tmp_path)
    auditor = keys.generate(Algorithm.ED25519, "auditor")
    enrol(ground, "auditor", auditor, roles=(Role.AUDITOR,))
    operator, number = "approval/113704000042880080/op-7", "f" * 32
    evidence = Evidence(6, ("a" * 32,))
    with ground.parts.store.write() as work:
        flag = Flag(number, RuleName.SEQUENCE, "approval", operator, Action.STOP, "open", datetime.now(UTC), evidence)
        work.add_flag(flag)
        work.move_policy()
        work.commit()
    assert document_of(ground.submit())["code"] == "misuse.stopped"
    (told,) = document_of(ground.send("GET", "/v1/flags", signer=auditor))["flags"]
    assert document_of(ground.send("GET", f"/v1/flags/{number}", signer=auditor)) == told
    assert (told["rule"], told["operator"], told["count"], told["state"]) == ("sequence", operator, 6, "open")
    said = {"by": "王某", "comment": "系统联调"}
    cleared = document_of(ground.send("POST", f"/v1/flags/{number}/clear", said, signer=auditor))
    assert (cleared["state"], cleared["cleared_by"], cleared["comment"]) == ("cleared", "王某", "系统联调")
    again = ground.send("POST", f"/v1/flags/{number}/clear", said, signer=auditor)
    assert document_of(again)["code"] == "misuse.cleared"
    assert document_of(ground.send("GET", f"/v1/flags/{'0' * 32}", signer=auditor))["code"] == "misuse.unknown"
    (released,) = [one for one in ground.entries() if one["kind"] == "operator_released"]
    assert (released["by"], released["signer"], released["flag"]) == ("王某", "auditor", number)
    assert ground.submit().status_code == 202
    ground.database.dispose()
