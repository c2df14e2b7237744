"""A certificate that is told messages one after another, as its workflow would tell them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar

from giftcert.domain import messages as m
from giftcert.domain.deadlines import next_deadline
from giftcert.domain.decide import decide
from giftcert.domain.events import Event, PublicEvent
from giftcert.domain.evolve import fold
from giftcert.domain.identifiers import NewId
from giftcert.domain.policy import Terms
from giftcert.domain.state import CertificateState, RefundCase, Sale, Status
from tests.unit.domain import factories as make

Told = TypeVar("Told")


def counting_ids() -> NewId:
    """Ids that are the same in every run."""
    numbers: Iterator[int] = iter(range(1, 10_000))
    return lambda: f"id-{next(numbers)}"


@dataclass
class Certificate:
    """``events`` has all that ever followed, ``last`` what followed from the last message."""

    state: CertificateState = field(default_factory=make.certificate)
    terms: Terms = field(default_factory=make.terms)
    clock: datetime = make.NOON
    new_id: NewId = field(default_factory=counting_ids)
    events: list[Event] = field(default_factory=list)
    last: tuple[Event, ...] = ()

    def tell(self, *messages: m.Message) -> "Certificate":
        for message in messages:
            before = self.state
            self.last = decide(before, message, self.clock, self.terms, self.new_id)
            self.state = fold(before, self.last, self.clock)
            self.events += self.last
        return self

    def wait(self, time: timedelta) -> "Certificate":
        """Let time pass, telling each deadline when it comes."""
        until = self.clock + time
        told: list[Event] = []
        while (due := next_deadline(self.state, self.terms.policy)) is not None and due.at <= until:
            self.clock = max(self.clock, due.at)
            self.tell(due.message)
            told += self.last
            assert len(told) < 1_000, "deadlines follow each other without end"
        self.clock, self.last = until, tuple(told)
        return self

    @property
    def status(self) -> Status:
        return self.state.status

    @property
    def sale(self) -> Sale:
        assert self.state.sale is not None
        return self.state.sale

    @property
    def case(self) -> RefundCase:
        """The one refund case of the current sale, or of the last one that ended."""
        sale = self.state.sale or self.state.past_sales[-1]
        return sale.cases[-1]

    @property
    def told(self) -> list[str]:
        """Types of the public events that followed from the last message."""
        return [event.type for event in self.last if isinstance(event, PublicEvent)]

    def public(self) -> list[PublicEvent]:
        return [event for event in self.events if isinstance(event, PublicEvent)]

    def only(self, kind: type[Told]) -> Told:
        """The one event of a type that followed from the last message."""
        (event,) = (event for event in self.last if isinstance(event, kind))
        return event

    def all(self, kind: type[Told]) -> list[Told]:
        return [event for event in self.events if isinstance(event, kind)]


def reserved(**given: Any) -> Certificate:
    return Certificate(**given).tell(make.reserve())


def sold(*lines: m.Line, **given: Any) -> Certificate:
    """Reserved and ordered, not paid."""
    return reserved(**given).tell(make.ordered(*lines))


def issued(*lines: m.Line, **given: Any) -> Certificate:
    """Reserved, ordered and paid by one capture of the order's total."""
    found = sold(*lines, **given)
    return found.tell(make.captured(found.state.order(make.ORDER).total))


def spent(amount: int, **given: Any) -> Certificate:
    """Issued, and a purchase of this amount is paid with it."""
    return issued(**given).tell(make.hold(amount), make.spending(amount=amount))


def spendable(found: Certificate) -> bool:
    """Whether a shop would take it: issued, not blocked, no refund open."""
    sold_and_live = found.status in {Status.ISSUED, Status.PARTIALLY_REDEEMED}
    return sold_and_live and not found.state.blocked and found.sale.open_case is None
