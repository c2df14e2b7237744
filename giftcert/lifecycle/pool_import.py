"""Import of a file of certificates: the whole file, or nothing of it.

First every row is checked, and nothing is kept. Then rows are sealed and kept piece by piece; begun again after a
crash, it goes on behind the last piece. At last all are loaded in one transaction.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice
from typing import TypeAlias

import asyncpg
from uuid_utils.compat import uuid7

from giftcert.domain.products import Product
from giftcert.plurals import counted
from giftcert.pool_file import PoolFile, PoolFileError, PoolRow, RowFault
from giftcert.security.data_keys import DataKey, Purpose
from giftcert.security.keyring import Keyring
from giftcert.storage.data_keys import DataKeyRepository
from giftcert.storage.database import Database
from giftcert.storage.events import EventRepository
from giftcert.storage.pool import CHUNK
from giftcert.storage.pool_imports import (
    MOST_FAULTS,
    Duplicates,
    ImportTakenOverError,
    PoolImport,
    PoolImportRepository,
    StagedRow,
    file_check,
)

CHECKED_AT_ONCE = 20_000
LOADED_AT_ONCE = 20_000
Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with what is done with the rows, how many are done, and how many there are."""


class FileRefusedError(Exception):
    """Rows of the file are wrong, so nothing is imported; the first faults, by line, and how many there are."""

    def __init__(self, faults: Sequence[RowFault], total: int) -> None:
        super().__init__(counted(total, "wrong line"))
        self.faults = faults
        self.total = total


@dataclass(slots=True)
class _Faults:
    first: list[RowFault] = field(default_factory=list)
    total: int = 0

    def add(self, fault: RowFault) -> None:
        self.total += 1
        if self.total <= MOST_FAULTS:
            self.first.append(fault)

    def refuse(self, duplicates: Duplicates | None = None) -> None:
        """Raise ``FileRefusedError`` if anything is wrong."""
        faults, total = self.first, self.total
        if duplicates is not None:
            faults, total = [*faults, *duplicates.faults], total + duplicates.total
        if total:
            raise FileRefusedError(sorted(faults, key=lambda one: one.line)[:MOST_FAULTS], total)


@dataclass(frozen=True)
class PoolLoader:
    """Imports files of one product."""

    database: Database
    keyring: Keyring
    product: Product
    who: str
    stream_key: str
    now: Callable[[], datetime]
    progress: Progress

    async def load(self, file: PoolFile) -> PoolImport:
        """Import a file, or go on with it; return its batch. One that is in the pool already is ``finished``.

        Raises:
            FileRefusedError: rows are wrong; nothing was imported.
            ImportTakenOverError: another process imports the same file.
            PoolFileError: the file is no CSV in UTF-8.
        """
        digest = self.keyring.fingerprint(f"pool import {file.digest}")
        async with self.database.connection() as connection:
            begun = await PoolImportRepository(connection).find(self.product.id, digest)
        if begun is None:
            begun = await self._start(await self._check(file), digest)
        while not begun.finished:
            begun = await self._seal(file, begun)
            if begun.sealed < begun.quantity or PoolFile.open(file.path) != file:
                await self._drop(begun)
                what = f"{file.path}, or the length of its numbers or CVCs by the product, changed meanwhile"
                raise PoolFileError(f"{what}; nothing was imported, so start again")
            if await self._load(begun):
                break
            begun = replace(begun, sealed=0)
        return begun

    async def _check(self, file: PoolFile) -> int:
        """Return how many certificates the file has, all of them good and new."""
        faults, checked = _Faults(), 0
        async with file_check(self.database) as check:
            rows = file.rows(self.product)
            while piece := list(islice(rows, CHECKED_AT_ONCE)):
                good = [row for row in piece if isinstance(row, PoolRow)]
                for fault in piece:
                    if isinstance(fault, RowFault):
                        faults.add(fault)
                await check.add([(row.line, self.keyring.fingerprint(row.number)) for row in good])
                checked += len(piece)
                self.progress("checked ", checked, max(checked, file.lines - 1))
            if not checked:
                faults.add(RowFault(1, "there is no certificate in the file"))
            faults.refuse(await check.duplicates())
        return checked

    async def _start(self, quantity: int, digest: bytes) -> PoolImport:
        batch_id, now = uuid7(), self.now()
        async with self.database.transaction() as connection:
            key = await DataKeyRepository(connection, self.keyring).for_batch(batch_id, now)
            begun = PoolImport(batch_id, self.product.id, key.key_id, quantity, sealed=0)
            try:
                await PoolImportRepository(connection).start(begun, digest, now)
            except asyncpg.UniqueViolationError:
                raise ImportTakenOverError from None
        return begun

    async def _seal(self, file: PoolFile, begun: PoolImport) -> PoolImport:
        """Seal and keep the rows that are not kept yet; begins at the first again where the key was rotated."""
        is_rotated = True
        while is_rotated:
            is_rotated, rows = False, islice(_good(file, self.product), begun.sealed, begun.quantity)
            while not is_rotated and (piece := list(islice(rows, CHUNK))):
                kept = await self._keep(begun, piece)
                is_rotated, begun = kept.key_id != begun.key_id, kept
                self.progress("sealed ", begun.sealed, begun.quantity)
        return begun

    async def _keep(self, begun: PoolImport, rows: Sequence[PoolRow]) -> PoolImport:
        async with self.database.transaction() as connection:
            imports = PoolImportRepository(connection)
            key = await DataKeyRepository(connection, self.keyring).for_batch(begun.batch_id, self.now())
            if key.key_id != begun.key_id:
                await imports.begin_again(begun, key.key_id)
                return replace(begun, key_id=key.key_id, sealed=0)
            numbered = enumerate(rows, begun.sealed + 1)
            await imports.add(begun, [self._sealed(begun, nth, row, key) for nth, row in numbered])
        return replace(begun, sealed=begun.sealed + len(rows))

    def _sealed(self, begun: PoolImport, nth: int, row: PoolRow, key: DataKey) -> StagedRow:
        certificate_id = uuid7()
        number = key.seal(row.number.encode(), Purpose.NUMBER, certificate_id.bytes)
        cvc = key.seal(row.cvc.encode(), Purpose.CVC, certificate_id.bytes)
        fingerprint = self.keyring.fingerprint(row.number)
        return begun.batch_id, nth, row.line, certificate_id, row.number[-4:], number, fingerprint, cvc

    async def _load(self, begun: PoolImport) -> bool:
        """Load all rows, unless their key was rotated; raises ``FileRefusedError`` where a number has come."""
        try:
            async with self.database.transaction() as connection:
                imports, now = PoolImportRepository(connection), self.now()
                await imports.lock(begun)
                key = await DataKeyRepository(connection, self.keyring).for_batch(begun.batch_id, now)
                if key.key_id != begun.key_id:
                    return False
                await imports.begin_batch(begun)
                for after in range(0, begun.quantity, LOADED_AT_ONCE):
                    up_to = min(after + LOADED_AT_ONCE, begun.quantity)
                    await imports.load(begun, self.product, after, up_to)
                    self.progress("loaded ", up_to, begun.quantity)
                imported = counted(begun.quantity, "certificate")
                acted = f"imported {imported} of {self.product.id}: batch {begun.batch_id}"
                await EventRepository(connection).append_act(self.stream_key, self.who, acted, now)
                await imports.finish(begun, now)
        except asyncpg.UniqueViolationError:
            await self._refuse(begun)
        return True

    async def _refuse(self, begun: PoolImport) -> None:
        """Forget an import whose numbers came into the pool another way while it was under way."""
        async with self.database.transaction() as connection:
            await connection.execute("SET LOCAL statement_timeout = 0")
            duplicates = await PoolImportRepository(connection).staged_duplicates(begun)
        await self._drop(begun)
        _Faults().refuse(duplicates)

    async def _drop(self, begun: PoolImport) -> None:
        async with self.database.transaction() as connection:
            await PoolImportRepository(connection).drop(begun)


def _good(file: PoolFile, product: Product) -> Iterator[PoolRow]:
    """The rows of a file that was checked."""
    return (row for row in file.rows(product) if isinstance(row, PoolRow))
