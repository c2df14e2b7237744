"""Lines and payments that name a certificate we never made, and the money that comes for such lines."""

from dataclasses import replace
from typing import Any

from giftcert.storage.quarantine import NamedThings
from tests.unit.contracts.topic_records import certificate_line, goods_line, order, payment
from tests.unit.kafka_ingest.ingest_memory import NOW, Memory, certificate

UNKNOWN = certificate(99)


def unknown_line(named: str = UNKNOWN, **changes: object) -> dict[str, object]:
    return certificate_line(certificateId=named, **changes)


def changed(*lines: dict[str, Any], version: int = 2) -> dict[str, Any]:
    return order(
        lines=list(lines), total=500_000, orderVersion=version, eventType="order.changed", eventId="v2"
    )


def alerted(memory: Memory) -> list[int]:
    return [
        event.payload["amount"]["amount"]
        for _, event in memory.events
        if event.event_type == "alert.paymentWithoutCertificate"
    ]


def test_a_line_that_names_no_certificate_of_ours_is_reported_once() -> None:
    memory = Memory()
    memory.ordered(order(lines=[unknown_line()], total=500_000))
    memory.ordered(order(lines=[unknown_line()], total=500_000, eventId="again"))
    memory.ordered(changed(unknown_line()))
    assert memory.reasons() == ["unknownCertificate"]
    [rejection] = memory.rejections
    assert rejection.problem.type == "error.unknownCertificate"
    assert rejection.event(NOW).payload["eventId"] == "so-1"
    assert UNKNOWN not in rejection.detail
    assert rejection.names == NamedThings(), "all else that the record says is applied"


def test_another_unknown_certificate_is_reported_again() -> None:
    memory = Memory()
    memory.ordered(order(lines=[unknown_line()], total=500_000))
    memory.ordered(changed(unknown_line(certificate(98))))
    assert memory.reasons() == ["unknownCertificate"] * 2


def test_an_id_that_is_no_uuid_is_as_unknown() -> None:
    memory = Memory()
    memory.ordered(order(lines=[unknown_line("ABC")]))
    assert memory.reasons() == ["unknownCertificate"]


def test_the_other_lines_of_the_order_go_on() -> None:
    memory = Memory().with_certificates(1)
    lines = [unknown_line(), certificate_line(lineId="3", certificateId=certificate(1))]
    memory.ordered(order(lines=lines, total=1_000_000))
    assert memory.woken(1) == ["order_created"]
    assert memory.reasons() == ["unknownCertificate"]


def test_money_for_such_a_line_is_alerted_once() -> None:
    memory = Memory()
    memory.ordered(order(lines=[unknown_line()], total=500_000))
    memory.paid(payment(amount=500_000, allocations=None))
    memory.paid(payment(amount=500_000, allocations=None, eventId="again"))
    [(source, event)] = memory.events
    assert source.topic == "payments"
    assert event.event_type == "alert.paymentWithoutCertificate"
    assert event.payload["amount"] == {"amount": 500_000, "currency": "RUB"}
    assert event.payload["lineId"] == "2"
    assert event.cause.event_id == "pay-1"


def test_money_that_came_before_the_order_is_alerted_too() -> None:
    memory = Memory()
    memory.paid(payment(amount=500_000, allocations=None))
    memory.ordered(order(lines=[unknown_line()], total=500_000))
    assert alerted(memory) == [500_000]


def test_more_money_is_alerted_again() -> None:
    memory = Memory()
    memory.ordered(order(lines=[unknown_line()], total=500_000))
    for nth, amount in enumerate((200_000, 300_000)):
        allocations = [{"lineId": "2", "amount": amount}]
        memory.paid(payment(amount=amount, allocations=allocations, captureId=f"K-{nth}"))
    assert alerted(memory) == [200_000, 500_000]


def test_money_in_another_currency_is_alerted_at_once_with_its_own_amount() -> None:
    memory = Memory()
    memory.ordered(order(lines=[unknown_line()], total=500_000))
    paid = payment(amount=70_00, currency="EUR", allocations=None)
    memory.paid(paid)
    memory.paid(paid | {"eventId": "again"})
    [(_, event)] = memory.events
    assert event.payload["amount"] == {"amount": 70_00, "currency": "EUR"}
    assert event.payload["reason"] == "currencyMismatch"


def test_whoever_holds_the_line_speaks_for_its_money() -> None:
    memory = Memory().with_certificates(1)
    memory.ordered(order(lines=[certificate_line(certificateId=certificate(1))], total=500_000))
    [key] = memory.lines
    memory.lines[key] = replace(memory.lines[key], holder=certificate(1), holder_status="issued")
    memory.ordered(changed(unknown_line()))
    memory.paid(payment(amount=500_000, allocations=None))
    assert memory.reasons() == ["unknownCertificate"]
    assert alerted(memory) == []
    assert memory.woken(1) == ["order_created", "order_changed", "payment_captured"]


def test_the_repaired_line_takes_its_money_along_and_alerts_no_more() -> None:
    memory = Memory().with_certificates(1)
    memory.ordered(order(lines=[unknown_line()], total=500_000))
    memory.paid(payment(amount=200_000, allocations=None, captureId="K-1"))
    memory.ordered(changed(certificate_line(certificateId=certificate(1))))
    memory.paid(payment(amount=300_000, allocations=None, captureId="K-2"))
    assert alerted(memory) == [200_000]
    assert memory.woken(1) == ["order_changed", "payment_captured"]
    assert memory.line().standing.captured == 500_000
    assert memory.line().speaker == certificate(1)


def test_a_certificate_that_was_imported_since_is_found_when_its_order_comes_again() -> None:
    memory = Memory()
    ordered = order(lines=[goods_line(), unknown_line(certificate(1))])
    memory.ordered(ordered)
    memory.with_certificates(1)
    memory.ordered(ordered)
    assert memory.woken(1) == ["order_changed"]
    assert memory.line().speaker == certificate(1)
    assert memory.reasons() == ["unknownCertificate"]


def test_a_replay_of_an_order_whose_certificate_is_still_unknown_says_so_again() -> None:
    memory = Memory()
    record = memory.record("orders", order(lines=[unknown_line()]))
    memory.comes(record)
    memory.comes(record, replaying=True)
    assert memory.reasons() == ["unknownCertificate"] * 2


def test_a_payment_by_an_unknown_certificate_is_reported_and_still_pays_its_order() -> None:
    memory = Memory().with_certificates(1)
    memory.ordered(order(lines=[certificate_line(certificateId=certificate(1))], total=500_000))
    memory.paid(payment(tender="giftCertificate", certificateId=UNKNOWN, amount=500_000))
    assert memory.reasons() == ["unknownCertificate"]
    assert memory.woken(1) == ["order_created", "payment_captured"]


def test_a_payment_by_an_unknown_certificate_that_comes_again_is_known_again() -> None:
    memory = Memory()
    said = {"tender": "giftCertificate", "certificateId": UNKNOWN, "captureId": "K-1", "allocations": None}
    for nth, amount in enumerate((500_000, 500_000, 1)):
        memory.paid(payment(**said, amount=amount, eventId=f"again-{nth}"))
    first, again, other = [one.contradiction for one in memory.rejections]
    assert first == again != other


def test_a_payment_by_a_certificate_that_was_imported_since_spends_it_when_it_comes_again() -> None:
    memory = Memory()
    said = payment(tender="giftCertificate", certificateId=certificate(7))
    memory.paid(said)
    memory.with_certificates(7)
    memory.paid(said)
    assert memory.woken(7) == ["certificate_spent"]
    assert memory.reasons() == ["unknownCertificate"]
