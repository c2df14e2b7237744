"""The stream's configuration: BI grows by reading it from its beginning, so it is kept for ever."""

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined] # it exports them without saying so
    AdminClient,
    ConfigResource,
    ResourceType,
)

from giftcert.storage.verification.checks import Rule, Violation

STREAM_CONFIGURATION = {"cleanup.policy": "delete", "retention.ms": "-1"}
STREAM_FORGETS = Rule(5, "streamForgets", "topic")
_ANSWER_SECONDS = 10


def stream_deviations(admin: AdminClient, stream: str) -> dict[str, str]:
    """Return the configuration values in which the stream is not as it must be.

    Raises:
        KafkaException: Kafka does not answer, or has no such topic.
    """
    resource = ConfigResource(ResourceType.TOPIC, stream)
    answer = admin.describe_configs([resource], request_timeout=_ANSWER_SECONDS)
    values = next(iter(answer.values())).result()
    return {
        name: values[name].value
        for name, wanted in STREAM_CONFIGURATION.items()
        if values[name].value != wanted
    }


def stream_violations(admin: AdminClient, stream: str) -> list[Violation] | None:
    """Return how the stream is configured otherwise; ``None`` where the broker, being one in memory, cannot say.

    Raises:
        KafkaException: Kafka does not answer.
    """
    try:
        deviations = stream_deviations(admin, stream)
    except KafkaException as error:
        if error.args[0].code() == KafkaError._UNSUPPORTED_FEATURE:  # noqa: SLF001 - its public name
            return None
        raise
    return [
        STREAM_FORGETS.broken(stream, name, f"{name}={STREAM_CONFIGURATION[name]}", f"{name}={value}")
        for name, value in deviations.items()
    ]
