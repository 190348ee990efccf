"""How workers hear that work is due: threads of this process (embedded), or coalesced Celery messages (fleet)."""
