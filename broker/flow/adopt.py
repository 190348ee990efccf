"""Adopt: before the log is continued, hold it against what a witness has seen of it.

After a restore that lost commits, the sequencer would sign a second history of the same size, which is what a forger
does. A checkpoint that somebody else kept tells the two apart.
"""

from __future__ import annotations

from collections.abc import Sequence

from broker.core import checkpoint, merkle
from broker.core.cosignature import WitnessKey, behind, seen_by
from broker.core.envelope import Verifier
from broker.core.errors import OperatorProblem
from broker.flow.parts import Parts
from broker.flow.prove import checkpoint_size, tile_reader


def require_history(
    parts: Parts, note: str, log_keys: Sequence[Verifier], witnesses: Sequence[tuple[WitnessKey, Verifier]] = ()
) -> int:
    """Our size, if our log begins with the one that was seen – by one of these witnesses, where any are named.

    Without names, whoever can put a note in the witness's place could put an older one of ours there.

    Raises ``OperatorProblem`` ``log.behind`` where more was seen than we have, ``log.forked`` where it was another log,
    ``log.unwitnessed`` where none of the witnesses has signed the note; ``CallerProblem`` ``log.checkpoint-…`` where
    the note is none of ours, or a witness's line is not theirs.
    """
    seen = checkpoint.verify(note, parts.log_origin, behind(log_keys), at_least=1)  # it was kept elsewhere
    if witnesses and not seen_by(note, witnesses):
        named = ", ".join(sorted(key.name for key, _ in witnesses))
        raise OperatorProblem("log.unwitnessed", got=f"{seen.size} entries", expected=f"a line of {named}")
    with parts.store.read() as work:
        ours = work.latest_checkpoint()
        size = checkpoint_size(ours) if ours else 0
        if seen.size > size:
            raise OperatorProblem("log.behind", got=f"{size} entries", expected=f"the {seen.size} that were witnessed")
        if merkle.root(seen.size, tile_reader(work)) != seen.root:
            raise OperatorProblem("log.forked", got=f"another root of {seen.size} entries")
    return size
