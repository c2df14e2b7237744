"""Clients: whom of the certificates CRM's word concerns. Pure."""

from collections.abc import Iterable, Iterator, Mapping

from giftcert.contracts.clients import ClientRecord, identity
from giftcert.domain.messages import Cause, ClientUpdated
from giftcert.storage.clients import StoredClient
from kafka_ingest.gathering import Gathering
from kafka_ingest.source import SourceRecord


def apply_client(gathering: Gathering, source: SourceRecord, record: ClientRecord) -> None:
    """Store what CRM says of a client and tell the certificates it bought; an older word than the last is dropped."""
    last, key = gathering.clients.get(record.client_id), identity(record)
    if last is not None and (record.occurred_at < last.occurred_at or key == last.key):
        gathering.count(source, "repeat")
        return
    stored = _stored(record, key)
    gathering.clients[record.client_id] = stored
    gathering.plan.clients[record.client_id] = stored
    if record.merged_into is not None:
        gathering.merges.setdefault(record.merged_into, []).append(record.client_id)
    bought = _bought(gathering, record.client_id)
    for certificate_id, channel in bought.items():
        served = gathering.served_channel(channel)
        tell_of_customer(gathering, [certificate_id], record.client_id, served)
    gathering.count(source, "new" if bought else "kept")


def _bought(gathering: Gathering, client_id: str) -> dict[str, str | None]:
    """Return the certificates of a client, and of those that this batch merges into it, with their channels."""
    bought: dict[str, str | None] = {}
    passed: list[str] = [client_id]
    for one in passed:  # grows while it is walked
        bought.update(gathering.known.buyers.get(one, ()))
        passed += (merged for merged in gathering.merges.get(one, ()) if merged not in passed)
    return bought


def tell_of_customer(
    gathering: Gathering, certificate_ids: Iterable[str], customer_id: str | None, channel: str
) -> None:
    """Tell certificates what CRM last said of their buyer, and of those that the buyer was merged into."""
    for client in _with_survivors(gathering.clients, customer_id):
        for certificate_id in certificate_ids:
            gathering.tell(certificate_id, _message(client, gathering.topics.clients), channel)


def _with_survivors(clients: Mapping[str, StoredClient], client_id: str | None) -> Iterator[StoredClient]:
    passed: set[str] = set()
    while client_id is not None and client_id in clients and client_id not in passed:
        passed.add(client_id)
        client = clients[client_id]
        yield client
        client_id = client.merged_into


def _stored(record: ClientRecord, key: str) -> StoredClient:
    return StoredClient(
        client_id=record.client_id,
        locale=record.locale,
        preferred_channel=record.preferred_channel,
        merged_into=record.merged_into,
        blocked=record.blocked,
        erased=record.erased,
        occurred_at=record.occurred_at,
        event_id=record.event_id,
        key=key,
    )


def _message(client: StoredClient, topic: str) -> ClientUpdated:
    return ClientUpdated(
        key=client.key,
        cause=Cause(topic, client.event_id),
        occurred_at=client.occurred_at,
        client_id=client.client_id,
        locale=client.locale,
        preferred_channel=client.preferred_channel,
        merged_into=client.merged_into,
        blocked=client.blocked,
        erased=client.erased,
    )
