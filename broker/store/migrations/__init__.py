"""Alembic's migrations, numbered; each works with the release before it."""
