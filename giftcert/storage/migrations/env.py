"""Alembic's entry: runs the revisions on the connection and in the transaction that ``migrate`` opened.

A revision never rewrites a large table in one transaction, and builds an index on one concurrently, in an autocommit
block. What it must lock it gives up after ``LOCK_TIMEOUT``, rather than have every sale wait behind it.
"""

from alembic import context

LOCK_TIMEOUT = "5s"

context.configure(connection=context.config.attributes["connection"])
with context.begin_transaction():
    context.config.attributes["connection"].exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
    context.run_migrations()
