"""Data keys as stored, wrapped by the master key: one that seals for each batch of the pool and each month of inputs.

A key that a rotation retired seals no more: who seals holds its key's row until the commit, and a rotation waits for
that. So a key for which nothing is counted afterwards is needed by nothing.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from giftcert.security.data_keys import DataKey, Purpose, SealError, key_id_of
from giftcert.security.keyring import Keyring
from giftcert.security.vault import KmsUnavailableError
from giftcert.storage.database import Connection, Database
from giftcert.storage.repository import Repository, by_column, of_row

COUNTING_SECONDS = 600.0  # whole tables
_SEALING = "SELECT key_id, wrapped FROM data_keys WHERE scope = $1 AND retired_at IS NULL FOR KEY SHARE"
_ADD = "INSERT INTO data_keys (key_id, scope, wrapped, created_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING"
_WRAPPED = "SELECT key_id, wrapped FROM data_keys WHERE key_id = ANY($1::bigint[]) AND wrapped IS NOT NULL"
_COLUMNS = "key_id, scope, wrapped, created_at, retired_at, destroyed_at"
_ALL = f"SELECT {_COLUMNS} FROM data_keys ORDER BY created_at, key_id"  # noqa: S608 - constants
_UNFINISHED = f"""
    SELECT {_COLUMNS} FROM data_keys WHERE retired_at IS NOT NULL AND resealed_at IS NULL AND destroyed_at IS NULL
"""  # noqa: S608 - constants
_ROWS = """
    SELECT key, sum(rows)::bigint FROM (
        SELECT substring(cvc_sealed FROM 2 FOR 4) AS key, count(*) AS rows FROM certificate_secrets GROUP BY 1
        UNION ALL
        SELECT substring(sealed FROM 2 FOR 4), count(*)
        FROM quarantine, unnest(ARRAY[record_key, record_value]) AS sealed WHERE sealed IS NOT NULL GROUP BY 1
    ) AS of_tables GROUP BY key
"""
_ORIGINALS = "SELECT substring(original FROM 2 FOR 4), count(*) FROM inbox WHERE original <> '' GROUP BY 1"
# Counted last: a workflow holds what was found in a row.
_RUNS = """
    SELECT substring(int8send(run_key) FROM 5), count(*) FROM certificates WHERE run_key IS NOT NULL GROUP BY 1
"""
# Lockers of a row share it past whoever waits to change it, so a busy key would never be retired; locks of a table are
# given in turn. Who seals waits meanwhile, so it gives up soon behind a batch that is long in the making.
_LOCK = "SET LOCAL lock_timeout = '2s'; LOCK TABLE data_keys IN EXCLUSIVE MODE"
_WRAP_ANEW = """
    UPDATE data_keys AS t SET wrapped = new.wrapped
    FROM unnest($1::bigint[], $2::bytea[], $3::bytea[]) AS new (key_id, old, wrapped)
    WHERE t.key_id = new.key_id AND t.wrapped = new.old
"""
_DESTROY = """
    UPDATE data_keys SET wrapped = NULL, destroyed_at = $1 WHERE key_id = ANY($2) AND destroyed_at IS NULL
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredKey:
    """A data key, and what still needs it."""

    key_id: int
    scope: str
    wrapped: bytes | None  # None: destroyed
    created_at: datetime
    retired_at: datetime | None
    destroyed_at: datetime | None
    rows: int = 0
    runs: int = 0  # of workflows, which hold the sealed CVC
    originals: int = 0

    @property
    def is_needed(self) -> bool:
        """Whether a seal would be lost with it."""
        return self.rows + self.runs + self.originals > 0

    @property
    def is_unneeded_for_good(self) -> bool:
        """Whether it can be destroyed: a retired key seals nothing more."""
        return bool(self.retired_at) and not self.destroyed_at and not self.is_needed


class DataKeyRepository(Repository):
    """Finds, makes, retires and destroys data keys."""

    def __init__(self, connection: Connection, keyring: Keyring) -> None:
        super().__init__(connection)
        self._keyring = keyring

    async def for_batch(self, batch_id: UUID, now: datetime) -> DataKey:
        """Return the key that seals a batch of the pool until the transaction ends."""
        return await self.sealing(f"batch {batch_id}", now)

    async def for_inputs(self, now: datetime) -> DataKey:
        """Return the key that seals the inputs of a month until the transaction ends."""
        return await self.sealing(f"inputs {now:%Y-%m}", now)

    async def sealing(self, scope: str, now: datetime) -> DataKey:
        """Return the key that seals in a scope, made if need be; it is not retired until the transaction ends.

        Raises:
            KmsUnavailableError: it can be neither wrapped nor unwrapped; an outage to whoever seals.
        """
        while (row := await self._fetchrow(_SEALING, scope)) is None:
            key = DataKey.create()
            await self._execute(_ADD, key.key_id, scope, await self._keyring.wrap(key), now)
        try:
            return await self._keyring.unwrap(*row)
        except SealError as error:
            raise KmsUnavailableError(str(error)) from None

    async def open(self, sealed: bytes, purpose: Purpose, owner: bytes) -> bytes:
        """Return the secret that was sealed for this purpose and owner; raises as ``Seals.open``."""
        key_id = key_id_of(sealed)
        key = self._keyring.held(key_id) or (await self.opening([key_id])).get(key_id)
        if key is None:
            raise SealError(
                "a sealed secret does not open: its data key is not in this database, or was destroyed"
            )
        return key.open(sealed, purpose, owner)

    async def opening(self, key_ids: Sequence[int]) -> dict[int, DataKey]:
        """Return those keys that are there; raises ``SealError`` and ``KmsUnavailableError``."""
        rows = await self._fetch(_WRAPPED, key_ids)
        return {row["key_id"]: await self._keyring.unwrap(*row) for row in rows}

    async def all(self) -> list[StoredKey]:
        """Return all keys, the oldest first, without what needs them."""
        return [of_row(StoredKey, row, rows=0, runs=0, originals=0) for row in await self._fetch(_ALL)]

    async def usage(self) -> list[StoredKey]:
        """Return all keys with what still needs them; reads whole tables."""
        rows, originals, runs = [await self._counted(one) for one in (_ROWS, _ORIGINALS, _RUNS)]
        return [
            replace(key, rows=rows[key.key_id], originals=originals[key.key_id], runs=runs[key.key_id])
            for key in await self.all()
        ]

    async def retire(self, now: datetime) -> int:
        """Retire every key that seals, once what it is just sealing is committed; return how many.

        Raises ``asyncpg.LockNotAvailableError`` behind whoever seals for long.
        """
        await self._connection.execute(_LOCK)
        return await self._execute("UPDATE data_keys SET retired_at = $1 WHERE retired_at IS NULL", now)

    async def wrap_anew(self) -> int:
        """Wrap every key by the newest version of the master key; return how many."""
        stored = [(one.key_id, one.wrapped) for one in await self.all() if one.wrapped is not None]
        keys = [await self._keyring.unwrap(*one) for one in stored]
        anew = [(*one, await self._keyring.wrap(key)) for one, key in zip(stored, keys, strict=True)]
        return await self._execute(_WRAP_ANEW, *by_column(anew)) if anew else 0

    async def unfinished(self) -> list[StoredKey]:
        """Return the retired keys that may still be needed, without what needs them."""
        return [of_row(StoredKey, row, rows=0, runs=0, originals=0) for row in await self._fetch(_UNFINISHED)]

    async def note_resealed(self, now: datetime) -> None:
        """Note which retired keys neither rows nor workflows need any more, and originals alone may."""
        needed = await self._counted(_ROWS) + await self._counted(_RUNS)
        resealed = [one.key_id for one in await self.unfinished() if not needed[one.key_id]]
        note = "UPDATE data_keys SET resealed_at = $1 WHERE key_id = ANY($2)"
        await self._execute(note, now, resealed)

    async def destroy(self, key_ids: Sequence[int], now: datetime) -> None:
        """Destroy keys that nothing needs for good. Until the commit nobody makes or wraps a key."""
        await self._connection.execute(_LOCK)
        await self._execute(_DESTROY, now, key_ids)

    async def _counted(self, statement: str) -> Counter[int]:
        await self._connection.execute("SET LOCAL statement_timeout = 0")
        found = await self._connection.fetch(statement, timeout=COUNTING_SECONDS)
        return Counter({int.from_bytes(key): count for key, count in found})


class Seals:
    """Opens what data keys sealed; each key is unwrapped once in a process."""

    def __init__(self, database: Database, keyring: Keyring) -> None:
        self._database = database
        self.keyring = keyring
        self._one_at_a_time = asyncio.Lock()

    async def open(self, sealed: bytes, purpose: Purpose, owner: bytes) -> bytes:
        """Return the secret that was sealed for this purpose and owner.

        Raises:
            SealError: it does not open.
            KmsUnavailableError, asyncpg's errors: its key cannot be had just now.
        """
        key = self.keyring.held(key_id_of(sealed))
        if key is not None:
            return key.open(sealed, purpose, owner)
        async with self._one_at_a_time, self._database.connection() as connection:
            return await DataKeyRepository(connection, self.keyring).open(sealed, purpose, owner)

    async def unwrap_all(self) -> None:
        """Unwrap all keys, so that no caller waits for the KMS, nor learns from the time which numbers exist."""
        async with self._database.connection() as connection:
            keys = await DataKeyRepository(connection, self.keyring).all()
        for one in keys:
            if one.wrapped is not None:
                await self.keyring.unwrap(one.key_id, one.wrapped)
