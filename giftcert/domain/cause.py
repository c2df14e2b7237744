"""What brought a change about: a record on a topic."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Cause:
    """The record on a topic that a message was made from; ``occurred_at`` is its business time."""

    topic: str
    event_id: str
    occurred_at: datetime
    channel: str | None = None
