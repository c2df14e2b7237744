"""A replay from quarantine after a fix ends as if the record had been good at first."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from giftcert.contracts.inputs import MalformedRecord
from giftcert.domain.certificate.state import RefundState, Status
from giftcert.security.keyring import Keyring, SealError
from giftcert.storage.database import Database
from kafka_ingest.records import InputRecord, Topics, place_of
from kafka_ingest.replay import Replay
from kafka_ingest.undecodable_batches import UNDECODABLE
from kafka_ingest.writer import Failure, failure_of
from tests.conftest import new_database
from tests.cuttable import cuttable
from tests.integration.kafka_ingest.ingest_store import TOPICS, Store
from tests.integration.kafka_ingest.twins import Shop, Twins, strict_decoders, twins_at
from tests.shared_servers import named
from tests.unit.contracts.topic_records import client, goods_line, order, payment, raw, withdrawal

pytestmark = pytest.mark.integration
PAID = {"amount": 1_000_000, "allocations": None}


@pytest.fixture
async def twins(fresh_database_url: str, postgres_url: str, keyring_file: Path) -> AsyncIterator[Twins]:
    """Three certificates, reserved in both shops."""
    urls = (fresh_database_url, await new_database(postgres_url))
    async with twins_at(urls, Keyring.load(keyring_file)) as made:
        for shop in (made.good, made.mended):
            await made.import_certificates(shop, 0, 1, 2)
        yield made


def orders(store: Store, *values: dict[str, Any]) -> list[InputRecord]:
    return [store.order_record(value) for value in values]


async def in_quarantine_at_first(
    twins: Twins,
    patch: pytest.MonkeyPatch,
    records: list[InputRecord],
    *bad: str,
    looked_at: bool = False,
) -> None:
    """In one shop all is good; in the other some records, by event id, are refused and replayed after the fix.

    The certificates of the good one look when all is there, unless said otherwise: what came and went before they
    looked is no difference.
    """
    for record in records:
        await twins.good.comes(record, looked_at=looked_at)
    await twins.good.leading.lead()
    with patch.context() as strict:
        strict_decoders(strict, bad)
        for record in records:
            await twins.mended.comes(record)
    refused = [
        record for record in records if any(f'"{one}"'.encode() in (record.value or b"") for one in bad)
    ]
    outcomes = await twins.mended.replay(*refused)
    assert all(one.is_applied for one in outcomes), outcomes
    assert await twins.mended.waiting() == []


async def test_an_order_of_a_certificate_that_was_imported_later(
    fresh_database_url: str, postgres_url: str, keyring_file: Path
) -> None:
    urls = (fresh_database_url, await new_database(postgres_url))
    async with twins_at(urls, Keyring.load(keyring_file)) as twins:
        store = twins.good.store
        ordered = store.order_record(order(lines=[twins.line(0), twins.line(1, "3")], total=1_000_000))
        paid = store.payment_record(payment(**PAID))
        await twins.import_certificates(twins.good, 0, 1)
        await twins.import_certificates(twins.mended, 0)
        for record in (ordered, paid):
            await twins.good.comes(record)
            await twins.mended.comes(record)
        [still] = await twins.mended.replay(ordered)
        assert (still.reason, still.detail) == ("unknownCertificate", "line 3: no such certificate")
        await twins.import_certificates(twins.mended, 1)
        [mended] = await twins.mended.replay(ordered)
        assert mended.is_applied
        assert await twins.differences() == []
        assert (await twins.mended.leading.state(store.certificates[1])).status == Status.ISSUED


async def test_a_spending_payment_of_a_certificate_that_was_imported_later(
    fresh_database_url: str, postgres_url: str, keyring_file: Path
) -> None:
    urls = (fresh_database_url, await new_database(postgres_url))
    async with twins_at(urls, Keyring.load(keyring_file)) as twins:
        store = twins.good.store
        spent = {"tender": "giftCertificate", "certificateId": store.certificates[1]}
        before = store.payment_record(payment(**spent, paymentId="P-1"))
        ordered = store.order_record(order(lines=[goods_line(), twins.line(0)]))
        waiting = store.payment_record(payment(**spent, orderId="IM-goods", paymentId="P-2"))
        await twins.import_certificates(twins.good, 0, 1)
        await twins.import_certificates(twins.mended, 0)
        for record in (before, ordered, waiting):
            await twins.good.comes(record)
            await twins.mended.comes(record)
        await twins.import_certificates(twins.mended, 1)
        outcomes = await twins.mended.replay(before, waiting)
        assert all(one.is_applied for one in outcomes)
        assert await twins.differences() == []


async def test_a_payment_that_an_older_decoder_refused(twins: Twins, monkeypatch: pytest.MonkeyPatch) -> None:
    store = twins.good.store
    records = [
        store.client_record(client()),
        store.payment_record(payment(eventType="payment.authorized", eventId="pay-0")),
        store.payment_record(payment(eventId="pay-1")),
        *orders(store, order(lines=[goods_line(), twins.line()])),
    ]
    await in_quarantine_at_first(twins, monkeypatch, records, "pay-1")
    assert (await twins.mended.leading.state(store.certificates[0])).status == Status.ISSUED
    assert await twins.differences() == []


async def test_what_was_said_of_an_order_since_its_first_version_is_not_lost(
    twins: Twins, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cancelled order, of which only the cancellation could be read, must not be sold by a replay."""
    store = twins.good.store
    records = [
        *orders(store, order(lines=[goods_line(), twins.line()])),
        *orders(store, withdrawal(lines=[{"lineId": "2"}]), withdrawal(orderVersion=3, eventId="so-3")),
        store.payment_record(payment()),
    ]
    await in_quarantine_at_first(twins, monkeypatch, records, "so-1")
    state = await twins.mended.leading.state(store.certificates[0])
    assert (state.status, state.any_refund_state) == (Status.RESERVED, RefundState.REQUESTED)
    assert await twins.differences() == []


async def test_an_order_that_was_changed_to_hold_no_certificate_meanwhile(
    twins: Twins, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = twins.good.store
    changed = order(
        lines=[goods_line()], orderVersion=2, eventType="order.changed", eventId="so-2", total=250_000
    )
    records = orders(store, order(lines=[goods_line(), twins.line()]), changed)
    await in_quarantine_at_first(twins, monkeypatch, records, "so-1")
    assert (await twins.mended.leading.state(store.certificates[0])).status == Status.RESERVED
    assert await twins.differences() == []


async def test_an_order_that_has_moved_on_to_a_newer_full_version_stays_as_it_is(
    twins: Twins, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = twins.good.store
    lines = [twins.line(0), twins.line(1, "3")]
    first = order(lines=[lines[0]], total=500_000)
    second = order(lines=[lines[0], goods_line()], orderVersion=2, eventType="order.changed", eventId="so-2")
    third = order(lines=lines, orderVersion=3, eventType="order.changed", eventId="so-3", total=1_000_000)
    records = [*orders(store, first, second, third), store.payment_record(payment(**PAID))]
    await in_quarantine_at_first(twins, monkeypatch, records, "so-2")
    shops = (twins.good, twins.mended)
    outcomes = [await shop.outcome() for shop in shops]
    for one in store.certificates:  # the lines are numbered as they came
        good, mended = (re.sub(r"'lineKey': \d+", "", str(outcome[one][1:])) for outcome in outcomes)
        assert good == mended
    for shop in shops:
        assert [(await shop.leading.state(one)).status for one in store.certificates[:2]] == [
            Status.ISSUED
        ] * 2


async def test_a_cancellation_of_one_line_while_another_was_returned(
    twins: Twins, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = twins.good.store
    records = [
        *orders(store, order(lines=[twins.line(0), twins.line(1, "3")], total=1_000_000)),
        store.payment_record(payment(**PAID)),
        *orders(store, withdrawal(lines=[{"lineId": "2"}])),
        *orders(
            store,
            withdrawal(eventType="order.returned", orderVersion=3, lines=[{"lineId": "3"}], eventId="so-3"),
        ),
    ]
    await in_quarantine_at_first(twins, monkeypatch, records, "so-2", looked_at=True)
    states = [await twins.mended.leading.state(one) for one in store.certificates[:2]]
    assert [state.refund_state for state in states] == [RefundState.REQUESTED] * 2
    assert await twins.differences() == []


async def test_a_certificate_added_by_a_version_that_others_followed(
    twins: Twins, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newcomer's line was cancelled since, and the one that was there before took its money."""
    store = twins.good.store
    added = order(
        lines=[twins.line(0), twins.line(1, "3")],
        orderVersion=2,
        eventType="order.changed",
        eventId="so-2",
        total=1_000_000,
    )
    records = [
        *orders(store, order(lines=[twins.line(0)], total=500_000), added),
        *orders(store, withdrawal(orderVersion=3, eventId="so-3", lines=[{"lineId": "3"}])),
        store.payment_record(payment(amount=500_000, allocations=None)),
    ]
    await in_quarantine_at_first(twins, monkeypatch, records, "so-2")
    states = [await twins.mended.leading.state(one) for one in store.certificates[:2]]
    assert [state.status for state in states] == [Status.ISSUED, Status.RESERVED]
    assert await twins.differences() == []


async def test_an_order_of_a_channel_that_was_configured_since(twins: Twins) -> None:
    store = twins.good.store
    kiosk = order(channel="kiosk", lines=[goods_line(), twins.line()])
    records = [*orders(store, kiosk), store.payment_record(payment(channel="kiosk"))]
    await twins.mended.comes(*records)
    topics = Topics(TOPICS.orders, TOPICS.payments, TOPICS.clients, (*TOPICS.channels, "kiosk"))
    assert await twins.mended.waiting() == [(0, "unknownChannel")]
    [replayed] = await twins.mended.replay(records[0], topics=topics)
    assert replayed.outcome == "new"
    assert (await twins.mended.store.line_row()).standing.is_paid


async def test_a_client_older_than_the_last_word_changes_nothing(
    twins: Twins, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = twins.good.store
    newer = client(locale="en-GB", occurredAt="2026-11-23T12:00:00Z", eventId="cl-2")
    records = [
        store.client_record(client()),
        store.client_record(newer),
        *orders(store, order(lines=[goods_line(), twins.line()])),
        store.payment_record(payment()),
    ]
    await in_quarantine_at_first(twins, monkeypatch, records, "cl-1")
    assert await store.rows("SELECT locale FROM clients") == [("en-GB",)]
    assert await twins.differences() == []


async def test_an_erasure_keeps_the_time_of_its_record(twins: Twins, monkeypatch: pytest.MonkeyPatch) -> None:
    store = twins.mended.store
    erased = store.client_record(None)
    with monkeypatch.context() as strict:
        strict.setattr("kafka_ingest.decoder.decode_client", refuse_all)
        await twins.mended.comes(erased)
    await twins.good.comes(erased)
    await twins.mended.replay(erased)
    assert await twins.differences() == []


def refuse_all(*_: object) -> None:
    raise MalformedRecord("invalidField", "value: expected something")


# What a replay leaves --------------------------------------------------------------------------------


async def test_a_record_that_is_still_bad_stays_and_says_why(twins: Twins) -> None:
    shop = twins.mended
    broken = shop.store.payment_record(b"{}")
    poison = shop.store.order_record(order(orderId="a\0b", lines=[goods_line()]))
    await shop.comes(broken)
    await shop.comes(poison)
    outcomes = await shop.replay(broken, poison)
    assert [(one.reason, one.detail) for one in outcomes] == [
        ("missingField", "eventId: required"),
        ("recordFails", "CharacterNotInRepertoireError"),
    ]
    assert len(await shop.waiting()) == 2


async def test_who_replayed_what_stands_on_the_stream(twins: Twins, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = twins.mended
    record = shop.store.payment_record(payment())
    with monkeypatch.context() as strict:
        strict_decoders(strict, ["pay-1"])
        await shop.comes(record)
    await shop.replay(record)
    acts = [
        payload for event_type, payload in await shop.store.events() if event_type == "audit.operatorActed"
    ]
    assert acts == [{"who": "ops-1", "what": "quarantine replay All_Payments/0/0: unmatched"}]


async def test_a_record_replayed_twice_or_at_the_same_time_changes_nothing_more(
    twins: Twins, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = twins.mended
    record = shop.store.payment_record(payment())
    with monkeypatch.context() as strict:
        strict_decoders(strict, ["pay-1"])
        await shop.comes(record)
    outcomes = await asyncio.gather(*(shop.replays.replay(place_of(record)) for _ in range(4)))
    assert sorted(map(len, outcomes)) == [0, 0, 0, 1]
    before = await shop.store.everything()
    assert await shop.replay(record) == []
    assert await shop.store.everything() == before


async def test_records_that_lie_at_one_place_are_replayed_each_for_itself(
    twins: Twins, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The topic was made anew, and its first record is bad as well."""
    shop = twins.mended
    broken = shop.store.payment_record(b"{")
    good = replace(broken, value=shop.store.record("elsewhere", payment()).value)
    with monkeypatch.context() as strict:
        strict_decoders(strict, ["pay-1"])
        for record in (broken, good):
            await shop.comes(record)
    first = await shop.replay(broken)
    assert [(one.place, one.reason) for one in first] == [
        (place_of(broken), "invalidJson"),
        (place_of(broken), None),
    ]
    assert [one.reason for one in await shop.replay(broken)] == ["invalidJson"]
    assert await shop.waiting() == [(0, "invalidJson")]
    assert await shop.store.value("SELECT count(*) FROM unmatched_payments") == 1


async def test_a_message_that_waits_for_an_earlier_one_goes_on_waiting_while_that_is_bad(
    twins: Twins,
) -> None:
    shop = twins.mended
    broken = shop.store.record(TOPICS.orders, b"{", "IM-1001")
    [cancelled] = orders(shop.store, withdrawal())
    await shop.comes(broken, cancelled)
    assert await shop.waiting() == [(0, "invalidJson"), (1, "earlierInQuarantine")]
    outcomes = await shop.replay(cancelled, broken)
    assert [one.reason for one in outcomes] == ["earlierInQuarantine", "invalidJson"]
    assert len(await shop.waiting()) == 2


async def test_orders_that_have_nothing_in_quarantine_do_not_wait(twins: Twins) -> None:
    shop = twins.mended
    goods = order(orderId="IM-2", lines=[goods_line()])
    await shop.comes(*orders(shop.store, goods), shop.store.record(TOPICS.orders, b"{", "IM-2"))
    again, other = orders(shop.store, goods | {"orderVersion": 2}, goods | {"orderId": "IM-3"})
    await shop.comes(other, again)
    assert await shop.waiting() == [(1, "invalidJson"), (2, "earlierInQuarantine")]


async def test_another_keyring_opens_nothing_and_changes_nothing(twins: Twins, tmp_path: Path) -> None:
    shop = twins.mended
    broken = shop.store.payment_record(b"{}")
    await shop.comes(broken)
    before = await shop.store.everything()
    rules = replace(shop.store.rules, keyring=Keyring.create(tmp_path / "other.json"))
    with pytest.raises(SealError):
        await Replay(shop.database, rules, "ops-1").replay(place_of(broken))
    assert await shop.store.everything() == before


@pytest.mark.parametrize("after_passing", [False, True], ids=["unheard", "unanswered"])
async def test_a_crash_between_any_two_steps_of_a_replay_changes_nothing(
    twins: Twins, postgres_url: str, monkeypatch: pytest.MonkeyPatch, *, after_passing: bool
) -> None:
    shop: Shop = twins.mended
    url = named(postgres_url, await shop.store.value("SELECT current_database()"))
    async with cuttable(url) as (way, cut_url):
        database = Database(cut_url, pool_size=1)
        for nth in count():
            ids = {"orderId": f"IM-{nth}", "paymentId": f"P-{nth}"}
            record = shop.store.payment_record(payment(**ids))
            with monkeypatch.context() as strict:
                strict_decoders(strict, [f"P-{nth}"])
                await shop.store.commit(record)
            replay = Replay(database, shop.store.rules, "ops-1")
            way.cut_once_at(nth + 1, after_passing=after_passing)
            failure = await attempt(replay, record)
            way.never_mind()
            await replay.replay(place_of(record))
            assert await shop.store.value("SELECT count(*) FROM unmatched_payments") == nth + 1
            assert await shop.store.value("SELECT count(*) FROM events") == 2 * (nth + 1)
            assert await shop.waiting() == []
            if failure is None:
                break
            assert failure is Failure.AWAY
        await database.close()
    assert nth >= 8


async def attempt(replay: Replay, record: InputRecord) -> Failure | None:
    try:
        await replay.replay(place_of(record))
    except Exception as error:  # noqa: BLE001 - what ingest makes of it is asserted
        return failure_of(error)
    return None


async def test_what_is_dismissed_holds_nothing_back_and_is_never_applied(twins: Twins) -> None:
    shop = twins.mended
    broken, lost = shop.store.order_record(b"{"), shop.store.order_record(b"[")
    await shop.comes(broken, lost)
    assert await shop.replays.dismiss(place_of(broken), "a test of the owner's") == 1
    assert await shop.replay(broken) == []
    assert await shop.waiting() == [(1, "invalidField")]
    closed = await shop.store.rows(
        "SELECT record_offset, closed_how FROM quarantine WHERE closed_at IS NOT NULL"
    )
    assert closed == [(0, "dismissed")]
    acts = [
        payload for event_type, payload in await shop.store.events() if event_type == "audit.operatorActed"
    ]
    assert acts == [{"who": "ops-1", "what": "quarantine dismiss All_SalesOrder/0/0: a test of the owner's"}]


async def test_a_batch_of_an_unknown_codec_is_replayed_whole_once_it_can_be_read(twins: Twins) -> None:
    shop = twins.mended
    values = [
        raw(order(lines=[twins.line()], total=500_000)),
        raw(order(orderId="IM-2", lines=[goods_line()])),
    ]
    builder = DefaultRecordBatchBuilder(2, 1, False, -1, -1, 0, 1 << 20)
    for nth, value in enumerate(values):
        builder.append(nth, 1_763_892_000_000, b"IM-1001", value, [])
    data = bytes(builder.build())
    headers = (("UnsupportedCodecError", b""),)
    await shop.comes(InputRecord(TOPICS.orders, 0, 0, None, data, 0, UNDECODABLE, headers))
    assert await shop.waiting() == [(0, "undecodableBatch")]
    [replayed] = await shop.replay(InputRecord(TOPICS.orders, 0, 0, None, data))
    assert replayed.is_applied
    assert await shop.store.lines("IM-1001") != []
    assert await shop.waiting() == []
