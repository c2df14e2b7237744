"""Reports violations and stuck workflows on the stream, each once while it stands, under what it is about."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from giftcert.contracts.notices import (
    Component,
    FailureReason,
    InvariantViolated,
    ProcessingFailed,
    WorkflowStuck,
    about_certificate,
    about_input,
    about_product,
)
from giftcert.settings import Settings
from giftcert.storage.certificates import CertificateRepository, UnknownCertificateError
from giftcert.storage.database import DATABASE_ERRORS, Connection, Database
from giftcert.storage.events import EventRepository
from giftcert.storage.known_violations import STUCK, KnownViolationRepository
from giftcert.storage.verification.checks import Violation
from giftcert.temporal.runs import StuckRun
from giftcert.verification.violations import INVARIANTS, Findings

REPORTED_AT_ONCE = 100
"""Of one invariant in one run; the rest is reported by the runs that follow, if it still stands."""
STUCK_LASTS = timedelta(minutes=2)
"""A workflow that no process has seen stuck for so long goes on again."""


async def report(
    database: Database, settings: Settings, findings: Findings, now: datetime, *, whole: bool
) -> int:
    """Report what is new; what a verification of everything no longer finds is reported again when it comes back.

    Returns:
        How many alerts there are.
    """
    async with database.transaction() as connection:
        keys = [one.key for one in findings.violations]
        known = await KnownViolationRepository(connection).seen_again(keys, now)
    reported, left = 0, dict.fromkeys(INVARIANTS, REPORTED_AT_ONCE)
    for one in findings.violations:
        if one.key in known or not left[one.invariant]:
            continue
        left[one.invariant] -= 1
        async with database.transaction() as connection:
            if await KnownViolationRepository(connection).note(one.key, now):
                await _append(connection, settings, one, now)
                reported += 1
    if whole and findings.are_all_named:
        async with database.transaction() as connection:
            await KnownViolationRepository(connection).forget_not_seen_since(now)
    return reported


async def report_stuck(
    database: Database, settings: Settings, runs: Sequence[StuckRun], now: datetime
) -> int:
    """Report workflows that have become stuck; return how many there are. The rest of many comes with the next look."""
    stuck = {f"{STUCK}{one.workflow_id} {one.run_id}": one for one in runs}
    async with database.transaction() as connection:
        repository = KnownViolationRepository(connection)
        known = await repository.seen_again(list(stuck), now)
        await repository.forget_stuck(now - STUCK_LASTS)
    new = [(key, one) for key, one in stuck.items() if key not in known][:REPORTED_AT_ONCE]
    for key, one in new:
        async with database.transaction() as connection:
            if await KnownViolationRepository(connection).note(key, now):
                await _append_stuck(connection, settings, one, now)
    return len(new)


async def _append_stuck(connection: Connection, settings: Settings, run: StuckRun, now: datetime) -> None:
    alert = WorkflowStuck(problems=run.problems, web_url=settings.url_of_workflow(run.workflow_id))
    if run.certificate_id and await _append_to_certificate(connection, run.certificate_id, alert, now):
        return
    failed = ProcessingFailed(
        reason=FailureReason.WORKFLOW_STUCK,
        detail=f"{run.workflow_id}: {', '.join(run.problems)}",
        component=Component.WORKFLOW,
    )
    await EventRepository(connection).append_keyed(settings.general_stream_key, [about_input(failed, now)])


async def _append(connection: Connection, settings: Settings, violation: Violation, now: datetime) -> None:
    subject, events = violation.subject, EventRepository(connection)
    of_certificate = violation.kind == "certificate"
    notice = InvariantViolated(
        invariant=violation.invariant,
        rule=violation.rule,
        subject=f"{violation.kind} {subject}",
        detail=f"{INVARIANTS[violation.invariant]}: expected {violation.expected}; seen {violation.seen}",
        web_url=settings.workflow_url(subject) if of_certificate else None,
    )
    if of_certificate and await _append_to_certificate(connection, subject, notice, now):
        return
    if violation.kind == "product":
        await events.append_keyed(subject, [about_product(notice, subject, now)])
    else:
        key = subject if violation.kind == "input" else settings.general_stream_key
        await events.append_keyed(key, [about_input(notice, now)])


async def _append_to_certificate(
    connection: Connection, certificate_id: str, notice: InvariantViolated | WorkflowStuck, now: datetime
) -> bool:
    """Report under the certificate; return ``False`` where just what is wrong with it does not let that be."""
    try:
        async with connection.transaction():
            stored = await CertificateRepository(connection).load(certificate_id)
            record = about_certificate(notice, stored.state, now)
            await EventRepository(connection).append(certificate_id, [record])
    except (*DATABASE_ERRORS, UnknownCertificateError, ValueError):
        return False
    return True
