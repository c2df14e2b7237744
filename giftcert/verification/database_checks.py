"""The checks that SQL answers, and of which Temporal has to confirm some."""

import asyncio
from collections.abc import Collection, Sequence
from datetime import datetime

from giftcert.storage.verification import certificate_checks, whole_checks
from giftcert.storage.verification.checks import Check, CheckRepository
from giftcert.temporal.runs import CertificateRuns
from giftcert.verification.scope import Scope

ASKED_AT_ONCE = 16
SUSPECTS_AT_ONCE = 500


async def check_page(scope: Scope, certificate_ids: Sequence[str], inbox_since: datetime) -> set[str]:
    """Check certificates; return those whose workflow seems to be missing, which Temporal has to confirm."""
    for check in certificate_checks.OF_PAGE:
        await _ask(scope, check, certificate_ids)
    await _ask(scope, certificate_checks.OVERDUE, certificate_ids, scope.cutoff.patient_until)
    await _ask(scope, certificate_checks.CAUSE_UNKNOWN, certificate_ids, inbox_since)
    repository = CheckRepository(scope.session)
    disclosures, events = await repository.count(certificate_checks.COUNT_OF_PAGE, certificate_ids)
    scope.findings.check(disclosures, 8)
    scope.findings.check(events, 10)
    without_run, _ = await repository.ask(certificate_checks.NO_RUN, certificate_ids)
    return {one.subject for one in without_run}


async def check_runs(scope: Scope, suspects: Collection[str], runs: CertificateRuns) -> None:
    """Take in whose workflow still misses when Temporal itself was asked: its list lags behind.

    A workflow that ends between the list and our look leaves nothing that misses it, one that begins is open.
    """
    ids = sorted(suspects)
    for start in range(0, len(ids), SUSPECTS_AT_ONCE):
        closed = await _closed(ids[start : start + SUSPECTS_AT_ONCE], runs)
        again, _ = await CheckRepository(scope.session).ask(certificate_checks.NO_RUN, closed)
        still = await _closed([one.subject for one in again], runs)
        scope.findings.add_all(one for one in again if one.subject in still)


async def check_whole(scope: Scope, since: datetime, first_event: str, *, all_of_it: bool) -> None:
    """Check everything that came since an instant, and counts."""
    await _ask(scope, whole_checks.POOL_COUNT)
    await _ask(scope, whole_checks.SHARD_MISSING)
    await _ask(scope, whole_checks.PENDING, scope.cutoff.patient_until)
    await _ask(scope, whole_checks.ORDER_LOST, since)
    await _ask(scope, whole_checks.QUARANTINE_UNREPORTED, first_event, since)
    await _ask(scope, whole_checks.PUBLISHED_UNRECORDED)
    if all_of_it:
        await _ask(scope, whole_checks.BATCH_UNRECORDED)
        await _ask(scope, whole_checks.STRANGER_PUBLISHED)
        await _ask(scope, whole_checks.PAYMENT_LEFT_BEHIND)
    products, inputs, quarantined = await CheckRepository(scope.session).count(whole_checks.COUNTS, since)
    scope.findings.check(products, 1)
    scope.findings.check(inputs + quarantined, 9)


async def _ask(scope: Scope, check: Check, *parameters: Sequence[str] | datetime) -> None:
    found, count = await CheckRepository(scope.session).ask(check, *parameters)
    scope.findings.add_all(found)
    scope.findings.add_uncounted(check.invariant, count - len(found))


async def _closed(certificate_ids: Sequence[str], runs: CertificateRuns) -> list[str]:
    slots = asyncio.Semaphore(ASKED_AT_ONCE)

    async def is_open(certificate_id: str) -> bool:
        async with slots:
            return await runs.is_open(certificate_id)

    answers = await asyncio.gather(*map(is_open, certificate_ids))
    return [one for one, is_running in zip(certificate_ids, answers, strict=True) if not is_running]
