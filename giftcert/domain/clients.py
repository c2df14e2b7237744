"""The buyer and whom a certificate is for: how to write to them, who was merged into whom, who is erased."""

from dataclasses import dataclass

Clients = tuple["Client", ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """How a buyer wants to be written to, as CRM last said."""

    client_id: str
    locale: str | None = None
    preferred_channel: str | None = None
    merged_into: str | None = None
    blocked: bool = False
    erased: bool = False


@dataclass(frozen=True, slots=True)
class Recipient:
    """Whom the certificate is for: an opaque reference, never an address."""

    ref: str | None = None
    channel: str | None = None
    locale: str | None = None


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
