"""Several certificates of one order, and what a person says of a refund at one of them."""

from typing import Any

from giftcert.domain.certificate.decision import Decision
from giftcert.domain.order import messages as o
from tests.unit.domain.certificate import factories as make
from tests.unit.domain.certificate.certificates import Certificate
from tests.unit.domain.certificate.world import World


class Together:
    """The certificates of one order by their lines."""

    def __init__(self, *lines: o.OrderLine, **terms: Any) -> None:
        self.world = World(terms=make.terms(**terms))
        certificates = [line for line in lines if line.is_certificate]
        self.on = {line.line_id: self._reserved(line.line_id) for line in certificates}
        self.lines = tuple(self._named(line) if line.is_certificate else line for line in lines)
        self.tell(make.ordered(*self.lines, own=None))

    def _reserved(self, line_id: str) -> Certificate:
        found = Certificate(world=self.world, name=f"certificate-{line_id}")
        return found.tell(make.reserve(f"R-{line_id}"))

    def _named(self, line: o.OrderLine) -> o.OrderLine:
        certificate_id, reservation_id = f"certificate-{line.line_id}", f"R-{line.line_id}"
        return make.gift(line.line_id, line.amount, certificate_id, reservation_id=reservation_id)

    def tell(self, *messages: o.OrderMessage) -> "Together":
        for message in messages:
            self._forget()
            self.world.say(message)
            self._look()
        return self

    def paid(self) -> "Together":
        return self.tell(make.captured(sum(line.amount for line in self.lines)))

    def wait(self, time: make.timedelta) -> "Together":
        """Time passes for all alike."""
        until = self.world.clock + time
        self._forget()
        while due := min(
            ((at, name) for name in self.on if (at := self._due(name)) and at <= until), default=None
        ):
            self.world.clock = max(self.world.clock, due[0])
            deadline = self.on[due[1]].next_deadline
            assert deadline is not None
            self._keep(self.on[due[1]].name, self.world.act(self.on[due[1]].name, deadline.message))
            self._look()
        self.world.clock = until
        return self

    def _due(self, line_id: str) -> make.datetime | None:
        deadline = self.on[line_id].next_deadline
        return deadline.at if deadline else None

    def resolve(self, line_id: str, decision: str = "approve", amount: int | None = None) -> Certificate:
        """A person decides the case of one line; the others look at what it says of the refund."""
        self._forget()
        asked = self.on[line_id]
        message = make.resolve(asked.case.refund_case_id, decision, amount)
        asked.decision = self.world.act(asked.name, message)
        asked.recorded += asked.decision.recorded
        self._look()
        return asked

    def _look(self) -> None:
        for name, decision in self.world.settle():
            self._keep(name, decision)

    def _keep(self, name: str, decision: Decision) -> None:
        found = self.on[name.removeprefix("certificate-")]
        found.recorded += decision.recorded
        found.events += [one.event for one in decision.recorded]

    def _forget(self) -> None:
        for found in self.on.values():
            found.recorded = []

    def __getitem__(self, line_id: str) -> Certificate:
        return self.on[line_id]
