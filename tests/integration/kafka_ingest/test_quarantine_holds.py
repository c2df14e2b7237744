"""An order in quarantine whose reservation runs out: not sold again; replayed: issued; dismissed: released."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from giftcert.domain.certificate.state import Status
from giftcert.domain.order.order import Order
from giftcert.storage.reservations import ReservationRepository
from kafka_ingest.records import InputRecord, Topics, place_of
from kafka_ingest.replay import Replay
from tests.integration.kafka_ingest.ingest_store import NOON, TOPICS, Store, reserve_all
from tests.integration.kafka_ingest.leading import Leading
from tests.unit.contracts.topic_records import certificate_line, order, payment, raw

pytestmark = pytest.mark.integration
LATER = NOON + timedelta(hours=1)
RESERVED = ["01936f5e-0000-7000-8000-0000000000a1", "01936f5e-0000-7000-8000-0000000000a2"]


@pytest.fixture
async def shop(store: Store) -> Store:
    """Two certificates are reserved; the order of the first will lie in quarantine."""
    store.clock = lambda: NOON
    await reserve_all(store.database, dict(zip(store.certificates[:2], RESERVED, strict=True)))
    return store


async def released(store: Store) -> list[int]:
    """All is read, and the reservations are over: return which certificates go back to the pool."""
    await store.rows_changed(
        """INSERT INTO ingest_marks VALUES ('orders', 0, :at) ON CONFLICT (topic, partition) DO NOTHING""",
        at=LATER + timedelta(days=1),
    )
    async with store.database.transaction() as connection:
        await ReservationRepository(connection).release_lapsed(100, LATER)
    statuses = "SELECT certificate_id::text FROM certificates WHERE status = 'available' AND version > 1"
    free = {one for (one,) in await store.rows(statuses)}
    return [nth for nth, one in enumerate(store.certificates) if one in free]


def sold(store: Store, **changes: Any) -> dict[str, Any]:
    return order(lines=[store.line(0, reservationId=RESERVED[0])], total=500_000, **changes)


def truncated(value: dict[str, Any]) -> bytes:
    return raw(value)[:120]


def with_misspelt_kind(value: dict[str, Any]) -> bytes:
    return raw(value).replace(b'"giftCertificate"', b'"GiftCertificate"')


@pytest.mark.parametrize(
    ("spoil", "changes", "reason", "held"),
    [
        (raw, {"channel": "kiosk"}, "unknownChannel", [0]),
        (with_misspelt_kind, {}, "misspeltKind", [0]),
        (truncated, {}, "invalidJson", [0, 1]),
        (lambda value: raw(value).replace(b"{", b"\xff{", 1), {}, "invalidJson", [0, 1]),
    ],
    ids=["unknown channel", "misspelt kind", "truncated", "broken bytes"],
)
async def test_what_a_record_in_quarantine_may_name_is_not_released_before_it_is_dismissed(
    shop: Store, spoil: Callable[[Any], bytes], changes: dict[str, Any], reason: str, held: list[int]
) -> None:
    bad = shop.record(TOPICS.orders, spoil(sold(shop, **changes)), "IM-1001")
    await shop.commit(bad)
    assert await shop.rows("SELECT reason FROM quarantine") == [(reason,)]
    assert await released(shop) == [nth for nth in (0, 1) if nth not in held]
    await Replay(shop.database, shop.rules, "ops-1").dismiss(place_of(bad), "the owner has sent it anew")
    assert await released(shop) == [0, 1]


async def test_what_was_reserved_after_a_record_that_cannot_be_searched_was_read_is_not_held_back(
    shop: Store,
) -> None:
    await shop.commit(shop.record(TOPICS.orders, b"\xff", "IM-1001"))
    await shop.rows_changed("UPDATE quarantine SET quarantined_at = :at", at=NOON - timedelta(seconds=1))
    assert await released(shop) == [0, 1]


async def test_a_decoder_that_was_broken_is_mended_and_the_order_issued(
    shop: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: object) -> object:
        raise ZeroDivisionError

    ordered = shop.order_record(sold(shop))
    with monkeypatch.context() as broken_build:
        broken_build.setattr("kafka_ingest.decoder.decode_order", broken)
        await shop.commit(ordered, shop.payment_record(payment(amount=500_000)))
    assert await shop.rows("SELECT reason, detail FROM quarantine") == [("recordFails", "ZeroDivisionError")]
    assert await released(shop) == [1]
    assert await is_issued_by_a_replay(shop, ordered)


async def test_a_channel_that_is_configured_since(shop: Store) -> None:
    ordered = shop.order_record(sold(shop, channel="kiosk"))
    await shop.commit(ordered, shop.payment_record(payment(amount=500_000)))
    assert await released(shop) == [1]
    shop.topics = Topics(*TOPICS.names, ("im", "pos", "kiosk"))
    assert await is_issued_by_a_replay(shop, ordered)


async def is_issued_by_a_replay(shop: Store, record: InputRecord) -> bool:
    [replayed] = await Replay(shop.database, shop.rules, "ops-1", shop.clock).replay(place_of(record))
    assert replayed.is_applied, replayed
    leading = Leading(shop.database, shop.keyring, LATER)
    await leading.lead()
    return (await leading.state(shop.certificates[0])).status is Status.ISSUED


# Nothing stops a partition ---------------------------------------------------------------------------


async def test_a_record_that_not_even_quarantine_can_keep_is_kept_by_its_place(
    shop: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> object:
        raise ZeroDivisionError

    monkeypatch.setattr("kafka_ingest.quarantine.named_things", broken)
    records = [shop.record(TOPICS.orders, b"{", "IM-1"), shop.order_record(sold(shop))]
    await shop.commit(*records)
    stored = await shop.rows("SELECT record_offset, reason, searchable, record_value FROM quarantine")
    assert stored == [(0, "recordFails", False, None)]
    assert await shop.pending() == ["order_created"]


async def test_a_time_beyond_the_calendar_is_no_trouble(shop: Store) -> None:
    times = [253_402_300_800_000, 10**18, -1]
    records = [replace(shop.record(TOPICS.orders, b"{", "IM-1"), timestamp=one) for one in times]
    await shop.commit(*records)
    assert await shop.value("SELECT count(*) FROM quarantine") == 3


async def test_what_exceeds_the_limit_is_kept_as_its_first_bytes_and_holds_what_it_names(shop: Store) -> None:
    padded = sold(shop) | {"padding": "x" * 1_100_000}
    await shop.commit(shop.order_record(padded))
    [(reason, kept)] = await shop.rows("SELECT reason, length(record_value) FROM quarantine")
    assert reason == "tooLarge"
    assert kept < 100_000
    assert await released(shop) == [1]


async def test_an_order_above_the_bounds_is_alerted_once_and_nothing_hangs(shop: Store) -> None:
    lines = [
        certificate_line(lineId=f"{nth}", certificateId=f"C-{nth}", recipient=None) for nth in range(1_500)
    ]
    lines[7]["certificateId"] = shop.certificates[0]
    for version in (1, 2):
        said = order(
            lines=lines,
            orderVersion=version,
            total=500_000 * len(lines),
            eventType="order.changed",
            eventId=f"so-{version}",
        )
        await shop.commit(shop.order_record(said))
    await shop.commit(shop.payment_record(payment(amount=1, allocations=None)))
    alerts = [payload for event_type, payload in await shop.events() if event_type == "alert.orderTooLarge"]
    assert [(one["orderId"], one["certificateLines"]) for one in alerts] == [("IM-1001", 1_500)]
    [(is_too_large, aggregate)] = await shop.rows("SELECT too_large, aggregate FROM orders")
    assert (is_too_large, msgspec.msgpack.decode(aggregate, type=Order).revision) == (True, 3)
    assert await released(shop) == [1], "what it names is held back by its records in quarantine"
