"""Alembic's entry point; `engage_pipeline.database.migrate` hands it the connection."""

from alembic import context

from engage_pipeline.database.tables import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, compare_type=True, compare_server_default=True)
with context.begin_transaction():
    context.run_migrations()
