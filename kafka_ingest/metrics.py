"""What ingest counts."""

from prometheus_client import Counter, Gauge, Histogram

RECORDS = Counter(
    "giftcert_ingest_records", "Records of the input topics by what came of them", ["topic", "outcome"]
)
BATCH_SECONDS = Histogram(
    "giftcert_ingest_batch_seconds",
    "Time to commit a batch to PostgreSQL",
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30),
)
BATCH_RECORDS = Histogram(
    "giftcert_ingest_batch_records", "Records of a batch", buckets=(1, 10, 100, 1_000, 2_000, 4_000, 8_000)
)
LAG = Gauge(
    "giftcert_ingest_lag_records", "Records of a topic that this process has still to commit", ["topic"]
)
RECHECKED = Gauge(
    "giftcert_ingest_rechecks", "1 while a new order or an erased client is still to be looked at again"
)
PENDING = Gauge("giftcert_ingest_pending", "Rows of work that waits for a certificate to decide on it")
SIGNALS = Counter("giftcert_ingest_signals", "Signals that Temporal has taken, by kind", ["kind"])
FAILURES = Counter("giftcert_ingest_failures", "Attempts that failed, by what failed", ["part"])
