"""What makes two messages the same: business identity and content, not the event id."""

from hashlib import sha256

import msgspec
from msgspec import structs

from giftcert.contracts.fields import EPOCH, Record

_ENCODER = msgspec.json.Encoder()


def join(*parts: str) -> str:
    """Return the parts as one text that no other parts give."""
    return ":".join(part.replace("%", "%25").replace(":", "%3A") for part in parts)


def split(joined: str) -> tuple[str, ...]:
    """Return the parts that ``join`` made one text of."""
    return tuple(part.replace("%3A", ":").replace("%25", "%") for part in joined.split(":"))


def share_key(order_id: str, refund_id: str, line_id: str) -> str:
    """Return the key under which the word on a refund and one line of its order is known everywhere."""
    return join("assigned", order_id, refund_id, line_id)


def content(record: Record) -> bytes:
    """Return the SHA-256 of the fields that we decode, without event id and ``occurredAt``.

    Where ``occurredAt`` is part of the identity, equal identities have it equal anyway. Fields with their default are
    left out, so that a field decoded in a later version does not make old messages contradict their repeats.
    """
    return sha256(_ENCODER.encode(structs.replace(record, event_id="", occurred_at=EPOCH))).digest()
