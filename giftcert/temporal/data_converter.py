"""How values travel to and from Temporal: plain JSON, so that the Web UI shows them, typed by msgspec (ADR 47).

A type that may be one of several dataclasses cannot be decoded: annotate one dataclass with optional fields instead.
"""

from typing import Any

import msgspec
from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    CompositePayloadConverter,
    DataConverter,
    DefaultPayloadConverter,
    JSONPlainPayloadConverter,
)

_ENCODER = msgspec.json.Encoder()


class _JsonPayloadConverter(JSONPlainPayloadConverter):
    """Dataclasses, enums, tuples, instants and bytes (base64) as JSON, read back by their annotations."""

    def to_payload(self, value: Any) -> Payload | None:  # noqa: ANN401 - as the base class has it
        return Payload(metadata={"encoding": b"json/plain"}, data=_ENCODER.encode(value))

    def from_payload(self, payload: Payload, type_hint: type | None = None) -> Any:  # noqa: ANN401 - as the base
        try:
            return msgspec.json.decode(payload.data, type=Any if type_hint is None else type_hint)
        except msgspec.DecodeError as error:
            raise RuntimeError(f"payload does not fit {type_hint}: {error}") from error


class PayloadConverter(CompositePayloadConverter):
    """temporalio's default set with its plain JSON replaced."""

    def __init__(self) -> None:
        super().__init__(
            *(
                _JsonPayloadConverter() if isinstance(one, JSONPlainPayloadConverter) else one
                for one in DefaultPayloadConverter.default_encoding_payload_converters
            )
        )


DATA_CONVERTER = DataConverter(payload_converter_class=PayloadConverter)
"""The one converter of every client and worker of the service."""
