"""The state of a certificate as stored JSON, without its order lines, which have a table of their own."""

from dataclasses import replace

import msgspec

from giftcert.domain.certificate.state import CertificateState

_ENCODER = msgspec.json.Encoder()
_STATE: msgspec.json.Decoder[CertificateState] = msgspec.json.Decoder(CertificateState)


def encode_state(state: CertificateState) -> str:
    """Return a state as JSON text, instants with microseconds."""
    return _ENCODER.encode(replace(state, lines=())).decode()


def decode_state(text: str) -> CertificateState:
    """Return the state that ``encode_state`` stored; fields added since get their defaults."""
    return _STATE.decode(text)
