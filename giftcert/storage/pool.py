"""The pool: certificates made and counted. Claims from it are in ``claims``, their end in ``reservations``."""

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from asyncpg import UniqueViolationError
from uuid_utils.compat import uuid7

from giftcert.contracts.notices import PoolLoaded, about_product
from giftcert.domain.numbers import number_from_digits
from giftcert.domain.products import Product
from giftcert.security.data_keys import DataKey, Purpose, SealError
from giftcert.security.keyring import Keyring
from giftcert.storage.data_keys import DataKeyRepository
from giftcert.storage.events import EventRepository
from giftcert.storage.repository import Repository

CHUNK = 5_000  # certificates between two reports of progress: about a quarter of a second of sealing

_COLUMNS = ("certificate_id", "product_id", "batch_id", "last_four", "currency", "nominal")
_SECRET_COLUMNS = ("certificate_id", "number_sealed", "number_fingerprint", "cvc_sealed")
_COUNTS = """
    SELECT product_id, jsonb_object_agg(shown, certificates), sum(cooling)::bigint
    FROM (
        SELECT product_id, CASE WHEN blocked THEN 'blocked' ELSE status END AS shown, count(*) AS certificates,
            count(*) FILTER (WHERE status = 'available' AND NOT blocked AND available_since > $1) AS cooling
        FROM certificates GROUP BY product_id, shown
    ) AS counts GROUP BY product_id ORDER BY product_id
"""


@dataclass(frozen=True, slots=True)
class PoolCount:
    """How many certificates of a product stand in each status."""

    product: str
    statuses: dict[str, int]
    cooling: int  # of the available ones

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
    ) -> UUID:
        """Make certificates of a known product from the system's secure source; return the id of their batch.

        ``progress`` is called with the sum made so far.
        """
        batch_id = uuid7()
        add = "INSERT INTO batches (batch_id, product_id, quantity, source) VALUES ($1, $2, $3, 'generate')"
        await self._execute(add, batch_id, product.id, quantity)
        key = await DataKeyRepository(self._connection, keyring).for_batch(batch_id, now)
        for made in range(0, quantity, CHUNK):
            count = min(CHUNK, quantity - made)
            await self._copy_new(product, batch_id, count, keyring, key)
            progress(made + count)
        loaded = about_product(PoolLoaded(batch_id=str(batch_id), count=quantity), product.id, now)
        await EventRepository(self._connection).append_keyed(product.id, [loaded])
        return batch_id

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

    async def counts(self, now: datetime, cooling_period: timedelta) -> list[PoolCount]:
        """Return the counts of every product that has certificates."""
        return [
            PoolCount(product, msgspec.json.decode(statuses), cooling)
            for product, statuses, cooling in await self._fetch(_COUNTS, now - cooling_period)
        ]

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
