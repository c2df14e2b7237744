"""Topics as they are, compared with what is needed of them."""

from typing import Any

import pytest
from confluent_kafka.admin import ClusterMetadata, TopicMetadata  # type: ignore[attr-defined] # exported all the same

from giftcert.requirements.finding import Maker
from giftcert.requirements.topics import (
    STREAM_CONFIGURATION,
    _compare,
    input_topics,
    is_in_memory,
    stream_topic,
)
from giftcert.settings import Settings

SETTINGS = Settings(_env_file=None, topic_partitions=4)
ORDERS, PAYMENTS, CLIENTS = input_topics(SETTINGS)
STREAM = stream_topic(SETTINGS)
KEPT = {"cleanup.policy": "delete", "retention.ms": "604800000"}


def partitioned(**counts: int) -> dict[str, TopicMetadata]:
    known = {}
    for name, count in counts.items():
        known[name] = metadata = TopicMetadata()
        metadata.partitions = dict.fromkeys(range(count))
    return known


KNOWN = partitioned(All_SalesOrder=4, All_Payments=4, All_Clients=1) | {
    SETTINGS.topic_stream: partitioned(x=4)["x"]
}


@pytest.mark.parametrize("topic", [ORDERS, PAYMENTS, CLIENTS])
def test_inputs_that_are_kept_for_a_week_or_for_ever_are_as_needed(topic: Any) -> None:
    assert _compare(topic, KNOWN, KEPT) == []
    assert _compare(topic, KNOWN, KEPT | {"retention.ms": "-1"}) == []


def test_inputs_that_are_forgotten_too_soon_or_compacted_are_their_owners_to_mend() -> None:
    wrong = _compare(CLIENTS, KNOWN, {"cleanup.policy": "compact", "retention.ms": "86400000"})
    assert wrong == [
        ("has cleanup.policy=compact, which drops messages", Maker.CRM),
        ("keeps records for 1 day, 0:00:00, less than 7 days", Maker.CRM),
    ]


def test_payments_have_as_many_partitions_as_orders() -> None:
    known = KNOWN | partitioned(All_Payments=3)
    assert _compare(PAYMENTS, known, KEPT) == [("has 3 partitions, and All_SalesOrder has 4", Maker.PAYMENTS)]


def test_the_stream_is_kept_for_ever_and_has_the_partitions_of_the_setting() -> None:
    assert _compare(STREAM, KNOWN, STREAM_CONFIGURATION) == []
    few = {SETTINGS.topic_stream: partitioned(x=2)["x"]}
    assert _compare(STREAM, few, {"cleanup.policy": "delete", "retention.ms": "1000"}) == [
        ("has 2 partitions, and GIFTCERT_TOPIC_PARTITIONS is 4", Maker.KAFKA),
        ("has retention.ms=1000 instead of -1", Maker.SETUP),
    ]


def test_of_a_topic_whose_configuration_is_hidden_nothing_is_said() -> None:
    assert _compare(STREAM, {SETTINGS.topic_stream: partitioned(x=1)["x"]}, {}) == []


def test_a_broker_in_memory_is_known_by_the_id_of_its_cluster() -> None:
    """It answers no question about configurations, and who asks waits for ten seconds."""
    cluster = ClusterMetadata()
    cluster.cluster_id = "mockCluster1556d43d016c"
    assert is_in_memory(cluster)
    cluster.cluster_id = "Z2lmdGNlcnQtbG9jYWwtMQ"
    assert not is_in_memory(cluster)
