"""What CRM said of the buyers of a certificate: how to write to them, who was merged into whom, who is erased."""

from giftcert.domain.messages import ClientUpdated
from giftcert.domain.state import Client

Clients = tuple[Client, ...]


def record_client(clients: Clients, message: ClientUpdated) -> Clients:
    """Return the clients with this one as CRM now says; an older word than its last changes nothing."""
    known = find_client(clients, message.client_id)
    if known is not None and message.occurred_at < known.occurred_at:
        return clients
    client = Client(
        client_id=message.client_id,
        occurred_at=message.occurred_at,
        locale=message.locale,
        preferred_channel=message.preferred_channel,
        merged_into=message.merged_into,
        blocked=message.blocked,
        erased=message.erased,
    )
    others = (one for one in clients if one.client_id != message.client_id)
    return tuple(sorted((*others, client), key=lambda one: one.client_id))


def find_client(clients: Clients, client_id: str | None) -> Client | None:
    """Return what is known of a client."""
    return next((one for one in clients if one.client_id == client_id), None)


def survivor_of(clients: Clients, client_id: str | None) -> str | None:
    """Return the client that a chain of merges ends at; a ring of merges ends where it would begin again."""
    passed: set[str] = set()
    client = find_client(clients, client_id)
    while client is not None and client.merged_into is not None and client.client_id not in passed:
        passed.add(client.client_id)
        client_id = client.merged_into
        client = find_client(clients, client_id)
    return client_id
