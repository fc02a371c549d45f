"""Run migrations on the connection, inside the transaction, that `dicom_node.database` hands over."""

from __future__ import annotations

from alembic import context

from dicom_node.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
