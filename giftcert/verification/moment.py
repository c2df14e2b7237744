"""As of when a verification looks, and how far what it knows of the stream reaches."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """Instants by the clock of PostgreSQL.

    An event that was published between ``told_since`` (``None``: ever) and ``told_until`` is among what was read of the
    stream. What was recorded or sent before ``patient_until`` should be published, sent, applied by now.
    """

    told_until: datetime
    told_since: datetime | None
    patient_until: datetime

    def must_be_told(self, published_at: datetime | None) -> bool:
        """Return whether an event published then must have been read from the stream."""
        if published_at is None or published_at >= self.told_until:
            return False
        return self.told_since is None or published_at > self.told_since
