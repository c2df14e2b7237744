"""Several certificates, orders and tills of one world; messages reach certificates as ingest would bring them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from giftcert.domain import events as e
from giftcert.domain import messages as m
from giftcert.domain.deadlines import next_deadline
from giftcert.domain.policy import Terms
from giftcert.domain.state import Status
from tests.unit.domain import factories as make
from tests.unit.domain.certificates import Certificate


@dataclass(frozen=True)
class Version:
    """A full version of an order; ``on`` says which certificate stands on which line, under which reservation."""

    order_id: str
    number: int
    lines: tuple[m.Line, ...]
    on: Mapping[str, tuple[str, str]]
    at: datetime

    def told_to(self, name: str, holder: m.LineHolder | None = None) -> m.OrderStated:
        own = self.line_of(name)
        return make.ordered(
            *self.lines,
            own=own,
            version=self.number,
            order_id=self.order_id,
            at=self.at,
            reservation_id=self.on[own][1] if own else None,
            line_holder=holder,
        )

    def line_of(self, name: str) -> str | None:
        return next((line for line, (named, _) in self.on.items() if named == name), None)


Record = Version | m.OrderCancelled | m.LinesReturned | m.PaymentMessage | m.RefundAssigned


@dataclass
class World:
    """``stream`` has every public event; ``told`` every message, so that any may come again."""

    certificates: dict[str, Certificate]
    clock: datetime = make.NOON
    topics: dict[str, list[Record]] = field(default_factory=dict)
    named: dict[str, list[str]] = field(default_factory=dict)
    told: list[tuple[str, m.Message]] = field(default_factory=list)
    stream: list[tuple[str, e.PublicEvent]] = field(default_factory=list)

    @classmethod
    def of(cls, names: list[str], terms: Terms) -> "World":
        ids = iter(range(1, 100_000))
        return cls(
            {
                name: Certificate(
                    make.certificate(terms.product, name), terms, new_id=lambda: f"id-{next(ids)}"
                )
                for name in names
            }
        )

    def tell(self, name: str, message: m.Message) -> None:
        """Tell one certificate; what a person said of a refund goes on to the others of the order."""
        found = self.certificates[name]
        found.clock = self.clock
        found.tell(message)
        self.told.append((name, message))
        self.stream += [(name, event) for event in found.last if isinstance(event, e.PublicEvent)]
        for event in found.last:
            if isinstance(event, e.ShareAssigned) and event.here:
                said = make.assigned(event.refund_id, event.line_id, event.amount, event.order_id)
                self._pass_on(name, said)

    def _pass_on(self, said_by: str, share: m.RefundAssigned) -> None:
        self.topics[share.order_id].append(share)
        for name in self.named[share.order_id]:
            if name != said_by:
                self.tell(name, share)

    def now(self) -> datetime:
        """An instant of its own for each fact: of two of one second none can say which was first."""
        self.clock += timedelta(seconds=1)
        return self.clock

    # The order's topics ---------------------------------------------------------------------------

    def publish(self, record: Record) -> None:
        """Bring a record to every certificate that its order ever named; those that let go of a line hear it first."""
        order_id = record.order_id
        told, named = self.topics.setdefault(order_id, []), self.named.setdefault(order_id, [])
        if isinstance(record, Version):
            for name, _ in record.on.values():
                if name not in named:
                    self._join(name, order_id)
        told.append(record)
        for name in sorted(named, key=lambda name: (self._takes_a_held_line(record, name), name)):
            self._bring(name, record)

    def _join(self, name: str, order_id: str) -> None:
        self.named[order_id].append(name)
        for record in self.topics[order_id]:
            self._bring(name, record)

    def _bring(self, name: str, record: Record) -> None:
        if isinstance(record, Version):
            self.tell(name, record.told_to(name, self._holder(record, name)))
        else:
            self.tell(name, record)

    def _takes_a_held_line(self, record: Record, name: str) -> bool:
        return isinstance(record, Version) and self._holder(record, name) is not None

    def _holder(self, record: Version, name: str) -> m.LineHolder | None:
        line_id = record.line_of(name)
        standing = [one for one in self.live_on(record.order_id, line_id) if one != name] if line_id else []
        if not standing:
            return None
        ordered = self.certificates[standing[0]].status == Status.ORDERED
        return m.LineHolder.ORDERED if ordered else m.LineHolder.ISSUED

    def live_on(self, order_id: str, line_id: str) -> list[str]:
        """Certificates whose sale stands on a line."""
        return [
            name
            for name, found in self.certificates.items()
            if found.state.sale is not None and found.sale.is_for(order_id, line_id)
        ]

    # Time -----------------------------------------------------------------------------------------

    def wait(self, time: timedelta) -> Iterator[None]:
        """Let time pass, telling deadlines and the ends of reservations as they come; pause after each."""
        until = self.clock + time
        while (due := self._next_due(until)) is not None:
            at, name, message = due
            self.clock = max(self.clock, at)
            self.tell(name, message)
            yield
        self.clock = until

    def _next_due(self, until: datetime) -> tuple[datetime, str, m.Message] | None:
        found: list[tuple[datetime, str, m.Message]] = []
        for name, one in self.certificates.items():
            deadline = next_deadline(one.state, one.terms.policy)
            if deadline is not None:
                found.append((deadline.at, name, deadline.message))
            reservation = one.state.reservation
            if reservation is not None and not reservation.ended:
                lapsed = make.lapsed(reservation.reservation_id)
                found.append((reservation.reserved_until, name, lapsed))
        return min((one for one in found if one[0] <= until), key=lambda one: (one[0], one[1]), default=None)
