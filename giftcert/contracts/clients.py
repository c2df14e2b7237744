"""``All_Clients``: how clients want to be written to, as CRM says it. A null value erases a client."""

from datetime import datetime

import msgspec

from giftcert.contracts.inputs import (
    LONGEST_IDENTIFIER,
    Identifier,
    MalformedRecord,
    Record,
    ShortText,
    in_utc,
    read_record,
)

UPDATED = "client.updated"
ERASED = "client.erased"  # our name for a null value; the topic has no such type
EVENT_TYPES = frozenset({UPDATED})


class ClientRecord(Record, frozen=True, kw_only=True, gc=False):
    """A client's settings as they now are, or that they are erased."""

    client_id: Identifier
    locale: ShortText | None = None
    preferred_channel: ShortText | None = None
    merged_into: Identifier | None = None
    blocked: bool = False

    @property
    def erased(self) -> bool:
        """Whether CRM has erased the client; ids remain."""
        return self.event_type == ERASED


_DECODER: msgspec.json.Decoder[ClientRecord] = msgspec.json.Decoder(ClientRecord)


def decode_client(key: bytes | None, value: bytes | None, written_at: datetime) -> ClientRecord:
    """Decode a client message; raises as ``read_known``. A null value erases the client that ``key`` names."""
    if value is None or value == b"null":  # some writers serialise what should be no value
        return _erasure(key, written_at)
    record = read_record(_DECODER, value, EVENT_TYPES)
    if record.merged_into == record.client_id:
        raise MalformedRecord("invalidField", "mergedInto: expected another client")
    return record


def _erasure(key: bytes | None, written_at: datetime) -> ClientRecord:
    try:
        client_id = (key or b"").decode()
    except UnicodeDecodeError:
        raise MalformedRecord("invalidField", "key: expected UTF-8") from None
    if not 1 <= len(client_id) <= LONGEST_IDENTIFIER or "\0" in client_id:
        raise MalformedRecord("invalidField", "key: expected the client id")
    written_at = in_utc(written_at, "timestamp")
    event_id = f"{ERASED}:{client_id}:{written_at:%Y%m%dT%H%M%S.%fZ}"
    return ClientRecord(event_id=event_id, event_type=ERASED, occurred_at=written_at, client_id=client_id)
