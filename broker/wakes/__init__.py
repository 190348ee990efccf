"""How workers hear that work is due: threads of this process (embedded), or coalesced Celery messages (fleet).

In the fleet a thread of its own sends them (aside), so that nothing else waits for Redis.
"""
