"""The buyer and the recipient of a certificate: how to write to them, merges of clients, erasure."""

from collections.abc import Iterable
from dataclasses import dataclass


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


def find_client(clients: Iterable[Client], client_id: str | None) -> Client | None:
    """Return what is known of a client."""
    return next((one for one in clients if one.client_id == client_id), None)


def survivor_of(clients: Iterable[Client], client_id: str | None) -> str | None:
    """Return the client at the end of a chain of merges; a ring ends where it would begin again."""
    merged = {one.client_id: one.merged_into for one in clients}
    while client_id is not None and (survivor := merged.pop(client_id, None)) is not None:
        client_id = survivor
    return client_id
