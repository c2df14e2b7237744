"""Certificates that were sold, refunded, cancelled and left lying, by the service's own parts, to be verified."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from giftcert.dispatch.main import serve as dispatch
from giftcert.domain.certificate.messages import (
    AuthorizeRedemption,
    Block,
    DiscloseCvc,
    Request,
    ResolveRefund,
)
from giftcert.domain.products import Product
from giftcert.lifecycle.change import Lifecycle, Outcome
from giftcert.security.keyring import Keyring
from giftcert.settings import Settings
from giftcert.storage.claims import Claim, ClaimRepository, ClaimRequest
from giftcert.storage.database import Database
from giftcert.storage.idempotency import IdempotencyKey
from giftcert.storage.pool import PoolRepository
from giftcert.storage.products import ProductRepository
from giftcert.storage.refused_claims import RefusedClaimRepository
from giftcert.storage.reservations import ReservationRepository
from tests.integration.kafka_ingest.ingest_store import Store
from tests.unit.contracts.topic_records import certificate_line, client, order, payment, withdrawal

GIFT = Product("GC-5000", "RUB", nominal=500_000)
PRICE = 500_000
ISSUED, REFUNDED, ORDERED, CANCELLED, PARTLY, ASKED, BLOCKED, SPENT, HELD, REDEEMED, EXPIRED = range(11)
REPLACED, REPLACING, BOTH, TOO, RESERVED, LAPSED = range(11, 17)
"""What becomes of the certificates of a world; ``BOTH`` and ``TOO`` are lines of one order."""
SOLD = range(RESERVED)
POOL = LAPSED + 4
UNKNOWN = "01936f5e-0000-7000-8000-00000000ffff"
ROUNDS = 10


@dataclass
class Sales:
    """Leads certificates through their lives without Temporal: what is pending is decided at once."""

    store: Store
    lifecycle: Lifecycle
    reservations: dict[str, str]

    @classmethod
    async def open(cls, database: Database, url: str, keyring: Keyring) -> "Sales":
        """Fill a pool and reserve the first certificates."""
        async with database.transaction() as connection:
            await ProductRepository(connection).put([GIFT])
            await PoolRepository(connection).generate(GIFT, POOL, keyring, datetime.now(UTC))
        claims = await claim(url, LAPSED + 1)
        reservations = {one["certificateId"]: one["reservationId"] for one in claims}
        return cls.of(database, keyring, reservations)

    @classmethod
    def of(cls, database: Database, keyring: Keyring, reservations: dict[str, str]) -> "Sales":
        """Go on with these certificates."""
        settings = Settings(_env_file=None)
        lifecycle = Lifecycle(
            database, settings.policy, keyring, web_url=settings.workflow_url, build="tests"
        )
        return cls(Store(database, keyring, list(reservations)), lifecycle, reservations)

    @property
    def ids(self) -> list[str]:
        return self.store.certificates

    async def lead(self) -> None:
        """Let everything happen that a world has."""
        await self.sell()
        await self.lapse()  # a record that cannot be read would hold it back
        await self.disclose(ISSUED)
        await self.act(BLOCKED, Block(reason="reported stolen", by="anna"))
        await self.act(SPENT, holding(SPENT, 300_000))
        await self.act(HELD, holding(HELD, 100_000))
        await self.act(REDEEMED, holding(REDEEMED, PRICE))
        await self.go_wrong()
        await self.decide()
        await self.resolve(BOTH)
        await self.expire(EXPIRED)
        await self.refuse_claims()

    async def sell(self) -> None:
        await self.store.commit(*(self.order(nth) for nth in SOLD if nth not in {REPLACING, TOO}))
        unpaid = {ORDERED, CANCELLED, REPLACING, TOO}
        await self.store.commit(*(self.captured(nth) for nth in SOLD if nth not in unpaid | {REPLACED}))
        await self.decide()
        line = self.line(REPLACING)
        replaced = self.stated(
            REPLACED, eventId="so-r", eventType="order.changed", orderVersion=2, lines=[line]
        )
        await self.store.commit(replaced, self.captured(REPLACED))
        await self.decide()

    async def go_wrong(self) -> None:
        """Money goes back, orders are cancelled, purchases are paid with certificates, records are bad."""
        store = self.store
        await store.commit(
            store.payment_record(self.money(ORDERED, eventType="payment.authorized")),
            store.order_record(withdrawal(orderId=order_of(CANCELLED), eventId="so-c")),
            self.refunded(REFUNDED, PRICE),
            self.refunded(PARTLY, 100_000),
            self.refunded(ASKED, PRICE, currency="EUR"),
            self.refunded(BOTH, PRICE),
            self.spends(SPENT, 200_000),
            self.spends(REDEEMED, PRICE),
            store.client_record(client(eventId="cl-2")),
            store.order_record(b"{"),
            store.order_record(
                order(eventId="so-s", orderId="IM-S", lines=[certificate_line(certificateId=UNKNOWN)])
            ),
        )

    def order(self, nth: int) -> Any:
        """The order of a certificate, with all its lines."""
        lines = [self.line(nth)] if nth != BOTH else [self.line(BOTH), self.line(TOO, lineId="3")]
        return self.stated(nth, lines=lines)

    def stated(self, nth: int, **changes: Any) -> Any:
        total = PRICE * len(changes["lines"])
        fields = {"eventId": f"so-{nth}", "orderId": order_of(nth), "total": total, "occurredAt": now()}
        return self.store.order_record(order(**{**fields, **changes}))

    def line(self, nth: int, **changes: Any) -> dict[str, Any]:
        return self.store.line(nth, reservationId=self.reservations[self.ids[nth]], **changes)

    def captured(self, nth: int) -> Any:
        return self.store.payment_record(self.money(nth, amount=2 * PRICE if nth == BOTH else PRICE))

    def refunded(self, nth: int, amount: int, **changes: Any) -> Any:
        kind = {"eventType": "payment.refunded", "refundId": f"R-{nth}", "amount": amount}
        return self.store.payment_record(self.money(nth, **kind, **changes))

    def money(self, nth: int, **changes: Any) -> dict[str, Any]:
        event_id = f"pay-{nth}-{changes.get('eventType', '')}"
        fields = {"eventId": event_id, "orderId": order_of(nth), "amount": PRICE, "paymentId": f"P-{nth}"}
        return payment(**{**fields, "allocations": None, "occurredAt": now(), **changes})

    def spends(self, nth: int, amount: int) -> Any:
        """A purchase paid with the certificate, of which less may be needed than was held."""
        pays = {
            "tender": "giftCertificate",
            "certificateId": self.ids[nth],
            "redemptionId": redemption_of(nth),
            "channel": "pos",
        }
        value = self.money(nth, orderId=f"POS-{nth}", paymentId=f"G-{nth}", amount=amount, **pays)
        return self.store.payment_record(value | {"eventId": f"spent-{nth}"})

    async def decide(self) -> None:
        """Let every certificate decide all that is pending for it, as its workflow does."""
        pending = "SELECT DISTINCT certificate_id::text FROM pending ORDER BY 1"
        for _ in range(ROUNDS):
            waiting = await self.store.rows(pending)
            if not waiting:
                return
            for (certificate_id,) in waiting:
                await self.lifecycle.advance(certificate_id, datetime.now(UTC))
        raise AssertionError("certificates make each other pending without end")

    async def act(self, nth: int, request: Request) -> Outcome:
        outcome = await self.lifecycle.act(self.ids[nth], request, datetime.now(UTC))
        assert outcome.refusal is None, outcome.refusal
        return outcome

    async def disclose(self, nth: int) -> None:
        asked = DiscloseCvc(disclosed_to="crm", purpose="notification", notification_id="N-1")
        assert (await self.act(nth, asked)).sealed is not None

    async def resolve(self, nth: int) -> None:
        """Support says that the refund means this line."""
        case = "SELECT state #>> '{sale,cases,0,refund_case_id}' FROM certificates WHERE certificate_id = :id"
        case_id = await self.store.value(case, id=UUID(self.ids[nth]))
        decision = {"decision": "approve", "amount": None, "resolved_by": "anna", "note": "the buyer says so"}
        await self.act(nth, ResolveRefund(refund_case_id=case_id, **decision))
        await self.decide()

    async def expire(self, nth: int) -> None:
        await self.lifecycle.advance(self.ids[nth], datetime.now(UTC) + GIFT.validity)

    async def lapse(self) -> None:
        """One reservation runs out, and ingest has read beyond it."""
        for table in ("certificates", "reservations"):
            await self.store.rows_changed(
                f"UPDATE {table} SET reserved_until = now() - interval '1 min' WHERE certificate_id = :id",  # noqa: S608
                id=UUID(self.ids[LAPSED]),
            )
        await self.store.rows_changed("INSERT INTO ingest_marks VALUES ('All_SalesOrder', 0, now())")
        async with self.store.database.transaction() as connection:
            assert await ReservationRepository(connection).release_lapsed(10, datetime.now(UTC)) == 1

    async def refuse_claims(self) -> None:
        moment = datetime.now(UTC)
        async with self.store.database.transaction() as connection:
            attempts = RefusedClaimRepository(connection)
            await attempts.add("GC-5000", "im", [moment] * 3)
            await attempts.record_due(moment)


async def publish_all(database: Database, settings: Settings) -> None:
    """Let dispatch publish all that is recorded."""
    task = asyncio.create_task(dispatch(settings))
    async with database.connection() as connection:
        while await connection.fetchval("SELECT count(*) FROM outbox"):  # noqa: ASYNC110 - a table tells nobody
            await asyncio.sleep(0.02)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def claim(url: str, quantity: int) -> list[Claim]:
    async with Database(url) as database:
        key = IdempotencyKey(b"basket-7", b"\0" * 32)
        wanted = ClaimRequest(GIFT, quantity, "im", "shop", GIFT.nominal, datetime.now(UTC), key)
        [claimed] = await ClaimRepository(database).claim([wanted])
    return list(claimed.claims)


def holding(nth: int, amount: int) -> AuthorizeRedemption:
    return AuthorizeRedemption(
        channel="pos",
        redemption_id=redemption_of(nth),
        order_id=f"POS-{nth}",
        amount=amount,
        currency="RUB",
        hold_seconds=None,
    )


def order_of(nth: int) -> str:
    return f"IM-{nth}"


def redemption_of(nth: int) -> str:
    return f"01936f5e-0000-7000-8000-0000000000{nth:02}"


def now() -> str:
    return datetime.now(UTC).isoformat()


async def led_certificates(database: Database) -> list[str]:
    """The certificates whose workflow waits for something."""
    statement = "SELECT certificate_id::text FROM certificates WHERE timer_at IS NOT NULL"
    async with database.connection() as connection:
        return [row["certificate_id"] for row in await connection.fetch(statement)]
