"""How a quarantined record reads now, told without anything that it may hold of people."""

from kafka_ingest.reading import read
from kafka_ingest.rejection import Rejection
from kafka_ingest.selection import select
from kafka_ingest.source import SourceRecord
from kafka_ingest.topics import Topics


def read_now(record: SourceRecord, topics: Topics) -> str | Rejection:
    """Return in a few words what a record is, by today's decoders; or why it is still bad."""
    reading = read([record], topics)
    selection = select(reading, reading.order_ids, topics)  # as if its order held a certificate: read whole
    if selection.rejections:
        return selection.rejections[0]
    for _, order in selection.orders:
        return f"{order.event_type} of order {order.order_id}, version {order.order_version}"
    for _, payment in selection.payments:
        return f"{payment.event_type} of order {payment.order_id}, payment {payment.payment_id}"
    for _, client in selection.clients:
        return f"{client.event_type} of client {client.client_id}"
    return "a message of a type that we do not know, to be skipped"
