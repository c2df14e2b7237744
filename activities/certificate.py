"""The one activity of a certificate's workflow: the one transaction, and the signals to others after its commit."""

from dataclasses import dataclass, replace

from prometheus_client import Counter, Histogram
from temporalio import activity
from temporalio.client import Client
from temporalio.exceptions import ApplicationError

from activities.payloads import Advance
from giftcert.clock import Clock, utc_now
from giftcert.lifecycle.change import Lifecycle, UnknownCertificateError
from giftcert.lifecycle.snapshot import Snapshot
from giftcert.temporal.workflow_starts import send_wakes

_SECONDS = Histogram(
    "giftcert_advance_seconds",
    "Time of the transaction in which a certificate decides what is pending and due",
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
)
_FAILURES = Counter("giftcert_advance_failures_total", "Such transactions that failed; Temporal tries again")


@dataclass(frozen=True)
class CertificateActivities:
    """Activities on one process's connections. Run twice, ``advance`` has the effect of once."""

    lifecycle: Lifecycle
    client: Client
    clock: Clock = utc_now

    @activity.defn
    async def advance(self, look: Advance) -> Snapshot:
        """Decide what is pending and due, and return what the certificate then looks like.

        Raises:
            ApplicationError: there is no such certificate; not to be tried again.
            asyncpg.PostgresError, OSError: PostgreSQL is away; Temporal tries again.
        """
        now = max(look.now, self.clock())  # what is tried again for long was asked long ago
        try:
            with _SECONDS.time(), _FAILURES.count_exceptions():
                seen = await self.lifecycle.advance(
                    look.certificate_id, now, timer_at=look.timer_at, sealed_by=look.sealed_by
                )
        except UnknownCertificateError as error:
            message = f"no certificate {look.certificate_id} in the database"
            raise ApplicationError(message, type="UnknownCertificate", non_retryable=True) from error
        await send_wakes(self.client, seen.wakes)
        return replace(seen, wakes=())
