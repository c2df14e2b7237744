"""Figures of a process's use of PostgreSQL for Prometheus: transactions, conflicts, connections."""

import asyncpg
from prometheus_client import Counter, Gauge, Histogram

TRANSACTION_SECONDS = Histogram(
    "giftcert_transaction_seconds",
    "Time of a transaction on PostgreSQL, from BEGIN to its end",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 20),
)
CONNECTIONS = Gauge("giftcert_database_connections", "Connections to PostgreSQL that are being used")
_FAILURES = Counter(
    "giftcert_database_failures_total",
    "Failures on connections to PostgreSQL: serialization, deadlock, lock, unique (races); timeout, away; refused",
    ["kind"],
)
_KINDS = {
    "40001": "serialization",
    "40P01": "deadlock",
    "55P03": "lock",
    "23505": "unique",
    "57014": "timeout",
    "25P03": "timeout",
}
_AWAY_STATES = ("08", "53", "57")
for _kind in ("serialization", "deadlock", "lock", "unique", "timeout", "away", "refused"):
    _FAILURES.labels(_kind)  # so that a rate is there before the first


def count_failure(error: BaseException) -> None:
    """Count an error by what it means for who tries again."""
    _FAILURES.labels(_kind_of(error)).inc()


def _kind_of(error: BaseException) -> str:
    if not isinstance(error, asyncpg.PostgresError):
        return "away"
    state = error.sqlstate or ""
    return _KINDS.get(state) or ("away" if state.startswith(_AWAY_STATES) else "refused")
