"""One step of the path in a process of its own, to be killed: ``python -m tests.faults.one_path <path> <number>``.

The environment names the database, Redis and the keys; what the scripted sources are asked is appended to a file.
"""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path

from broker.bootstrap import open_office
from broker.core.answer import Question
from broker.flow.look_up import look_up
from broker.flow.publish import publish
from broker.flow.sequence import sequence
from broker.flow.sweep import sweep, tidy
from tests.flow import catalogue, kit
from tests.flow.catalogue import LICENCES, POPULATION, REGISTER, SHOP

PATHS = ("admit", "look_up", "sweep", "publish", "sequence")


def main(path: str, number: int) -> None:
    """Do it once."""
    settings = kit.settings(os.environ["DATABASE"], Path(os.environ["KEYS"]), redis_url=os.environ["REDIS"])
    broker = kit.wired(open_office(settings))
    broker.sources.meanwhile = _noted
    if path == "admit":
        broker.submit(kit.request(number), kit.as_client(nonce=secrets.token_hex(8)))
    elif path == "look_up":
        for source in (LICENCES, REGISTER, POPULATION):
            look_up(broker.parts, source)
    elif path == "sweep":
        sweep(broker.parts)
        tidy(broker.parts)
    elif path == "publish":
        publish(broker.parts, document(number), None, "editor")
    else:
        sequence(broker.parts)


def document(number: int) -> dict[str, object]:
    """A list that was not published before."""
    found = catalogue.document()
    found["items"][SHOP]["name"] = {"zh": f"事项{number}", "en": f"Item {number}"}
    return found


def _noted(_source: str, questions: list[Question]) -> None:
    with Path(os.environ["ASKED"]).open("a") as file:
        file.writelines(f"{one.lookup_id}\n" for one in questions)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
