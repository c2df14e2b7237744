"""What a story expects on the stream, and whether it is there."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from simulators.demo.journal import Journal, belongs_to_story
from simulators.stream import Event
from simulators.topics import Position


class Expectation(Protocol):
    """Something that must come to be seen. ``key`` is what its news comes under."""

    @property
    def key(self) -> str:
        """What the journal rings when there may be news."""

    @property
    def expected(self) -> str:
        """What must be seen, in words."""

    def seen(self, journal: Journal) -> str:
        """Return what is seen now, in the same words."""


def is_met(expectation: Expectation, journal: Journal) -> bool:
    """Return whether what is seen is exactly what is expected."""
    return expectation.seen(journal) == expectation.expected


@dataclass(frozen=True, slots=True)
class InputReported:
    """Exactly one error event about one record that was written, known by its event id or by where it lies."""

    event_type: str
    position: Position | None = None
    event_id: str | None = None

    @property
    def key(self) -> str:
        """News comes under the type."""
        return self.event_type

    @property
    def expected(self) -> str:
        """The type, once."""
        return self.event_type

    def seen(self, journal: Journal) -> str:
        """Return the types of all errors about this record."""
        return " → ".join(event.event_type for event in journal.others if self.is_about(event)) or "nothing"

    def is_about(self, event: Event) -> bool:
        """Return whether an event is about the record."""
        if not event.event_type.startswith("error."):
            return False
        if self.event_id is not None:
            return event.text("eventId") == self.event_id
        lies = (event.payload.get("topic"), event.payload.get("partition"), event.payload.get("offset"))
        at = self.position
        return at is not None and lies == (at.topic, at.partition, at.offset)


@dataclass(slots=True)
class RefusalsCounted:
    """The attempts of all ``issue.blocked`` of a product add up to the 409 answers that were given."""

    product: str
    refused: int = 0

    @property
    def key(self) -> str:
        """News comes under the type."""
        return "issue.blocked"

    @property
    def expected(self) -> str:
        """The answers, counted where they arrived."""
        return f"issue.blocked, {self.refused:,} attempts in all"

    def seen(self, journal: Journal) -> str:
        """Return the attempts that the stream has."""
        blocked = (one for one in journal.others if one.event_type == "issue.blocked")
        attempts = sum(int(one.payload["attempts"]) for one in blocked if one.product == self.product)
        return f"issue.blocked, {attempts:,} attempts in all"


@dataclass(frozen=True, slots=True)
class NothingFollows:
    """The events of certificates and inputs up to a moment stay all that there are of them."""

    messages: int
    certificates: Mapping[str, int]
    others: int

    @classmethod
    def after(cls, messages: int, journal: Journal) -> "NothingFollows":
        """Return the expectation from now on, because of so many messages that were known before."""
        counts = {certificate_id: len(events) for certificate_id, events in journal.events.items()}
        return cls(messages, counts, len(journal.others))

    @property
    def key(self) -> str:
        """News would come under any certificate; this is looked at in the end."""
        return "nothing"

    @property
    def expected(self) -> str:
        """Nothing, and of how much."""
        return f"nothing after {self.messages:,} messages"

    def seen(self, journal: Journal) -> str:
        """Return the types of the events that came all the same."""
        since = [event for of, known in self.certificates.items() for event in journal.events[of][known:]]
        since += [event for event in journal.others[self.others :] if event.event_type.startswith("error.")]
        types = " → ".join(event.event_type for event in since if belongs_to_story(event))
        return f"{types or 'nothing'} after {self.messages:,} messages"
