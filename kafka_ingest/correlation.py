"""Which message is about which certificate: given what is known and a batch, what to write. Pure."""

from collections.abc import Iterable

from giftcert.storage.orders import KnownOrder
from kafka_ingest.client_correlation import apply_client, tell_of_customer
from kafka_ingest.gathering import Gathering
from kafka_ingest.order_correlation import apply_order
from kafka_ingest.payment_correlation import apply_payment
from kafka_ingest.plan import Known, Plan
from kafka_ingest.reading import Payment
from kafka_ingest.selection import Selection
from kafka_ingest.topics import Topics


def correlate(
    selection: Selection, waited: Iterable[Payment], known: Known, topics: Topics, *, replaying: bool = False
) -> Plan:
    """Return what to write for a batch.

    Clients come first, so that a certificate hears of its buyer before its order; then orders, then payments that
    waited for their order, then the batch's own.

    Args:
        selection: the messages of the batch that may be about a certificate.
        waited: payments that were kept, of orders that the batch may map, each partition's in order.
        known: what is stored.
        topics: names of the topics, and the channels.
        replaying: the batch lay in quarantine.
    """
    gathering = Gathering(known, topics, replaying=replaying)
    for source, client in selection.clients:
        apply_client(gathering, source, client)
    for source, order in selection.orders:
        apply_order(gathering, source, order)
    for source, payment in waited:
        apply_payment(gathering, source, payment, waited=True)
    for source, payment in selection.payments:
        apply_payment(gathering, source, payment)
    gathering.plan.unmatched += selection.unmatched
    gathering.plan.rejections += selection.rejections
    return _finished(gathering)


def settle(orders: Iterable[KnownOrder], waited: Iterable[Payment], known: Known, topics: Topics) -> Plan:
    """Return what to write for orders that are looked at again: payments and buyers that their mapping missed."""
    gathering = Gathering(known, topics)
    for order in orders:
        tell_of_customer(gathering, order.certificates, order.customer_id, order.snapshot.channel)
    for source, payment in waited:
        apply_payment(gathering, source, payment, waited=True)
    return _finished(gathering)


def _finished(gathering: Gathering) -> Plan:
    gathering.plan.orders += [ledger.as_known() for ledger in gathering.ledgers if ledger.changed]
    return gathering.plan
