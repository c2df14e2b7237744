"""The checks that SQL answers, and of which Temporal has to confirm some."""

import asyncio
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from giftcert.storage.verification import certificate_checks, whole_checks
from giftcert.storage.verification.checks import CheckRepository, Deviations
from giftcert.storage.verification.session import Session
from giftcert.temporal.runs import CertificateRuns
from giftcert.verification.cutoff import Cutoff
from giftcert.verification.violations import Findings, Violation

ASKED_AT_ONCE = 16
SUSPECTS_AT_ONCE = 500


class DatabaseChecks:
    """Runs checks, and takes what they find into the findings."""

    def __init__(self, session: Session, cutoff: Cutoff, findings: Findings) -> None:
        self._checks = CheckRepository(session)
        self._cutoff = cutoff
        self._findings = findings

    async def of_page(self, certificate_ids: Sequence[str], inbox_since: datetime) -> Collection[str]:
        """Check certificates; return those whose workflow seems to be missing, which Temporal has to confirm."""
        for check in certificate_checks.OF_PAGE:
            self._take(await self._checks.ask(check, certificate_ids))
        overdue = certificate_checks.OVERDUE
        self._take(await self._checks.ask(overdue, certificate_ids, self._cutoff.patient_until))
        causes = certificate_checks.CAUSE_UNKNOWN
        self._take(await self._checks.ask(causes, certificate_ids, inbox_since))
        figures = await self._checks.count(certificate_checks.COUNT_OF_PAGE, certificate_ids)
        self._findings.check(figures[0], 8)
        self._findings.check(figures[1], 10)
        return {one.subject for one in await self._without_run(certificate_ids)}

    async def of_runs(self, suspects: Iterable[str], runs: CertificateRuns) -> None:
        """Take in whose workflow still misses when Temporal itself was asked: its list lags behind.

        A workflow that ends between the list and our look leaves nothing that misses it, one that begins is open.
        """
        ids = sorted(suspects)
        for start in range(0, len(ids), SUSPECTS_AT_ONCE):
            closed = await _closed(ids[start : start + SUSPECTS_AT_ONCE], runs)
            again = await self._without_run(closed)
            still = await _closed({one.subject for one in again}, runs)
            self._findings.add_all(one for one in again if one.subject in still)

    async def of_whole(self, since: datetime, first_event: str, *, all_of_it: bool) -> None:
        """Check everything that came since an instant, and counts."""
        checks = self._checks
        self._take(await checks.ask(whole_checks.POOL_COUNT))
        self._take(await checks.ask(whole_checks.SHARD_MISSING))
        self._take(await checks.ask(whole_checks.PENDING, self._cutoff.patient_until))
        self._take(await checks.ask(whole_checks.ORDER_LOST, since))
        self._take(await checks.ask(whole_checks.QUARANTINE_UNREPORTED, first_event, since))
        self._take(await checks.ask(whole_checks.PUBLISHED_UNRECORDED))
        if all_of_it:
            self._take(await checks.ask(whole_checks.BATCH_UNRECORDED))
            self._take(await checks.ask(whole_checks.STRANGER_PUBLISHED))
            self._take(await checks.ask(whole_checks.PAYMENT_LEFT_BEHIND))
        figures = await checks.count(whole_checks.COUNTS, since)
        self._findings.check(figures[0], 1)
        self._findings.check(figures[1] + figures[2], 9)

    async def _without_run(self, certificate_ids: Collection[str]) -> list[Violation]:
        ids = list(certificate_ids)
        return [*_violations(await self._checks.ask(certificate_checks.NO_RUN, ids))] if ids else []

    def _take(self, answer: Deviations) -> None:
        self._findings.add_all(_violations(answer))
        self._findings.add_uncounted(answer.check.invariant, answer.count - len(answer.rows))


async def _closed(certificate_ids: Iterable[str], runs: CertificateRuns) -> set[str]:
    slots = asyncio.Semaphore(ASKED_AT_ONCE)

    async def is_open(certificate_id: str) -> bool:
        async with slots:
            return await runs.is_open(certificate_id)

    ids = list(certificate_ids)
    answers = await asyncio.gather(*(is_open(one) for one in ids))
    return {one for one, is_running in zip(ids, answers, strict=True) if not is_running}


def _violations(answer: Deviations) -> Iterable[Violation]:
    check = answer.check
    return [
        Violation(
            invariant=check.invariant,
            rule=check.rule,
            kind=check.kind,
            subject=one.subject,
            about=one.about,
            expected=one.expected,
            seen=one.seen,
        )
        for one in answer.rows
    ]
