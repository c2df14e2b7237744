"""Activities of the maintenance workflows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog
from temporalio import activity
from temporalio.client import Client

from activities.payloads import Reconciled
from giftcert.clock import Clock, utc_now
from giftcert.contracts.notices import BatchSource, DisclosureAlertReason, DisclosureUnusual
from giftcert.domain.rate_limits import is_unusual
from giftcert.lifecycle.change import Lifecycle
from giftcert.lifecycle.key_rotation import KeyRotation
from giftcert.lifecycle.retirement import retire_next
from giftcert.security.keys import keyring_of
from giftcert.settings import Settings
from giftcert.storage.audit_chain import AuditChainRepository
from giftcert.storage.database import Connection, Database
from giftcert.storage.day_partitions import drop_before
from giftcert.storage.disclosures import DisclosureRepository
from giftcert.storage.guesses import GuessRepository
from giftcert.storage.idempotency import IdempotencyRepository
from giftcert.storage.low_pools import LowPoolRepository, target_of
from giftcert.storage.operations import OperationRepository
from giftcert.storage.pool import PoolCount, PoolRepository
from giftcert.storage.pool_changes import PoolChangeRepository
from giftcert.storage.product_snapshots import record_next
from giftcert.storage.products import ProductRepository
from giftcert.storage.quarantine import QuarantineRepository
from giftcert.storage.reservations import ReservationRepository
from giftcert.temporal.runs import CertificateRuns
from giftcert.temporal.workflow_starts import Reconciliation, send_wakes
from giftcert.verification.alerts import report
from giftcert.verification.pace import BESIDE_SALES
from giftcert.verification.verify import Sources, verify

RESERVATIONS_AT_ONCE = 500
KEYS_AT_ONCE = 5_000
EVENTS_AT_ONCE = 2_000
REPLENISHED_AT_ONCE = 20_000
"""A batch that is made in a second or two: claims of the product go on meanwhile."""
RESEALING_TIME = timedelta(seconds=20)

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class MaintenanceActivities:
    """Maintenance on one process's connections; each activity may run twice without harm."""

    database: Database
    settings: Settings
    lifecycle: Lifecycle
    client: Client
    clock: Clock = utc_now

    @property
    def all(self) -> list[Callable[..., Any]]:
        """All activities, for a worker."""
        return [
            self.release_lapsed_reservations,
            self.forget_idempotency_keys,
            self.drop_days,
            self.reconcile,
            self.retire_batch,
            self.watch_pool,
            self.replenish_pool,
            self.report_unusual_disclosures,
            self.link_events,
            self.record_snapshots,
            self.reseal,
        ]

    @activity.defn
    async def release_lapsed_reservations(self) -> int:
        """Give one batch of lapsed reservations back to the pool; return how many went."""
        async with self.database.transaction() as connection:
            return await ReservationRepository(connection).release_lapsed(RESERVATIONS_AT_ONCE, self.clock())

    @activity.defn
    async def retire_batch(self) -> int:
        """Retire the next certificates of the oldest operation that is not finished; return 0 if there is none."""
        async with self.database.connection() as connection:
            unfinished = await OperationRepository(connection).unfinished()
        if not unfinished:
            return 0
        retired = await retire_next(self.lifecycle, unfinished[0], self.clock())
        await send_wakes(self.client, retired.wakes)
        return 1

    @activity.defn
    async def watch_pool(self) -> int:
        """Add up what changed in the pool, and report each product that has become low; return how many."""
        now = self.clock()
        async with self.database.transaction() as connection:
            await PoolChangeRepository(connection).fold(now)
        async with self.database.transaction() as connection:
            counts = await self._count_pool(connection, now)
            return await LowPoolRepository(connection).report(counts, now, self.settings.pool_replenish_to)

    @activity.defn
    async def replenish_pool(self) -> int:
        """Make certificates of one low product that is filled up by itself; return how many, 0 if there is none."""
        now = self.clock()
        async with self.database.transaction() as connection:
            low = await LowPoolRepository(connection).lock()
            products = await ProductRepository(connection).all()
            for count in await self._count_pool(connection, now):
                product = products[count.product]
                target = target_of(product, self.settings.pool_replenish_to) or 0
                missing = min(target - count.available, REPLENISHED_AT_ONCE)
                if product.id in low and missing > 0:
                    pool, keyring = PoolRepository(connection), self.lifecycle.keyring
                    await pool.check_keyring(keyring)
                    await pool.generate(product, missing, keyring, now, source=BatchSource.REPLENISH)
                    return missing
        return 0

    async def _count_pool(self, connection: Connection, now: datetime) -> Sequence[PoolCount]:
        settings = self.settings
        return await PoolRepository(connection).counts(
            now, settings.cooling_period, settings.pool_low_threshold
        )

    @activity.defn
    async def reseal(self) -> int:
        """Carry a rotation of keys on for a while; return how much was sealed anew, 0 if nothing is left to seal."""
        rotation = KeyRotation(
            self.database, self.lifecycle.keyring, self.settings.general_stream_key, self.clock
        )
        if not await rotation.unfinished():
            return 0
        done = await rotation.reseal(lambda _: None, until=self.clock() + RESEALING_TIME)
        if not done:
            await rotation.wake_runs(partial(send_wakes, self.client), self.settings.channels[0])
            await rotation.conclude()
        return done

    @activity.defn
    async def forget_idempotency_keys(self) -> int:
        """Forget one batch of keys that count no more; return how many."""
        async with self.database.transaction() as connection:
            return await IdempotencyRepository(connection).forget(self.clock(), KEYS_AT_ONCE)

    @activity.defn
    async def drop_days(self) -> int:
        """Drop days of unmatched payments and of originals beyond their horizon; return how many days went.

        Old guesses at numbers go with them, and what quarantined records held that were closed so long ago. Where a
        table is too busy Temporal tries again.
        """
        now = self.clock()
        payments_kept = now.date() - self.settings.payment_horizon
        originals_kept = now.date() - self.settings.inbox_retention
        async with self.database.transaction() as connection:
            await GuessRepository(connection).forget(now - self.settings.guess_policy.remembered)
            await QuarantineRepository(connection).empty_closed(now - self.settings.inbox_retention)
            payments = await drop_before(connection, "unmatched_payments", payments_kept)
            originals = await drop_before(connection, "inbox", originals_kept)
        return len(payments) + len(originals)

    @activity.defn
    async def link_events(self) -> int:
        """Link one batch of events into the audit chain; return how many.

        The newest seal is logged: who shortens the chain cannot change the logs that are kept elsewhere.
        """
        async with self.database.transaction() as connection:
            chain = AuditChainRepository(connection, keyring_of(self.settings))
            link = await chain.link_next(EVENTS_AT_ONCE, self.clock())
        if link is None:
            return 0
        _log.info("events linked", link=link.number, events=len(link.event_ids), seal=link.seal.hex())
        return len(link.event_ids)

    @activity.defn
    async def record_snapshots(self) -> int:
        """Record how each product stood at the next instant that is due; return of how many, 0 if none is."""
        return await record_next(self.database, self.settings.snapshot_every)

    @activity.defn
    async def report_unusual_disclosures(self) -> int:
        """Report callers that got far more CVCs in an hour than in any of the week before; return how many."""
        now, usual = self.clock(), self.settings.disclosures_never_unusual
        async with self.database.transaction() as connection:
            disclosures, reported = DisclosureRepository(connection), 0
            for one in await disclosures.busy_hours(now, usual):
                if is_unusual(one.disclosed, one.busiest, usual):
                    alert = DisclosureUnusual(
                        disclosed_to=one.disclosed_to,
                        reason=DisclosureAlertReason.FAR_MORE_THAN_USUAL,
                        count=one.disclosed,
                        since=one.hour,
                        usual=one.busiest,
                    )
                    key = self.settings.general_stream_key
                    reported += await disclosures.report(alert, one.hour, now, key)
        return reported

    @activity.defn
    async def reconcile(self, what: Reconciliation) -> Reconciled:
        """Check a sample or everything by the invariants, and report on the stream what is newly wrong."""
        sources = Sources(
            database=self.database,
            settings=self.settings,
            keyring=keyring_of(self.settings),
            runs=CertificateRuns(self.client),
            rest=BESIDE_SALES,
        )
        findings = await verify(sources, activity.heartbeat, what.sample)
        whole = what.sample is None
        reported = await report(self.database, self.settings, findings, self.clock(), whole=whole)
        if findings.hold:
            _log.info("all invariants hold", checked=findings.checked)
        else:
            _log.error("invariants are violated", violations=findings.counts, reported=reported)
        violations = {str(number): count for number, count in findings.counts.items() if count}
        return Reconciled(violations, reported)
