"""Figures of the business for Prometheus: certificates, pool, refunds and quarantine, read from PostgreSQL.

Every ingest process reads them, so that they are there as long as one runs; whoever adds up processes takes the
greatest. The statements read what is kept added up (ADR 86) and what is open, along indexes.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from prometheus_client import Gauge

from giftcert.clock import Clock, utc_now
from giftcert.settings import Settings
from giftcert.storage.database import Database
from giftcert.storage.pool import PoolCount, PoolRepository
from giftcert.storage.quarantine import QuarantineRepository
from giftcert.storage.refund_cases import RefundCaseRepository

EVERY_SECONDS = 15.0
PART = "figures"
_CERTIFICATES = Gauge("giftcert_certificates", "Certificates by product and status", ["product", "status"])
_LOW = Gauge(
    "giftcert_pool_low_threshold", "Available certificates below which a pool counts as low", ["product"]
)
_COOLING = Gauge(
    "giftcert_pool_cooling", "Available certificates that still rest after a release", ["product"]
)
_TO_EMPTY = Gauge(
    "giftcert_pool_time_to_empty_seconds",
    "Until a pool is empty if it goes on as it was sold in the last 24 hours; +Inf where nothing was",
    ["product"],
)
_REFUNDS = Gauge("giftcert_refunds_open", "Open refund cases by state", ["state"])
_REFUND_AGE = Gauge(
    "giftcert_refunds_oldest_seconds", "Age of the refund case that is open longest, by state", ["state"]
)
_QUARANTINE = Gauge("giftcert_quarantine_open", "Records in quarantine by reason", ["reason"])
_QUARANTINE_AGE = Gauge(
    "giftcert_quarantine_oldest_seconds", "Age of the record that lies longest in quarantine", ["reason"]
)
REFUND_STATES = ("requested", "awaitingCapture", "pendingDetails")


@dataclass(slots=True)
class Figures:
    """Reads the figures again and again."""

    database: Database
    settings: Settings
    clock: Clock = utc_now

    async def work(self) -> float:
        """Read all of them once; return how many seconds to wait until the next time."""
        settings, now = self.settings, self.clock()
        async with self.database.transaction() as connection:
            pool = await PoolRepository(connection).counts(
                now, settings.cooling_period, settings.pool_low_threshold
            )
            refunds = await RefundCaseRepository(connection).counts()
            quarantine = await QuarantineRepository(connection).counts()
        _show_pool(pool, now)
        none_open = {(state,): 0.0 for state in REFUND_STATES}
        _show(_REFUNDS, none_open | {(one.state,): float(one.count) for one in refunds})
        _show(_REFUND_AGE, none_open | {(one.state,): _age(one.since, now) for one in refunds})
        _show(_QUARANTINE, {(one.reason,): float(one.count) for one in quarantine})
        _show(_QUARANTINE_AGE, {(one.reason,): _age(one.since, now) for one in quarantine})
        return EVERY_SECONDS


def _show_pool(counts: Iterable[PoolCount], now: datetime) -> None:
    counts = list(counts)
    statuses = {
        (one.product, status): float(count) for one in counts for status, count in one.statuses.items()
    }
    _show(_CERTIFICATES, {(one.product, "available"): 0.0 for one in counts} | statuses)
    _show(_LOW, {(one.product,): float(one.low_threshold) for one in counts})
    _show(_COOLING, {(one.product,): float(one.cooling) for one in counts})
    _show(
        _TO_EMPTY,
        {
            (one.product,): (one.empty_at - now).total_seconds() if one.empty_at else math.inf
            for one in counts
        },
    )


def _age(since: datetime | None, now: datetime) -> float:
    return max(0.0, (now - since).total_seconds()) if since else 0.0


def _show(gauge: Gauge, values: Mapping[Any, float]) -> None:
    """Set a gauge, and leave out what is no longer there."""
    gauge.clear()
    for labels, value in values.items():
        gauge.labels(*labels).set(value)
