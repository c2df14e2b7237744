"""A certificate that is told messages one after another, as ingest and its workflow would tell them."""

from datetime import datetime, timedelta
from typing import Any, TypeVar

from giftcert.domain.cause import Cause
from giftcert.domain.certificate import messages as m
from giftcert.domain.certificate.deadlines import Deadline, next_deadline
from giftcert.domain.certificate.decision import Decision, Recorded
from giftcert.domain.certificate.events import PublicEvent, RefundPendingDetails
from giftcert.domain.certificate.state import (
    SPENDABLE,
    CertificateState,
    Line,
    RefundCase,
    RefundState,
    Sale,
    Status,
)
from giftcert.domain.certificate.words import RefundReason
from giftcert.domain.order import messages as o
from giftcert.domain.policy import Terms
from tests.unit.domain.certificate import factories as make
from tests.unit.domain.certificate.world import World

Published = TypeVar("Published")
Message = m.Message | o.OrderVersion


class Certificate:
    """``events`` has all that ever followed, ``recorded`` what followed from the last message, with its causes.

    ``world`` may have other certificates too; they look when this one is told something.
    """

    def __init__(
        self, *, terms: Terms | None = None, world: World | None = None, name: str = make.CERTIFICATE
    ) -> None:
        self.world = world or World(terms=terms or make.terms())
        self.name = name
        self.events: list[PublicEvent] = []
        self.recorded: list[Recorded] = []
        state = self.world.add(name)
        self.decision = Decision(state, self.clock, self.terms, self.world.new_ids[name])

    def tell(self, *messages: Message) -> "Certificate":
        for message in messages:
            self.recorded = []
            if isinstance(message, m.Message):
                decision = self.world.act(self.name, message)
                self._keep(decision)
                self.look()
                self.decision = decision
            else:
                self.world.say(message)
                self.look()
        return self

    def hear(self, *messages: o.OrderVersion) -> "Certificate":
        """Several messages come before the certificate looks once."""
        self.recorded = []
        for message in messages:
            self.world.say(message)
        return self.look()

    def look(self) -> "Certificate":
        for name, decision in self.world.settle(self.name):
            if name == self.name:
                self._keep(decision)
        return self

    def look_again(self) -> "Certificate":
        """The certificate looks at every line once more, of which nothing new was said."""
        self.world.pending |= {(self.name, ref) for ref in self.world.lines}
        return self.look_alone()

    def look_alone(self) -> "Certificate":
        """Only this certificate looks; what concerns others stays pending."""
        self.recorded = []
        for decision in self.world.look(self.name):
            self._keep(decision)
        return self

    def _keep(self, decision: Decision) -> None:
        self.decision = decision
        self.recorded += decision.recorded
        self.events += [one.event for one in decision.recorded]

    def wait(self, time: timedelta) -> "Certificate":
        """Let time pass, telling each deadline when it comes."""
        until = self.clock + time
        followed: list[Recorded] = []
        while (due := self.next_deadline) is not None and due.at <= until:
            self.clock = max(self.clock, due.at)
            self.tell(due.message)
            followed += self.recorded
            assert len(followed) < 1_000, "deadlines follow each other without end"
        self.clock, self.recorded = until, followed
        return self

    @property
    def next_deadline(self) -> Deadline | None:
        return next_deadline(self.world.loaded(self.name), self.terms.policy)

    @property
    def clock(self) -> datetime:
        return self.world.clock

    @clock.setter
    def clock(self, now: datetime) -> None:
        self.world.clock = now

    @property
    def terms(self) -> Terms:
        return self.world.terms

    @terms.setter
    def terms(self, terms: Terms) -> None:
        self.world.terms = terms

    @property
    def state(self) -> CertificateState:
        return self.world.states[self.name]

    @property
    def status(self) -> Status:
        return self.state.status

    @property
    def sale(self) -> Sale:
        assert self.state.sale is not None
        return self.state.sale

    @property
    def line(self) -> Line:
        """The row of the line that the sale, or the last one, is under."""
        return self.world.lines[(self.state.sale or self.state.past_sales[-1]).ref]

    @property
    def case(self) -> RefundCase:
        """The newest refund case of the current sale, or of the last one that ended."""
        sale = self.state.sale or self.state.past_sales[-1]
        return sale.cases[-1]

    @property
    def last(self) -> tuple[PublicEvent, ...]:
        """What followed from the last message."""
        return tuple(one.event for one in self.recorded)

    @property
    def published(self) -> list[str]:
        """Types of the public events that followed from the last message."""
        return [event.type for event in self.last]

    def only(self, kind: type[Published]) -> Published:
        """The one event of a type that followed from the last message."""
        (event,) = (event for event in self.last if isinstance(event, kind))
        return event

    def cause_of(self, kind: type[PublicEvent]) -> Cause | None:
        """The cause of the one event of a type that followed from the last message."""
        (cause,) = (one.cause for one in self.recorded if isinstance(one.event, kind))
        return cause

    def all(self, kind: type[Published]) -> list[Published]:
        return [event for event in self.events if isinstance(event, kind)]


def reserved(**given: Any) -> Certificate:
    return Certificate(**given).tell(make.reserve())


def sold(*lines: o.OrderLine, **given: Any) -> Certificate:
    """Reserved and ordered, not paid."""
    return reserved(**given).tell(make.ordered(*lines))


def issued(*lines: o.OrderLine, **given: Any) -> Certificate:
    """Reserved, ordered and paid by one capture of the order's total."""
    found = sold(*lines, **given)
    return found.tell(make.captured(found.world.orders[make.ORDER].total))


def spent(amount: int, **given: Any) -> Certificate:
    """Issued, and a purchase of this amount is paid with it."""
    return issued(**given).tell(make.hold(amount), make.spending(amount=amount))


def spendable(found: Certificate) -> bool:
    """Whether a shop would take it: issued, not blocked, no refund open."""
    return found.status in SPENDABLE and not found.state.blocked and found.sale.open_case is None


def pending(found: Certificate) -> RefundReason:
    """Return why its refund waits for a person; no shop takes it meanwhile."""
    assert found.state.refund_state == RefundState.PENDING_DETAILS
    assert not spendable(found)
    reason = found.only(RefundPendingDetails).reason
    assert found.case.reason == reason
    return reason
