"""The state of a certificate as stored text, without the rows of its order lines, which have their own table."""

from dataclasses import replace

import msgspec

from giftcert.domain.certificate.state import CertificateState

_ENCODER = msgspec.json.Encoder()
_STATE: msgspec.json.Decoder[CertificateState] = msgspec.json.Decoder(CertificateState)


def encode_state(state: CertificateState) -> str:
    """Return a state as JSON text, instants with microseconds."""
    return _ENCODER.encode(replace(state, lines=())).decode()


def decode_state(text: str) -> CertificateState:
    """Return the state that ``encode_state`` stored; fields added since get their defaults.

    Raises:
        msgspec.ValidationError: the text does not fit the state.
    """
    return _STATE.decode(text)
