"""What brought a change about: a record on a topic."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Cause:
    """The record on a topic that a message was made from."""

    topic: str
    event_id: str
    occurred_at: datetime  # business time
    channel: str | None = None
