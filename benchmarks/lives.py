"""Lives of a certificate, led by the service's own parts once, and written by SQL for as many as wanted."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import Any

import msgspec

from giftcert.clock import utc_now
from giftcert.contracts.stream import Header, encode_event
from giftcert.domain.certificate.messages import AuthorizeRedemption, DiscloseCvc
from giftcert.domain.products import Product
from giftcert.lifecycle.change import Lifecycle
from giftcert.security.keyring import Keyring
from giftcert.settings import Settings
from giftcert.storage.claims import ClaimRepository, ClaimRequest
from giftcert.storage.database import Connection, Database
from giftcert.storage.day_partitions import make_days
from giftcert.storage.events import EVENT, stored_event
from giftcert.storage.pool_changes import PoolChangeRepository
from kafka_ingest.records import InputRecord
from kafka_ingest.transaction import IngestRules
from kafka_ingest.writer import BatchWriter

DAYS = 88
"""Over so many days lives are spread, if nothing else is said."""
INBOX_DAYS = 90
"""So long originals are kept: the inbox has a partition for each day."""
WORTH = 500_000


@dataclass(frozen=True)
class Model:
    """A life that was led: as many others as wanted have rows like its own, under ids of their own."""

    certificate_id: str
    order_id: str
    reservation_id: str


class Leading:
    """Leads models: what ingest, workflow and API do, one after another."""

    def __init__(self, database: Database, keyring: Keyring, product: Product) -> None:
        settings = Settings(_env_file=None)
        self._rules = IngestRules.of(settings, keyring)
        self._writer = BatchWriter(database, self._rules, utc_now)
        self._lifecycle = Lifecycle(
            database, settings.policy, keyring, web_url=settings.workflow_url, build="benchmark"
        )
        self._product = product
        self._offsets = count()

    async def lead(self, url: str) -> list[Model]:
        """Return one certificate that can be spent, one that was spent, one that was refunded."""
        models = await self.sell(url, 3)
        _, spent, refunded = models
        await self._spend(spent)
        back = _payment(refunded, "payment.refunded", refundId=f"R-{refunded.order_id}")
        await self._tell(refunded, self._rules.topics.payments, back)
        return models

    async def sell(self, url: str, count: int) -> list[Model]:
        """Reserve certificates, order, pay and announce each."""
        async with Database(url) as database:
            wanted = ClaimRequest(
                self._product, count, "im", "shop", self._product.nominal, datetime.now(UTC)
            )
            [claimed] = await ClaimRepository(database).claim([wanted])
        models = [
            Model(claim["certificateId"], f"IM-MODEL{nth:06}", claim["reservationId"])
            for nth, claim in enumerate(claimed.claims)
        ]
        for model in models:
            await self._tell(model, self._rules.topics.orders, _order(model))
            await self._tell(model, self._rules.topics.payments, _payment(model, "payment.captured"))
            asked = DiscloseCvc(disclosed_to="crm", purpose="notification", notification_id="N-1")
            await self._lifecycle.act(model.certificate_id, asked, utc_now())
        return models

    async def _spend(self, model: Model) -> None:
        hold = AuthorizeRedemption(
            channel="pos",
            redemption_id="5f0c3a9e-6b1d-4c2f-8a7e-d41b9c0e2f63",
            order_id="POS-1",
            amount=WORTH,
            currency="RUB",
        )
        await self._lifecycle.act(model.certificate_id, hold, utc_now())
        pays = {"tender": "giftCertificate", "certificateId": model.certificate_id, "channel": "pos"}
        spent = {"redemptionId": hold.redemption_id, "orderId": "POS-1", "paymentId": f"G-{model.order_id}"}
        value = _payment(model, "payment.captured", **pays | spent)
        await self._tell(model, self._rules.topics.payments, value)

    async def _tell(self, model: Model, topic: str, value: dict[str, Any]) -> None:
        key, body = value["orderId"].encode(), msgspec.json.encode(value)
        record = InputRecord(topic, 0, next(self._offsets), key, body, 1_763_892_000_000)
        await self._writer.commit([record], self._writer.decode([record]))
        await self._lifecycle.advance(model.certificate_id, utc_now())


def _order(model: Model) -> dict[str, Any]:
    line = {
        "lineId": "1",
        "kind": "giftCertificate",
        "certificateId": model.certificate_id,
        "reservationId": model.reservation_id,
        "amount": WORTH,
        "recipient": {"ref": "R-5", "channel": "email", "locale": "ru-RU"},
    }
    return {
        "eventId": f"so-{model.order_id}",
        "eventType": "order.created",
        "occurredAt": datetime.now(UTC),
        "channel": "im",
        "orderId": model.order_id,
        "orderVersion": 1,
        "customerId": "C-77",
        "currency": "RUB",
        "total": WORTH,
        "lines": [line],
    }


def _payment(model: Model, event_type: str, **given: str) -> dict[str, Any]:
    return {
        "eventId": f"{event_type}-{given.get('paymentId', '')}-{model.order_id}",
        "eventType": event_type,
        "occurredAt": datetime.now(UTC),
        "channel": "im",
        "orderId": model.order_id,
        "paymentId": f"P-{model.order_id}",
        "captureId": None,
        "tender": "card",
        "amount": WORTH,
        "currency": "RUB",
    } | given


# Copies ---------------------------------------------------------------------------------------------

# A row as JSON with the ids of the model; in binary columns they stand in hexadecimal. Ids are as long as the model's.
_PAIRS = (("$1", "lived.id"), ("$2", "lived.order_id"), ("$3", "lived.reservation_id"))


def _like_model(row: str, *, in_binary: bool = False) -> str:
    text = f"{row}::text"
    for old, new in _PAIRS:
        text = f"replace({text}, {old}::text, {new})"
        if in_binary:
            text = f"replace({text}, encode({old}::text::bytea, 'hex'), encode({new}::bytea, 'hex'))"
    return f"{text}::jsonb"


_OWN = {
    "events": "jsonb_build_object('event_id', uuidv7(), 'recorded_at', lived.at, 'occurred_at', lived.at)",
    "disclosures": "jsonb_build_object('disclosed_at', lived.at)",
    "inbox": """jsonb_build_object('record_offset', lived.n, 'received_on', lived.at::date, 'received_at', lived.at)""",
}
# Originals that would have been dropped by now are not written.
_KEPT = {"inbox": f"lived.at > now() - interval '{INBOX_DAYS} days'"}
_WHOSE = {
    "reservations": "reservation_id = $3::text::uuid",
    "orders": "order_id = $2",
    "order_lines": "order_id = $2",
    "inbox": "order_id = $2",
    "spendings": "certificate_id = $1::text::uuid",
    "redemptions": "certificate_id = $1::text::uuid",
    "disclosures": "certificate_id = $1::text::uuid",
    "events": "certificate_id = $1::text::uuid",
}
_STATE = """status, balance, held, refund_state, any_refund_state, sale_channel, order_id, line_key, customer_id,
    reservation_id, reservation_channel, reserved_at, reserved_until, available_since, sequence, version, decided_at,
    next_instant, timer_at, known_lines, state"""
_CERTIFICATES = f"""
    UPDATE certificates AS c SET ({_STATE}) = (
        SELECT {_STATE} FROM jsonb_populate_record(NULL::certificates, {_like_model("to_jsonb(model)")})
    )
    FROM lived, certificates AS model
    WHERE c.certificate_id = lived.id::uuid AND model.certificate_id = $1::text::uuid
"""  # noqa: S608 - made of constants
_LIVED = """
    INSERT INTO lived
    SELECT certificate_id::text, n, 'IM-' || lpad(n::text, 11, '0'), md5('r' || n)::uuid::text,
        now() - interval '2 days' - interval '1 day' * (n % $3)
    FROM (
        SELECT certificate_id, $1 + row_number() OVER () AS n FROM certificates
        WHERE status = 'available' AND product_id = (
            SELECT product_id FROM certificates WHERE certificate_id = $4::text::uuid)
        ORDER BY certificate_id LIMIT $2
    ) AS taken
"""


async def write_lives(connection: Connection, lives: Sequence[tuple[Model, int]], days: int = DAYS) -> None:
    """Let so many certificates of the pool have lived each life, within so many days."""
    await connection.execute("SET session_replication_role = replica")  # what copies refer to is there
    await connection.execute(
        "CREATE TEMPORARY TABLE lived (id text, n bigint, order_id text, reservation_id text, at timestamptz)"
    )
    taken = 0
    for model, quantity in lives:
        await connection.execute("TRUNCATE lived")
        await connection.execute(_LIVED, taken, quantity, days, model.certificate_id)
        ids = (model.certificate_id, model.order_id, model.reservation_id)
        for table in _WHOSE:
            await connection.execute(_copies(table), *ids)
        await connection.execute(_CERTIFICATES, *ids)
        taken += quantity
    await connection.execute("DELETE FROM outbox")
    await connection.execute("UPDATE orders SET recheck = false")
    async with connection.transaction():
        await PoolChangeRepository(connection).recount()
    await connection.execute("VACUUM ANALYZE")


def _copies(table: str) -> str:
    row = _like_model("to_jsonb(model)", in_binary=table == "orders") + " || " + _OWN.get(table, "'{}'")
    return f"""
        INSERT INTO {table} OVERRIDING USER VALUE
        SELECT copy.* FROM lived, {table} AS model, jsonb_populate_record(NULL::{table}, {row}) AS copy
        WHERE model.{_WHOSE[table]} AND {_KEPT.get(table, "true")}
    """  # noqa: S608 - made of constants


async def make_inbox_days(connection: Connection) -> None:
    """Make the partitions that ingest makes day by day."""
    today = datetime.now(UTC).date()
    first = today.fromordinal(today.toordinal() - INBOX_DAYS)
    await make_days(connection, "inbox", first, INBOX_DAYS + 2)


_STORED = f"SELECT {EVENT} FROM events AS e ORDER BY certificate_id, sequence"  # noqa: S608 - made of constants


async def events_of(connection: Connection) -> AsyncIterator[tuple[bytes, bytes, list[Header]]]:
    """Yield every event as its record on the stream, as it was recorded."""
    async with connection.transaction():
        async for row in connection.cursor(_STORED, prefetch=5_000):
            yield encode_event(stored_event(row))
