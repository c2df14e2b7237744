"""How values travel to and from Temporal: plain JSON, so that the Web UI shows them, typed by msgspec.

temporalio's own JSON converter knows no bytes inside dataclasses and is several times slower. Only the JSON
part is replaced; ``None``, bytes and protobuf messages go as everywhere, failures too. A type that may be one of
several dataclasses cannot be decoded: annotate one dataclass with optional fields instead.
"""

from typing import Any

import msgspec
from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    BinaryNullPayloadConverter,
    BinaryPlainPayloadConverter,
    BinaryProtoPayloadConverter,
    CompositePayloadConverter,
    DataConverter,
    EncodingPayloadConverter,
    JSONProtoPayloadConverter,
)

_ENCODER = msgspec.json.Encoder()


class JsonPayloadConverter(EncodingPayloadConverter):
    """Dataclasses, enums, tuples, instants and bytes (base64) as JSON, read back by their annotations."""

    @property
    def encoding(self) -> str:
        """The name under which every SDK and the Web UI know plain JSON."""
        return "json/plain"

    def to_payload(self, value: Any) -> Payload | None:  # noqa: ANN401 - as the base class has it
        """Encode any value that msgspec knows.

        Raises:
            TypeError: the value holds something that JSON cannot carry.
        """
        return Payload(metadata={"encoding": b"json/plain"}, data=_ENCODER.encode(value))

    def from_payload(self, payload: Payload, type_hint: type | None = None) -> Any:  # noqa: ANN401 - as the base
        """Decode into the annotated type; without one, into dicts, lists and scalars.

        Raises:
            RuntimeError: the payload does not fit the type; the message names the path, never the value.
        """
        try:
            return msgspec.json.decode(payload.data, type=Any if type_hint is None else type_hint)
        except msgspec.DecodeError as error:
            raise RuntimeError(f"payload does not fit {type_hint}: {error}") from error


class PayloadConverter(CompositePayloadConverter):
    """temporalio's default set with its plain JSON replaced."""

    def __init__(self) -> None:
        super().__init__(
            BinaryNullPayloadConverter(),
            BinaryPlainPayloadConverter(),
            JSONProtoPayloadConverter(),
            BinaryProtoPayloadConverter(),
            JsonPayloadConverter(),
        )


DATA_CONVERTER = DataConverter(payload_converter_class=PayloadConverter)
"""The one converter of every client and worker of the service."""
