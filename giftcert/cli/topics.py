"""The topics of the service: made where they are ours to make, and held to the settings the stream needs."""

from collections.abc import Iterable
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined] # it exports them without saying so
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from giftcert.kafka_connection import librdkafka_options
from giftcert.settings import Settings
from giftcert.verification.stream import STREAM_CONFIGURATION, stream_deviations

_ANSWER_SECONDS = 10


def ensure_topics(settings: Settings, *, inputs_too: bool, in_memory: bool) -> list[str]:
    """Make the topics that are missing and give the stream its configuration.

    Args:
        settings: names, partitions and copies of the topics, and where Kafka is.
        inputs_too: also make the topics that Orders, Payments and CRM own elsewhere.
        in_memory: the in-memory broker makes topics when they are first named, and has no configuration.

    Returns:
        What was done, a line each.

    Raises:
        KafkaException: Kafka does not answer or refuses.
    """
    admin = AdminClient(librdkafka_options(settings))
    inputs = [settings.topic_orders, settings.topic_payments, settings.topic_clients] if inputs_too else []
    wanted = [*inputs, settings.topic_stream]
    if in_memory:
        for name in wanted:
            admin.list_topics(name, timeout=_ANSWER_SECONDS)
        return []
    known = admin.list_topics(timeout=_ANSWER_SECONDS).topics
    made = [name for name in wanted if name not in known and _make(admin, settings, name)]
    done = [f"topic {name} made" for name in made]
    deviations = {} if settings.topic_stream in made else stream_deviations(admin, settings.topic_stream)
    if deviations:
        _correct(admin, settings.topic_stream, deviations)
        done.append(f"topic {settings.topic_stream} is kept for ever now")
    return done


def _make(admin: AdminClient, settings: Settings, name: str) -> bool:
    configuration = STREAM_CONFIGURATION if name == settings.topic_stream else {}
    topic = NewTopic(name, settings.topic_partitions, settings.topic_replication, config=configuration)
    try:
        _result(admin.create_topics([topic], request_timeout=_ANSWER_SECONDS))
    except KafkaException as error:
        if error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:  # another setup was first
            return False
        raise
    return True


def _correct(admin: AdminClient, stream: str, deviations: Iterable[str]) -> None:
    entries = [
        ConfigEntry(name, STREAM_CONFIGURATION[name], incremental_operation=AlterConfigOpType.SET)
        for name in deviations
    ]
    resource = ConfigResource(ResourceType.TOPIC, stream, incremental_configs=entries)
    _result(admin.incremental_alter_configs([resource], request_timeout=_ANSWER_SECONDS))


def _result(answers: dict[Any, Any]) -> None:
    for answer in answers.values():
        answer.result()
