"""The one activity of a certificate's workflow: the one transaction, and the signals to others after its commit."""

from dataclasses import dataclass, replace

from temporalio import activity
from temporalio.client import Client
from temporalio.exceptions import ApplicationError

from activities.payloads import Advance
from giftcert.clock import Clock, utc_now
from giftcert.lifecycle.change import Lifecycle, UnknownCertificateError
from giftcert.lifecycle.snapshot import Snapshot
from giftcert.temporal.workflow_starts import send_wakes


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
            seen = await self.lifecycle.advance(
                look.certificate_id, now, timer_at=look.timer_at, sealed_by=look.sealed_by
            )
        except UnknownCertificateError as error:
            message = f"no certificate {look.certificate_id} in the database"
            raise ApplicationError(message, type="UnknownCertificate", non_retryable=True) from error
        await send_wakes(self.client, seen.wakes)
        return replace(seen, wakes=())
