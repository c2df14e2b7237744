"""A repair of many workflows: some at a time, with progress, and with an end where Temporal is away."""

import asyncio

from temporalio.service import RPCError, RPCStatusCode

from giftcert.temporal.signals import Signal, Wake
from giftcert.verification.repair import AT_ONCE, ROWS_AT_ONCE, WOKEN, Repair, wake_all

MANY = 2 * ROWS_AT_ONCE + 1
WAKES = [
    Wake(certificate_id=f"{number}", signal=Signal.REQUEST_DECIDED, channel="im") for number in range(MANY)
]


class Temporal:
    """Takes signals as they come; ``refused`` ones it does not."""

    def __init__(self, refused: set[str] | None = None) -> None:
        self.refused = refused or set()
        self.taken: list[str] = []
        self.asked = self.under_way = self.most = 0

    async def send(self, wake: Wake) -> bool:
        self.asked += 1
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await asyncio.sleep(0)
        self.under_way -= 1
        if wake.certificate_id in self.refused:
            raise RPCError("away", RPCStatusCode.UNAVAILABLE, b"")
        self.taken.append(wake.certificate_id)
        return True


async def woken(temporal: Temporal) -> tuple[Repair, list[tuple[int, int]]]:
    repaired, shown = Repair(), list[tuple[int, int]]()
    await wake_all(temporal.send, WAKES, lambda _what, done, of: shown.append((done, of)), repaired)
    return repaired, shown


async def test_many_are_woken_some_at_a_time_and_progress_is_shown() -> None:
    temporal = Temporal()
    repaired, shown = await woken(temporal)
    assert sorted(temporal.taken, key=int) == [one.certificate_id for one in WAKES]
    assert temporal.most == AT_ONCE
    assert shown == [(number + 1, MANY) for number in range(MANY)]
    assert (repaired.lines, repaired.left) == ([f"{WOKEN}: {MANY:,}"], 0)


async def test_a_signal_that_is_not_taken_is_left_and_the_others_are_sent() -> None:
    temporal = Temporal(refused={"7", "700"})
    repaired, shown = await woken(temporal)
    assert (len(temporal.taken), repaired.left, repaired.lines) == (MANY - 2, 2, [f"{WOKEN}: {MANY - 2:,}"])
    assert shown[-1] == (MANY, MANY)


async def test_where_temporal_is_away_not_every_signal_waits_for_it() -> None:
    temporal = Temporal(refused={one.certificate_id for one in WAKES})
    repaired, _ = await woken(temporal)
    assert (temporal.asked, repaired.left, repaired.lines) == (ROWS_AT_ONCE, MANY, [])
