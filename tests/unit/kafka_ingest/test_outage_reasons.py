from giftcert import overdue_work
from kafka_ingest import consumer, late_match, main, outages, signaller, stuck_watch, sweeper, watermarks

PARTS = (
    *(consumer.POSTGRESQL, consumer.KAFKA, consumer.INGEST),
    *(signaller.TEMPORAL, signaller.ONE_SIGNAL, signaller.PART),
    *(sweeper.PART, stuck_watch.PART, late_match.PART, watermarks.PART, main.DAYS, overdue_work.PART),
    *(outages.STANDSTILL, outages.STUCK, outages.RESTARTS),
)


def test_each_part_that_can_fail_has_a_reason_of_its_own() -> None:
    """Else the event of one would hide that of another at the same place."""
    reasons = {part: outages._REASONS[part] for part in PARTS}

    assert len(set(reasons.values())) == len(PARTS)
    assert set(outages._REASONS) == set(PARTS)
