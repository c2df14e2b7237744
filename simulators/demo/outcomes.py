"""The whole public story of one sale, as expected and as its events show it."""

from dataclasses import dataclass, replace

from simulators.demo.journal import Journal, label
from simulators.money import money_text
from simulators.service import Reservation
from simulators.stream import Event


@dataclass(frozen=True, slots=True)
class Outcome:
    """The whole public story of one sale: its events in order, and how the certificate stands at the end.

    ``left`` is the balance in minor units, where the story is about it. ``otherwise`` is the story where the topics
    were read in another order; the buyer's outcome is the same.
    """

    events: tuple[str, ...]
    status: str
    refund_state: str = "none"
    left: int | None = None
    otherwise: "Outcome | None" = None

    @property
    def writes_a_letter(self) -> bool:
        """Whether CRM is asked to write to the client."""
        return "notification.requested" in self.events

    @property
    def keeps_its_price(self) -> bool:
        """Whether the price of the line is revenue in the end."""
        return "issue.completed" in self.events and "refund.completed" not in self.events

    def then(
        self,
        *events: str,
        status: str | None = None,
        refund_state: str | None = None,
        left: int | None = None,
    ) -> "Outcome":
        """Return the story that goes on like this."""
        all_events = self.events + events
        return Outcome(all_events, status or self.status, refund_state or self.refund_state, left)

    def __str__(self) -> str:
        life = " → ".join(event.removeprefix("issue.") for event in _shortened(self.events))
        refund = "" if self.refund_state == "none" else f", refund {self.refund_state}"
        left = "" if self.left is None else f", {money_text(self.left)} left"
        return f"{life} = {self.status}{refund}{left}"


_SALE = ("issue.reserved", "issue.ordered", "issue.completed", "notification.requested")
SOLD_MEANS = f"sold: {' → '.join(event.removeprefix('issue.') for event in _SALE)}"


def _shortened(events: tuple[str, ...]) -> tuple[str, ...]:
    """Return a story that begins with a sale without the steps of that, which nobody reads forty times."""
    return ("sold", *events[len(_SALE) :]) if events[: len(_SALE)] == _SALE else events


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
        so_far = str(self._told(life))
        return self.expected if so_far in map(str, self._stories) else so_far

    def _told(self, life: list[Event]) -> Outcome:
        """Return the story as its events show it, with the balance only where that is expected too."""
        last = life[-1]
        seen = Outcome(tuple(map(label, life)), last.status or "unknown", last.refund_state or "none")
        balance = last.balance.amount if last.balance else 0
        return seen if self.outcome.left is None else replace(seen, left=balance)

    @property
    def _stories(self) -> tuple[Outcome, ...]:
        one = self.outcome
        return (one, one.otherwise) if one.otherwise else (one,)
