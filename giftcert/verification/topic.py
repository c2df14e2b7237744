"""The stream's configuration: BI grows by reading it from its beginning, so it is kept for ever."""

import asyncio

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined] # it exports them without saying so
    AdminClient,
    ConfigResource,
    ResourceType,
)

from giftcert.kafka_connection import librdkafka_options
from giftcert.settings import Settings
from giftcert.storage.verification.checks import Rule
from giftcert.verification.violations import Findings

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


async def look_at_topic(settings: Settings, findings: Findings) -> None:
    """Hold the configuration of the stream against what it must be; a broker in memory cannot say it.

    Raises:
        KafkaException: Kafka does not answer.
    """
    admin, stream = AdminClient(librdkafka_options(settings)), settings.topic_stream
    try:
        deviations = await asyncio.to_thread(stream_deviations, admin, stream)
    except KafkaException as error:
        if error.args[0].code() != KafkaError._UNSUPPORTED_FEATURE:  # noqa: SLF001 - its public name
            raise
        findings.unchecked.append("the configuration of the stream: the broker in memory has none")
        return
    for name, value in deviations.items():
        expected = f"{name}={STREAM_CONFIGURATION[name]}"
        findings.add(STREAM_FORGETS.broken(stream, name, expected, f"{name}={value}"))
