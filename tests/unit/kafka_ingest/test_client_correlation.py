"""Clients: who hears of them, and when."""

from giftcert.domain.messages import ClientUpdated
from tests.unit.contracts.topic_records import certificate_line, client, order
from tests.unit.kafka_ingest.ingest_memory import Memory, certificate


def sold_to(memory: Memory, customer: str = "C-77") -> Memory:
    memory.with_certificates(1)
    memory.ordered(order(customerId=customer, lines=[certificate_line(certificateId=certificate(1))]))
    return memory


def test_a_certificate_hears_of_its_buyer_before_its_order() -> None:
    memory = Memory()
    memory.described(client(preferredChannel="sms"))
    sold_to(memory)
    first, second = memory.messages(1)
    assert isinstance(first, ClientUpdated)
    assert first.preferred_channel == "sms"
    assert type(second).__name__ == "OrderStated"


def test_in_one_batch_too() -> None:
    memory = Memory().with_certificates(1)
    memory.comes(
        memory.record("orders", order(lines=[certificate_line(certificateId=certificate(1))])),
        memory.record("clients", client(), "C-77"),
    )
    assert [type(message).__name__ for message in memory.messages(1)] == ["ClientUpdated", "OrderStated"]


def test_a_later_word_is_told_an_older_one_is_not() -> None:
    memory = sold_to(Memory())
    memory.described(client(locale="en-GB", occurredAt="2026-11-23T12:00:00Z"))
    memory.described(client(locale="de-DE", occurredAt="2026-11-23T11:00:00Z"))
    assert [message.locale for message in memory.messages(1, ClientUpdated)] == ["en-GB"]
    assert memory.clients["C-77"].locale == "en-GB"


def test_a_tombstone_erases() -> None:
    memory = sold_to(Memory())
    memory.described(client(occurredAt="2025-11-23T10:00:00Z"))
    memory.described(None)
    told = memory.messages(1, ClientUpdated)
    assert [message.erased for message in told] == [False, True]
    assert memory.clients["C-77"].locale is None


def test_buyers_of_a_merged_client_hear_of_the_survivor() -> None:
    memory = Memory()
    memory.described(client(clientId="C-1", locale="en-GB"), "C-1")
    sold_to(memory)
    memory.described(client(mergedInto="C-1"))
    told = memory.messages(1, ClientUpdated)
    assert [message.client_id for message in told] == ["C-77", "C-1"]


def test_a_merge_and_the_survivors_next_word_in_one_batch() -> None:
    memory = sold_to(Memory())
    memory.comes(
        memory.record("clients", client(mergedInto="C-1"), "C-77"),
        memory.record("clients", client(clientId="C-1", locale="en-GB"), "C-1"),
    )
    assert [message.client_id for message in memory.messages(1, ClientUpdated)] == ["C-77", "C-1"]


def test_clients_merged_in_a_ring_are_told_once_each() -> None:
    memory = sold_to(Memory())
    memory.comes(
        memory.record("clients", client(mergedInto="C-1"), "C-77"),
        memory.record("clients", client(clientId="C-1", mergedInto="C-77"), "C-1"),
    )
    assert sorted(message.client_id for message in memory.messages(1, ClientUpdated)) == ["C-1", "C-77"]


def test_a_new_buyer_of_the_order_is_told_to_all_its_certificates() -> None:
    memory = Memory()
    memory.described(client(clientId="C-2"), "C-2")
    sold_to(memory)
    line = certificate_line(certificateId=certificate(1))
    memory.ordered(order(customerId="C-2", orderVersion=2, eventType="order.changed", lines=[line]))
    assert [type(message).__name__ for message in memory.messages(1)] == [
        "OrderStated",
        "ClientUpdated",
        "OrderStated",
    ]
