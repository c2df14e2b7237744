"""Sets off again what verification found missing. Twice does no more than once: all that follows knows repeats."""

import asyncio

import msgspec
from temporalio.client import Client

from giftcert.clock import utc_now
from giftcert.lifecycle.change import Lifecycle
from giftcert.storage.database import Database
from giftcert.storage.pool_changes import PoolChangeRepository
from giftcert.storage.verification.checks import Violation
from giftcert.storage.verification.repairs import RepairRepository
from giftcert.temporal.signals import Signal, Wake
from giftcert.temporal.workflow_starts import send_wakes, signal_certificate
from giftcert.verification.verify import Sources
from giftcert.verification.violations import Findings

WAIT_SECONDS = 30.0
"""How long what was set off may take; the sweep needs at most half of it."""
_POLL_SECONDS = 0.1
_TO_DECIDE = ("undecided", "spendingLost")
_TO_WAKE = (*_TO_DECIDE, "parked", "runMissing", "overdue", "asleep", "pending")
_TO_PUBLISH = ("missingOnStream", "unpublished")
REPAIRABLE = (*_TO_WAKE, *_TO_PUBLISH, "paymentLeftBehind", "shardMissing", "keptCountDiffers")
"""Rules whose violations are over once the parts of the service have done again what is set off here."""


async def repair(sources: Sources, client: Client, lifecycle: Lifecycle, findings: Findings) -> list[str]:
    """Set off again what can be.

    Returns:
        What was done, a line each.
    """
    channel, now = sources.settings.channels[0], utc_now()
    lost = msgspec.json.encode([_lost(one) for one in _broken(findings, *_TO_DECIDE)]).decode()
    async with sources.database.transaction() as connection:
        repairs = RepairRepository(connection)
        # Orders first, as every transaction locks.
        orders = await repairs.fold_again(_subjects(findings, "paymentLeftBehind"))
        shards = await repairs.add_shards()
        events = await repairs.publish_again([one.about for one in _broken(findings, "missingOnStream")])
        decisions = await repairs.decide_again(lost, channel, now)
    miscounted = _subjects(findings, "keptCountDiffers")
    if miscounted:
        async with sources.database.transaction() as connection:
            await PoolChangeRepository(connection).recount()
    parked = _subjects(findings, "parked")
    for certificate_id in parked:
        seen = await lifecycle.advance(certificate_id, now, retry_parked=True)
        await send_wakes(client, seen.wakes)
    async with sources.database.connection() as connection:
        to_wake = await RepairRepository(connection).to_wake(_subjects(findings, *_TO_WAKE))
    for row in to_wake:
        wake = {"signal": Signal.REQUEST_DECIDED, "cause": "verify --repair", **row}
        await signal_certificate(client, Wake(**wake | {"channel": row["channel"] or channel}))
    done = {
        "orders looked at again by ingest, which folds their payments": orders,
        "shards given their row again, so that their events are published": shards,
        "events that the stream lacks put into the outbox again": events,
        "lines and spendings made pending again": decisions,
        "products whose certificates were counted anew": len(miscounted),
        "certificates tried again what could not be decided": len(parked),
        "workflows woken, or started where none ran": len(to_wake),
    }
    return [f"{what}: {count:,}" for what, count in done.items() if count]


async def until_effective(database: Database, findings: Findings) -> bool:
    """Wait until the parts of the service have done what was set off; return whether they have, in reasonable time."""
    waiting = {
        "certificate_ids": _subjects(findings, *_TO_WAKE),
        "event_ids": [one.about for one in _broken(findings, *_TO_PUBLISH)],
        "order_ids": _subjects(findings, "paymentLeftBehind"),
    }
    try:
        async with asyncio.timeout(WAIT_SECONDS), database.connection() as connection:
            while await RepairRepository(connection).any_left(**waiting):  # noqa: ASYNC110 - it comes about in other processes
                await asyncio.sleep(_POLL_SECONDS)
    except TimeoutError:
        return False
    return True


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
