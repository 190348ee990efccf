"""Alembic's entry: runs on the connection that ``broker.store.migrate`` hands over."""

from __future__ import annotations

from alembic import context

from broker.store.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
