"""What all checks of one verification share, and as of when they look."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from giftcert.domain.policy import Policy
from giftcert.storage.verification.pages import RecordedEvent
from giftcert.storage.verification.session import Session
from giftcert.verification.secrets import SecretWatch
from giftcert.verification.violations import Findings

LONGEST_TRANSACTION = timedelta(minutes=1)
"""What was recorded longer ago than this is committed or never will be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cutoff:
    """Instants by the clock of PostgreSQL.

    An event that left the outbox between ``read_since`` (``None``: ever) and ``read_until`` is among what was read of
    the stream. What was recorded or made pending before ``patient_until`` should be published or decided by now.
    """

    read_until: datetime
    read_since: datetime | None
    patient_until: datetime

    def must_be_read(self, event: RecordedEvent) -> bool:
        """Return whether an event was on the stream before that was read: recorded, and not waiting any more."""
        recorded_at = event.stored.recorded_at
        if event.waits or event.waited or recorded_at >= self.read_until - LONGEST_TRANSACTION:
            return False
        return self.read_since is None or recorded_at > self.read_since


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """The session that a verification reads by, the policy of the service, and where its findings go."""

    session: Session
    policy: Policy
    cutoff: Cutoff
    secrets: SecretWatch
    findings: Findings
