"""Rotation of keys while the service runs: new keys, seals page by page, then the workflows that hold old seals.

Where it has come to lies in the seals themselves, so any process may carry it on, also several at once.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from asyncpg import LockNotAvailableError

from giftcert.clock import Clock, utc_now
from giftcert.plurals import counted
from giftcert.security.data_keys import DataKey, key_id_of
from giftcert.security.keyring import Keyring
from giftcert.security.master_keys import version_of
from giftcert.storage.data_keys import DataKeyRepository, StoredKey
from giftcert.storage.database import Connection, Database
from giftcert.storage.events import EventRepository
from giftcert.storage.resealing import CERTIFICATES, SEALED, ResealingRepository, SealedColumns, SealedRow
from giftcert.temporal.signals import Wake

ROWS_AT_ONCE = 250  # some 25 ms of sealing
RUNS_AT_ONCE = 50
Progress: TypeAlias = Callable[[int], None]
Send: TypeAlias = Callable[[Sequence[Wake]], Awaitable[None]]


class RotationRefusedError(Exception):
    """A rotation cannot begin just now."""


@dataclass(frozen=True, slots=True)
class KeyRotation:
    """Rotates keys on one process's connections; the stream hears of it under ``stream_key``."""

    database: Database
    keyring: Keyring
    stream_key: str
    clock: Clock = utc_now

    async def unfinished(self) -> list[StoredKey]:
        """Return retired keys that rows or workflows may still need."""
        async with self.database.connection() as connection:
            return await DataKeyRepository(connection, self.keyring).unfinished()

    async def begin(self, who: str, why: str) -> None:
        """Add a version to the master key, wrap all data keys by it, and retire them.

        Raises ``RotationRefusedError`` while a batch of the pool is in the making.
        """
        self.keyring.rotate_master()
        async with self._keys() as (_, keys):
            await keys.wrap_anew()
        try:
            async with self._keys() as (connection, keys):
                await keys.retire(self.clock())
                await self._record(connection, who, f"keys rotate: {why}")
        except LockNotAvailableError:
            wait = "a batch of the pool is in the making: rotate the keys when it is done"
            raise RotationRefusedError(wait) from None

    async def usage(self) -> list[StoredKey]:
        """Return every data key with what needs it."""
        async with self._keys() as (_, keys):
            return await keys.usage()

    async def reseal(self, progress: Progress, until: datetime | None = None) -> int:
        """Seal anew what retired keys sealed, up to an instant of our clock; return how many rows it were."""
        done, old = 0, {one.key_id: one for one in await self.unfinished()}
        for columns in SEALED if old else ():
            place: str | None = columns.first
            while place is not None:
                if until is not None and self.clock() >= until:
                    return done
                place, count = await self._reseal_page(columns, old, place)
                done += count
                progress(done)
        return done

    async def wake_runs(self, send: Send, default_channel: str) -> int:
        """Signal the workflows that hold what retired keys sealed; return how many. Lost signals come again."""
        done, place = 0, CERTIFICATES.first
        while old := [one.key_id for one in await self.unfinished()]:
            async with self.database.connection() as connection:
                repository = ResealingRepository(connection)
                wakes = await repository.wakes(old, place, RUNS_AT_ONCE, default_channel)
            if not wakes:
                break
            await send(wakes)
            done, place = done + len(wakes), wakes[-1].certificate_id
        return done

    async def conclude(self) -> list[StoredKey]:
        """Note which retired keys neither rows nor workflows need any more, and return the others."""
        async with self._keys() as (_, keys):
            await keys.note_resealed(self.clock())
        return await self.unfinished()

    async def destroy_unneeded(self, who: str, why: str) -> list[str]:
        """Destroy retired data keys, and versions of the master key in its file, that nothing needs; return which."""
        destroyed = [one.key_id for one in await self.usage() if one.is_unneeded_for_good]
        async with self._keys() as (connection, keys):
            await keys.destroy(destroyed, self.clock())
            wrapping = {version_of(one.wrapped) for one in await keys.all() if one.wrapped is not None}
            unused = self.keyring.unused_versions(wrapping)
            if destroyed or unused:
                what = (
                    f"{counted(len(destroyed), 'data key')} and"
                    f" {counted(len(unused), 'version')} of the master key"
                )
                await self._record(connection, who, f"keys destroy, {what}: {why}")
            for version in unused:
                self.keyring.destroy_master(version)
        return [
            *(f"data key {one}" for one in destroyed),
            *(f"master key version {one}" for one in unused),
        ]

    async def _reseal_page(
        self, columns: SealedColumns, old: dict[int, StoredKey], after: str
    ) -> tuple[str | None, int]:
        async with self._keys() as (connection, keys):
            repository = ResealingRepository(connection)
            rows = await repository.page(columns, old, after, ROWS_AT_ONCE)
            if not rows:
                return None, 0
            used = {key_id_of(next(filter(None, row.seals))) for row in rows}
            opening = await keys.opening(sorted(used))
            sealing = {one: await keys.sealing(old[one].scope, self.clock()) for one in sorted(used)}
            new = [(row, _sealed_anew(columns, row, opening, sealing)) for row in rows]
            return rows[-1].place, await repository.replace(columns, new)

    async def _record(self, connection: Connection, who: str, what: str) -> None:
        await EventRepository(connection).append_act(self.stream_key, who, what, self.clock())

    @asynccontextmanager
    async def _keys(self) -> AsyncIterator[tuple[Connection, DataKeyRepository]]:
        async with self.database.transaction() as connection:
            yield connection, DataKeyRepository(connection, self.keyring)


def _sealed_anew(
    columns: SealedColumns, row: SealedRow, opening: dict[int, DataKey], sealing: dict[int, DataKey]
) -> list[bytes | None]:
    new: list[bytes | None] = []
    for sealed, purpose in zip(row.seals, columns.purposes, strict=True):
        if sealed is None:
            new.append(None)
            continue
        secret = opening[key_id_of(sealed)].open(sealed, purpose, row.owner)
        new.append(sealing[key_id_of(sealed)].seal(secret, purpose, row.owner))
    return new
