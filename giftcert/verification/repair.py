"""Sets off again what verification found missing. Twice does no more than once: all that follows knows repeats.

Each step is a short transaction or a signal of its own, so that a repair which is cut short leaves nothing half done:
the next one finds what is left.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import msgspec
from temporalio.client import Client
from temporalio.service import RPCError

from giftcert.clock import utc_now
from giftcert.lifecycle.change import Lifecycle
from giftcert.storage.database import Database
from giftcert.storage.pool_changes import PoolChangeRepository
from giftcert.storage.verification.checks import Violation
from giftcert.storage.verification.repairs import RepairRepository
from giftcert.temporal.signals import Signal, Wake
from giftcert.temporal.workflow_starts import send_wakes, signal_certificate
from giftcert.verification.verify import Progress, Sources
from giftcert.verification.violations import Findings

ROWS_AT_ONCE = 500
"""Of one transaction: locks of the orders and certificates concerned are held for milliseconds."""
AT_ONCE = 16
"""Signals and decisions that are under way together."""
PATIENCE_SECONDS = 30.0
"""How long nothing of what was set off may come about before it is waited for no longer; the sweep needs half of it."""
_POLL_SECONDS = 0.1
_TO_DECIDE = ("undecided", "spendingLost")
_TO_WAKE = (*_TO_DECIDE, "parked", "runMissing", "overdue", "asleep", "pending")
_TO_PUBLISH = ("missingOnStream", "unpublished")
REPAIRABLE = (*_TO_WAKE, *_TO_PUBLISH, "paymentLeftBehind", "shardMissing", "keptCountDiffers")
"""Rules whose violations are over once the parts of the service have done again what is set off here."""

ORDERS = "orders looked at again by ingest, which folds their payments"
SHARDS = "shards given their row again, so that their events are published"
EVENTS = "events that the stream lacks put into the outbox again"
DECISIONS = "lines and spendings made pending again"
PRODUCTS = "products whose certificates were counted anew"
PARKED = "certificates tried again what could not be decided"
WOKEN = "workflows woken, or started where none ran"
_T = TypeVar("_T")


@dataclass(slots=True)
class Repair:
    """What a repair has done so far, by what it was; ``left``: certificates that Temporal did not take a signal for."""

    done: Counter[str] = field(default_factory=Counter)
    left: int = 0

    @property
    def lines(self) -> list[str]:
        """What was done, a line each."""
        return [f"{what}: {count:,}" for what, count in self.done.items() if count]


async def repair(
    sources: Sources,
    client: Client,
    lifecycle: Lifecycle,
    findings: Findings,
    progress: Progress,
    repaired: Repair,
) -> None:
    """Set off again what can be, and enter it in ``repaired`` as it is done.

    Raises:
        PostgresError, OSError: PostgreSQL does not answer; what was done by then stays done.
    """
    database, channel, now = sources.database, sources.settings.channels[0], utc_now()
    orders = _subjects(findings, "paymentLeftBehind")
    events = [one.about for one in _broken(findings, "missingOnStream")]
    lost = [_lost(one) for one in _broken(findings, *_TO_DECIDE)]
    async with database.transaction() as connection:
        repaired.done[SHARDS] += await RepairRepository(connection).add_shards()
    for some in _some(orders):
        async with database.transaction() as connection:
            repaired.done[ORDERS] += await RepairRepository(connection).fold_again(some)
    for some in _some(events):
        async with database.transaction() as connection:
            repaired.done[EVENTS] += await RepairRepository(connection).publish_again(some)
    for rows in _some(lost):
        async with database.transaction() as connection:
            as_json = msgspec.json.encode(rows).decode()
            repaired.done[DECISIONS] += await RepairRepository(connection).decide_again(as_json, channel, now)
    miscounted = _subjects(findings, "keptCountDiffers")
    if miscounted:
        async with database.transaction() as connection:
            await PoolChangeRepository(connection).recount()
        repaired.done[PRODUCTS] += len(miscounted)

    async def try_again(certificate_id: str) -> None:
        seen = await lifecycle.advance(certificate_id, now, retry_parked=True)
        await send_wakes(client, seen.wakes)
        repaired.done[PARKED] += 1

    await in_parallel("tried again", _subjects(findings, "parked"), try_again, progress)
    async with database.connection() as connection:
        rows = await RepairRepository(connection).to_wake(_subjects(findings, *_TO_WAKE))
    common = {"signal": Signal.REQUEST_DECIDED, "cause": "verify --repair"}
    wakes = [Wake(**{**common, **row, "channel": row["channel"] or channel}) for row in rows]
    await wake_all(partial(signal_certificate, client), wakes, progress, repaired)


async def wake_all(
    send: Callable[[Wake], Awaitable[object]], wakes: Sequence[Wake], progress: Progress, repaired: Repair
) -> None:
    """Signal all, a few at a time; what Temporal does not take is left, and all further where it took none of many."""

    async def wake(one: Wake) -> None:
        try:
            await send(one)
        except RPCError:
            repaired.left += 1
        else:
            repaired.done[WOKEN] += 1

    for some in _some(wakes):
        before = repaired.left
        await in_parallel("woken", some, wake, progress, of=len(wakes), behind=repaired.done[WOKEN] + before)
        if repaired.left - before == len(some):  # Temporal is away: each further signal would wait for it too
            repaired.left = len(wakes) - repaired.done[WOKEN]
            return


async def in_parallel(
    what: str,
    things: Sequence[_T],
    do: Callable[[_T], Awaitable[None]],
    progress: Progress,
    *,
    of: int | None = None,
    behind: int = 0,
) -> None:
    """Do something to each, a few at a time, and show how many of ``of`` are done, ``behind`` of them before."""
    waiting, done = iter(things), behind

    async def work() -> None:
        nonlocal done
        for one in waiting:
            await do(one)
            done += 1
            progress(what, done, of or len(things))

    async with asyncio.TaskGroup() as tasks:
        for _ in range(AT_ONCE):
            tasks.create_task(work())


async def until_effective(database: Database, findings: Findings, progress: Progress) -> bool:
    """Wait until the parts of the service have done what was set off; return whether they have.

    It goes on as long as less and less is left.
    """
    waiting = {
        "certificate_ids": _subjects(findings, *_TO_WAKE),
        "event_ids": [one.about for one in _broken(findings, *_TO_PUBLISH)],
        "order_ids": _subjects(findings, "paymentLeftBehind"),
    }
    loop = asyncio.get_running_loop()
    first, least, since = None, None, loop.time()
    async with database.connection() as connection:
        while left := await RepairRepository(connection).count_left(**waiting):
            first = first or left
            if least is None or left < least:
                least, since = left, loop.time()
                progress("came about", max(0, first - left), first)
            if loop.time() - since > PATIENCE_SECONDS:
                return False
            await asyncio.sleep(_POLL_SECONDS)
    if first:
        progress("came about", first, first)
    return True


def _some(things: Sequence[_T]) -> Iterator[Sequence[_T]]:
    for start in range(0, len(things), ROWS_AT_ONCE):
        yield things[start : start + ROWS_AT_ONCE]


def still_waits(findings: Findings) -> bool:
    """Return whether anything is left that the parts of the service mend by themselves, if they run."""
    return bool(_broken(findings, *REPAIRABLE))


def _lost(violation: Violation) -> dict[str, object]:
    is_line = violation.rule == "undecided"
    order_id, _, line_key = violation.about.rpartition(" ") if is_line else ("", "", "0")
    return {"certificate_id": violation.subject, "order_id": order_id, "line_key": int(line_key)}


def _subjects(findings: Findings, *rules: str) -> list[str]:
    return sorted({one.subject for one in _broken(findings, *rules)})


def _broken(findings: Findings, *rules: str) -> list[Violation]:
    return [one for one in findings.violations if one.rule in rules]
