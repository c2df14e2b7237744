"""The one activity of a certificate's workflow: the one transaction, and the signals to others after its commit."""

from dataclasses import replace

from temporalio import activity
from temporalio.client import Client
from temporalio.exceptions import ApplicationError

from activities.payloads import ADVANCE, Advance
from giftcert.clock import Clock, utc_now
from giftcert.lifecycle.change import Lifecycle, UnknownCertificateError
from giftcert.lifecycle.snapshot import Snapshot
from giftcert.temporal.workflows import send_wakes


class CertificateActivities:
    """Activities on one process's connections. Run twice, ``advance`` has the effect of once."""

    def __init__(self, lifecycle: Lifecycle, client: Client, clock: Clock = utc_now) -> None:
        self._lifecycle = lifecycle
        self._client = client
        self._clock = clock

    @activity.defn(name=ADVANCE)
    async def advance(self, look: Advance) -> Snapshot:
        """Decide what is pending and due, and return what the certificate then looks like.

        Raises:
            ApplicationError: there is no such certificate; not to be tried again.
            DBAPIError: PostgreSQL is away; Temporal tries again.
        """
        now = max(look.now, self._clock())  # what is tried again for long was asked long ago
        try:
            seen = await self._lifecycle.advance(
                look.certificate_id, now, timer_at=look.timer_at, first=look.first
            )
        except UnknownCertificateError as error:
            message = f"no certificate {look.certificate_id} in the database"
            raise ApplicationError(message, type="UnknownCertificate", non_retryable=True) from error
        await send_wakes(self._client, seen.wakes)
        return replace(seen, wakes=())
