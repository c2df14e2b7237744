import asyncio
from collections.abc import Callable

import msgspec
import pytest

from simulators.demo.expectations import InputReported, NothingFollows, RefusalsCounted, is_met
from simulators.demo.journal import Journal, label
from simulators.demo.outcomes import ISSUED, ORDERED, SOLD_MEANS, CertificateTells
from simulators.service import Reservation
from simulators.stream import read_event
from simulators.topics import Position, Record

Sale = Callable[..., list[Record]]
MakeRecord = Callable[..., Record]


def take_all(journal: Journal, records: list[Record]) -> None:
    for record in records:
        journal.take(record)


def test_a_sale_comes_out_when_all_of_its_story_is_told(
    journal: Journal, sale: Sale, reservation: Reservation
) -> None:
    tells = CertificateTells(reservation, ISSUED)
    assert tells.seen(journal) == "nothing"
    *most, last = sale()
    take_all(journal, most)
    assert not is_met(tells, journal)
    journal.take(last)
    assert is_met(tells, journal)


def test_an_event_too_many_is_not_what_was_expected(
    journal: Journal, sale: Sale, reservation: Reservation, event_record: MakeRecord
) -> None:
    take_all(journal, [*sale(), event_record("notification.requested", sequence=5, status="issued")])
    assert not is_met(CertificateTells(reservation, ISSUED), journal)


def test_repeats_and_audit_events_are_no_part_of_the_story(
    journal: Journal, sale: Sale, reservation: Reservation, event_record: MakeRecord
) -> None:
    published = sale()
    take_all(
        journal, [*published, event_record("audit.cvcDisclosed", sequence=5, status="issued"), *published]
    )
    assert is_met(CertificateTells(reservation, ISSUED), journal)


def test_the_story_of_a_reservation_ends_where_the_next_begins(
    journal: Journal, sale: Sale, reservation: Reservation, event_record: MakeRecord
) -> None:
    again_reserved = msgspec.structs.replace(reservation, reservation_id="r-2")
    released = event_record(
        "issue.released", sequence=3, status="available", payload={"reason": "orderCancelled"}
    )
    again = event_record("issue.reserved", sequence=4, status="reserved", payload={"reservationId": "r-2"})
    take_all(journal, [*sale()[:2], released, again])
    cancelled = ORDERED.then("issue.released orderCancelled", status="available")
    assert is_met(CertificateTells(reservation, cancelled), journal)
    assert CertificateTells(again_reserved, ISSUED).seen(journal) == "reserved = reserved"


def test_an_outcome_reads_as_a_story() -> None:
    refunded = ISSUED.then("refund.completed", status="refunded", refund_state="completed")
    assert str(refunded) == "sold → refund.completed = refunded, refund completed"
    assert SOLD_MEANS == "sold: reserved → ordered → completed → notification.requested"


def test_a_malformed_record_is_reported_once_where_it_lies(
    journal: Journal, event_record: MakeRecord
) -> None:
    reported = InputReported("error.malformedEvent", position=Position("All_Payments", 2, 17))
    for offset in (16, 17):
        payload = {"topic": "All_Payments", "partition": 2, "offset": offset, "reason": "invalidJson"}
        journal.take(event_record("error.malformedEvent", None, payload=payload))
    assert is_met(reported, journal)
    journal.take(event_record("error.malformedEvent", None, payload=payload))
    assert not is_met(reported, journal)


def test_an_order_of_an_unknown_certificate_is_reported_by_its_event(
    journal: Journal, event_record: MakeRecord
) -> None:
    reported = InputReported("error.unknownCertificate", event_id="so-1")
    assert reported.seen(journal) == "nothing"
    journal.take(event_record("error.unknownCertificate", None, payload={"eventId": "so-1"}))
    assert is_met(reported, journal)


def test_attempts_of_all_blocked_events_add_up_to_the_refusals(
    journal: Journal, event_record: MakeRecord
) -> None:
    counted = RefusalsCounted("GC-TINY", refused=5)
    for attempts, product in ((1, "GC-TINY"), (7, "GC-5000"), (4, "GC-TINY")):
        assert not is_met(counted, journal)
        journal.take(event_record("issue.blocked", None, product=product, payload={"attempts": attempts}))
    assert is_met(counted, journal)


async def test_who_waits_for_a_certificate_is_woken_by_its_news(
    journal: Journal, sale: Sale, reservation: Reservation
) -> None:
    tells = CertificateTells(reservation, ISSUED)
    waiting = asyncio.create_task(journal.bells.until(tells.key, lambda: is_met(tells, journal)))
    for record in sale():
        await asyncio.sleep(0)
        assert not waiting.done()
        journal.take(record)
    await waiting


def test_nothing_follows_while_all_that_is_told_is_of_other_sales_or_of_disclosures(
    journal: Journal, sale: Sale, event_record: MakeRecord
) -> None:
    take_all(journal, [*sale("c-1"), event_record("error.malformedEvent", None)])
    nothing = NothingFollows.after(2_345, journal)
    disclosed = event_record("audit.cvcDisclosed", sequence=5, status="issued")
    take_all(journal, [*sale("c-2"), disclosed, event_record("issue.blocked", None)])
    assert nothing.seen(journal) == nothing.expected == "nothing after 2,345 messages"


def test_whatever_follows_about_a_known_certificate_or_as_an_error_is_shown(
    journal: Journal, sale: Sale, event_record: MakeRecord
) -> None:
    take_all(journal, sale("c-1"))
    nothing = NothingFollows.after(2, journal)
    take_all(
        journal,
        [event_record("refund.requested", sequence=5), event_record("error.unknownCertificate", None)],
    )
    assert nothing.seen(journal) == "refund.requested → error.unknownCertificate after 2 messages"
    assert not is_met(nothing, journal)


def test_a_story_that_begins_with_a_sale_does_not_spell_the_sale_out() -> None:
    assert str(ISSUED) == "sold = issued"
    assert str(ISSUED.then("audit.blocked")) == "sold → audit.blocked = issued"
    assert str(ORDERED.then("refund.requested")) == "reserved → ordered → refund.requested = ordered"


def test_what_is_left_belongs_to_the_story_where_it_is_about_it(
    journal: Journal, sale: Sale, reservation: Reservation
) -> None:
    take_all(journal, sale())
    assert is_met(CertificateTells(reservation, ISSUED.then(left=500_000)), journal)
    other = CertificateTells(reservation, ISSUED.then(left=499_999))
    assert not is_met(other, journal)
    assert other.seen(journal).endswith("= issued, 5,000.00 RUB left")


@pytest.mark.parametrize(
    ("event_type", "payload", "published"),
    [
        ("redemption.rejected", {"reason": "holdRequired"}, "redemption.rejected holdRequired"),
        ("redemption.voided", {"reason": "holdLapsed"}, "redemption.voided holdLapsed"),
        ("refund.resolved", {"decision": "reject", "reason": "x"}, "refund.resolved reject"),
        ("issue.ordered", {"replaces": "c-2"}, "issue.ordered replacing"),
        ("redemption.captured", {"reason": None}, "redemption.captured"),
    ],
)
def test_a_story_tells_why_or_how_where_that_makes_the_difference(
    event_record: MakeRecord, event_type: str, payload: dict[str, str], published: str
) -> None:
    assert label(read_event(event_record(event_type, sequence=1, payload=payload))) == published
