"""Adopt: before the log is continued, hold it against what a witness has seen of it.

After a restore that lost commits, the sequencer would sign a second history of the same size, which is what a forger
does. A checkpoint that somebody else kept tells the two apart.
"""

from __future__ import annotations

from collections.abc import Sequence

from broker.core import checkpoint, merkle
from broker.core.cosignature import behind
from broker.core.envelope import Verifier
from broker.core.errors import OperatorProblem
from broker.flow.parts import Parts
from broker.flow.prove import checkpoint_size, tile_reader


def require_history(parts: Parts, note: str, log_keys: Sequence[Verifier]) -> int:
    """Our size, if our log begins with the one that was seen.

    Raises ``OperatorProblem`` ``log.behind`` where more was seen than we have, ``log.forked`` where it was another log;
    ``CallerProblem`` ``log.checkpoint-…`` where the note is none of ours.
    """
    seen = checkpoint.verify(note, parts.log_origin, behind(log_keys), at_least=1)  # it was kept elsewhere
    with parts.store.read() as work:
        ours = work.latest_checkpoint()
        size = checkpoint_size(ours) if ours else 0
        if seen.size > size:
            raise OperatorProblem("log.behind", got=f"{size} entries", expected=f"the {seen.size} that were witnessed")
        if merkle.root(seen.size, tile_reader(work)) != seen.root:
            raise OperatorProblem("log.forked", got=f"another root of {seen.size} entries")
    return size
