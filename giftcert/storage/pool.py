"""The pool: certificates made and counted. Claims from it are in ``claims``, their end in ``reservations``."""

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from asyncpg import UniqueViolationError
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection
from uuid_utils.compat import uuid7

from giftcert.contracts.notices import PoolLoaded, about_product
from giftcert.domain.numbers import number_from_digits
from giftcert.domain.products import Product
from giftcert.storage.engine import driver_of
from giftcert.storage.events import EventRepository

CHUNK = 5_000
"""Certificates between two reports of progress: about a quarter of a second of sealing."""

_COLUMNS = ("certificate_id", "product_id", "batch_id", "last_four", "currency", "nominal")
_SECRET_COLUMNS = ("certificate_id", "number_sealed", "number_fingerprint", "cvc_sealed")
_ADD_BATCH = text("""
    INSERT INTO batches (batch_id, product_id, quantity, source) VALUES (:batch_id, :product, :quantity, :source)
""")
_COUNTS = text("""
    SELECT product_id, CASE WHEN blocked THEN 'blocked' ELSE status END AS shown, count(*) AS certificates
    FROM certificates GROUP BY product_id, shown
""")
_SAMPLE = text("SELECT certificate_id, number_sealed FROM certificate_secrets LIMIT 1")
_COOLING = text("""
    SELECT product_id, count(*) AS certificates FROM certificates
    WHERE status = 'available' AND NOT blocked AND available_since > :since GROUP BY product_id
""")


class Sealer(Protocol):
    """What making certificates needs of the keyring."""

    def seal(self, secret: str, context: bytes) -> bytes:
        """Encrypt a secret that only the same context opens."""

    def fingerprint(self, number: str) -> bytes:
        """Return the keyed hash under which a number is found again."""


@dataclass(frozen=True, slots=True)
class PoolCount:
    """How many certificates of a product stand in each status; ``cooling`` of the available ones rest."""

    product: str
    statuses: dict[str, int]
    cooling: int

    @property
    def available(self) -> int:
        """How many can be given, those that rest among them."""
        return self.statuses.get("available", 0)


class PoolRepository:
    """Fills and counts the pool; the caller owns the transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def generate(
        self,
        product: Product,
        quantity: int,
        sealer: Sealer,
        now: datetime,
        progress: Callable[[int], None] = lambda _made: None,
    ) -> UUID:
        """Make certificates with numbers and CVCs from the system's secure source.

        Args:
            product: what they are certificates of; it must be known to the database.
            quantity: how many.
            sealer: the keyring.
            now: when this happens, for the event ``audit.imported``.
            progress: called with the sum made so far.

        Returns:
            The id of the batch.
        """
        batch_id = uuid7()
        batch = {"batch_id": batch_id, "product": product.id, "quantity": quantity, "source": "generate"}
        await self._connection.execute(_ADD_BATCH, batch)
        for made in range(0, quantity, CHUNK):
            count = min(CHUNK, quantity - made)
            await self._copy_new(product, batch_id, count, sealer)
            progress(made + count)
        loaded = about_product(PoolLoaded(batch_id=str(batch_id), count=quantity), product.id, now)
        await EventRepository(self._connection).append_keyed(product.id, [loaded])
        return batch_id

    async def sealed_sample(self) -> tuple[UUID, bytes] | None:
        """Return the id and the sealed number of any certificate, by which a wrong keyring is noticed."""
        row = (await self._connection.execute(_SAMPLE)).first()
        return None if row is None else (row.certificate_id, row.number_sealed)

    async def counts(self, now: datetime, cooling_period: timedelta) -> list[PoolCount]:
        """Return the counts of every product that has certificates."""
        statuses: dict[str, dict[str, int]] = {}
        for row in await self._connection.execute(_COUNTS):
            statuses.setdefault(row.product_id, {})[row.shown] = row.certificates
        rested = await self._connection.execute(_COOLING, {"since": now - cooling_period})
        cooling = {row.product_id: row.certificates for row in rested}
        return [
            PoolCount(product, statuses[product], cooling.get(product, 0)) for product in sorted(statuses)
        ]

    async def _copy_new(self, product: Product, batch_id: UUID, count: int, sealer: Sealer) -> None:
        """COPY fresh certificates; a number that exists already makes the whole chunk be drawn again."""
        driver = await driver_of(self._connection)
        while True:
            try:
                async with driver.transaction():  # a savepoint within the caller's transaction
                    made = list(_new_certificates(product, batch_id, count, sealer))
                    rows, secrets = [one for one, _ in made], [one for _, one in made]
                    await driver.copy_records_to_table("certificates", records=rows, columns=_COLUMNS)
                    await driver.copy_records_to_table(
                        "certificate_secrets", records=secrets, columns=_SECRET_COLUMNS
                    )
            except UniqueViolationError:
                continue
            return


def _new_certificates(
    product: Product, batch_id: UUID, count: int, sealer: Sealer
) -> Iterator[tuple[tuple[Any, ...], tuple[Any, ...]]]:
    """Yield the row of each certificate and that of its secrets."""
    for _ in range(count):
        certificate_id = uuid7()
        number = number_from_digits(_random_digits(product.number_length - 1))
        cvc = _random_digits(product.cvc_length)
        context = certificate_id.bytes
        yield (
            (certificate_id, product.id, batch_id, number[-4:], product.currency, product.nominal or 0),
            (
                certificate_id,
                sealer.seal(number, context),
                sealer.fingerprint(number),
                sealer.seal(cvc, context),
            ),
        )


def _random_digits(length: int) -> str:
    return f"{secrets.randbelow(10**length):0{length}d}"
