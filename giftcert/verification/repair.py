"""Sets off again what verification found missing. Twice does no more than once: all that follows knows repeats."""

from collections.abc import Sequence

import msgspec
from temporalio.client import Client

from giftcert.clock import utc_now
from giftcert.lifecycle.change import Lifecycle
from giftcert.storage.verification.certificate_checks import NO_RUN, OVERDUE, PARKED, SPENDING_LOST
from giftcert.storage.verification.repairs import RepairRepository
from giftcert.storage.verification.whole_checks import PENDING, SHARD_MISSING
from giftcert.temporal.signals import Signal, Wake
from giftcert.temporal.workflows import signal_certificate
from giftcert.verification.order_pages import UNDECIDED
from giftcert.verification.sequences import RULE_MISSING, RULE_UNPUBLISHED
from giftcert.verification.verify import Sources
from giftcert.verification.violations import Findings, Violation

_TO_WAKE = frozenset({NO_RUN.rule, OVERDUE.rule, PENDING.rule})
_TO_DECIDE = frozenset({UNDECIDED, SPENDING_LOST.rule})
REPAIRABLE = _TO_WAKE | _TO_DECIDE | {PARKED.rule, SHARD_MISSING.rule, RULE_MISSING, RULE_UNPUBLISHED}
"""Rules whose violations are over once the parts of the service have done again what is set off here."""


async def repair(sources: Sources, client: Client, lifecycle: Lifecycle, findings: Findings) -> list[str]:
    """Set off again what can be.

    Returns:
        What was done, a line each.
    """
    violations = findings.violations
    async with sources.engine.begin() as connection:
        done = await _write(RepairRepository(connection), violations, sources.settings.channels[0])
    parked = {one.subject for one in violations if one.rule == PARKED.rule}
    for certificate_id in sorted(parked):
        await lifecycle.advance(certificate_id, utc_now(), retry_parked=True)
    done += [f"{len(parked)} certificates decided anew what could not be decided"] * bool(parked)
    done += await _wake(
        sources, client, {one.subject for one in violations if one.rule in _TO_WAKE | _TO_DECIDE}
    )
    waits = sum(one.rule == RULE_UNPUBLISHED for one in violations)
    return [*done, *([f"{waits} events wait for dispatch: is it running?"] if waits else [])]


def left_over(findings: Findings) -> list[Violation]:
    """Return the violations that a person has to look at."""
    return [one for one in findings.violations if one.rule not in REPAIRABLE]


async def _write(repairs: RepairRepository, violations: Sequence[Violation], channel: str) -> list[str]:
    shards = await repairs.add_shards()
    missing = [one.about for one in violations if one.rule == RULE_MISSING]
    events = await repairs.publish_again(missing) if missing else 0
    lost = [_lost(one) for one in violations if one.rule in _TO_DECIDE]
    lines = await repairs.decide_again(msgspec.json.encode(lost).decode(), channel, utc_now()) if lost else 0
    texts = {
        "{} shards given their row again: their events are published": shards,
        "{} events that the stream lacks put into the outbox again: dispatch publishes them": events,
        "{} lines and spendings made pending again: their certificates decide on them": lines,
    }
    return [text.format(count) for text, count in texts.items() if count]


def _lost(violation: Violation) -> dict[str, object]:
    if violation.rule == SPENDING_LOST.rule:
        return {"certificate_id": violation.subject, "order_id": "", "line_key": 0}
    order_id, _, line_key = violation.about.rpartition(" ")
    return {"certificate_id": violation.subject, "order_id": order_id, "line_key": int(line_key)}


async def _wake(sources: Sources, client: Client, ids: set[str]) -> list[str]:
    if not ids:
        return []
    async with sources.engine.connect() as connection:
        rows = await RepairRepository(connection).runs_to_start(sorted(ids))
    for row in rows:
        channel = row.pop("channel") or sources.settings.channels[0]
        wake = Wake(signal=Signal.REQUEST_DECIDED, channel=channel, cause="verify --repair", **row)
        await signal_certificate(client, wake)
    return [f"{len(rows)} workflows woken, or started from the stored state"]
