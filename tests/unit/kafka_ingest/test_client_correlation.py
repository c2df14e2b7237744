"""Clients are kept by CRM's latest word; certificates read it when a notification is made."""

from tests.unit.contracts.topic_records import certificate_line, client, order
from tests.unit.kafka_ingest.ingest_memory import Memory, certificate


def test_the_latest_word_is_kept_whatever_the_order_in_which_a_batch_has_them() -> None:
    memory = Memory()
    later = client(locale="en-GB", occurredAt="2026-11-23T12:00:00Z")
    memory.comes(memory.record("clients", later), memory.record("clients", client(locale="de-DE")))
    assert memory.clients["C-77"].locale == "en-GB"


def test_a_tombstone_erases() -> None:
    memory = Memory()
    memory.comes(
        memory.record("clients", client(occurredAt="2025-11-23T10:00:00Z"), "C-77"),
        memory.record("clients", None, "C-77"),
    )
    assert memory.clients["C-77"].erased
    assert memory.clients["C-77"].locale is None


def test_a_client_wakes_nobody() -> None:
    memory = Memory().with_certificates(1)
    memory.ordered(order(lines=[certificate_line(certificateId=certificate(1))]))
    memory.described(client())
    assert memory.woken(1) == ["order_created"]
    assert memory.counts["clients", "kept"] == 1


def test_a_free_text_that_holds_an_address_is_masked_and_told() -> None:
    memory = Memory()
    memory.described(client(locale="Anna <anna@example.com>"))
    assert memory.clients["C-77"].locale == "[redacted]"
    assert [event.event_type for _, event in memory.events] == ["error.malformedEvent"]
    assert not memory.rejections
