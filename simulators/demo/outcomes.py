"""The whole public story of one sale, as it is expected and as the stream tells it."""

from dataclasses import dataclass

from simulators.demo.journal import Journal, label
from simulators.service import Reservation


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
