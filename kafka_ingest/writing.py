"""Writing what a correlation says, in the transaction of its look-ups."""

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from giftcert.clock import utc_now
from giftcert.contracts.notices import about_input, input_key
from giftcert.contracts.payments import encode_payment
from giftcert.contracts.records import EventRecord
from giftcert.domain.messages import Cause
from giftcert.security.keyring import Keyring
from giftcert.storage.clients import ClientRepository
from giftcert.storage.deliveries import DeliveryRepository, UnsentDelivery
from giftcert.storage.events import EventRepository
from giftcert.storage.inbox import InboxRepository
from giftcert.storage.orders import OrderRepository
from giftcert.storage.quarantine import QuarantinedRecord, QuarantineRepository
from giftcert.storage.unmatched_payments import UnmatchedPaymentRepository
from kafka_ingest.plan import Plan
from kafka_ingest.reading import Payment
from kafka_ingest.rejection import Rejection
from kafka_ingest.source import Place, SourceRecord, place_of


async def write(connection: AsyncConnection, plan: Plan, keyring: Keyring) -> list[UnsentDelivery]:
    """Write a plan.

    Returns:
        All that the certificates of its deliveries are still to be told, in order.
    """
    await _write_orders(connection, plan)
    if plan.inbox:
        await InboxRepository(connection).add(plan.inbox)
    if plan.clients:
        await ClientRepository(connection).save(list(plan.clients.values()))
    if plan.unmatched:
        await keep_unmatched(connection, plan.unmatched)
    for stream_key, event in plan.alerts:
        await EventRepository(connection).append_keyed(stream_key, [event])
    if plan.rejections:
        await quarantine(connection, plan.rejections, keyring)
    return await _deliver(connection, plan)


async def keep_unmatched(connection: AsyncConnection, payments: Sequence[Payment]) -> None:
    """Keep payments until their order names a certificate, or the horizon."""
    today = utc_now().date()
    rows = [
        (
            today,
            record.order_id,
            source.topic,
            source.partition,
            source.offset,
            encode_payment(record),
        )
        for source, record in payments
    ]
    await UnmatchedPaymentRepository(connection).keep(rows)


async def quarantine(connection: AsyncConnection, rejections: Sequence[Rejection], keyring: Keyring) -> None:
    """Put records into quarantine and tell the stream of each, once per record."""
    by_place = {
        place_of(one.source): one for one in reversed(rejections)
    }  # the first word on a record counts
    records = [_sealed(place, one, keyring) for place, one in by_place.items()]
    new = await QuarantineRepository(connection).add(records)
    told: dict[str, list[EventRecord]] = {}
    for place in sorted(new):
        topic, partition, _ = place
        told.setdefault(input_key(topic, partition), []).append(_event(by_place[place]))
    for stream_key, events in told.items():
        await EventRepository(connection).append_keyed(stream_key, events)


async def _write_orders(connection: AsyncConnection, plan: Plan) -> None:
    orders = OrderRepository(connection)
    if plan.orders:
        await orders.save(plan.orders)
    if plan.mappings:
        await orders.map(plan.mappings)
    if plan.unknown_lines:
        await orders.save_unknown(plan.unknown_lines)
    if plan.forgotten_lines:
        await orders.forget_unknown(plan.forgotten_lines)


async def _deliver(connection: AsyncConnection, plan: Plan) -> list[UnsentDelivery]:
    if not plan.deliveries:
        return []
    deliveries = DeliveryRepository(connection)
    await deliveries.add(plan.deliveries)
    return await deliveries.unsent_of({one.certificate_id for one in plan.deliveries})


def sealing_context(topic: str, partition: int, offset: int) -> bytes:
    """Return what the seal of a record's key and value is bound to: its place."""
    return f"{topic}:{partition}:{offset}".encode()


def _sealed(place: Place, rejection: Rejection, keyring: Keyring) -> QuarantinedRecord:
    source, (topic, partition, offset) = rejection.source, place
    context = sealing_context(topic, partition, offset)
    return QuarantinedRecord(
        topic=topic,
        partition=partition,
        offset=offset,
        sealed_key=_seal(source.key, context, keyring),
        sealed_value=_seal(source.value, context, keyring),
        fingerprint=_fingerprint(source, keyring),
        reason=rejection.notice.reason,
        detail=rejection.notice.detail,
        order_id=rejection.order_id,
        said=rejection.said,
        written_at=datetime.fromtimestamp(source.timestamp / 1000, UTC) if source.timestamp > 0 else None,
    )


def _fingerprint(source: SourceRecord, keyring: Keyring) -> bytes:
    """Return what tells a record from others at its place and, without the keyring, tells nothing of it."""
    parts = (
        "none" if part is None else f"{len(part)}:{part.decode('latin-1')}"
        for part in (source.key, source.value)
    )
    return keyring.fingerprint(f"record {' '.join(parts)}")


def _seal(data: bytes | None, context: bytes, keyring: Keyring) -> bytes | None:
    """Seal bytes, each as the character of its value."""
    return None if data is None else keyring.seal(data.decode("latin-1"), context)


def _event(rejection: Rejection) -> EventRecord:
    notice = rejection.notice
    cause = Cause(rejection.source.topic, notice.event_id) if notice.event_id is not None else None
    return about_input(notice, utc_now(), rejection.channel, cause)
