"""``giftcert status`` in words: what is away is named, and what depends on it is not known."""

from datetime import UTC, datetime

from giftcert.cli.status import Part, State, Work, _text
from giftcert.contracts.notices import OverdueWorkReason
from giftcert.overdue_work import Waiting
from giftcert.storage.pool import PoolCount
from giftcert.storage.quarantine import OpenRecords
from giftcert.storage.refund_cases import OpenCases

STOCK = "1,990 available (5 resting), 10 issued, lasts until 2026-11-23 12:00 UTC at this rate"
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
AWAY = Part("kafka", State.AWAY, "127.0.0.1:9092", "it does not answer")


def test_what_waits_is_counted_with_since_when() -> None:
    work = Work(
        unpublished_since=NOON,
        pool=[
            PoolCount("GC-5000", {"available": 1_990, "issued": 10}, 5, 1_000, 10, NOON, NOON),
            PoolCount("GC-1", {}, 0, 1_000, 0, None, None),
        ],
        open_refunds=[OpenCases("pendingDetails", 2, NOON), OpenCases("requested", 1, None)],
        quarantine=[OpenRecords("invalidJson", 1, NOON)],
        stuck=["certificate-1", "certificate-2", "certificate-3", "audit"],
        overdue=[
            Waiting(OverdueWorkReason.QUEUE_WITHOUT_WORKER, NOON, True, "certificates-pos", 3),
            Waiting(OverdueWorkReason.PENDING_WORK, NOON, True),
        ],
    )
    assert _text(None, [], {"All_SalesOrder": 0, "All_Payments": 1_200}, work).splitlines()[2:] == [
        "lag         1,200 records of All_Payments",
        "stream      events wait since 2026-11-23 12:00 UTC",
        f"pool        GC-5000 {STOCK}",
        "            GC-1 0 available",
        "refunds     2 cases waiting for a person, since 2026-11-23 12:00 UTC; 1 case waiting for the money",
        "quarantine  1 record with invalidJson, since 2026-11-23 12:00 UTC",
        "stuck       4 workflows (certificate-1, certificate-2, certificate-3, …): see `giftcert deploy status`",
        "overdue     no worker polls certificates-pos: 3 tasks waiting since 2026-11-23 12:00 UTC",
        "            messages about certificates are not decided, since 2026-11-23 12:00 UTC",
    ]


def test_a_standstill_is_named_first() -> None:
    detail = (
        "databaseBehind since 2026-11-23 12:00 UTC: the stream has 2 events or more that this database lacks"
    )
    work = Work(None, [], [], [], [], standstill=detail)
    lines = _text(None, [], {}, work).splitlines()
    assert f"standstill  NOTHING IS DECIDED before `giftcert recover`: {detail}" in lines


def test_of_a_server_that_is_away_it_is_said_and_what_it_keeps_is_not_known() -> None:
    lines = _text(None, [AWAY], None, None).splitlines()
    assert lines == [
        "part   state  process  address",
        "kafka  away            127.0.0.1:9092: it does not answer",
        "",
        "lag   not known: Kafka does not say",
        "work  not known: PostgreSQL does not say",
    ]
