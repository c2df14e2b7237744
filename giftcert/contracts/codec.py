"""Domain messages and states as stored text. A message is tagged with its class, as unions have no tag."""

from typing import Any, get_args

import msgspec

from giftcert.domain.messages import Message
from giftcert.domain.state import CertificateState


class _Tagged(msgspec.Struct, frozen=True):
    """A message as stored: its class name and its body, left alone until the class is known."""

    kind: str
    body: msgspec.Raw


_ENCODER = msgspec.json.Encoder()
_TAGGED: msgspec.json.Decoder[_Tagged] = msgspec.json.Decoder(_Tagged)
_BODIES: dict[str, msgspec.json.Decoder[Any]] = {
    kind.__name__: msgspec.json.Decoder(kind) for kind in get_args(Message)
}
_STATE: msgspec.json.Decoder[CertificateState] = msgspec.json.Decoder(CertificateState)


class UnknownMessageKind(ValueError):  # noqa: N818 - named after what is wrong
    """The stored message was written by a newer version that knows more kinds."""


def encode_message(message: Message) -> bytes:
    """Return a message as JSON, tagged with its class: ``{"kind": "OrderStated", "body": {...}}``."""
    body = msgspec.Raw(_ENCODER.encode(message))
    return _ENCODER.encode(_Tagged(kind=type(message).__name__, body=body))


def decode_message(data: bytes) -> Message:
    """Return the message that ``encode_message`` stored.

    Raises:
        UnknownMessageKind: no message class has the stored tag.
        msgspec.ValidationError: the body does not fit its class.
    """
    tagged = _TAGGED.decode(data)
    decoder = _BODIES.get(tagged.kind)
    if decoder is None:
        raise UnknownMessageKind(f"no message is called {tagged.kind}")
    message: Message = decoder.decode(tagged.body)
    return message


def encode_state(state: CertificateState) -> str:
    """Return a state as JSON text, instants with microseconds."""
    return _ENCODER.encode(state).decode()


def decode_state(text: str) -> CertificateState:
    """Return the state that ``encode_state`` stored; fields added since get their defaults.

    Raises:
        msgspec.ValidationError: the text does not fit the state.
    """
    return _STATE.decode(text)
