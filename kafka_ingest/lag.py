"""Consumer lag: how many records of each input topic ingest has not committed yet."""

from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined] # it exports them without saying so
    AdminClient,
    OffsetSpec,
)

from giftcert.kafka_connection import librdkafka_options
from giftcert.settings import Settings

_ANSWER_SECONDS = 5


def consumer_lag(settings: Settings) -> dict[str, int]:
    """Return by topic how many records lie behind what the consumer group has committed; blocks.

    Raises:
        KafkaException: Kafka does not answer.
    """
    admin = AdminClient(librdkafka_options(settings))
    topics = (settings.topic_orders, settings.topic_payments, settings.topic_clients)
    known = admin.list_topics(timeout=_ANSWER_SECONDS).topics
    partitions = [(topic, one) for topic in topics if topic in known for one in known[topic].partitions]
    begins = _offsets(admin, partitions, OffsetSpec.earliest())  # type: ignore[no-untyped-call]
    ends = _offsets(admin, partitions, OffsetSpec.latest())  # type: ignore[no-untyped-call]
    committed = begins | _committed(admin, settings.ingest_group)
    lag = dict.fromkeys(topics, 0)
    for place in partitions:
        lag[place[0]] += max(0, ends[place] - committed[place])
    return lag


def _offsets(
    admin: AdminClient, partitions: list[tuple[str, int]], which: OffsetSpec
) -> dict[tuple[str, int], int]:
    asked = {TopicPartition(*place): which for place in partitions}
    found = admin.list_offsets(asked, request_timeout=_ANSWER_SECONDS) if asked else {}
    return {(one.topic, one.partition): answer.result().offset for one, answer in found.items()}


def _committed(admin: AdminClient, group: str) -> dict[tuple[str, int], int]:
    [answer] = admin.list_consumer_group_offsets(
        [ConsumerGroupTopicPartitions(group)], request_timeout=_ANSWER_SECONDS
    ).values()
    found = answer.result().topic_partitions
    return {(one.topic, one.partition): one.offset for one in found if one.offset >= 0}
