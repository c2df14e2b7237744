"""Three lives of a certificate, decided by the domain once, and written by SQL for as many as wanted."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

import asyncpg
import msgspec

from giftcert.contracts.codec import encode_message, encode_state
from giftcert.contracts.envelope import Header, StoredEvent, encode_event
from giftcert.contracts.notices import CvcDisclosed, about_certificate
from giftcert.contracts.records import EventRecord
from giftcert.domain import messages as m
from giftcert.domain.policy import Terms
from giftcert.domain.products import Product
from giftcert.domain.state import CertificateState
from workflows.plan import Received, make_plan

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
CERTIFICATE = "01900000-0000-7000-8000-000000000001"
ORDER = "IM-ORDER"
RESERVATION = "01900000-0000-7000-8000-000000000002"
LONG_AGO = datetime.now(UTC) - timedelta(days=30)
PRODUCT = Product("GC-5000", "RUB", nominal=500_000)


@dataclass(frozen=True)
class StoredLife:
    """What the database has of one: its events, its messages and its state, with the ids of a model."""

    name: str
    events: tuple[EventRecord, ...]
    messages: tuple[m.Message, ...]
    state: CertificateState


def _common(key: str) -> dict[str, object]:
    cause = m.Cause("All_SalesOrder", f"so-{key}")
    return {"key": key, "cause": cause, "occurred_at": LONG_AGO, "channel": "im", "order_id": ORDER}


def _payment(key: str, **given: object) -> dict[str, object]:
    paid = {"payment_id": "P-1", "tender": "card", "amount": 500_000, "currency": "RUB"}
    return _common(key) | paid | given


_RESERVE = m.Reserve(
    key="r", channel="im", reservation_id=RESERVATION, reserved_until=LONG_AGO + timedelta(minutes=30)
)
_SALE: tuple[m.Message, ...] = (
    m.OrderStated(
        **_common("order"),  # type: ignore[arg-type] # by name
        order_version=1,
        customer_id="C-77",
        currency="RUB",
        total=500_000,
        lines=(m.Line("1", "giftCertificate", 500_000),),
        own=m.OwnLine("1", 500_000, reservation_id=RESERVATION),
    ),
    m.PaymentCaptured(**_payment("captured", capture_id="K-1")),  # type: ignore[arg-type]
)
_SPENDING: tuple[m.Message, ...] = (
    m.AuthorizeRedemption(
        key="hold",
        channel="pos",
        redemption_id="5f0c3a9e-6b1d-4c2f-8a7e-d41b9c0e2f63",
        order_id="POS-1",
        amount=500_000,
        currency="RUB",
        expires_at=LONG_AGO + timedelta(minutes=30),
    ),
    m.SpendingReported(
        **_common("spent"),  # type: ignore[arg-type]
        payment_id="G-1",
        amount=500_000,
        currency="RUB",
        redemption_id="5f0c3a9e-6b1d-4c2f-8a7e-d41b9c0e2f63",
        event_type="payment.captured",
    ),
)
_REFUND: tuple[m.Message, ...] = (m.PaymentRefunded(**_payment("refunded", refund_id="RF-1")),)  # type: ignore[arg-type]


def _lived(name: str, later: tuple[m.Message, ...]) -> StoredLife:
    ids = iter(range(10, 100))
    state = CertificateState(certificate_id=CERTIFICATE, product="GC-5000", currency="RUB", nominal=500_000)
    events: list[EventRecord] = []
    for messages in ((_RESERVE,), _SALE, later):
        received = [Received(one, LONG_AGO) for one in messages]
        plan = make_plan(
            state, received, Terms(PRODUCT), lambda: f"5f0c3a9e-6b1d-7c2f-8a7e-d41b9c0e2f{next(ids)}"
        )
        events, state = [*events, *plan.events], plan.state
        if messages is _SALE:
            told = CvcDisclosed(disclosed_to="crm", purpose="notification", notification_id="N-1")
            events.append(about_certificate(told, state, LONG_AGO))
    return StoredLife(name, tuple(events), (*_SALE, *later), state)


LIVES = (_lived("issued", ()), _lived("redeemed", _SPENDING), _lived("refunded", _REFUND))


async def write_lives(connection: Connection, sold: Sequence[tuple[StoredLife, int]]) -> None:
    """Let so many certificates of the pool have lived each life."""
    await connection.execute("CREATE TEMPORARY TABLE lived (certificate_id uuid, n bigint)")
    taken = 0
    for life, count in sold:
        await connection.execute("TRUNCATE lived")
        await connection.execute(
            "INSERT INTO lived SELECT certificate_id, $1 + row_number() OVER () FROM certificates"
            " WHERE status = 'available' ORDER BY certificate_id LIMIT $2",
            taken,
            count,
        )
        await _write(connection, life)
        taken += count
    await connection.execute("VACUUM ANALYZE")


async def _write(connection: Connection, life: StoredLife) -> None:
    for sequence, event in enumerate(life.events, 1):
        await connection.execute(_EVENT, sequence, msgspec.json.encode(_columns(event)).decode())
    for nth, message in enumerate(life.messages):
        kind = "order.created" if nth == 0 else "payment.captured"
        await connection.execute(_INBOX, message.key, kind, nth)
        await connection.execute(_DELIVERY, message.key, encode_message(message).decode())
        await connection.execute(_APPLIED, message.key)
    disclosed = next(nth for nth, one in enumerate(life.events, 1) if one.event_type == CvcDisclosed.type)
    await connection.execute(_DISCLOSURE, disclosed)
    for statement in (_RESERVED, _ORDER, _MAPPED):
        await connection.execute(statement)
    state = life.state
    values = (
        state.status.value,
        state.balance,
        state.refund_state.value,
        len(life.events),
        encode_state(state),
    )
    await connection.execute(_CERTIFICATE, *values)


def _columns(event: EventRecord) -> dict[str, object]:
    names = [name for name in EventRecord.__slots__ if name != "cause"]
    return {name: getattr(event, name) for name in names}


_OWN = f"""replace(replace(replace({{}}, '{CERTIFICATE}', certificate_id::text), '{ORDER}', 'IM-' || n),
    '{RESERVATION}', md5('r' || n)::uuid::text)"""
_EVENT = f"""
    INSERT INTO events (event_id, shard, stream_key, certificate_id, sequence, event_type, occurred_at, recorded_at,
        channel, sale_channel, status, refund_state, product_id, nominal, currency, balance, held, payload,
        published_at)
    SELECT uuidv7(), crc32(certificate_id::text::bytea) % 32, certificate_id::text, certificate_id, $1::int,
        e.event_type, e.occurred_at, now() - interval '30 days', e.channel, e.sale_channel, e.status, e.refund_state,
        e.product,
        e.nominal, e.currency, e.balance, e.held, CAST({_OWN.format("e.payload::text")} AS jsonb), now()
    FROM lived, jsonb_to_record(CAST($2::text AS jsonb)) AS e (event_type text, occurred_at timestamptz, channel text,
        sale_channel text, status text, refund_state text, product text, nominal bigint, currency text, balance bigint,
        held bigint, payload jsonb)
"""  # noqa: S608 - made of constants
_INBOX = """
    INSERT INTO inbox (identity, content, order_id, topic, partition, record_offset, event_id, event_type, original)
    SELECT $1::text || ':' || n, sha256(n::text::bytea), 'IM-' || n, 'All_SalesOrder', $3::int, n, 'so-' || n, $2::text,
        convert_to(repeat('x', 300), 'UTF8') FROM lived
"""
_DELIVERY = f"""
    INSERT INTO deliveries (certificate_id, message_key, shard, channel, message, sent_at, created_at)
    SELECT certificate_id, $1::text || ':' || n, crc32(certificate_id::text::bytea) % 32, 'im',
        convert_to({_OWN.format("$2::text")}, 'UTF8'), now() - interval '30 days', now() - interval '30 days' FROM lived
"""  # noqa: S608 - made of constants
_APPLIED = "INSERT INTO applied_messages SELECT certificate_id, $1::text || ':' || n FROM lived"
_DISCLOSURE = """
    INSERT INTO disclosures
    SELECT gen_random_uuid(), certificate_id, 'crm', 'notification', 'N-1', now(), $1::int FROM lived
"""
_RESERVED = """
    INSERT INTO reservations
    SELECT md5('r' || n)::uuid, certificate_id, 'im',
        'shop', now(), now(), now(), 'ordered' FROM lived
"""
_ORDER = "INSERT INTO orders SELECT 'IM-' || n, 1, 'C-77', '{}', false FROM lived"
_MAPPED = "INSERT INTO order_certificates SELECT 'IM-' || n, certificate_id FROM lived"
_CERTIFICATE = f"""
    UPDATE certificates AS c SET status = $1::text, balance = $2::bigint, refund_state = $3::text,
        any_refund_state = $3::text, sequence = $4::int, version = 3, sale_channel = 'im', order_id = 'IM-' || n,
        line_id = '1', customer_id = 'C-77',
        state = CAST({_OWN.format("$5::text").replace("certificate_id", "lived.certificate_id")} AS jsonb)
    FROM lived WHERE c.certificate_id = lived.certificate_id
"""  # noqa: S608 - made of constants
_STORED = """
    SELECT event_id::text AS event_id, stream_key, certificate_id::text AS certificate_id, sequence, event_type,
        occurred_at, recorded_at, channel, sale_channel, status, refund_state, product_id AS product, nominal, currency,
        balance, held, cause_topic, cause_event_id, payload::text AS payload
    FROM events ORDER BY position
"""


async def events_of(connection: Connection) -> AsyncIterator[tuple[bytes, bytes, list[Header]]]:
    """Yield every event as its record on the stream, as it was recorded."""
    async with connection.transaction():
        async for row in connection.cursor(_STORED, prefetch=5_000):
            yield encode_event(StoredEvent(**dict(row)))
    await connection.execute("UPDATE events SET published_at = now() WHERE published_at IS NULL")
