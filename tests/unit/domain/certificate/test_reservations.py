"""Rows of the Sale table that concern the pool, before any order."""

from dataclasses import replace

import pytest

from giftcert.domain.certificate import events as e
from giftcert.domain.certificate import messages as m
from giftcert.domain.certificate.decide import StatusRefusal
from giftcert.domain.certificate.reservation import ReservationRefusal
from giftcert.domain.certificate.state import Status
from giftcert.domain.certificate.words import ReleaseReason
from tests.unit.domain.certificate import factories as make
from tests.unit.domain.certificate.certificates import Certificate, reserved, sold


def test_an_available_certificate_is_reserved_for_a_channel() -> None:
    found = Certificate().tell(make.reserve())
    assert found.status == Status.RESERVED
    assert found.published == ["issue.reserved"]
    assert found.state.sale_channel == "im"


def test_an_open_value_certificate_takes_the_nominal_of_its_reservation() -> None:
    found = Certificate(terms=make.terms(make.OPEN_VALUE))
    assert found.tell(make.reserve(nominal=300_000)).state.nominal == 300_000


def test_a_blocked_certificate_is_not_given() -> None:
    found = Certificate().tell(make.block(), make.reserve())
    assert (found.status, found.last) == (Status.AVAILABLE, ())
    assert found.decision.refusal == ReservationRefusal.BLOCKED


def reserved_until(found: Certificate) -> object:
    assert found.state.reservation is not None
    return found.state.reservation.reserved_until


def test_a_reservation_is_extended_without_a_public_event() -> None:
    found = reserved()
    found.clock += 20 * make.MINUTE
    assert found.tell(make.extended()).published == []
    assert reserved_until(found) == make.NOON + 50 * make.MINUTE


def test_a_reservation_is_extended_up_to_the_limit_of_the_product_from_its_beginning() -> None:
    found = reserved()
    for _ in range(9):
        found.clock += 15 * make.MINUTE
        found.tell(make.extended())
    assert reserved_until(found) == make.NOON + make.FIXED.reservation_limit


def test_an_extension_never_shortens_what_was_promised() -> None:
    found = reserved()
    found.terms = make.terms(replace(make.FIXED, reservation=make.MINUTE))
    assert found.tell(make.extended()).last == ()
    assert reserved_until(found) == make.NOON + 30 * make.MINUTE


@pytest.mark.parametrize("message", [make.extended("R-other"), make.given_back("R-other")])
def test_only_the_own_reservation_is_extended_or_given_back(message: m.Request) -> None:
    found = reserved().tell(message)
    assert (found.last, found.decision.refusal) == ((), ReservationRefusal.OTHER_RESERVATION)
    assert found.status == Status.RESERVED


@pytest.mark.parametrize("message", [make.extended(), make.given_back(), make.reserve("R-2")])
def test_what_is_ordered_is_neither_reserved_nor_extended_nor_given_back(message: m.Request) -> None:
    found = sold().tell(message)
    assert (found.last, found.decision.refusal) == ((), StatusRefusal.STATUS_DOES_NOT_ALLOW)


def test_a_channel_gives_its_reservation_back() -> None:
    found = reserved().tell(make.given_back())
    assert found.status == Status.AVAILABLE
    released = found.only(e.Released)
    assert (released.reason, released.reservation_id) == (ReleaseReason.CHANNEL_RELEASED, make.RESERVATION)
    assert found.state.sale_channel is None


def test_a_reservation_that_ran_out_releases_the_certificate() -> None:
    found = reserved()
    found.clock += 30 * make.MINUTE
    found.tell(make.lapsed())
    assert found.status == Status.AVAILABLE
    assert found.only(e.Released).reason == ReleaseReason.RESERVATION_EXPIRED


def test_a_reservation_extended_in_the_meantime_does_not_run_out() -> None:
    found = reserved()
    found.clock += make.MINUTE
    found.tell(make.extended())
    found.clock += 29 * make.MINUTE
    assert found.tell(make.lapsed()).published == []
    assert found.status == Status.RESERVED
    assert found.tell(make.lapsed("R-other")).published == []


def test_a_payment_of_an_order_not_yet_known_concerns_nobody() -> None:
    for found in (Certificate(), reserved()):
        before = found.status
        assert (found.tell(make.captured()).last, found.status) == ((), before)


def test_operations_withdraw_available_and_reserved_certificates() -> None:
    for found in (Certificate(), reserved()):
        found.tell(make.retire())
        assert found.status == Status.RETIRED
        assert found.published == ["audit.retired"]
        assert found.state.reservation is None or found.state.reservation.ended
