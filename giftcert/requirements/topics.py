"""Topics that the service needs, and whose they are: Orders, Payments and CRM make their own, ``setup`` the stream."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined] # it exports them without saying so
    AdminClient,
    ClusterMetadata,
    ConfigResource,
    ResourceType,
    TopicMetadata,
)

from giftcert.health import KAFKA
from giftcert.kafka_connection import librdkafka_options
from giftcert.requirements.finding import Finding, Maker
from giftcert.settings import Settings

STREAM_CONFIGURATION = {"cleanup.policy": "delete", "retention.ms": "-1"}
"""BI grows by reading the stream from its beginning, so it is kept for ever."""
LEAST_RETENTION = timedelta(days=7)
"""Of inputs, Kafka's own default: an outage of ours that is shorter loses nothing."""
ANSWER_SECONDS = 10
_IN_MEMORY = "mockCluster"
"""What the ids begin with that librdkafka gives its brokers in memory: they answer nothing about configurations."""


@dataclass(frozen=True, slots=True)
class TopicRequirement:
    """``configuration``: exactly so; inputs keep records for ``LEAST_RETENTION`` at least, whatever else they say.

    ``partitions``: so many at least; ``as_many_as`` names the topic that should have the same number.
    """

    name: str
    maker: Maker
    partitions: int = 1
    configuration: Mapping[str, str] = field(default_factory=dict)
    as_many_as: str | None = None


def input_topics(settings: Settings) -> list[TopicRequirement]:
    """Return what ingest reads."""
    return [
        TopicRequirement(settings.topic_orders, Maker.ORDERS),
        # Then messages of one order meet in one process; else they are matched later, through PostgreSQL.
        TopicRequirement(settings.topic_payments, Maker.PAYMENTS, as_many_as=settings.topic_orders),
        TopicRequirement(settings.topic_clients, Maker.CRM),
    ]


def stream_topic(settings: Settings) -> TopicRequirement:
    """Return what dispatch writes."""
    return TopicRequirement(
        settings.topic_stream, Maker.SETUP, settings.topic_partitions, configuration=STREAM_CONFIGURATION
    )


def check_topics(settings: Settings, wanted: Sequence[TopicRequirement]) -> list[Finding]:
    """Compare topics with what is needed; blocks. A configuration that we may not see is not compared.

    Raises:
        KafkaException: Kafka does not answer.
    """
    admin = AdminClient(librdkafka_options(settings))
    cluster = admin.list_topics(timeout=ANSWER_SECONDS)  # all: to name one that does not exist may make it
    there = sorted({one.name for one in wanted} & cluster.topics.keys())  # Kafka refuses to hear a name twice
    configurations = {} if is_in_memory(cluster) else _visible_configurations(admin, there)
    return [
        finding for one in wanted for finding in _check(one, cluster.topics, configurations.get(one.name, {}))
    ]


def is_in_memory(cluster: ClusterMetadata) -> bool:
    """Return whether it is a broker in memory, whose topics have no configuration."""
    return str(cluster.cluster_id).startswith(_IN_MEMORY)


async def find_topics(settings: Settings, wanted: Sequence[TopicRequirement]) -> list[Finding]:
    """Do the same in a thread."""
    return await asyncio.to_thread(check_topics, settings, wanted)


def configuration_of(admin: AdminClient, topic: str) -> dict[str, str]:
    """Return the configuration of a topic; raises ``KafkaException``."""
    answer = admin.describe_configs(
        [ConfigResource(ResourceType.TOPIC, topic)], request_timeout=ANSWER_SECONDS
    )
    return {name: entry.value for name, entry in next(iter(answer.values())).result().items()}


def deviations(actual: Mapping[str, str], wanted: Mapping[str, str]) -> dict[str, str]:
    """Return the values that are not as they must be."""
    return {name: actual[name] for name, value in wanted.items() if actual[name] != value}


def _check(
    wanted: TopicRequirement, known: Mapping[str, TopicMetadata], configuration: Mapping[str, str]
) -> list[Finding]:
    subject = f"topic {wanted.name}"
    if wanted.name not in known:
        return [Finding(KAFKA, subject, "is missing, or hidden from this user", wanted.maker, stops=True)]
    return [Finding(KAFKA, subject, wrong, maker) for wrong, maker in _compare(wanted, known, configuration)]


def _compare(
    wanted: TopicRequirement, known: Mapping[str, TopicMetadata], actual: Mapping[str, str]
) -> list[tuple[str, Maker]]:
    """Return what is wrong, and whose it is; nothing of a topic whose configuration is not to be seen."""
    return [*_of_partitions(wanted, known), *_of_configuration(wanted, actual)] if actual else []


def _of_partitions(
    wanted: TopicRequirement, known: Mapping[str, TopicMetadata]
) -> Sequence[tuple[str, Maker]]:
    there = len(known[wanted.name].partitions)
    maker = Maker.KAFKA if wanted.maker is Maker.SETUP else wanted.maker
    if there < wanted.partitions:
        return [(f"has {there} partitions, and GIFTCERT_TOPIC_PARTITIONS is {wanted.partitions}", maker)]
    model = known.get(wanted.as_many_as or "")
    if model is not None and there != (others := len(model.partitions)):
        return [(f"has {there} partitions, and {wanted.as_many_as} has {others}", maker)]
    return []


def _of_configuration(wanted: TopicRequirement, actual: Mapping[str, str]) -> list[tuple[str, Maker]]:
    if wanted.configuration:
        found = deviations(actual, wanted.configuration)
        return [
            (f"has {name}={value} instead of {wanted.configuration[name]}", wanted.maker)
            for name, value in found.items()
        ]
    wrong = []
    if "delete" not in actual["cleanup.policy"]:
        wrong.append((f"has cleanup.policy={actual['cleanup.policy']}, which drops messages", wanted.maker))
    kept = int(actual["retention.ms"])
    if 0 <= kept < LEAST_RETENTION / timedelta(milliseconds=1):
        least = f"{LEAST_RETENTION.days} days"
        wrong.append((f"keeps records for {timedelta(milliseconds=kept)}, less than {least}", wanted.maker))
    return wrong


def _visible_configurations(admin: AdminClient, topics: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
    if not topics:
        return {}
    asked = [ConfigResource(ResourceType.TOPIC, topic) for topic in topics]
    answers = admin.describe_configs(asked, request_timeout=ANSWER_SECONDS)
    found = {}
    for resource, answer in answers.items():
        try:
            found[resource.name] = {name: entry.value for name, entry in answer.result().items()}
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_AUTHORIZATION_FAILED:
                raise
    return found
