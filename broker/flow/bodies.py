"""Bodies: verifications of an earlier release are told which body asked, so that its clerks' lists find them.

Since release by release a process restarts, rows without their body are added until the last one has; whatever is
left is found by an index that holds nothing else, and is empty ever after.
"""

from __future__ import annotations

from broker.flow.parts import Parts

BATCH = 1_000  # one short transaction: an admission or decision that needs one of these rows waits for no longer


def name_bodies(parts: Parts) -> int:
    """Name the bodies of the newest verifications that have none; returns how many they were."""
    with parts.store.write() as work:
        found = work.bodiless(BATCH)
        if found:
            work.name_bodies(found)
            # Crash before this commit: they are found again. After it: the next batch is the one before them in time.
            work.commit()
    return len(found)
