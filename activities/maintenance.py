"""Activities of the maintenance workflows."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import activity
from temporalio.client import Client

from activities import payloads
from activities.payloads import Reconciled
from giftcert.clock import Clock, utc_now
from giftcert.lifecycle.change import Lifecycle
from giftcert.lifecycle.retirement import retire_next
from giftcert.security import keyring_of
from giftcert.settings import Settings
from giftcert.storage.credentials import CredentialRepository
from giftcert.storage.day_partitions import drop_before
from giftcert.storage.idempotency import IdempotencyRepository
from giftcert.storage.operations import OperationRepository
from giftcert.storage.reservations import ReservationRepository
from giftcert.storage.unmatched_payments import UnmatchedPaymentRepository
from giftcert.temporal.runs import CertificateRuns
from giftcert.temporal.workflows import Reconciliation, send_wakes
from giftcert.verification.alerts import report
from giftcert.verification.verify import Progress, Sources, verify
from giftcert.verification.violations import Findings

RESERVATIONS_AT_ONCE = 500
KEYS_AT_ONCE = 5_000
HEARTBEAT_SECONDS = 20.0

_log = structlog.get_logger(__name__)


class MaintenanceActivities:
    """Maintenance on one process's connections; each activity may run twice without harm."""

    def __init__(
        self,
        engine: AsyncEngine,
        settings: Settings,
        lifecycle: Lifecycle,
        client: Client,
        clock: Clock = utc_now,
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._lifecycle = lifecycle
        self._client = client
        self._clock = clock

    @property
    def all(self) -> list[Callable[..., Any]]:
        """All activities, for a worker."""
        return [
            self.release_lapsed_reservations,
            self.forget_idempotency_keys,
            self.drop_days,
            self.reconcile,
            self.retire_batch,
        ]

    @activity.defn(name=payloads.RELEASE_LAPSED_RESERVATIONS)
    async def release_lapsed_reservations(self) -> int:
        """Give one batch of lapsed reservations back to the pool; return how many went."""
        async with self._engine.begin() as connection:
            return await ReservationRepository(connection).release_lapsed(RESERVATIONS_AT_ONCE, self._clock())

    @activity.defn(name=payloads.RETIRE_BATCH)
    async def retire_batch(self) -> int:
        """Retire the next certificates of the oldest operation that is not finished; return 0 if there is none."""
        async with self._engine.connect() as connection:
            unfinished = await OperationRepository(connection).unfinished()
        if not unfinished:
            return 0
        retired = await retire_next(self._lifecycle, self._engine, unfinished[0], self._clock())
        await send_wakes(self._client, retired.wakes)
        return 1

    @activity.defn(name=payloads.FORGET_IDEMPOTENCY_KEYS)
    async def forget_idempotency_keys(self) -> int:
        """Forget one batch of keys that count no more; return how many."""
        async with self._engine.begin() as connection:
            return await IdempotencyRepository(connection).forget(self._clock(), KEYS_AT_ONCE)

    @activity.defn(name=payloads.DROP_DAYS)
    async def drop_days(self) -> list[str]:
        """Drop days of unmatched payments and of originals beyond their horizon, and old guesses at numbers.

        Returns:
            The names of the dropped partitions.

        Raises:
            asyncpg.LockNotAvailableError: a table is too busy; Temporal tries again.
        """
        now = self._clock()
        payments_kept = now.date() - self._settings.payment_horizon
        originals_kept = now.date() - self._settings.inbox_retention
        async with self._engine.begin() as connection:
            await CredentialRepository(connection).forget(now - self._settings.guess_policy.remembered)
            payments = await UnmatchedPaymentRepository(connection).drop_before(payments_kept)
            return payments + await drop_before(connection, "inbox", originals_kept)

    @activity.defn(name=payloads.RECONCILE)
    async def reconcile(self, what: Reconciliation) -> Reconciled:
        """Hold a sample or everything against the invariants, and report on the stream what is newly wrong."""
        sources = Sources(
            engine=self._engine,
            settings=self._settings,
            keyring=keyring_of(self._settings),
            runs=CertificateRuns(self._client),
        )
        async with _heartbeats() as progress:
            findings = await verify(sources, progress, what.sample)
        whole = what.sample is None
        reported = await report(self._engine, self._settings, findings, self._clock(), whole=whole)
        _log_result(findings, reported)
        violations = {str(number): count for number, count in findings.counts.items() if count}
        return Reconciled(violations, reported)


@asynccontextmanager
async def _heartbeats() -> AsyncIterator[Progress]:
    """Give what takes progress in; Temporal hears of it regularly, also while one question takes long."""
    last: tuple[object, ...] = ("begun",)

    def progress(*now: object) -> None:
        nonlocal last
        last = now

    async def beat() -> None:
        while True:
            activity.heartbeat(*last)
            await asyncio.sleep(HEARTBEAT_SECONDS)

    task = asyncio.create_task(beat())
    try:
        yield progress
    finally:
        task.cancel()


def _log_result(findings: Findings, reported: int) -> None:
    if findings.hold:
        _log.info("all invariants hold", checked=findings.checked)
    else:
        _log.error("invariants are violated", violations=findings.counts, reported=reported)
