"""What must hold after each step of the whole domain, whatever happened: the second reckoning, the invariants."""

from collections import Counter
from dataclasses import replace

from hypothesis import note
from hypothesis.stateful import RuleBasedStateMachine, invariant

from giftcert.domain.certificate import events as e
from giftcert.domain.certificate import messages as m
from giftcert.domain.certificate.decide import decide
from giftcert.domain.certificate.evolve import evolve
from giftcert.domain.certificate.state import OPEN_REFUND_STATES, CertificateState, Sale
from giftcert.domain.certificate.words import ReleaseReason
from giftcert.domain.products import Product
from tests.unit.domain.certificate import factories as make
from tests.unit.domain.certificate.naive_book import Book
from tests.unit.domain.certificate.naive_records import Card
from tests.unit.domain.certificate.naive_records import Sale as Booked
from tests.unit.domain.certificate.whole_world import WholeWorld

NOMINAL, GOODS, CAP, TWO_OVER = 1_000, 300, 300, 900
PRODUCT = Product(id="GC-10", currency="RUB", nominal=NOMINAL, greatest_discount_percent=100)
TERMS = make.terms(
    PRODUCT, direct_spend_channels=("im",), direct_spend_cap=CAP, refund_four_eyes_over=TWO_OVER
)
UNSOLD = ("error.", "alert.", "audit.", "redemption.rejected", "refund.")
NAMES = [f"certificate-{number}" for number in (1, 2, 3, 4)]


class Reckoning(RuleBasedStateMachine):
    """A world that is told everything and a book that follows it; both have to show the same."""

    def __init__(self) -> None:
        super().__init__()
        self.world = WholeWorld(terms=TERMS)
        for name in NAMES:
            self.world.add(name)
        self.book = Book(NAMES, NOMINAL, PRODUCT.hold_limit, TWO_OVER, CAP, self.world.clock)
        self.public = {name: self.state(name) for name in NAMES}
        self.absorbed = 0
        self.number = 0
        self.rejected: set[str] = set()
        self.given: Counter[str] = Counter()
        self.reservations: Counter[str] = Counter()

    def fresh(self, prefix: str) -> str:
        self.number += 1
        return f"{prefix}-{self.number}"

    def state(self, name: str) -> CertificateState:
        return self.world.states[name]

    # After each step ----------------------------------------------------------------------------

    def absorb(self) -> None:
        """Let time and rules work in the book, and enter what it only follows."""
        for order in self.book.orders.values():
            order.look_whether_clear()
        self.book.pass_to(self.world.clock)
        for card in self.book.cards.values():
            self.book.judge(card)
        new, self.absorbed = self.world.stream[self.absorbed :], len(self.world.stream)
        for name, event in new:
            note(f"{name}: {event}")
            self.follow(name, self.book.cards[name], event)
            self.public[name] = evolve(self.public[name], event, self.world.clock)
        for name, card in self.book.cards.items():
            self.book.judge(card)
            card.frozen = not self.book.is_clear(card) and self.state(name).refund_state in OPEN_REFUND_STATES

    def follow(self, name: str, card: Card, event: e.PublicEvent) -> None:
        if not self.reservations[name]:
            assert event.type == "issue.reserved" or event.type.startswith(UNSOLD)
        match event:
            case e.Reserved():
                assert card.phase == "available"
                self.reservations[name] += 1
                card.phase = "reserved"
            case e.Ordered():
                assert card.phase == ("available" if event.reclaimed else "reserved")
                self.book.ordered(name, event.order_id, event.line_id, event.amount)
                self.book.judge(card)
            case e.Released():
                self._follow_release(card, event)
            case e.Issued() if not self.book.is_clear(card):
                assert card.phase == "ordered"
                self.book.issued(card)
            case e.RefundResolved(decision="reject"):
                self.rejected.add(event.refund_case_id)
            case e.RefundCompleted():
                self._follow_completion(card, event)
            case _:
                pass

    def _follow_release(self, card: Card, event: e.Released) -> None:
        if card.phase == "available":
            return  # the book let it go too
        given_back = event.reason in {ReleaseReason.CHANNEL_RELEASED, ReleaseReason.RESERVATION_EXPIRED}
        assert card.phase == ("reserved" if given_back else "ordered")
        if self.book.is_clear(card):
            assert given_back or event.reason == ReleaseReason.UNPAID
            sale = card.sale
            assert sale is None or self.book.orders[sale.order].captured(sale.line) <= sale.returned
        card.phase, card.sale = "available", None

    def _follow_completion(self, card: Card, event: e.RefundCompleted) -> None:
        self.given[event.order_id] += 0 if event.before_issue else event.amount
        assert event.taken >= 0
        assert event.uncovered >= 0
        current = card.sale is not None and (card.sale.order, card.sale.line) == (
            event.order_id,
            event.line_id,
        )
        if current and not event.before_issue and not self.book.is_clear(card):
            card.uncovered += event.uncovered
            self.book.take(card, event.taken, may_end=event.refund_case_id not in self.rejected)

    @invariant()
    def all_is_as_it_must_be(self) -> None:
        self.the_book_and_the_domain_show_the_same()
        self.every_kopeck_of_a_nominal_is_somewhere()
        self.the_stream_alone_says_what_the_state_says()
        self.a_line_has_one_certificate_and_a_certificate_one_line()
        self.a_reservation_is_resolved_once_and_lives_beside_no_order()
        self.no_money_is_refunded_twice()
        self.more_back_than_captured_is_spoken_of()
        self.looking_again_tells_nothing()

    def the_book_and_the_domain_show_the_same(self) -> None:
        for name, card in self.book.cards.items():
            state = self.state(name)
            shown = (state.shown_status, state.balance, state.held)
            assert (name, *shown) == (name, card.status, card.balance, card.held)
            assert sum(one.restorable for one in state.redemptions) == card.spent
            for sale in state.sales:
                if self.book.orders[sale.order_id].clear:
                    self._same_case(sale, card.sales[sale.order_id, sale.line_id])

    def _same_case(self, sale: Sale, booked: Booked) -> None:
        assert sale.refund_state.value == booked.refund_state
        case = sale.open_case
        assert (case is None) == (booked.case is None)
        if case is not None and booked.case is not None:
            reason = case.reason.value if case.reason else None
            assert (reason, case.amount) == (booked.case.reason, booked.case.amount)
            assert case.approved == booked.case.approved
            assert (case.agreement is None) == (booked.case.agreed is None)

    def every_kopeck_of_a_nominal_is_somewhere(self) -> None:
        for name, card in self.book.cards.items():
            state = self.state(name)
            assert min(state.balance, state.held) >= 0
            assert state.balance + state.held <= state.nominal
            if state.sale is None or state.sale.issued_at is None:
                assert (state.balance, state.held) == (0, 0)
                continue
            mine = [event for of, event in self.world.stream if of == name]
            breakage = sum(event.breakage for event in mine if isinstance(event, e.Expired))
            done = [
                event for event in mine if isinstance(event, e.RefundCompleted) and not event.before_issue
            ]
            taken, uncovered = sum(one.taken for one in done), sum(one.uncovered for one in done)
            assert (taken, uncovered, breakage) == (card.taken, card.uncovered, card.breakage)
            assert state.balance + state.held + card.spent + taken + breakage == state.nominal

    def the_stream_alone_says_what_the_state_says(self) -> None:
        for name, public in self.public.items():
            state = self.state(name)
            assert (public.shown_status, public.balance, public.held, public.refund_state) == (
                state.shown_status,
                state.balance,
                state.held,
                state.refund_state,
            )

    def a_line_has_one_certificate_and_a_certificate_one_line(self) -> None:
        assert all(len(self.world.holders(ref)) <= 1 for ref in self.world.lines)
        sold = Counter(name for name, event in self.world.stream if isinstance(event, e.Issued))
        assert max(sold.values(), default=0) <= 1  # once issued it never comes back

    def a_reservation_is_resolved_once_and_lives_beside_no_order(self) -> None:
        ends = Counter(
            event.reservation_id
            for _, event in self.world.stream
            if isinstance(event, e.Released) and event.order_id is None
        )
        assert max(ends.values(), default=0) <= 1
        for name in NAMES:
            state = self.state(name)
            reserved = state.reservation is not None and not state.reservation.ended
            assert reserved == (state.status.value == "reserved")
            assert not (reserved and state.sale is not None)

    def no_money_is_refunded_twice(self) -> None:
        """Counted once per case, and never more of an order than its refunds gave back."""
        done = Counter(
            event.refund_case_id for _, event in self.world.stream if isinstance(event, e.RefundCompleted)
        )
        assert max(done.values(), default=0) <= 1
        for order_id, order in self.book.orders.items():
            foreign = any(one.foreign for one in order.refunds.values())  # counted by its worth
            if not foreign and not order.over_refunded():
                assert self.given[order_id] <= order.refunded
        for order_id, order in self.world.orders.items():
            said: Counter[str] = Counter()
            for share in order.shares:
                said[share.refund_id] += share.amount
            for refund_id, amount in said.items():
                assert amount <= self.book.orders[order_id].size[refund_id]

    def more_back_than_captured_is_spoken_of(self) -> None:
        for card in self.book.cards.values():
            sale = card.sale
            if sale is None or not self.book.is_clear(card):
                continue
            order = self.book.orders[sale.order]
            over = order.back(sale.line, set()) > max(order.captured(sale.line), sale.price * sale.issued)
            payments = {
                one.payment for one in order.refunds.values() if sale.line in one.to and not one.foreign
            }
            if over or any(order.overdrawn(payment) for payment in payments):
                assert sale.case or sale.closed

    def looking_again_tells_nothing(self) -> None:
        """How a line stands was decided when it changed, and what was told of it is remembered."""
        for ref, line in self.world.lines.items():
            for name in self.world.concerned(ref) & self.world.states.keys():
                state = self.state(name)
                lines = {**{one.ref: one for one in self.world.loaded(name).lines}, line.ref: line}
                before = replace(state, lines=tuple(sorted(lines.values(), key=lambda one: one.ref)))
                again = decide(before, m.LineChanged(), self.world.clock, TERMS, lambda: "new")
                assert (again.public, replace(again.state, lines=())) == ((), state)
