"""Certificates that were sold, refunded, cancelled and left lying, by the service's own parts, to be verified."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from uuid_utils.compat import uuid7

from activities.certificates import CertificateActivities
from activities.transition import Outcome, Transition
from giftcert.contracts.codec import decode_message
from giftcert.dispatch.main import serve as dispatch
from giftcert.domain.messages import AuthorizeRedemption, Block, Message
from giftcert.domain.products import Product
from giftcert.security.keyring import Keyring
from giftcert.settings import Settings
from giftcert.storage.blocked_attempts import BlockedAttemptRepository, RefusedClaims
from giftcert.storage.claims import ClaimRepository, ClaimRequest
from giftcert.storage.disclosures import DisclosureRepository, DisclosureRequest
from giftcert.storage.idempotency import IdempotencyKey
from giftcert.storage.pool import PoolRepository
from giftcert.storage.products import ProductRepository
from giftcert.storage.reservations import ReservationRepository
from tests.integration.kafka_ingest.ingest_store import Store
from tests.unit.contracts.topic_records import certificate_line, client, order, payment, withdrawal
from workflows.plan import Received, make_plan

GIFT = Product("GC-5000", "RUB", nominal=500_000)
PRICE = 500_000
ISSUED, REFUNDED, ORDERED, CANCELLED, RESERVED, LAPSED, PARTLY, ASKED, BLOCKED, SPENT, HELD = range(11)
"""What becomes of the first certificates of a world."""
SOLD = (ISSUED, REFUNDED, ORDERED, CANCELLED, PARTLY, ASKED, BLOCKED, SPENT, HELD)
POOL = 14


@dataclass
class Sales:
    """Leads certificates through their lives without Temporal: each delivery is decided and committed at once."""

    engine: AsyncEngine
    url: str
    keyring: Keyring
    store: Store
    reservations: dict[str, str]
    activities: CertificateActivities

    @classmethod
    async def open(
        cls,
        engine: AsyncEngine,
        url: str,
        keyring: Keyring,
    ) -> "Sales":
        """Fill a pool and reserve the first certificates."""
        async with engine.begin() as connection:
            await ProductRepository(connection).put([GIFT])
            await PoolRepository(connection).generate(GIFT, POOL, keyring, datetime.now(UTC))
        claims = await claim(url, len(SOLD) + 2)
        ids = [one["certificateId"] for one in claims]
        reservations = {one["certificateId"]: one["reservationId"] for one in claims}
        activities = CertificateActivities(engine, Settings(_env_file=None))
        return cls(engine, url, keyring, Store(engine, keyring, ids), reservations, activities)

    @property
    def ids(self) -> list[str]:
        return self.store.certificates

    async def lead(self) -> None:
        """Let everything happen that a world has."""
        for nth in SOLD:
            await self.orders(nth)
        await self.pays(ISSUED, REFUNDED, PARTLY, ASKED, BLOCKED, SPENT, HELD)
        await self.apply()
        await self.disclose(ISSUED)
        await self.tell(self.ids[BLOCKED], Block(key="block-1", reason="reported stolen", by="anna"))
        await self.hold(SPENT, 300_000)
        await self.hold(HELD, 100_000)
        await self.store.commit(
            self.store.payment_record(self.money(ORDERED, eventType="payment.authorized")),
            self.store.order_record(withdrawal(orderId=order_of(CANCELLED), eventId="so-c")),
            self.store.payment_record(self.refund(REFUNDED, PRICE)),
            self.store.payment_record(self.refund(PARTLY, 100_000)),
            self.store.payment_record(self.refund(ASKED, PRICE, currency="EUR")),
            self.store.payment_record(self.spends(SPENT, 200_000)),
            self.store.client_record(client(eventId="cl-2")),
            self.store.order_record(b"{"),
            self.store.order_record(order(eventId="so-s", orderId="IM-S", lines=[self.strange_line()])),
        )
        await self.apply()
        await self.lapse()
        await self.refuse_claims()

    async def orders(self, nth: int) -> None:
        line = self.store.line(nth, reservationId=self.reservations[self.ids[nth]])
        record = order(
            eventId=f"so-{nth}", orderId=order_of(nth), total=PRICE, lines=[line], occurredAt=now()
        )
        await self.store.commit(self.store.order_record(record))

    async def pays(self, *which: int) -> None:
        await self.store.commit(*(self.store.payment_record(self.money(nth)) for nth in which))

    def money(self, nth: int, **changes: Any) -> dict[str, Any]:
        fields = {
            "eventId": f"pay-{nth}-{changes.get('eventType', '')}",
            "orderId": order_of(nth),
            "amount": PRICE,
        }
        return payment(
            **{**fields, "paymentId": f"P-{nth}", "allocations": None, "occurredAt": now(), **changes}
        )

    def refund(self, nth: int, amount: int, **changes: Any) -> dict[str, Any]:
        kind = {"eventType": "payment.refunded", "refundId": f"R-{nth}", "amount": amount}
        return self.money(nth, **kind, **changes)

    async def hold(self, nth: int, amount: int) -> None:
        instant = datetime.now(UTC)
        held = AuthorizeRedemption(
            key=f"hold-{nth}",
            channel="pos",
            redemption_id=redemption_of(nth),
            order_id=f"POS-{nth}",
            amount=amount,
            currency="RUB",
            expires_at=instant + timedelta(minutes=30),
        )
        await self.tell(self.ids[nth], held)

    def spends(self, nth: int, amount: int) -> dict[str, Any]:
        """A purchase paid with the certificate, of which less was needed than was held."""
        pays = {
            "tender": "giftCertificate",
            "certificateId": self.ids[nth],
            "redemptionId": redemption_of(nth),
        }
        return self.money(nth, orderId=f"POS-{nth}", paymentId=f"G-{nth}", amount=amount, **pays)

    def strange_line(self) -> dict[str, Any]:
        return certificate_line(certificateId="01936f5e-0000-7000-8000-00000000ffff", reservationId=None)

    async def apply(self) -> None:
        """Tell every certificate what was delivered, as signallers and workflows do."""
        rows = await self.store.rows(
            "SELECT certificate_id::text, message FROM deliveries LEFT JOIN applied_messages AS a"
            " USING (certificate_id, message_key) WHERE a.message_key IS NULL ORDER BY delivery_id"
        )
        for certificate_id, message in rows:
            await self.tell(certificate_id, decode_message(message))
        await self.store.rows_changed(
            "UPDATE deliveries SET sent_at = clock_timestamp() WHERE sent_at IS NULL"
        )

    async def tell(self, certificate_id: str, message: Message) -> None:
        """Decide one message and commit it; one that may wait in its workflow waits."""
        loaded = await self.activities.load_certificate(certificate_id)
        instant = datetime.now(UTC)
        plan = make_plan(loaded.state, [Received(message, instant)], loaded.terms, new_id)
        if plan.may_wait and not hasattr(message, "client_id"):
            return
        transition = Transition(
            certificate_id=certificate_id,
            expected_version=loaded.version,
            keys=(message.key,),
            events=plan.events,
            state=plan.state,
            at=instant,
            assigned=plan.assigned,
            redemptions=plan.redemptions,
        )
        answer = await self.activities.apply_transition(transition)
        assert answer.outcome is Outcome.APPLIED

    async def disclose(self, nth: int) -> None:
        async with self.engine.begin() as connection:
            request = DisclosureRequest(
                certificate_id=UUID(self.ids[nth]),
                disclosed_to="crm",
                purpose="notification",
                notification_id="N-1",
            )
            decision = await DisclosureRepository(connection).decide(request, datetime.now(UTC))
            assert decision.refusal is None

    async def lapse(self) -> None:
        """One reservation runs out, and ingest has read beyond it."""
        await self.store.rows_changed(
            "UPDATE certificates SET reserved_until = now() - interval '1 min' WHERE certificate_id = :id",
            id=UUID(self.ids[LAPSED]),
        )
        await self.store.rows_changed("INSERT INTO ingest_marks VALUES ('All_SalesOrder', 0, now())")
        async with self.engine.begin() as connection:
            assert await ReservationRepository(connection).release_lapsed(10, datetime.now(UTC)) == 1

    async def refuse_claims(self) -> None:
        moment = datetime.now(UTC)
        async with self.engine.begin() as connection:
            attempts = BlockedAttemptRepository(connection)
            await attempts.add(RefusedClaims("GC-5000", "im", 3, moment, moment))
            await attempts.tell_due(moment)


async def publish_all(engine: AsyncEngine, settings: Settings) -> None:
    """Let dispatch publish all that is recorded."""
    task = asyncio.create_task(dispatch(settings))
    statement = text("SELECT count(*) FROM events WHERE published_at IS NULL")
    async with engine.connect() as connection:
        while (await connection.execute(statement)).scalar_one():
            await connection.rollback()
            await asyncio.sleep(0.02)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def claim(url: str, quantity: int) -> list[dict[str, Any]]:
    async with asyncpg.create_pool(url, min_size=1, max_size=1) as connections:
        wanted = ClaimRequest(GIFT, quantity, "im", "shop", GIFT.nominal, datetime.now(UTC))
        key = IdempotencyKey("shop", "POST /reservations", "basket-7", b"\0" * 32)
        return await ClaimRepository(connections).claim(wanted, key)


def order_of(nth: int) -> str:
    return f"IM-{nth}"


def redemption_of(nth: int) -> str:
    return f"01936f5e-0000-7000-8000-0000000000{nth:02}"


def now() -> str:
    return datetime.now(UTC).isoformat()


def new_id() -> str:
    return str(uuid7())


async def live_certificates(engine: AsyncEngine) -> list[str]:
    statement = """SELECT certificate_id::text FROM certificates
        WHERE status IN ('ordered', 'issued', 'partiallyRedeemed')
        OR any_refund_state IN ('requested', 'awaitingCapture', 'pendingDetails')"""
    async with engine.connect() as connection:
        return list((await connection.execute(text(statement))).scalars())
