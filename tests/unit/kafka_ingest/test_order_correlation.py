"""Which orders matter, and what their versions mean for the certificates that they name."""

from typing import Any

from giftcert.domain.order.standing import Withdrawal
from tests.unit.contracts.topic_records import certificate_line, goods_line, order, payment, withdrawal
from tests.unit.kafka_ingest.ingest_memory import NOW, Memory, certificate

CREATED, CHANGED = "order_created", "order_changed"


def line(number: int, line_id: str = "2", **changes: Any) -> dict[str, Any]:
    return certificate_line(lineId=line_id, certificateId=certificate(number), **changes)


def changed(version: int, *lines: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return order(
        eventType="order.changed",
        orderVersion=version,
        eventId=f"so-v{version}",
        lines=list(lines),
        total=sum(one["amount"] for one in lines),
        **changes,
    )


def test_orders_of_goods_leave_nothing() -> None:
    memory = Memory()
    plan = memory.ordered(order(lines=[goods_line()]))
    assert not plan.changes
    assert not plan.originals
    assert not memory.orders


def test_a_certificate_is_woken_by_the_order_that_names_it_and_finds_its_line() -> None:
    memory = Memory().with_certificates(1)
    memory.ordered(order(lines=[goods_line(), line(1)]))
    assert memory.woken(1) == [CREATED]
    assert memory.channels[certificate(1)] == ["im"]
    row = memory.line()
    assert (row.standing.line_id, row.standing.amount) == ("2", 500_000)
    assert row.standing.naming.certificate_id == row.speaker == certificate(1)
    assert row.recipient is not None
    assert row.recipient.ref == "R-5"


def test_a_repeat_under_a_new_event_id_is_dropped() -> None:
    memory = Memory().with_certificates(1)
    memory.ordered(order(lines=[line(1)]))
    memory.ordered(order(lines=[line(1)], eventId="so-again", occurredAt="2026-11-24T10:00:00Z"))
    assert memory.woken(1) == [CREATED]
    assert memory.counts["orders", "repeat"] == 1
    assert not memory.rejections


def test_repeats_within_one_batch_are_dropped() -> None:
    memory = Memory().with_certificates(1)
    batch = [memory.record("orders", order(lines=[line(1)], eventId=f"so-{nth}")) for nth in range(3)]
    memory.comes(*batch)
    assert memory.woken(1) == [CREATED]
    assert memory.originals == ["so-0"]


def test_the_same_version_with_other_content_contradicts_and_changes_nothing() -> None:
    memory = Memory().with_certificates(1)
    memory.ordered(order(lines=[line(1)]))
    before = memory.line()
    memory.ordered(order(lines=[line(1)], total=1, eventId="so-other"))
    assert memory.reasons() == ["contradictsEarlier"]
    [rejection] = memory.rejections
    assert rejection.problem.type == "error.unexpectedEvent"
    assert rejection.event(NOW).payload["eventId"] == "so-other"
    assert memory.woken(1) == [CREATED]
    assert memory.line() == before


def test_a_newer_version_that_changes_nothing_of_a_line_wakes_nobody() -> None:
    memory = Memory().with_certificates(1)
    memory.ordered(order(lines=[line(1)], total=500_000))
    memory.ordered(changed(2, line(1)))
    assert memory.woken(1) == [CREATED]
    assert memory.orders["IM-1001"].order.version == 2


def test_every_certificate_that_a_line_ever_named_is_woken_when_the_line_changes() -> None:
    memory = Memory().with_certificates(1, 2)
    memory.ordered(order(lines=[line(1)]))
    memory.ordered(changed(2, line(2)))
    memory.ordered(withdrawal(orderVersion=3))
    assert memory.woken(1) == [CREATED, CHANGED, "order_cancelled"]
    assert memory.woken(2) == [CHANGED, "order_cancelled"]
    assert memory.line().named == (certificate(1), certificate(2))
    assert memory.line().standing.naming.replaces == certificate(1)


def test_a_certificate_that_came_and_went_within_one_batch_is_not_forgotten() -> None:
    memory = Memory().with_certificates(1, 2)
    memory.comes(
        memory.record("orders", order(lines=[line(1)])), memory.record("orders", changed(2, line(2)))
    )
    assert memory.woken(1) == memory.woken(2) == [CREATED, CHANGED]
    assert memory.line().speaker == certificate(2)


def test_a_certificate_that_joins_late_finds_the_money_of_its_line() -> None:
    memory = Memory().with_certificates(1, 2)
    memory.ordered(order(lines=[line(1)], total=500_000))
    memory.paid(payment(amount=500_000))
    memory.ordered(changed(2, line(2)))
    assert memory.line().standing.captured == 500_000
    assert memory.woken(2) == [CHANGED]


def test_a_payment_that_came_before_its_order_is_not_lost() -> None:
    memory = Memory().with_certificates(1)
    memory.paid(payment())
    assert len(memory.unmatched) == 1
    memory.ordered(order(lines=[goods_line(), line(1)]))
    assert not memory.unmatched
    assert memory.line().standing.is_paid
    assert memory.woken(1) == [CREATED, "payment_captured"]
    memory.paid(payment(eventId="again"))
    assert memory.woken(1) == [CREATED, "payment_captured"]


def test_payments_of_an_order_of_goods_wait_for_a_version_that_names_a_certificate() -> None:
    memory = Memory().with_certificates(1)
    memory.ordered(order(lines=[goods_line()]))
    memory.paid(payment(eventType="payment.authorized", eventId="a"))
    memory.paid(payment(eventId="c"))
    memory.ordered(changed(2, goods_line(), line(1)))
    assert memory.line().standing.captured == 500_000


def test_what_an_order_said_before_it_named_a_certificate_leaves_nothing_even_in_one_batch() -> None:
    memory = Memory().with_certificates(1)
    memory.comes(
        memory.record("orders", order(lines=[goods_line()])), memory.record("orders", changed(2, line(1)))
    )
    assert memory.originals == ["so-v2"]
    assert memory.counts["orders", "goods"] == 1


def test_the_first_message_that_names_a_certificate_makes_the_order_known_whatever_its_type() -> None:
    memory = Memory().with_certificates(1)
    named = {"lineId": "2", "kind": "giftCertificate", "certificateId": certificate(1)}
    memory.ordered(withdrawal(orderVersion=2, lines=[named]))
    assert set(memory.orders) == {"IM-1001"}
    memory.paid(payment())
    assert not memory.unmatched


def test_a_stale_version_changes_nothing() -> None:
    memory = Memory().with_certificates(1, 2)
    memory.ordered(changed(3, line(1)))
    memory.ordered(changed(2, line(2)))
    assert memory.orders["IM-1001"].order.version == 3
    assert memory.line().standing.naming.certificate_id == certificate(1)
    assert memory.woken(2) == []
    assert memory.counts["orders", "stale"] == 1


def test_returned_lines_are_withdrawn() -> None:
    memory = Memory().with_certificates(1)
    memory.ordered(order(lines=[line(1)]))
    memory.ordered(withdrawal(eventType="order.returned", lines=[{"lineId": "2"}]))
    withdrawn = memory.line().standing.withdrawal
    assert withdrawn is not None
    assert withdrawn.how is Withdrawal.RETURNED
    assert memory.woken(1) == [CREATED, "order_returned"]


def test_an_order_first_named_after_payments_were_dropped_says_that_they_may_be_unknown() -> None:
    memory = Memory(payments_were_dropped=True).with_certificates(1, 2)
    memory.ordered(changed(5, line(1)))
    memory.ordered(order(orderId="IM-2", lines=[line(2)]))
    assert memory.line().standing.earlier_payments_unknown
    assert not memory.line(order_id="IM-2").standing.earlier_payments_unknown


def test_an_order_of_an_unknown_channel_is_malformed_only_if_it_names_a_certificate() -> None:
    memory = Memory().with_certificates(1)
    memory.ordered(order(channel="kiosk", lines=[goods_line()]))
    assert not memory.rejections
    memory.ordered(order(channel="kiosk", lines=[line(1)]))
    assert memory.reasons() == ["unknownChannel"]
    assert not memory.signals


def test_a_misspelt_kind_loses_nobodys_money() -> None:
    memory = Memory().with_certificates(1)
    memory.ordered(order(lines=[line(1, kind="giftcertificate")]))
    assert memory.reasons() == ["misspeltKind"]


def test_payments_of_a_rejected_order_go_on_waiting() -> None:
    memory = Memory().with_certificates(1)
    memory.paid(payment())
    memory.comes(
        memory.record("orders", order(channel="kiosk", lines=[line(1)])),
        memory.record("payments", payment(paymentId="P-10", eventId="p10")),
    )
    assert [record.payment_id for _, record in memory.unmatched] == ["P-9", "P-10"]


def test_unknown_event_types_are_skipped_and_counted() -> None:
    memory = Memory()
    memory.ordered({"eventType": "order.weighed", "whatever": 1})
    assert not memory.rejections
    assert memory.counts["orders", "unknownType"] == 1


def test_an_order_stated_without_lines_is_malformed() -> None:
    memory = Memory()
    memory.ordered({"eventType": "order.created", "orderId": "IM-1"})
    assert memory.reasons() == ["missingField"]


def test_an_authorisation_wakes_nobody_and_moves_the_unpaid_deadline() -> None:
    memory = Memory().with_certificates(1)
    memory.ordered(order(lines=[line(1)]))
    memory.paid(payment(eventType="payment.authorized"))
    assert memory.woken(1) == [CREATED]
    assert memory.line().unpaid_until is not None


def test_a_void_wakes_as_it_may_bring_the_unpaid_deadline_forward() -> None:
    memory = Memory().with_certificates(1)
    memory.ordered(order(lines=[line(1)]))
    memory.paid(payment(eventType="payment.authorized"))
    before = memory.line().unpaid_until
    memory.paid(payment(eventType="payment.voided"))
    after = memory.line().unpaid_until
    assert before is not None
    assert after is not None
    assert after < before
    assert memory.woken(1) == [CREATED, "payment_voided"]


def test_nothing_is_stored_of_whom_it_is_for_once_the_buyer_is_erased() -> None:
    memory = Memory(erased={"C-77"}).with_certificates(1)
    memory.ordered(order(lines=[line(1)]))
    assert memory.line().recipient is None


def test_a_recipient_that_the_newest_version_leaves_out_is_forgotten() -> None:
    memory = Memory().with_certificates(1)
    memory.ordered(order(lines=[line(1)], total=500_000))
    memory.ordered(changed(2, line(1, recipient=None)))
    assert memory.line().recipient is None
