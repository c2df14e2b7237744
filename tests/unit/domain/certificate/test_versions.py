"""Versions of an order: stale ones change nothing, one that was mended and comes late takes its place."""

from giftcert.domain.certificate import events as e
from giftcert.domain.certificate.state import Status
from tests.unit.domain.certificate import factories as make
from tests.unit.domain.certificate.certificates import issued, reserved, sold

TWO = (make.gift("2"), make.gift("3"))


def test_a_cancellation_mended_late_still_cancels_though_another_came_since() -> None:
    found = issued(*TWO).tell(make.cancelled("3", version=3))
    assert found.published == []
    assert found.tell(make.cancelled("2", version=2)).published == ["refund.requested"]


def test_a_cancellation_mended_late_is_stale_once_the_order_was_stated_anew() -> None:
    found = issued(*TWO).tell(make.ordered(*TWO, version=3))
    assert found.tell(make.cancelled("2", version=2)).last == ()


def test_a_cancellation_under_the_version_that_stated_the_order_is_news() -> None:
    found = issued(*TWO)
    assert found.tell(make.cancelled("2", version=1)).published == ["refund.requested"]


def test_a_cancellation_told_before_its_order_is_not_forgotten() -> None:
    for cancelled in (make.cancelled(version=1), make.cancelled("2", version=1)):
        found = reserved().tell(cancelled, make.ordered(), make.captured())
        assert found.all(e.Issued) == []
        assert (found.published, found.status) == (["refund.requested"], Status.RESERVED)


def test_a_price_mended_late_counts_though_another_line_was_cancelled_since() -> None:
    lines = (make.gift("2", 450_000), make.gift("3"))
    found = sold(*TWO).tell(make.captured(450_000), make.cancelled("3", version=3))
    assert found.status == Status.ORDERED
    assert found.tell(make.ordered(*lines, version=2)).status == Status.ISSUED
