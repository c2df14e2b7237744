"""Pool, orders and certificates on the real tables: what ingest, workflow and API do, without Kafka and Temporal.

The clock stands still unless a test moves it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import msgspec

from giftcert.domain.cause import Cause
from giftcert.domain.certificate.messages import Request, SpendingKind, SpendingReported
from giftcert.domain.certificate.state import CertificateState
from giftcert.domain.clients import Recipient
from giftcert.domain.order.messages import (
    GIFT_CERTIFICATE,
    Allocation,
    LinesReturned,
    OrderCancelled,
    OrderLine,
    OrderMessage,
    OrderStated,
    PaymentAuthorized,
    PaymentCaptured,
    PaymentRefunded,
    PaymentVoided,
)
from giftcert.domain.policy import Policy
from giftcert.domain.products import Product
from giftcert.lifecycle import order_changes
from giftcert.lifecycle.change import Lifecycle, Outcome
from giftcert.lifecycle.snapshot import Snapshot
from giftcert.storage import ingest_fences
from giftcert.storage.certificates import CertificateRepository, StoredCertificate
from giftcert.storage.claims import ClaimRepository, ClaimRequest
from giftcert.storage.database import Database
from giftcert.storage.idempotency import IdempotencyKey
from giftcert.storage.order_lines import OrderLineRepository
from giftcert.storage.orders import OrderRepository
from giftcert.storage.pending import PendingRow
from giftcert.storage.pool import PoolRepository
from giftcert.storage.products import ProductRepository
from giftcert.temporal.signals import Signal, Wake
from tests.folding import folded
from tests.integration.storage.pool_rows import PlainSealer
from tests.named_values import Statements

GIFT = Product("GC-5000", "RUB", nominal=500_000)
WORTH = 500_000
START = datetime(2026, 11, 23, 10, tzinfo=UTC)
ORDERS, PAYMENTS = "All_SalesOrder", "All_Payments"


# What topics say ------------------------------------------------------------------------------------


def cause(topic: str, at: datetime = START, channel: str = "im") -> Cause:
    return Cause(topic, f"{topic}-{uuid4().hex[:8]}", at, channel)


def sold(certificate_id: str, line_id: str = "1", amount: int = WORTH, **more: Any) -> OrderLine:
    """A certificate line."""
    return OrderLine(
        line_id=line_id, kind=GIFT_CERTIFICATE, amount=amount, certificate_id=certificate_id, **more
    )


def goods(line_id: str, amount: int) -> OrderLine:
    return OrderLine(line_id=line_id, kind="goods", amount=amount)


def stated(order_id: str, version: int, *lines: OrderLine, at: datetime = START, **more: Any) -> OrderStated:
    said: dict[str, Any] = {
        "event_type": "order.created" if version == 1 else "order.changed",
        "channel": "im",
        "customer_id": "C-1",
        "currency": "RUB",
        "total": sum(line.amount for line in lines),
    }
    return OrderStated(
        cause=cause(ORDERS, at), order_id=order_id, version=version, lines=lines, **said | more
    )


def cancelled(order_id: str, version: int, *line_ids: str, at: datetime = START) -> OrderCancelled:
    return OrderCancelled(
        cause=cause(ORDERS, at), order_id=order_id, version=version, channel="im", line_ids=line_ids or None
    )


def returned(order_id: str, version: int, *line_ids: str, at: datetime = START) -> LinesReturned:
    return LinesReturned(
        cause=cause(ORDERS, at), order_id=order_id, version=version, channel="im", line_ids=line_ids
    )


def _payment(
    order_id: str, amount: int, payment_id: str, at: datetime, currency: str = "RUB"
) -> dict[str, Any]:
    return {
        "cause": cause(PAYMENTS, at),
        "order_id": order_id,
        "payment_id": payment_id,
        "tender": "card",
        "amount": amount,
        "currency": currency,
    }


def authorized(
    order_id: str, amount: int = WORTH, payment_id: str = "P-1", at: datetime = START
) -> PaymentAuthorized:
    return PaymentAuthorized(**_payment(order_id, amount, payment_id, at))


def voided(
    order_id: str, amount: int = WORTH, payment_id: str = "P-1", at: datetime = START
) -> PaymentVoided:
    return PaymentVoided(**_payment(order_id, amount, payment_id, at))


def captured(
    order_id: str,
    amount: int = WORTH,
    payment_id: str = "P-1",
    *,
    line_id: str | None = None,
    at: datetime = START,
    currency: str = "RUB",
) -> PaymentCaptured:
    allocations = (Allocation(line_id, amount),) if line_id else ()
    return PaymentCaptured(**_payment(order_id, amount, payment_id, at, currency), allocations=allocations)


def refunded(
    order_id: str,
    refund_id: str,
    amount: int = WORTH,
    payment_id: str = "P-1",
    *,
    line_id: str | None = None,
    at: datetime = START,
) -> PaymentRefunded:
    allocations = (Allocation(line_id, amount),) if line_id else ()
    said = _payment(order_id, amount, payment_id, at)
    return PaymentRefunded(**said, refund_id=refund_id, allocations=allocations)


def spent(
    kind: SpendingKind, amount: int, redemption_id: str | None = None, order_id: str = "POS-1", **more: Any
) -> SpendingReported:
    """What a payment with a certificate as its tender says."""
    return SpendingReported(
        cause=cause(PAYMENTS, channel="pos"),
        kind=kind,
        order_id=order_id,
        payment_id="P-9",
        redemption_id=redemption_id,
        amount=amount,
        currency="RUB",
        **more,
    )


# The world ------------------------------------------------------------------------------------------


@dataclass
class World(Statements):
    """Everything on one database. ``now`` is everybody's clock."""

    database: Database
    url: str
    lifecycle: Lifecycle
    policy: Policy
    now: datetime = START
    wakes: list[Wake] = field(default_factory=list)

    def pass_time(self, time: timedelta) -> None:
        self.now += time

    # The pool

    async def fill(self, quantity: int, product: Product = GIFT) -> list[str]:
        """Make certificates, and return their ids."""
        async with self.database.transaction() as connection:
            await ProductRepository(connection).put([product])
            batch = await PoolRepository(connection).generate(product, quantity, PlainSealer(), self.now)
        rows = await self.rows(
            "SELECT certificate_id::text AS id FROM certificates WHERE batch_id = :batch ORDER BY 1",
            batch=batch,
        )
        return [row["id"] for row in rows]

    async def reserve(self, quantity: int = 1, channel: str = "im") -> list[str]:
        """Reserve certificates, and return their ids."""
        async with Database(self.url) as database:
            request = ClaimRequest(GIFT, quantity, channel, "shop", GIFT.nominal, self.now)
            [claimed] = await ClaimRepository(database).claim([request])
        return [str(claim["certificateId"]) for claim in claimed.claims]

    async def reserved(self) -> str:
        """Return a certificate that is just reserved."""
        await self.fill(1)
        [certificate_id] = await self.reserve()
        return certificate_id

    async def issued(self, order_id: str = "IM-1") -> str:
        """Return a certificate that was ordered, paid and issued."""
        certificate_id = await self.reserved()
        await self.say(stated(order_id, 1, sold(certificate_id)), captured(order_id))
        await self.advance(certificate_id)
        return certificate_id

    # What ingest does

    async def say(
        self, *messages: OrderMessage, recipients: Mapping[str, Recipient] | None = None
    ) -> list[Wake]:
        """Fold messages of one order; return the signals that ingest would send."""
        [order_id] = {message.order_id for message in messages}
        wakes = await self.ingest({order_id: messages}, recipients=recipients)
        self.wakes += wakes
        return wakes

    async def spend(self, certificate_id: str, *spendings: SpendingReported) -> None:
        """Write payments with a certificate as their tender."""
        await self.ingest({}, spendings=[(certificate_id, one) for one in spendings])

    async def ingest(
        self,
        said: Mapping[str, Sequence[OrderMessage]],
        *,
        recipients: Mapping[str, Recipient] | None = None,
        spendings: Sequence[tuple[str, SpendingReported]] = (),
    ) -> list[Wake]:
        """Commit a batch in one transaction, as ingest does. ``recipients`` are those of full versions, by lineId."""
        async with self.database.transaction() as connection:
            await ingest_fences.enter(connection, [(PAYMENTS if spendings else ORDERS, 0)])
            stored = await OrderRepository(connection).lock(said)
            changes = [
                folded(stored.get(order_id), messages, self.now, recipients)
                for order_id, messages in sorted(said.items())
            ]
            rows = await OrderLineRepository(connection).lock([one for one in said if one in stored])
            revisions, products = await order_changes.revise(connection, changes, rows, self.policy)
            also = {certificate_id: _spent_row(certificate_id) for certificate_id, _ in spendings}
            wakes = await order_changes.save(
                connection, changes, revisions, products, self.now, list(also.values())
            )
            for certificate_id, spending in spendings:
                message = msgspec.json.encode(spending).decode()
                await connection.execute(_SPENDING, spending.cause.event_id, certificate_id, message)
        return wakes

    async def catch_up(self, instant: datetime | None = None, topic: str = ORDERS) -> None:
        """Let ingest have read everything up to now, or to another instant."""
        await self.run(
            """INSERT INTO ingest_marks AS known (topic, partition, caught_up_to) VALUES (:topic, 0, :at)
                ON CONFLICT (topic, partition) DO UPDATE
                SET caught_up_to = greatest(known.caught_up_to, excluded.caught_up_to)""",
            at=instant or self.now,
            topic=topic,
        )

    # What the workflow and the API do

    async def advance(self, certificate_id: str, **more: Any) -> Snapshot:
        return await self.lifecycle.advance(certificate_id, self.now, **more)

    async def act(
        self, certificate_id: str, request: Request, key: IdempotencyKey | None = None, **more: Any
    ) -> Outcome:
        return await self.lifecycle.act(certificate_id, request, self.now, key=key, **more)

    # What is stored

    async def stored(self, certificate_id: str) -> StoredCertificate:
        async with self.database.connection() as connection:
            return await CertificateRepository(connection).load(certificate_id)

    async def state(self, certificate_id: str) -> CertificateState:
        return (await self.stored(certificate_id)).state

    async def status(self, certificate_id: str) -> str:
        return (await self.state(certificate_id)).shown_status

    async def published(self, certificate_id: str) -> list[str]:
        """Return the types of the events about a certificate, in the order of their sequences."""
        rows = await self.events(certificate_id)
        assert [row["sequence"] for row in rows] == list(range(1, len(rows) + 1))
        return [row["event_type"] for row in rows]

    async def events(self, certificate_id: str, event_type: str | None = None) -> list[dict[str, Any]]:
        return await self.rows(
            """SELECT sequence, event_type, status, balance, held, payload, channel, cause_event_id FROM events
                WHERE certificate_id = CAST(:id AS uuid) AND event_type = coalesce(:type, event_type)
                ORDER BY sequence""",
            id=certificate_id,
            type=event_type,
        )

    async def pending(self) -> list[tuple[str, str, int]]:
        rows = await self.rows(
            "SELECT certificate_id::text AS id, order_id, line_key FROM pending ORDER BY number"
        )
        return [(row["id"], row["order_id"], row["line_key"]) for row in rows]


_SPENDING = """
    INSERT INTO spendings (identity, content, certificate_id, message) VALUES ($1, '', $2::uuid, $3::jsonb)
    ON CONFLICT DO NOTHING
"""


def _spent_row(certificate_id: str) -> PendingRow:
    return PendingRow(certificate_id=certificate_id, kind=Signal.CERTIFICATE_SPENT, channel="pos", cause=None)
