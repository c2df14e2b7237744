"""Imports of certificates on their way into the pool: checked, sealed piece by piece, then loaded at once (ADR 86).

What is sealed waits in ``pool_import_rows``, so that a crash loses a piece at most and no half of a file is ever sold.
A file that is loaded is remembered for a week, so that a repeat finds its batch.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias
from uuid import UUID

from giftcert.contracts.notices import BatchSource
from giftcert.domain.products import Product
from giftcert.pool_file import RowFault
from giftcert.storage.database import Connection, Database
from giftcert.storage.pool import PoolRepository
from giftcert.storage.repository import Repository, of_row

FORGOTTEN_AFTER = timedelta(days=7)
MOST_FAULTS = 1_000
"""So many faults are named; more are counted."""
_QUERY_SECONDS = 600.0  # a question about the whole file
_ROW_COLUMNS = (
    "batch_id",
    "row_number",
    "line",
    "certificate_id",
    "last_four",
    "number_sealed",
    "number_fingerprint",
    "cvc_sealed",
)
_FIND = """
    SELECT batch_id, product_id, key_id, quantity, sealed, finished_at IS NOT NULL AS finished
    FROM pool_imports WHERE product_id = $1 AND file_digest = $2
"""
_START = """
    INSERT INTO pool_imports (batch_id, product_id, file_digest, key_id, quantity, started_at)
    VALUES ($1, $2, $3, $4, $5, $6)
"""
_CHECK_TABLE = "CREATE TEMPORARY TABLE imported (line integer NOT NULL, fingerprint bytea NOT NULL)"
# A line of the file, and that of the first with the same number where there is one; else the number is in the pool.
_DUPLICATES = """
    SELECT line, first, count(*) OVER () FROM (
        SELECT line, min(line) OVER (PARTITION BY fingerprint) AS first, fingerprint FROM {0}
    ) AS numbers
    WHERE first < line OR EXISTS (SELECT FROM certificate_secrets WHERE number_fingerprint = fingerprint)
    ORDER BY line LIMIT $1
"""
_STAGED = (
    "(SELECT line, number_fingerprint AS fingerprint FROM pool_import_rows WHERE batch_id = '{}') AS staged"
)
_LOAD = """
    WITH staged AS MATERIALIZED (
        SELECT * FROM pool_import_rows WHERE batch_id = $1 AND row_number > $2 AND row_number <= $3
    ), loaded AS (
        INSERT INTO certificates (certificate_id, product_id, batch_id, last_four, currency, nominal)
        SELECT certificate_id, $4, batch_id, last_four, $5, $6 FROM staged ORDER BY certificate_id
    )
    INSERT INTO certificate_secrets (certificate_id, number_sealed, number_fingerprint, cvc_sealed)
    SELECT certificate_id, number_sealed, number_fingerprint, cvc_sealed FROM staged ORDER BY certificate_id
"""
_DROP_ROWS = "DELETE FROM pool_import_rows WHERE batch_id = $1"

StagedRow: TypeAlias = tuple[UUID, int, int, UUID, str, bytes, bytes, bytes]


@dataclass(frozen=True, slots=True)
class PoolImport:
    """A file of which so many rows are sealed, by this data key; ``finished``: all are in the pool."""

    batch_id: UUID
    product_id: str
    key_id: int
    quantity: int
    sealed: int
    finished: bool = False


class ImportTakenOverError(Exception):
    """Another process imports the same file."""


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Lines whose number is in an earlier line or in the pool; the first of them, and how many there are."""

    faults: Sequence[RowFault]
    total: int


class PoolImportRepository(Repository):
    """Keeps what is sealed, and loads it."""

    async def find(self, product_id: str, file_digest: bytes) -> PoolImport | None:
        """Return the import of a file that was begun, or finished not long ago."""
        row = await self._fetchrow(_FIND, product_id, file_digest)
        return None if row is None else of_row(PoolImport, row)

    async def start(self, begun: PoolImport, file_digest: bytes, now: datetime) -> None:
        """Record that a file is being imported; imports of long ago, finished or abandoned, are deleted."""
        await self._delete("DELETE FROM pool_imports WHERE started_at < $1", now - FORGOTTEN_AFTER)
        key = (begun.key_id, begun.quantity, now)
        await self._execute(_START, begun.batch_id, begun.product_id, file_digest, *key)

    async def add(self, of: PoolImport, rows: Sequence[StagedRow]) -> None:
        """Keep the next sealed rows; raises ``ImportTakenOverError`` where somebody else kept them."""
        statement = "UPDATE pool_imports SET sealed = sealed + $3 WHERE batch_id = $1 AND sealed = $2"
        if await self._execute(statement, of.batch_id, of.sealed, len(rows)) == 0:
            raise ImportTakenOverError
        await self._connection.copy_records_to_table("pool_import_rows", records=rows, columns=_ROW_COLUMNS)

    async def begin_again(self, of: PoolImport, key_id: int) -> None:
        """Forget what another key sealed: it may be destroyed by now."""
        await self._delete(_DROP_ROWS, of.batch_id)
        statement = "UPDATE pool_imports SET sealed = 0, key_id = $2 WHERE batch_id = $1"
        await self._execute(statement, of.batch_id, key_id)

    async def lock(self, of: PoolImport) -> None:
        """Let nobody else go on with an import in this state, or raise ``ImportTakenOverError``."""
        statement = "SELECT 1 FROM pool_imports WHERE batch_id = $1 AND sealed = $2 AND finished_at IS NULL FOR UPDATE"
        if await self._fetchval(statement, of.batch_id, of.sealed) is None:
            raise ImportTakenOverError

    async def load(self, of: PoolImport, product: Product, after: int, up_to: int) -> None:
        """Put sealed rows into the pool; raises ``asyncpg.UniqueViolationError`` where a number is there already."""
        terms = (product.id, product.currency, product.nominal or 0)
        await self._execute(_LOAD, of.batch_id, after, up_to, *terms)

    async def begin_batch(self, of: PoolImport) -> None:
        """Make the batch of which the certificates will be."""
        await PoolRepository(self._connection).add_batch(
            of.batch_id, of.product_id, of.quantity, BatchSource.IMPORT
        )

    async def finish(self, of: PoolImport, now: datetime) -> None:
        """Publish the batch that is loaded, delete its sealed rows, and remember its file."""
        await PoolRepository(self._connection).tell_loaded(
            of.batch_id, of.product_id, of.quantity, BatchSource.IMPORT, now
        )
        await self._delete(_DROP_ROWS, of.batch_id)
        await self._execute("UPDATE pool_imports SET finished_at = $2 WHERE batch_id = $1", of.batch_id, now)

    async def drop(self, of: PoolImport) -> None:
        """Forget an import."""
        for statement in (_DROP_ROWS, "DELETE FROM pool_imports WHERE batch_id = $1"):
            await self._delete(statement, of.batch_id)

    async def staged_duplicates(self, of: PoolImport) -> Duplicates:
        """Return which of the sealed rows have numbers of which there is another."""
        return await _duplicates(self._connection, _STAGED.format(of.batch_id))

    async def _delete(self, statement: str, which: UUID | datetime) -> None:
        """Delete what may be a million rows."""
        await self._connection.execute("SET LOCAL statement_timeout = 0")
        await self._connection.execute(statement, which, timeout=_QUERY_SECONDS)


class FileCheck:
    """Finds the numbers of a file that are there twice, in a table that vanishes with its connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def add(self, numbers: Iterable[tuple[int, bytes]]) -> None:
        """Take in lines with the fingerprints of their numbers."""
        await self._connection.copy_records_to_table("imported", records=numbers)

    async def duplicates(self) -> Duplicates:
        """Return which lines have a number that is in an earlier line or in the pool."""
        return await _duplicates(self._connection, "imported")


@asynccontextmanager
async def file_check(database: Database) -> AsyncIterator[FileCheck]:
    """Open a check on a connection of its own."""
    async with database.connection() as connection:
        try:
            await connection.execute("SET statement_timeout = 0")
            await connection.execute(_CHECK_TABLE)
            yield FileCheck(connection)
        finally:
            await connection.close()


async def _duplicates(connection: Connection, numbers: str) -> Duplicates:
    rows = await connection.fetch(_DUPLICATES.format(numbers), MOST_FAULTS, timeout=_QUERY_SECONDS)
    faults = [
        RowFault(
            line,
            f"line {first} has the number already" if first < line else "the number is in the pool already",
        )
        for line, first, _ in rows
    ]
    return Duplicates(faults, rows[0][2] if rows else 0)
