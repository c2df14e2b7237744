from collections.abc import Callable

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulators.bi import take_in
from simulators.fold import Fold
from simulators.topics import Record

Sale = Callable[..., list[Record]]


def folded(records: list[Record]) -> Fold:
    fold = Fold()
    for record in records:
        take_in(fold, record)
    return fold


def changed(record: Record, **fields: object) -> Record:
    event = msgspec.json.decode(record.value) | fields
    return Record(record.position, record.key, msgspec.json.encode(event), record.headers)


def test_a_sale_counts_its_price_its_discount_and_what_can_still_be_spent(sale: Sale) -> None:
    fold = folded(sale())
    assert (fold.figures.revenue, fold.figures.discount, fold.liability) == (450_000, 50_000, 500_000)
    assert fold.figures.issued == 1
    assert not fold.violations


def test_a_refund_after_issue_takes_its_money_from_the_revenue(
    sale: Sale, event_record: Callable[..., Record]
) -> None:
    money = {"amount": 450_000, "currency": "RUB"}
    payload = {"amount": money, "taken": {"amount": 500_000, "currency": "RUB"}, "beforeIssue": False}
    back = event_record(
        "refund.completed", sequence=5, status="refunded", refundState="completed", payload=payload
    )
    fold = folded([*sale(), back])
    assert (fold.figures.revenue, fold.liability) == (0, 0)
    assert fold.certificates["c-1"].refund_state == "completed"
    assert not fold.violations


def test_a_refund_before_issue_is_no_negative_revenue(
    sale: Sale, event_record: Callable[..., Record]
) -> None:
    payload = {"amount": {"amount": 450_000, "currency": "RUB"}, "beforeIssue": True}
    back = event_record("refund.completed", sequence=3, status="ordered", payload=payload)
    assert folded([*sale()[:2], back]).figures.revenue == 0


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # the fixture is a factory
@given(data=st.data())
def test_repeats_at_any_later_place_change_nothing(sale: Sale, data: st.DataObject) -> None:
    events = sale()
    expected = folded(events)
    published = list(events)
    for record in data.draw(st.lists(st.sampled_from(events), max_size=6)):
        earliest = published.index(record) + 1
        published.insert(data.draw(st.integers(earliest, len(published))), record)
    fold = folded(published)
    assert (fold.figures, fold.liability, fold.violations) == (expected.figures, expected.liability, [])
    assert fold.repeats == len(published) - len(events)


def test_a_gap_in_the_sequence_is_found(sale: Sale) -> None:
    first, _, *rest = sale()
    assert any("sequence 3 follows 1" in fault for fault in folded([first, *rest]).violations)


def test_a_repeat_with_other_content_is_found(sale: Sale) -> None:
    published = sale()
    contradicting = changed(published[2], occurredAt="2026-11-23T11:00:00Z")
    assert any("other content" in fault for fault in folded([*published, contradicting]).violations)


def test_an_event_of_no_certificate_is_known_by_its_id(event_record: Callable[..., Record]) -> None:
    blocked = event_record("issue.blocked", None, product="GC-1", payload={"attempts": 2})
    fold = folded([blocked, blocked, changed(blocked, payload={"attempts": 3})])
    assert fold.types["issue.blocked"] == 1
    assert (fold.repeats, len(fold.violations)) == (2, 1)


def test_a_certificate_that_is_reserved_twice_is_found(event_record: Callable[..., Record]) -> None:
    twice = [event_record("issue.reserved", sequence=number, status="reserved") for number in (1, 2)]
    assert any("reserved again" in fault for fault in folded(twice).violations)


def test_a_release_of_what_nobody_has_is_found(sale: Sale, event_record: Callable[..., Record]) -> None:
    released = event_record("issue.released", sequence=5, status="available")
    assert any("released while issued" in fault for fault in folded([*sale(), released]).violations)


def test_a_balance_above_the_nominal_is_found(event_record: Callable[..., Record]) -> None:
    rich = event_record(
        "issue.completed", sequence=1, status="issued", balance={"amount": 500_001, "currency": "RUB"}
    )
    assert any("balance 500001" in fault for fault in folded([rich]).violations)


def test_an_order_line_with_two_certificates_is_found_at_rest(sale: Sale) -> None:
    fold = folded([*sale("c-1"), *sale("c-2")])
    assert fold.lines_held_twice() == ["order line ('IM-1', '1') has 2 certificates"]


def test_a_line_whose_first_certificate_was_released_has_one(
    sale: Sale, event_record: Callable[..., Record]
) -> None:
    released = event_record("issue.released", sequence=3, status="available")
    assert folded([*sale("c-1")[:2], released, *sale("c-2")]).lines_held_twice() == []


def test_a_record_under_another_key_or_id_breaks_the_envelope(sale: Sale) -> None:
    first = sale()[0]
    wrong = Record(first.position, "elsewhere", first.value, dict(first.headers) | {"ce_id": "other"})
    faults = folded([wrong]).violations
    assert len(faults) == 2


def test_a_record_that_is_no_event_is_a_violation_and_no_end(sale: Sale) -> None:
    broken = Record(sale()[0].position, None, b"{}", {})
    fold = folded([broken, *sale()])
    assert len(fold.violations) == 1
    assert fold.figures.issued == 1
