"""Sets off again what verification found missing. Twice does no more than once: all that follows knows repeats."""

from collections.abc import Collection, Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from giftcert.storage.verification.certificate_checks import DELIVERY_LOST, DELIVERY_OVERTAKEN, NO_RUN
from giftcert.storage.verification.repairs import RepairRepository
from giftcert.storage.verification.whole_checks import SHARD_MISSING, UNSENT
from giftcert.verification.runs import OpenRuns, RunToStart
from giftcert.verification.sequences import RULE_MISSING, RULE_UNPUBLISHED
from giftcert.verification.verify import Sources
from giftcert.verification.violations import Findings, Violation

_LOST = frozenset({DELIVERY_LOST.rule, DELIVERY_OVERTAKEN.rule})
REPAIRABLE = _LOST | {NO_RUN.rule, SHARD_MISSING.rule, UNSENT.rule, RULE_MISSING, RULE_UNPUBLISHED}
"""Rules whose violations are over once the parts of the service have done again what is set off here."""


async def repair(sources: Sources, findings: Findings) -> list[str]:
    """Set off again what can be.

    Returns:
        What was done, a line each.
    """
    violations = findings.violations
    async with sources.engine.begin() as connection:
        done = await _mark(RepairRepository(connection), violations)
    async with sources.engine.connect() as connection:
        done += await _start(
            connection, sources, [one.subject for one in violations if one.rule == NO_RUN.rule]
        )
    return [*done, *_waits(violations)]


def left_over(findings: Findings) -> list[Violation]:
    """Return the violations that a person has to look at."""
    return [one for one in findings.violations if one.rule not in REPAIRABLE]


async def _mark(repairs: RepairRepository, violations: Sequence[Violation]) -> list[str]:
    shards = await repairs.add_shards()
    missing = [one.about for one in violations if one.rule == RULE_MISSING]
    events = await repairs.publish_again(missing)
    lost = [(one.subject, one.about) for one in violations if one.rule in _LOST]
    deliveries = await repairs.send_again(lost)
    lines = {
        "{} shards given their row again: their work is taken up": shards,
        "{} events that the stream lacks marked unpublished: dispatch publishes them": events,
        "{} deliveries that no workflow knows marked unsent: ingest signals them": deliveries,
    }
    return [line.format(count) for line, count in lines.items() if count]


async def _start(connection: AsyncConnection, sources: Sources, ids: Collection[str]) -> list[str]:
    if not ids:
        return []
    runs: OpenRuns = sources.runs
    for row in await RepairRepository(connection).runs_to_start(list(ids)):
        await runs.start(RunToStart(**{**row, "channel": row["channel"] or sources.settings.channels[0]}))
    return [f"{len(ids)} workflows started from the stored state"]


def _waits(violations: Sequence[Violation]) -> list[str]:
    """What is marked as it should be and waits for a part that does not seem to run."""
    waits = {
        RULE_UNPUBLISHED: "events wait for dispatch: is it running?",
        UNSENT.rule: "deliveries wait for ingest: is it running?",
    }
    counts = {rule: sum(one.rule == rule for one in violations) for rule in waits}
    return [f"{count} {waits[rule]}" for rule, count in counts.items() if count]
