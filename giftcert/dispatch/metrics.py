"""What dispatch counts."""

from prometheus_client import Counter, Gauge, Histogram

PUBLISHED = Counter("giftcert_dispatch_published", "Events acknowledged by the stream")
FAILURES = Counter("giftcert_dispatch_failures", "Cycles that failed and began again", ["part"])
LAG = Histogram(
    "giftcert_dispatch_lag_seconds",
    "From an event's commit to its acknowledgement",
    buckets=(0.005, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30, 300),
)
OLDEST = Gauge("giftcert_dispatch_oldest_unpublished_seconds", "Age of the event that waits longest")
