"""Orders, their lines and the certificates on them, told and decided as ingest and the one transaction do."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime

from giftcert.domain.certificate import messages as m
from giftcert.domain.certificate.decide import decide
from giftcert.domain.certificate.decision import Decision
from giftcert.domain.certificate.lines import concerned_by_holder
from giftcert.domain.certificate.refund_resolution import shares_decided
from giftcert.domain.certificate.state import CertificateState, Line, LineRef, Status, known_lines
from giftcert.domain.clients import Recipient
from giftcert.domain.identifiers import NewId
from giftcert.domain.order import messages as o
from giftcert.domain.order.line_standings import line_standings
from giftcert.domain.order.order import apply
from giftcert.domain.order.state import Order
from giftcert.domain.policy import Terms
from tests.unit.domain.certificate import factories as make

MOST_LOOKS = 200


def counting_ids(name: str = make.CERTIFICATE) -> NewId:
    """Ids of one certificate that are the same in every run, whoever looks first."""
    prefix = "id" if name == make.CERTIFICATE else f"{name}-id"
    numbers: Iterator[int] = iter(range(1, 100_000))
    return lambda: f"{prefix}-{next(numbers)}"


@dataclass(frozen=True)
class Decided:
    """A decision, on which state with its lines, and what was told."""

    before: CertificateState
    message: m.Message
    decision: Decision


@dataclass
class World:
    """``pending`` are the lines that a certificate has yet to look at, ``decided`` all decisions so far."""

    terms: Terms = field(default_factory=make.terms)
    clock: datetime = make.NOON
    new_ids: dict[str, NewId] = field(default_factory=dict)
    orders: dict[str, Order] = field(default_factory=dict)
    lines: dict[LineRef, Line] = field(default_factory=dict)
    states: dict[str, CertificateState] = field(default_factory=dict)
    pending: set[tuple[str, LineRef]] = field(default_factory=set)
    recipients: dict[str, Recipient] = field(default_factory=dict)
    earlier_payments_unknown: bool = False
    decided: list[Decided] = field(default_factory=list)

    def add(self, name: str) -> CertificateState:
        """Return the state of a certificate, one from the pool if it is new."""
        self.new_ids.setdefault(name, counting_ids(name))
        return self.states.setdefault(name, make.certificate(self.terms.product, name))

    # Ingest ---------------------------------------------------------------------------------------

    def say(self, message: o.OrderVersion) -> None:
        """Fold a message into its order; certificates have yet to look."""
        order = apply(
            self.orders.get(message.order_id),
            message,
            self.clock,
            earlier_payments_unknown=self.earlier_payments_unknown,
        )
        if order == self.orders.get(message.order_id):
            return
        self.orders[message.order_id] = order
        if order.certificate_lines:  # nothing is ever stored of others
            self.restate(order)

    def restate(self, order: Order) -> None:
        """Write how the lines of an order now stand, and who has to look."""
        rows = {ref: line for ref, line in self.lines.items() if ref.order_id == order.order_id}
        counted = {ref.line_key: line.counted for ref, line in rows.items()}
        for key, standing in line_standings(order, counted).items():
            ref = LineRef(order.order_id, key)
            before = rows.get(ref) or Line(standing=standing)
            named = standing.naming.certificate_id
            row = replace(
                before,
                standing=standing,
                unpaid_until=order.unpaid_until(self.terms.policy),
                names_ours=named in self.states,
                recipient=self.recipients.get(standing.line_id),
            )
            self.lines[ref] = row
            if ref not in rows or replace(standing, revision=0) != replace(before.standing, revision=0):
                self.pending |= {(name, ref) for name in self.concerned(ref) if name in self.states}

    def concerned(self, ref: LineRef) -> set[str]:
        """Certificates that a line names, ever named, or has as its holder."""
        holder = self.lines[ref].holder
        named = self.orders[ref.order_id].lines[ref.line_key - 1].certificates
        return {*named, *([holder.certificate_id] if holder else [])}

    # The one transaction --------------------------------------------------------------------------

    def look(self, name: str) -> list[Decision]:
        """Decide on all lines of a certificate that are pending."""
        waiting = sorted(ref for who, ref in self.pending if who == name)
        decisions = []
        for ref in waiting:
            self.pending.discard((name, ref))
            decisions.append(self._decide(name, m.LineChanged(), waiting))
        return decisions

    def act(self, name: str, message: m.Message) -> Decision:
        """Tell a certificate something else than how its lines stand."""
        if not isinstance(message, m.ResolveRefund):
            return self._decide(name, message)
        before = dict(self.orders), dict(self.lines), set(self.pending), dict(self.states)
        shares = shares_decided(self.loaded(name), message, self.terms.policy)
        for share in shares:
            self.say(share)
        decision = self._decide(name, message)
        if shares and decision.refusal is not None:  # the transaction is rolled back
            self.orders, self.lines, self.pending, self.states = before
            self.decided.pop()
        return decision

    def loaded(self, name: str, refs: list[LineRef] | None = None) -> CertificateState:
        """The state with the rows of its lines."""
        state = self.states[name]
        wanted = sorted({*known_lines(state), *(refs or ())})
        return replace(state, lines=tuple(self.lines[ref] for ref in wanted if ref in self.lines))

    def _decide(self, name: str, message: m.Message, refs: list[LineRef] | None = None) -> Decision:
        before = self.loaded(name, refs)
        decision = decide(before, message, self.clock, self.terms, self.new_ids[name])
        self.decided.append(Decided(before, message, decision))
        self.states[name] = replace(decision.state, lines=())
        for line in decision.state.lines:
            self._keep(name, line)
        return decision

    def _keep(self, name: str, line: Line) -> None:
        """Whoever is concerned looks again when a line's holder gets further, or lets go."""
        before = self.lines[line.ref]
        self.lines[line.ref] = line
        if line.holder != before.holder:
            self.pending |= {(one, line.ref) for one in concerned_by_holder(line) if one != name}

    def settle(self, first: str | None = None) -> list[tuple[str, Decision]]:
        """Let every certificate look until nothing is pending; one of them first."""
        made: list[tuple[str, Decision]] = []
        looks = 0
        while self.pending:
            names = sorted({name for name, _ in self.pending}, key=lambda name: (name != first, name))
            made += [(names[0], decision) for decision in self.look(names[0])]
            looks += 1
            assert looks < MOST_LOOKS, "looks follow each other without end"
        return made

    def holders(self, ref: LineRef) -> list[str]:
        """Certificates whose sale is under a line."""
        return [
            name
            for name, state in self.states.items()
            if state.sale and state.sale.ref == ref and state.status != Status.AVAILABLE
        ]
