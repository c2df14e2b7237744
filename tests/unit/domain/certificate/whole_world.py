"""Several certificates, orders and tills of one world; what the stream tells of all, and time that passes for all."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from giftcert.domain.certificate import events as e
from giftcert.domain.certificate import messages as m
from giftcert.domain.certificate.deadlines import next_deadline
from giftcert.domain.certificate.decision import Decision
from giftcert.domain.order import messages as o
from tests.unit.domain.certificate.world import World


@dataclass
class WholeWorld(World):
    """``stream`` has every public event, ``said`` all that was ever said of orders, so that any may come again.

    ``last`` is the decision about what a certificate was told last, else than how its lines stand.
    """

    stream: list[tuple[str, e.PublicEvent]] = field(default_factory=list)
    said: list[o.OrderMessage] = field(default_factory=list)
    last: Decision | None = None

    def tell(self, name: str, message: m.Message) -> Decision:
        """Tell one certificate, and let all look at what follows."""
        self.last = self.act(name, message)
        self.stream += [(name, event) for event in self.last.public]
        self._look()
        return self.last

    def publish(self, message: o.OrderMessage) -> None:
        """Bring what is said of an order; all certificates look."""
        self.said.append(message)
        self.say(message)
        self._look()

    def _look(self) -> None:
        for name, decision in self.settle():
            self.stream += [(name, event) for event in decision.public]

    def now(self) -> datetime:
        """An instant of its own for each fact: of two of one second none can say which was first."""
        self.clock += timedelta(seconds=1)
        return self.clock

    def wait(self, time: timedelta) -> Iterator[None]:
        """Let time pass, telling deadlines as they come; pause after each."""
        until = self.clock + time
        while (due := self._next_due(until)) is not None:
            at, name, message = due
            self.clock = max(self.clock, at)
            self.tell(name, message)
            yield
        self.clock = until

    def _next_due(self, until: datetime) -> tuple[datetime, str, m.DeadlinePassed] | None:
        found: list[tuple[datetime, str, m.DeadlinePassed]] = []
        for name in self.states:
            deadline = next_deadline(self.loaded(name), self.terms.policy)
            if deadline is not None and deadline.at <= until:
                found.append((deadline.at, name, deadline.message))
        return min(found, key=lambda one: one[:2], default=None)
