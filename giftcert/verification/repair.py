"""Sets off again what verification found missing. Twice does no more than once: all that follows knows repeats."""

import asyncio

import msgspec
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from giftcert.clock import utc_now
from giftcert.lifecycle.change import Lifecycle
from giftcert.storage.engine import transaction
from giftcert.storage.verification import certificate_checks, whole_checks
from giftcert.storage.verification.checks import Rule, Violation
from giftcert.storage.verification.repairs import RepairRepository
from giftcert.temporal.signals import Signal, Wake
from giftcert.temporal.workflow_starts import send_wakes, signal_certificate
from giftcert.verification.order_checks import UNDECIDED
from giftcert.verification.sequences import MISSING, UNPUBLISHED
from giftcert.verification.verify import Sources
from giftcert.verification.violations import Findings

WAIT_SECONDS = 30.0
"""How long what was set off may take; the sweep needs at most half of it."""
_POLL_SECONDS = 0.1
_TO_DECIDE = (UNDECIDED, certificate_checks.SPENDING_LOST)
_TO_WAKE = (
    *_TO_DECIDE,
    certificate_checks.PARKED,
    certificate_checks.NO_RUN,
    certificate_checks.OVERDUE,
    certificate_checks.ASLEEP,
    whole_checks.PENDING,
)
REPAIRABLE = (
    *_TO_WAKE,
    whole_checks.PAYMENT_LEFT_BEHIND,
    MISSING,
    UNPUBLISHED,
    whole_checks.SHARD_MISSING,
)
"""Rules whose violations are over once the parts of the service have done again what is set off here."""


async def repair(sources: Sources, client: Client, lifecycle: Lifecycle, findings: Findings) -> list[str]:
    """Set off again what can be.

    Returns:
        What was done, a line each.
    """
    async with transaction(sources.engine) as connection:
        counts = await _write(RepairRepository(connection), findings, sources.settings.channels[0])
    parked = _subjects(findings, certificate_checks.PARKED)
    for certificate_id in parked:
        seen = await lifecycle.advance(certificate_id, utc_now(), retry_parked=True)
        await send_wakes(client, seen.wakes)
    counts["{} certificates tried again what could not be decided"] = len(parked)
    counts["{} workflows woken, or started where none ran"] = await _wake(sources, client, findings)
    return [text.format(f"{count:,}") for text, count in counts.items() if count]


async def until_effective(engine: AsyncEngine, findings: Findings) -> bool:
    """Wait until the parts of the service have done what was set off; return whether they have, in reasonable time."""
    waiting = {
        "certificate_ids": _subjects(findings, *_TO_WAKE),
        "event_ids": [one.about for one in _broken(findings, MISSING, UNPUBLISHED)],
        "order_ids": _subjects(findings, whole_checks.PAYMENT_LEFT_BEHIND),
    }
    try:
        async with asyncio.timeout(WAIT_SECONDS), engine.connect() as connection:
            while await RepairRepository(connection).any_left(**waiting):  # noqa: ASYNC110 - it comes about in other processes
                await asyncio.sleep(_POLL_SECONDS)
    except TimeoutError:
        return False
    return True


def still_waits(findings: Findings) -> bool:
    """Return whether anything is left that the parts of the service mend by themselves, if they run."""
    return bool(_broken(findings, *REPAIRABLE))


async def _write(repairs: RepairRepository, findings: Findings, channel: str) -> dict[str, int]:
    """Write what re-drives, orders first, as every transaction locks."""
    orders = await repairs.fold_again(_subjects(findings, whole_checks.PAYMENT_LEFT_BEHIND))
    missing = [one.about for one in _broken(findings, MISSING)]
    lost = msgspec.json.encode([_lost(one) for one in _broken(findings, *_TO_DECIDE)]).decode()
    return {
        "{} orders looked at again by ingest: their payments are folded": orders,
        "{} shards given their row again: their events are published": await repairs.add_shards(),
        "{} events that the stream lacks put into the outbox again": await repairs.publish_again(missing),
        "{} lines and spendings made pending again": await repairs.decide_again(lost, channel, utc_now()),
    }


def _lost(violation: Violation) -> dict[str, object]:
    is_line = violation.rule == UNDECIDED.name
    order_id, _, line_key = violation.about.rpartition(" ") if is_line else ("", "", "0")
    return {"certificate_id": violation.subject, "order_id": order_id, "line_key": int(line_key)}


async def _wake(sources: Sources, client: Client, findings: Findings) -> int:
    async with sources.engine.connect() as connection:
        rows = await RepairRepository(connection).to_wake(_subjects(findings, *_TO_WAKE))
    for row in rows:
        channel = row.pop("channel") or sources.settings.channels[0]
        wake = Wake(signal=Signal.REQUEST_DECIDED, channel=channel, cause="verify --repair", **row)
        await signal_certificate(client, wake)
    return len(rows)


def _subjects(findings: Findings, *rules: Rule) -> list[str]:
    return sorted({one.subject for one in _broken(findings, *rules)})


def _broken(findings: Findings, *rules: Rule) -> list[Violation]:
    names = {rule.name for rule in rules}
    return [one for one in findings.violations if one.rule in names]
