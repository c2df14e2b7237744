from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from giftcert.contracts.stream import EventRecord, stamp
from giftcert.domain.cause import Cause
from giftcert.domain.certificate import events as e
from giftcert.domain.certificate.decision import Decision, Recorded
from giftcert.domain.certificate.evolve import evolve
from giftcert.domain.certificate.state import CertificateState, Sale, Status
from giftcert.domain.certificate.words import RefundReason, ReleaseReason
from giftcert.domain.clients import Client, Recipient
from giftcert.domain.policy import Terms
from giftcert.domain.products import Product

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
IN_POOL = CertificateState(certificate_id="c-1", product="GC-5000", currency="RUB", nominal=500_000)
ORDERED = CertificateState(
    certificate_id="c-1",
    product="GC-5000",
    currency="RUB",
    nominal=500_000,
    status=Status.ORDERED,
    sale=Sale(order_id="IM-1001", line_key=1, line_id="2", amount=450_000, channel="im", customer_id="C-77"),
)
GIFT = Product(id="GC-OPEN", currency="RUB", nominal=None)
CAUSE = Cause("All_Payments", "pay-1", NOON - timedelta(minutes=1), "pos")
ISSUED = e.Issued(
    order_id="IM-1001",
    line_id="2",
    amount=450_000,
    payment_ids=("P-9",),
    valid_until=NOON + timedelta(days=365),
)


def stamped(
    before: CertificateState, *events: e.PublicEvent, cause: Cause | None = CAUSE, channel: str | None = None
) -> list[EventRecord]:
    return stamp(
        before, list(recorded(before, *((event, cause) for event in events))), at=NOON, channel=channel
    )


def recorded(state: CertificateState, *decided: tuple[e.PublicEvent, Cause | None]) -> Iterator[Recorded]:
    for event, cause in decided:
        state = evolve(state, event, NOON)
        yield Recorded(event, cause, state)


def test_an_event_tells_how_the_certificate_stands_after_it() -> None:
    (record,) = stamped(ORDERED, ISSUED)

    assert record == EventRecord(
        event_type="issue.completed",
        occurred_at=NOON - timedelta(minutes=1),
        channel="pos",
        cause=CAUSE,
        sale_channel="im",
        status="issued",
        refund_state="none",
        product="GC-5000",
        nominal=500_000,
        currency="RUB",
        balance=500_000,
        held=0,
        payload={
            "orderId": "IM-1001",
            "lineId": "2",
            "amount": {"amount": 450_000, "currency": "RUB"},
            "paymentIds": ["P-9"],
            "validUntil": "2027-11-23T12:00:00Z",
            "customerId": "C-77",
        },
    )


def test_what_a_request_caused_happened_now_and_where_it_came_from() -> None:
    (record,) = stamped(ORDERED, ISSUED, cause=None, channel="pos")

    assert (record.occurred_at, record.channel, record.sale_channel) == (NOON, "pos", "im")


def test_what_time_alone_caused_happened_where_the_certificate_was_sold() -> None:
    (record,) = stamped(ORDERED, ISSUED, cause=None)
    assert (record.occurred_at, record.channel) == (NOON, "im")

    released = e.Released(reservation_id=None, order_id="IM-1001", reason=ReleaseReason.UNPAID)
    (record,) = stamped(ORDERED, released, cause=None)
    assert record.channel == "im"


def test_each_event_has_its_own_cause() -> None:
    other = Cause("All_SalesOrder", "so-1", NOON, "im")
    first, second = stamp(ORDERED, list(recorded(ORDERED, (ISSUED, CAUSE), (ISSUED, other))), at=NOON)

    assert (first.cause, second.cause) == (CAUSE, other)
    assert (first.channel, second.channel) == ("pos", "im")


def test_before_issue_balance_and_held_are_nothing() -> None:
    (record,) = stamped(IN_POOL, e.Reserved(reservation_id="r", reserved_until=NOON))

    assert (record.balance, record.held, record.status) == (0, 0, "reserved")


def test_an_event_tells_what_completes_it_in_the_same_decision() -> None:
    open_value = CertificateState(certificate_id="c-1", product="GC-OPEN", currency="RUB", nominal=0)
    ordered = e.Ordered(order_id="PS-1", line_id="1", line_key=1, amount=300_000)
    decision = Decision(open_value, NOON, Terms(GIFT), lambda: "id")
    decision.record(ordered)
    decision.change_sale(lambda sale: replace(sale, channel="pos", nominal=300_000))
    decision.record(ISSUED)

    first, second = stamp(open_value, decision.recorded, at=NOON)

    assert (first.status, first.sale_channel, first.nominal, first.balance) == ("ordered", "pos", 300_000, 0)
    assert (second.status, second.balance) == ("issued", 300_000)


def test_a_nominal_that_nobody_chose_yet_does_not_apply() -> None:
    open_value = CertificateState(certificate_id="c-1", product="GC-OPEN", currency="RUB", nominal=0)
    (record,) = stamped(open_value, e.Reserved(reservation_id="r", reserved_until=NOON))

    assert record.nominal is None


def test_a_release_still_tells_who_had_sold() -> None:
    released = e.Released(reservation_id=None, order_id="IM-1001", reason=ReleaseReason.UNPAID)
    (record,) = stamped(ORDERED, released)

    assert (record.status, record.sale_channel, record.payload["reason"]) == ("available", "im", "unpaid")


def test_money_that_goes_back_for_an_earlier_sale_is_counted_by_who_bought_and_sold_then() -> None:
    earlier = replace(
        ORDERED.sale or pytest.fail("no sale"), ended=ReleaseReason.ORDER_CANCELLED, channel="pos"
    )
    sold_again = replace(
        ORDERED,
        sale=Sale(order_id="IM-2", line_key=1, line_id="1", amount=500_000, channel="im", customer_id="C-80"),
        past_sales=(earlier,),
    )
    (record,) = stamped(sold_again, pending("IM-1001"), cause=None)

    assert (record.payload["customerId"], record.sale_channel, record.channel) == ("C-77", "pos", "pos")


def test_what_is_spent_is_counted_by_who_bought_the_certificate() -> None:
    spent = e.RedemptionAuthorized(redemption_id="r", amount=100, order_id="PS-9", payment_id=None)
    issued = evolve(ORDERED, ISSUED, NOON)
    (record,) = stamped(issued, spent)

    assert (record.payload["customerId"], record.sale_channel, record.channel) == ("C-77", "im", "pos")


def test_money_names_the_survivor_of_a_merge() -> None:
    clients = (Client(client_id="C-77", merged_into="C-80"), Client(client_id="C-80"))
    (record,) = stamp(ORDERED, list(recorded(ORDERED, (ISSUED, CAUSE))), at=NOON, clients=clients)

    assert record.payload["customerId"] == "C-80"


def pending(order_id: str) -> e.RefundPendingDetails:
    return e.RefundPendingDetails(
        refund_case_id="case",
        refund_id=None,
        amount=450_000,
        order_id=order_id,
        line_id="2",
        line_key=1,
        reason=RefundReason.REFUND_PAYMENT_MISSING,
        allowed_decisions=("approve",),
        web_url=None,
    )


def test_a_block_shows_as_the_status() -> None:
    (record,) = stamped(ORDERED, e.Blocked(reason="stolen", by="anna"))

    assert record.status == "blocked"


def test_nested_fields_and_absent_ones_are_told_too() -> None:
    asked = e.NotificationRequested(
        notification_id="n",
        kind="certificateIssued",
        order_id="IM-1001",
        customer_id=None,
        recipient=Recipient("R-5", "email", "ru-RU"),
        preferred_channel=None,
        locale="ru-RU",
        valid_until=NOON,
        suppressed=False,
    )
    (record,) = stamped(ORDERED, asked)

    assert record.payload["recipient"] == {"ref": "R-5", "channel": "email", "locale": "ru-RU"}
    assert record.payload["customerId"] is None


def test_an_error_names_the_input_and_the_part_that_found_it() -> None:
    (record,) = stamped(ORDERED, e.UnexpectedMessage(reason="statusDoesNotAllow", detail="no"))

    assert record.payload == {
        "topic": "All_Payments",
        "partition": None,
        "offset": None,
        "eventId": "pay-1",
        "component": "workflow",
        "reason": "statusDoesNotAllow",
        "detail": "no",
    }
