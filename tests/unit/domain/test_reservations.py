"""Rows of the Sale table that concern the pool, before any order."""

from giftcert.domain import events as e
from giftcert.domain.state import Status
from tests.unit.domain import factories as make
from tests.unit.domain.certificates import Certificate, reserved


def test_an_available_certificate_is_reserved_for_a_channel() -> None:
    found = Certificate().tell(make.reserve())
    assert found.status == Status.RESERVED
    assert found.told == ["issue.reserved"]
    assert found.state.sale_channel == "im"


def test_an_open_value_certificate_takes_the_nominal_of_its_reservation() -> None:
    found = Certificate(make.certificate(make.OPEN_VALUE), make.terms(make.OPEN_VALUE))
    assert found.tell(make.reserve(nominal=300_000)).state.nominal == 300_000


def test_a_blocked_certificate_is_not_given() -> None:
    found = Certificate().tell(make.block(), make.reserve())
    assert found.status == Status.AVAILABLE
    assert found.only(e.UnexpectedMessage).reason == "blocked"


def test_a_reservation_is_extended_without_a_public_event() -> None:
    found = reserved().tell(make.extended(make.NOON + make.HOUR))
    assert found.told == []
    assert found.state.reservation is not None
    assert found.state.reservation.reserved_until == make.NOON + make.HOUR


def test_a_reservation_is_extended_up_to_the_limit_of_the_product() -> None:
    found = reserved().tell(make.extended(make.NOON + make.DAY))
    assert found.state.reservation is not None
    assert found.state.reservation.reserved_until == make.NOON + make.FIXED.reservation_limit


def test_the_limit_of_an_extension_counts_from_the_reservation() -> None:
    found = reserved()
    found.clock += make.HOUR
    found.tell(make.extended(make.NOON + make.DAY))
    assert found.state.reservation is not None
    assert found.state.reservation.reserved_until == make.NOON + make.FIXED.reservation_limit


def test_an_extension_never_shortens_what_was_promised() -> None:
    found = reserved().tell(make.extended(make.NOON))
    assert found.state.reservation is not None
    assert found.state.reservation.reserved_until == make.NOON + 30 * make.MINUTE


def test_only_the_own_reservation_is_extended_or_given_back() -> None:
    found = reserved().tell(make.extended(make.NOON + make.HOUR, "R-other"))
    assert found.only(e.UnexpectedMessage).reason == "otherReservation"
    found.tell(make.given_back("R-other"))
    assert found.only(e.UnexpectedMessage).reason == "otherReservation"
    assert found.status == Status.RESERVED


def test_a_channel_gives_its_reservation_back() -> None:
    found = reserved().tell(make.given_back())
    assert found.status == Status.AVAILABLE
    released = found.only(e.Released)
    assert (released.reason, released.reservation_id) == (e.ReleaseReason.CHANNEL_RELEASED, make.RESERVATION)
    assert found.state.sale_channel is None


def test_a_reservation_that_ran_out_releases_the_certificate() -> None:
    found = reserved()
    found.clock += 30 * make.MINUTE
    found.tell(make.lapsed())
    assert found.status == Status.AVAILABLE
    assert found.only(e.Released).reason == e.ReleaseReason.RESERVATION_EXPIRED


def test_a_reservation_extended_in_the_meantime_does_not_run_out() -> None:
    found = reserved().tell(make.extended(make.NOON + make.HOUR))
    found.clock += 30 * make.MINUTE
    assert found.tell(make.lapsed()).told == []
    assert found.status == Status.RESERVED


def test_a_payment_of_an_order_not_yet_known_is_recorded_and_nothing_else() -> None:
    for found in (Certificate(), reserved()):
        before = found.status
        assert found.tell(make.captured()).told == []
        assert found.status == before
        assert len(found.state.order(make.ORDER).payments) == 1


def test_operations_withdraw_available_and_reserved_certificates() -> None:
    for found in (Certificate(), reserved()):
        found.tell(make.retire())
        assert found.status == Status.RETIRED
        assert found.told == ["audit.retired"]
        assert found.state.reservation is None or found.state.reservation.ended
