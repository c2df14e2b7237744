"""What ingest commits, without Kafka: messages of an order folded, payments that spend a certificate."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from giftcert.domain.certificate.messages import SpendingReported
from giftcert.domain.clients import Recipient
from giftcert.domain.order.messages import OrderMessage, OrderStated
from giftcert.domain.order.novelty import Novelty, novelty
from giftcert.domain.order.order import apply, settled
from giftcert.domain.policy import Policy
from giftcert.lifecycle import order_changes
from giftcert.storage import pending, spendings
from giftcert.storage.database import Connection
from giftcert.storage.order_lines import OrderLineRepository
from giftcert.storage.orders import OrderRepository, StoredOrder
from giftcert.storage.pending import PendingRow
from giftcert.storage.repository import write_together
from giftcert.storage.spendings import Spending, SpendingRepository
from giftcert.temporal.signals import Signal, Wake


async def fold(
    connection: Connection, messages: Sequence[OrderMessage], now: datetime, policy: Policy
) -> list[Wake]:
    """Fold messages of one order in one transaction, the caller's; return the signals to send after its commit."""
    order_id = messages[0].order_id
    stored = (await OrderRepository(connection).lock([order_id])).get(order_id)
    change = folded(stored, messages, now)
    if not change.said:
        return []
    rows = await OrderLineRepository(connection).lock([order_id])
    revisions, products = await order_changes.revise(connection, [change], rows, policy)
    return await order_changes.save(connection, [change], revisions, products, now)


def folded(
    stored: StoredOrder | None,
    messages: Sequence[OrderMessage],
    now: datetime,
    recipients: Mapping[str, Recipient] | None = None,
) -> order_changes.OrderChange:
    """Fold messages of one order, as ingest does; ``recipients`` are those of full versions, by lineId."""
    order, said = stored.order if stored else None, list[OrderMessage]()
    for message in messages:
        if order is None or novelty(order, message) is Novelty.NEW:
            order = apply(order, message, now)
            said.append(message)
    assert order is not None
    order = settled(order)
    lines = order.lines if any(isinstance(message, OrderStated) for message in said) else ()
    by_key = {
        line.key: (recipients or {}).get(line.line_id)
        for line in lines
        if line.naming is not None and line.listed
    }
    return order_changes.OrderChange(order=order, is_new=stored is None, said=tuple(said), recipients=by_key)


async def report_spending(
    connection: Connection, certificate_id: str, message: SpendingReported, identity: str, now: datetime
) -> list[Wake]:
    """Store a payment with a certificate as its tender; return the signals to send after the commit."""
    known = SpendingRepository(connection)
    channel = (await known.channels([certificate_id]))[certificate_id]
    if channel is None or await known.contents([identity]):
        return []
    spending = Spending(
        identity=identity, content=b"", certificate_id=certificate_id, channel=channel, message=message
    )
    row = PendingRow(
        certificate_id=certificate_id, kind=Signal.CERTIFICATE_SPENT, channel=channel, cause=message.cause
    )
    await write_together(connection, spendings.spent([spending], now), pending.waiting([row], now))
    return [
        Wake(
            certificate_id=certificate_id,
            signal=Signal.CERTIFICATE_SPENT,
            channel=channel,
            cause=message.cause.event_id,
        )
    ]
