"""What a story expects the stream to tell, and whether it does."""

from dataclasses import dataclass
from typing import Protocol

from simulators.demo.journal import Journal, label
from simulators.service import Reservation
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
class Outcome:
    """The whole public story of one sale: its events in order, and how the certificate stands at the end.

    ``otherwise`` is the story where the topics were read in another order; the buyer's outcome is the same.
    """

    events: tuple[str, ...]
    status: str
    refund_state: str = "none"
    otherwise: "Outcome | None" = None

    @property
    def writes_a_letter(self) -> bool:
        """Whether CRM is asked to write to the client."""
        return "notification.requested" in self.events

    @property
    def keeps_its_price(self) -> bool:
        """Whether the price of the line is revenue in the end."""
        return "issue.completed" in self.events and "refund.completed" not in self.events

    def then(self, *events: str, status: str | None = None, refund_state: str | None = None) -> "Outcome":
        """Return the story that goes on like this."""
        return Outcome(self.events + events, status or self.status, refund_state or self.refund_state)

    def __str__(self) -> str:
        told = " → ".join(event.removeprefix("issue.") for event in self.events)
        refund = "" if self.refund_state == "none" else f", refund {self.refund_state}"
        return f"{told} = {self.status}{refund}"


RESERVED = Outcome(("issue.reserved",), "reserved")
ORDERED = RESERVED.then("issue.ordered", status="ordered")
ISSUED = ORDERED.then("issue.completed", "notification.requested", status="issued")


@dataclass(frozen=True, slots=True)
class CertificateTells:
    """The events from one reservation on."""

    reservation: Reservation
    outcome: Outcome

    @property
    def key(self) -> str:
        """News comes under the certificate."""
        return self.reservation.certificate_id

    @property
    def expected(self) -> str:
        """The story, or either of two."""
        return " or ".join(map(str, self._stories))

    def seen(self, journal: Journal) -> str:
        """Return the story so far."""
        life = journal.life(self.reservation)
        if not life:
            return "nothing"
        last = life[-1]
        so_far = Outcome(tuple(map(label, life)), last.status or "unknown", last.refund_state or "none")
        return self.expected if str(so_far) in map(str, self._stories) else str(so_far)

    @property
    def _stories(self) -> tuple[Outcome, ...]:
        one = self.outcome
        return (one, one.otherwise) if one.otherwise else (one,)


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
        return f"issue.blocked, {self.refused} attempts in all"

    def seen(self, journal: Journal) -> str:
        """Return the attempts that the stream tells of."""
        blocked = (one for one in journal.others if one.event_type == "issue.blocked")
        attempts = sum(int(one.payload["attempts"]) for one in blocked if one.product == self.product)
        return f"issue.blocked, {attempts} attempts in all"
