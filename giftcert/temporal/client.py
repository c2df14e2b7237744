"""The one way to connect to Temporal, and how values travel there.

Payloads are plain JSON, so that the Web UI shows them, typed by msgspec (ADR 47). A type that may be one of several
dataclasses cannot be decoded: annotate one dataclass with optional fields instead.
"""

from dataclasses import replace
from typing import Any

import msgspec
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.client import Client
from temporalio.converter import (
    CompositePayloadConverter,
    DataConverter,
    DefaultFailureConverter,
    DefaultPayloadConverter,
    JSONPlainPayloadConverter,
)
from temporalio.converter import PayloadConverter as TemporalPayloadConverter
from temporalio.envconfig import ClientConfigProfile, ClientConnectConfig

from giftcert.redaction import redact_text
from giftcert.settings import Settings
from giftcert.temporal.payload_codec import payload_codec_of

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


class FailureConverter(DefaultFailureConverter):
    """Describes a failed activity or workflow in its history as logs would."""

    def to_failure(
        self, exception: BaseException, payload_converter: TemporalPayloadConverter, failure: Failure
    ) -> None:
        """Describe an exception and its causes without secrets."""
        super().to_failure(exception, payload_converter, failure)
        failure.message, failure.stack_trace = redact_text(failure.message), redact_text(failure.stack_trace)


class EncodedFailureConverter(FailureConverter):
    """The same where payloads are encrypted: the description becomes a payload."""

    def to_failure(
        self, exception: BaseException, payload_converter: TemporalPayloadConverter, failure: Failure
    ) -> None:
        """Describe an exception and its causes without secrets, for those who have the keys."""
        super().to_failure(exception, payload_converter, failure)
        described = {"message": failure.message, "stack_trace": failure.stack_trace}
        failure.encoded_attributes.CopyFrom(payload_converter.to_payloads([described])[0])
        failure.message, failure.stack_trace = "Encoded failure", ""


DATA_CONVERTER = DataConverter(
    payload_converter_class=PayloadConverter, failure_converter_class=FailureConverter
)
"""Of every client and worker of the service, where payloads are not encrypted."""


def data_converter_of(settings: Settings) -> DataConverter:
    """Return how values travel: with encrypted payloads and failures where the settings have keys for that."""
    codec = payload_codec_of(settings)
    if codec is None:
        return DATA_CONVERTER
    return replace(DATA_CONVERTER, payload_codec=codec, failure_converter_class=EncodedFailureConverter)


class TemporalSettingsError(Exception):
    """Temporal's own configuration cannot be used; the message is one line and says where it stands."""


def temporal_configuration(settings: Settings) -> ClientConnectConfig:
    """Return namespace, TLS, API key and headers as Temporal's own environment configuration has them.

    Those are the variables ``TEMPORAL_*`` and a profile of a TOML file (``TEMPORAL_CONFIG_FILE``), meant for another
    server than the embedded one: its clients leave them out. Raises `TemporalSettingsError`.
    """
    if not settings.temporal_envconfig:
        return {}
    try:
        return ClientConfigProfile.load().to_client_connect_config()
    except OSError as error:
        said = f"{error.filename} cannot be read: {error.strerror}"
    except RuntimeError as error:
        said = " ".join(str(error).split())
    raise TemporalSettingsError(f"TEMPORAL_CONFIG_FILE or another of Temporal's own variables: {said}")


async def connect(settings: Settings, *, lazy: bool = False) -> Client:
    """Return a client of the settings' namespace: TLS and API key as Temporal's own configuration has them.

    Raises ``RuntimeError`` where the server cannot be reached, with ``lazy`` not before the first call, and
    `TemporalSettingsError` and ``KeyFileError``.
    """
    found = temporal_configuration(settings)
    return await Client.connect(
        settings.temporal_address or f"127.0.0.1:{settings.temporal_port}",
        namespace=settings.temporal_namespace,
        api_key=found.get("api_key"),
        tls=found.get("tls"),
        rpc_metadata=found.get("rpc_metadata", {}),
        data_converter=data_converter_of(settings),
        lazy=lazy,
    )


async def answer(client: Client) -> None:
    """Have the server say that it serves; raises ``RPCError`` or ``RuntimeError``."""
    if not await client.service_client.check_health():
        raise RuntimeError("Temporal does not serve")
