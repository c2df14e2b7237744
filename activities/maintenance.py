"""Activities of the scheduled workflows."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import activity

from activities.sweeping import (
    DROP_PAYMENT_DAYS,
    FORGET_IDEMPOTENCY_KEYS,
    RECONCILE,
    RELEASE_LAPSED_RESERVATIONS,
    Reconciled,
    Reconciliation,
)
from giftcert.clock import utc_now
from giftcert.security import keyring_of
from giftcert.settings import Settings
from giftcert.storage.idempotency import IdempotencyRepository
from giftcert.storage.reservations import ReservationRepository
from giftcert.storage.unmatched_payments import UnmatchedPaymentRepository
from giftcert.verification.alerts import Alerts
from giftcert.verification.runs import OpenRuns
from giftcert.verification.verify import Progress, Sources, verify
from giftcert.verification.violations import Findings

BATCH = 500
KEYS_AT_ONCE = 5_000
BEAT_SECONDS = 20.0

_log = structlog.get_logger(__name__)


class MaintenanceActivities:
    """Maintenance on one process's connections; each activity may run twice without harm."""

    def __init__(self, engine: AsyncEngine, settings: Settings, runs: OpenRuns) -> None:
        self._engine = engine
        self._settings = settings
        self._runs = runs

    @property
    def all(self) -> list[Callable[..., Any]]:
        """All activities, for a worker."""
        return [
            self.release_lapsed_reservations,
            self.forget_idempotency_keys,
            self.drop_payment_days,
            self.reconcile,
        ]

    @activity.defn(name=RELEASE_LAPSED_RESERVATIONS)
    async def release_lapsed_reservations(self) -> int:
        """Give one batch of lapsed reservations back to the pool; return how many went."""
        async with self._engine.begin() as connection:
            return await ReservationRepository(connection).release_lapsed(BATCH, utc_now())

    @activity.defn(name=FORGET_IDEMPOTENCY_KEYS)
    async def forget_idempotency_keys(self) -> int:
        """Forget one batch of keys that count no more; return how many."""
        async with self._engine.begin() as connection:
            return await IdempotencyRepository(connection).forget(utc_now(), KEYS_AT_ONCE)

    @activity.defn(name=DROP_PAYMENT_DAYS)
    async def drop_payment_days(self) -> list[str]:
        """Drop the days of unmatched payments beyond the horizon; return the names of their partitions.

        Raises:
            asyncpg.LockNotAvailableError: the table is too busy; Temporal tries again.
        """
        first_kept = utc_now().date() - self._settings.payment_horizon
        async with self._engine.begin() as connection:
            return await UnmatchedPaymentRepository(connection).drop_before(first_kept)

    @activity.defn(name=RECONCILE)
    async def reconcile(self, what: Reconciliation) -> Reconciled:
        """Hold a sample or everything against the invariants, and tell the stream what is newly wrong."""
        sources = Sources(
            engine=self._engine,
            settings=self._settings,
            keyring=keyring_of(self._settings),
            runs=self._runs,
        )
        async with _signs_of_life() as progress:
            findings = await verify(sources, progress, what.sample)
        alerts = Alerts(self._engine, self._settings)
        told = await alerts.tell(findings, utc_now(), whole=what.sample is None)
        _log_result(findings, told)
        violations = {str(number): count for number, count in findings.counts.items() if count}
        return Reconciled(violations, told)


@asynccontextmanager
async def _signs_of_life() -> AsyncIterator[Progress]:
    """Give what takes progress in; Temporal hears of it regularly, also while one question takes long."""
    last: tuple[object, ...] = ("begun",)

    def progress(*now: object) -> None:
        nonlocal last
        last = now

    async def beat() -> None:
        while True:
            activity.heartbeat(*last)
            await asyncio.sleep(BEAT_SECONDS)

    task = asyncio.create_task(beat())
    try:
        yield progress
    finally:
        task.cancel()


def _log_result(findings: Findings, told: int) -> None:
    if findings.hold:
        _log.info("all invariants hold", checked=findings.checked)
    else:
        _log.error("invariants are violated", violations=findings.counts, told=told)
