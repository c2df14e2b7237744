"""A certificate's workflow over a sale: the messages of its order, deadlines, and what the stream hears of it."""

from datetime import timedelta

from temporalio.api.enums.v1 import EventType
from workflow_support import Sale

from giftcert.lifecycle.snapshot import SealedSecrets
from giftcert.temporal.signals import Signal
from tests.waiting import until

ISSUED = ["issue.ordered", "issue.completed", "notification.requested"]


async def test_an_order_and_its_payment_issue_the_certificate(sale: Sale) -> None:
    await sale.tell(sale.ordered(), sale.authorized(), sale.captured())
    await sale.until_status("issued")
    assert await sale.event_types() == ISSUED
    assert (await sale.row()).balance == 500_000


async def test_a_payment_before_its_order_issues_when_the_order_comes(sale: Sale) -> None:
    await sale.tell(sale.captured(), sale.ordered())
    await sale.until_status("issued")
    assert [event.sequence for event in await sale.events()] == [1, 2, 3]


async def test_a_message_told_twice_is_applied_once(sale: Sale) -> None:
    order, capture = sale.ordered(), sale.captured()
    await sale.tell_at_once(order, order, capture, capture, order)
    await sale.until_status("issued")
    assert len(await sale.events()) == 3


async def test_an_order_unpaid_for_72_hours_goes_back_to_the_pool(sale: Sale, caught_up: None) -> None:  # noqa: ARG001
    await sale.tell(sale.ordered())
    await sale.until_status("ordered")
    await sale.skip(timedelta(hours=72, minutes=1))
    assert "available" in await sale.until_ended()
    assert await sale.event_types() == ["issue.ordered", "alert.unpaid", "issue.released"]


async def test_an_unpaid_order_stays_while_ingest_lags_behind_its_deadline(sale: Sale) -> None:
    await sale.tell(sale.ordered())
    await sale.until_status("ordered")
    await sale.skip(timedelta(hours=73))
    assert (await sale.row()).status == "ordered"
    await sale.tell(sale.captured())
    await sale.until_status("issued")


async def test_a_full_refund_ends_the_certificate_and_its_run(sale: Sale) -> None:
    await sale.tell(sale.ordered(), sale.captured())
    await sale.until_status("issued")
    await sale.tell(sale.refunded())
    assert "refunded" in await sale.until_ended()
    assert (await sale.row()).balance == 0
    assert (await sale.event_types())[-1] == "refund.completed"


async def test_a_message_for_a_finished_certificate_starts_a_run_from_the_stored_state(sale: Sale) -> None:
    await sale.tell(sale.ordered(), sale.captured())
    await sale.until_status("issued")
    await sale.tell(sale.refunded())
    assert "refunded" in await sale.until_ended()
    await sale.tell(sale.refunded(700_000))
    await sale.until_told("refund.pendingDetails")
    assert (await sale.row()).any_refund_state == "pendingDetails"


async def test_a_cancelled_unpaid_order_lets_the_certificate_go(sale: Sale) -> None:
    await sale.tell(sale.ordered())
    await sale.until_status("ordered")
    await sale.tell(sale.cancelled())
    await sale.until_ended()
    assert (await sale.event_types())[-1] == "issue.released"


async def test_a_return_without_its_money_asks_a_person_after_seven_days(sale: Sale) -> None:
    await sale.tell(sale.ordered(), sale.captured())
    await sale.until_status("issued")
    await sale.tell(sale.cancelled())
    await sale.until_told("refund.requested")
    await sale.skip(timedelta(days=7, minutes=1))
    await sale.until_told("refund.pendingDetails")
    await sale.skip(timedelta(days=1, minutes=1))
    await sale.until_told("alert.refundStuck")


async def test_an_ordinary_sale_takes_12_events_6_actions_and_one_timer(sale: Sale) -> None:
    await sale.tell(sale.ordered())
    await sale.until_status("ordered")
    await until(lambda: has(sale, EventType.EVENT_TYPE_TIMER_STARTED, 1))
    await sale.tell(sale.authorized(), sale.captured())
    await sale.until_status("issued")
    await until(lambda: has(sale, EventType.EVENT_TYPE_MARKER_RECORDED, 2))
    events = (await sale.handle.fetch_history()).events
    signals = [
        one.workflow_execution_signaled_event_attributes.signal_name
        for one in events
        if one.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED
    ]
    assert signals == [Signal.ORDER_CREATED, Signal.PAYMENT_CAPTURED]
    assert len(events) == 12
    assert (await sale.row()).version == 2


async def has(sale: Sale, kind: EventType.ValueType, times: int) -> bool:
    return [event.event_type for event in (await sale.handle.fetch_history()).events].count(kind) == times


async def test_the_queries_tell_the_sealed_secrets_and_the_status(sale: Sale) -> None:
    await sale.tell(sale.ordered(), sale.captured())
    await sale.until_status("issued")
    secrets = await sale.handle.query("sealed_secrets", result_type=SealedSecrets)
    assert secrets == SealedSecrets(number_sealed=b"number", cvc_sealed=b"cvc")
    assert await sale.handle.query("status") == "issued"


async def test_what_the_timer_is_set_to_stands_beside_the_certificate(sale: Sale) -> None:
    await sale.tell(sale.ordered())
    await sale.until_status("ordered")
    first = (await sale.row()).timer_at
    await sale.tell(sale.captured())
    await sale.until_status("issued")
    row = await sale.row()
    assert row.timer_at == first
    assert row.next_instant != row.timer_at
