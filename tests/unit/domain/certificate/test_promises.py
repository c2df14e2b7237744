"""Instants that were promised are fixed when granted; only the intervals of alerts follow changed settings."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from giftcert.domain.certificate.state import Status
from tests.unit.domain.certificate import factories as make
from tests.unit.domain.certificate.certificates import Certificate, issued, sold, spent

SHORT, LONG = timedelta(minutes=1), timedelta(days=900)
EVERY_WAIT = (
    "unpaid_after_order",
    "unpaid_after_authorization",
    "unpaid_after_void",
    "refund_capture_wait",
    "refund_allocation_wait",
    "refund_payment_wait",
)


def with_changed_settings(found: Certificate, wait: timedelta) -> Certificate:
    """Every wait is another now, and so is the product's validity and hold."""
    product = replace(found.terms.product, validity=wait, hold=wait, hold_limit=wait)
    policy: dict[str, Any] = dict.fromkeys(EVERY_WAIT, wait)
    found.terms = make.terms(product, **policy)
    return found


def due(found: Certificate) -> datetime | None:
    return found.next_deadline and found.next_deadline.at


def test_what_was_promised_does_not_move_with_the_settings() -> None:
    for promised in (
        sold(),
        sold().tell(make.authorized()),
        sold().tell(make.authorized(), make.voided()),
        issued(),
        issued().tell(make.hold()),
        sold().tell(make.refunded(to={"2": 1})),
        issued(make.gift("2"), make.gift("3")).tell(make.refunded(500_000)),
        issued(make.goods(), make.gift()).tell(make.returned()),
        issued().tell(make.refunded(1, to={"2": 1})),
    ):
        for wait in (SHORT, LONG):
            before = due(promised)
            assert before is not None
            assert due(with_changed_settings(promised, wait)) == before


def test_each_promise_lasts_as_long_as_its_setting_says() -> None:
    days = timedelta(days=1)
    assert due(sold()) == make.NOON + 3 * days
    assert due(sold().tell(make.authorized())) == make.NOON + 7 * days
    assert due(issued()) == make.NOON + 365 * days
    assert due(issued().tell(make.hold())) == make.NOON + timedelta(minutes=30)
    assert due(sold().tell(make.refunded(to={"2": 1}))) == make.NOON + days
    assert due(issued(make.gift("2"), make.gift("3")).tell(make.refunded(500_000))) == make.NOON + days
    assert due(issued(make.goods(), make.gift()).tell(make.returned())) == make.NOON + 7 * days
    assert due(issued().tell(make.refunded(1, to={"2": 1}))) == make.NOON + 7 * days


def test_the_interval_of_alerts_follows_the_settings_as_they_are() -> None:
    found = spent(100_000).tell(make.refunded())
    assert due(found) == make.NOON + make.DAY
    found.terms = make.terms(refund_stuck_after=make.HOUR)
    assert due(found) == make.NOON + make.HOUR
    found.wait(make.HOUR)
    assert found.published == ["alert.refundStuck"]
    assert due(found) == make.NOON + 3 * make.HOUR
    found.terms = make.terms(refund_stuck_after=make.HOUR, escalation_factor=5.0)
    assert due(found) == make.NOON + 6 * make.HOUR


def test_validity_counts_from_issue() -> None:
    found = sold()
    found.clock += 2 * make.DAY
    found.tell(make.captured()).wait(365 * make.DAY - make.MINUTE)
    assert found.status == Status.ISSUED
    assert found.wait(make.MINUTE).status == Status.EXPIRED
