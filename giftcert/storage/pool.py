"""The pool: certificates made and counted. Claims from it are in ``claims``, their end in ``reservations``."""

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from asyncpg import Record, UniqueViolationError
from uuid_utils.compat import uuid7

from giftcert.contracts.notices import BatchSource, PoolLoaded, about_product
from giftcert.domain.numbers import number_from_digits
from giftcert.domain.pool_level import empty_at
from giftcert.domain.products import Product
from giftcert.security.data_keys import DataKey, Purpose, SealError
from giftcert.security.keyring import Keyring
from giftcert.storage.data_keys import DataKeyRepository
from giftcert.storage.events import EventRepository
from giftcert.storage.pool_changes import PoolChangeRepository
from giftcert.storage.repository import Repository

MOST_COOLING = 10_000
MOST_CHANGES = 20_000  # read in 3 ms; more are there only where no worker adds them up
CHUNK = 5_000  # certificates between two reports of progress: about a quarter of a second of sealing

_COLUMNS = ("certificate_id", "product_id", "batch_id", "last_four", "currency", "nominal")
_SECRET_COLUMNS = ("certificate_id", "number_sealed", "number_fingerprint", "cvc_sealed")
_ADD_BATCH = "INSERT INTO batches (batch_id, product_id, quantity, source) VALUES ($1, $2, $3, $4)"
# One snapshot: what is added up, and what changed since. $1 since when a released certificate rests, $2 how many of
# those are counted at most, $3 the threshold of products that have none of their own.
_COUNTS = """
WITH changes AS MATERIALIZED (
    SELECT * FROM pool_changes
), parts AS (
    SELECT product_id, status, certificates FROM pool_counts
    UNION ALL SELECT product_id, status, certificates FROM changes
    UNION ALL SELECT product_id, was, -certificates FROM changes WHERE was IS NOT NULL
), counts AS (
    SELECT product_id, jsonb_object_agg(status, certificates) AS statuses FROM (
        SELECT product_id, status, sum(certificates) AS certificates FROM parts GROUP BY product_id, status
    ) AS summed WHERE certificates <> 0 GROUP BY product_id
)
SELECT product_id, statuses, cooling, coalesce(low_threshold, $3), sold, since, (SELECT count(*) FROM changes)
FROM counts JOIN products USING (product_id) CROSS JOIN LATERAL (
    SELECT count(*) AS cooling FROM (
        SELECT FROM certificates WHERE product_id = counts.product_id AND status = 'available' AND NOT blocked
            AND available_since > $1 LIMIT $2
    ) AS resting
) AS cooled CROSS JOIN LATERAL (
    SELECT coalesce(sum(sold), 0)::bigint AS sold, min(hour) AS since
    FROM pool_sales WHERE product_id = counts.product_id
) AS sales
ORDER BY product_id
"""


@dataclass(frozen=True, slots=True)
class PoolCount:
    """How many certificates of a product stand in each status."""

    product: str
    statuses: dict[str, int]
    cooling: int  # of the available ones, up to `MOST_COOLING`
    low_threshold: int
    sold: int  # since ``sold_since``, a day ago at most
    sold_since: datetime | None
    empty_at: datetime | None  # if it goes on being sold like that

    @property
    def available(self) -> int:
        """How many can be given, those that rest among them."""
        return self.statuses.get("available", 0)


class PoolRepository(Repository):
    """Fills and counts the pool."""

    async def generate(
        self,
        product: Product,
        quantity: int,
        keyring: Keyring,
        now: datetime,
        progress: Callable[[int], None] = lambda _made: None,
        source: BatchSource = BatchSource.GENERATE,
    ) -> UUID:
        """Make certificates of a known product from the system's secure source; return the id of their batch.

        ``progress`` is called with the sum made so far.
        """
        batch_id = uuid7()
        await self.add_batch(batch_id, product.id, quantity, source)
        key = await DataKeyRepository(self._connection, keyring).for_batch(batch_id, now)
        for made in range(0, quantity, CHUNK):
            count = min(CHUNK, quantity - made)
            await self._copy_new(product, batch_id, count, keyring, key)
            progress(made + count)
        await self.tell_loaded(batch_id, product.id, quantity, source, now)
        return batch_id

    async def add_batch(self, batch_id: UUID, product_id: str, quantity: int, source: BatchSource) -> None:
        """Make the batch whose certificates come into the pool in this transaction."""
        await self._execute(_ADD_BATCH, batch_id, product_id, quantity, source)

    async def tell_loaded(
        self, batch_id: UUID, product_id: str, quantity: int, source: BatchSource, now: datetime
    ) -> None:
        """Count the certificates of a batch, and publish it."""
        await PoolChangeRepository(self._connection).add(product_id, quantity)
        loaded = PoolLoaded(batch_id=str(batch_id), count=quantity, source=source)
        await EventRepository(self._connection).append_keyed(
            product_id, [about_product(loaded, product_id, now)]
        )

    async def check_keyring(self, keyring: Keyring) -> None:
        """Open one sealed number of the pool, if there is any; raises ``SealError``."""
        sample = await self._fetchrow("SELECT number_sealed, certificate_id FROM certificate_secrets LIMIT 1")
        if sample is None:
            return
        try:
            keys = DataKeyRepository(self._connection, keyring)
            await keys.open(sample["number_sealed"], Purpose.NUMBER, sample["certificate_id"].bytes)
        except SealError:
            wrong = "GIFTCERT_KEYRING: the certificates in this database were sealed by another keyring"
            raise SealError(wrong) from None

    async def counts(self, now: datetime, cooling_period: timedelta, low_threshold: int) -> list[PoolCount]:
        """Return the counts of every product that has certificates; many changes are added up on the occasion."""
        rows = await self._fetch(_COUNTS, now - cooling_period, MOST_COOLING, low_threshold)
        if rows and rows[0][-1] > MOST_CHANGES:
            async with self._connection.transaction():
                await PoolChangeRepository(self._connection).fold(now)
        return [_counted(row, now) for row in rows]

    async def _copy_new(
        self, product: Product, batch_id: UUID, count: int, keyring: Keyring, key: DataKey
    ) -> None:
        """COPY fresh certificates; a number that exists already makes the whole chunk be drawn again."""
        connection = self._connection
        while True:
            rows, secrets = zip(*_new_certificates(product, batch_id, count, keyring, key), strict=True)
            try:
                async with connection.transaction():  # a savepoint within the caller's transaction
                    await connection.copy_records_to_table("certificates", records=rows, columns=_COLUMNS)
                    await connection.copy_records_to_table(
                        "certificate_secrets", records=secrets, columns=_SECRET_COLUMNS
                    )
            except UniqueViolationError:
                continue
            return


def _counted(row: Record, now: datetime) -> PoolCount:
    product, statuses, cooling, low_threshold, sold, since, _ = row
    counts: dict[str, int] = msgspec.json.decode(statuses)
    forecast = empty_at(counts.get("available", 0), sold, since, now)
    return PoolCount(product, counts, cooling, low_threshold, sold, since, forecast)


def _new_certificates(
    product: Product, batch_id: UUID, count: int, keyring: Keyring, key: DataKey
) -> Iterator[tuple[tuple[Any, ...], tuple[Any, ...]]]:
    """Yield the row of each certificate and that of its secrets."""
    for _ in range(count):
        certificate_id = uuid7()
        number = number_from_digits(_random_digits(product.number_length - 1))
        cvc = _random_digits(product.cvc_length)
        sealed = key.seal(number.encode(), Purpose.NUMBER, certificate_id.bytes)
        sealed_cvc = key.seal(cvc.encode(), Purpose.CVC, certificate_id.bytes)
        yield (
            (certificate_id, product.id, batch_id, number[-4:], product.currency, product.nominal or 0),
            (certificate_id, sealed, keyring.fingerprint(number), sealed_cvc),
        )


def _random_digits(length: int) -> str:
    return f"{secrets.randbelow(10**length):0{length}d}"
