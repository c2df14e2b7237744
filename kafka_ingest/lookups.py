"""What has to be looked up before a batch can be correlated: a few questions, each about the whole batch."""

from collections.abc import Collection, Iterable, Mapping

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from giftcert.contracts.orders import AnyOrder, StatedOrder
from giftcert.contracts.orders import identity as order_identity
from giftcert.contracts.payments import decode_stored_payment
from giftcert.contracts.payments import identity as payment_identity
from giftcert.storage.clients import ClientRepository, StoredClient
from giftcert.storage.inbox import InboxRepository, PastMessage
from giftcert.storage.orders import KnownOrder, OrderRepository
from giftcert.storage.unmatched_payments import UnmatchedPaymentRepository, UnmatchedRow
from kafka_ingest.plan import Known
from kafka_ingest.reading import Payment
from kafka_ingest.selection import Selection
from kafka_ingest.source import KeptRecord

_ENCODER = msgspec.json.Encoder()


async def look_up(
    connection: AsyncConnection, selection: Selection, orders: Mapping[str, KnownOrder]
) -> tuple[list[Payment], Known]:
    """Take the payments that waited for the batch's orders, and return them with all that is known.

    Args:
        connection: in the ingest transaction.
        selection: what of the batch may be about a certificate.
        orders: those of the batch that are known, locked.
    """
    waited = await take_waiting(connection, _may_have_waiting(selection, orders))
    return waited, Known(
        orders=orders,
        certificates=await _certificates(connection, selection),
        contents=await _contents(connection, selection, waited),
        histories=await _histories(connection, selection, orders),
        clients=await _clients(connection, selection),
        buyers=await _buyers(connection, selection),
        payments_were_dropped=await _payments_were_dropped(connection, selection, orders),
    )


async def look_up_settling(
    connection: AsyncConnection, orders: Mapping[str, KnownOrder]
) -> tuple[list[Payment], Known]:
    """Take the payments that waited for orders that are looked at again, and return them with what is known."""
    waited = await take_waiting(connection, orders)
    customers = {order.customer_id for order in orders.values() if order.customer_id is not None}
    with_unknown_lines = [order.order_id for order in orders.values() if order.unknown_lines]
    return waited, Known(
        orders=orders,
        contents=await _contents(connection, Selection(), waited),
        histories=await InboxRepository(connection).history(with_unknown_lines) if with_unknown_lines else {},
        clients=await ClientRepository(connection).latest(customers) if customers else {},
    )


async def take_waiting(connection: AsyncConnection, order_ids: Collection[str]) -> list[Payment]:
    """Remove and return the payments that were kept for these orders, in the order of their topic."""
    if not order_ids:
        return []
    return [_kept(row) for row in await UnmatchedPaymentRepository(connection).take(order_ids)]


def _kept(row: UnmatchedRow) -> Payment:
    """The original bytes are gone; what was decoded of them stands in for them."""
    _, order_id, topic, partition, offset, message = row
    record = decode_stored_payment(message)
    return KeptRecord(topic, partition, offset, order_id.encode(), _ENCODER.encode(record)), record


def _may_have_waiting(selection: Selection, orders: Mapping[str, KnownOrder]) -> set[str]:
    """The orders that the batch may map, and those so new that a payment may have missed their mapping."""
    new = {order.order_id for _, order in selection.orders if order.order_id not in orders}
    return new | {order.order_id for order in orders.values() if order.recheck}


async def _certificates(connection: AsyncConnection, selection: Selection) -> dict[str, str | None]:
    named = selection.named_certificates
    return await OrderRepository(connection).certificates(named) if named else {}


async def _payments_were_dropped(
    connection: AsyncConnection, selection: Selection, orders: Collection[str]
) -> bool:
    """Whether a first version may lack payments; asked only where the batch names an order for the first time."""
    if all(order.order_id in orders for _, order in selection.orders):
        return False
    return await UnmatchedPaymentRepository(connection).some_were_dropped()


async def _contents(
    connection: AsyncConnection, selection: Selection, waited: Iterable[Payment]
) -> dict[str, bytes]:
    identities = {order_identity(order) for _, order in selection.orders}
    identities.update(payment_identity(payment) for _, payment in selection.payments)
    identities.update(payment_identity(payment) for _, payment in waited)
    return await InboxRepository(connection).contents(identities) if identities else {}


async def _histories(
    connection: AsyncConnection, selection: Selection, orders: Mapping[str, KnownOrder]
) -> dict[str, list[PastMessage]]:
    needed = {order.order_id for order in orders.values() if order.unknown_lines}
    needed.update(order.order_id for _, order in selection.orders if _names_newcomer(order, orders))
    return await InboxRepository(connection).history(needed) if needed else {}


def _names_newcomer(order: AnyOrder, orders: Mapping[str, KnownOrder]) -> bool:
    known = orders.get(order.order_id)
    if known is None or not isinstance(order, StatedOrder):
        return False
    return any(line.certificate_id not in known.certificates for line in order.certificate_lines)


async def _clients(connection: AsyncConnection, selection: Selection) -> dict[str, StoredClient]:
    wanted = selection.customer_ids | {client.client_id for _, client in selection.clients}
    wanted.update(client.merged_into for _, client in selection.clients if client.merged_into is not None)
    return await ClientRepository(connection).latest(wanted) if wanted else {}


async def _buyers(
    connection: AsyncConnection, selection: Selection
) -> dict[str, list[tuple[str, str | None]]]:
    told = {client.client_id for _, client in selection.clients}
    return await ClientRepository(connection).certificates_of(told) if told else {}
