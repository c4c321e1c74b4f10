"""Alembic's entry script: migrates the database of the given connection, in the connection's open transaction."""

from __future__ import annotations

from alembic import context

from memoryos.storage.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
)
context.run_migrations()
