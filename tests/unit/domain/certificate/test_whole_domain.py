"""The whole domain against a naive second reckoning: several certificates, orders, tills, persons and clocks."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import timedelta

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from giftcert.domain.certificate import events as e
from giftcert.domain.certificate import messages as m
from tests.unit.domain.certificate import factories as make
from tests.unit.domain.certificate.naive_records import Refund
from tests.unit.domain.certificate.whole_reckoning import GOODS, NAMES, Reckoning
from tests.unit.domain.profiles import searched

cards = st.sampled_from(NAMES)
orders = st.sampled_from(("IM-1", "IM-2", "IM-3", "IM-4"))
places = st.integers(0, 11)
line_ids = st.sampled_from(("2", "2", "3", "1"))
amounts = st.sampled_from((100, 300, 400, 600, 1_000))
redemptions = st.sampled_from(("D-1", "D-2", "D-3", "D-4"))
till_orders = st.sampled_from(("POS-5", "POS-6"))
till_payments = st.sampled_from(("P-5", "P-6"))
channels = st.sampled_from(("pos", "im"))
rarely = st.integers(0, 9).map(lambda number: number == 9)
Lines = Mapping[str, tuple[int, str | None]]


class WholeDomain(Reckoning):
    """Every step is told to the domain and entered in the book."""

    def __init__(self) -> None:
        super().__init__()
        self.ever_named: dict[str, set[tuple[str, str]]] = defaultdict(set)

    def a_card(self, place: int, *, sold: bool = True) -> str:
        """Mostly one that can be spent, where there is one."""
        live = [name for name, card in self.book.cards.items() if card.phase == "live"] if sold else []
        options = [*live, *live, *live, *NAMES]
        return options[place % len(options)]

    @initialize(goods=st.booleans())
    def begin(self, goods: bool) -> None:
        """Two certificates of one order and one of another are sold, so that there is something to spend."""
        self.order_anew("IM-1", NAMES[0], NAMES[1], goods=goods, paid=1)
        self.order_anew("IM-2", NAMES[2], NAMES[2], goods=not goods, paid=1)

    # The pool -----------------------------------------------------------------------------------

    @rule(name=cards)
    def reserve(self, name: str) -> None:
        card = self.book.cards[name]
        if card.phase == "available" and not card.blocked:
            self.world.tell(name, make.reserve(self.fresh("R")))
            self.absorb()

    @rule(name=cards)
    def give_back(self, name: str) -> None:
        reservation = self.state(name).reservation
        if reservation is not None and not reservation.ended:
            self.world.tell(name, make.given_back(reservation.reservation_id))
            self.absorb()

    @rule(name=cards, blocks=rarely)
    def block_or_unblock(self, name: str, blocks: bool) -> None:
        card = self.book.cards[name]
        if card.blocked or (blocks and card.phase not in {"refunded", "expired"}):
            self.world.tell(name, make.unblock() if card.blocked else make.block())
            card.blocked = not card.blocked
            self.absorb()

    # Orders -------------------------------------------------------------------------------------

    @rule(order_id=orders, first=cards, second=cards, goods=st.booleans(), paid=places)
    def order_anew(self, order_id: str, first: str, second: str, goods: bool, paid: int) -> None:
        """As most sales begin: reserved, ordered, and often paid, each line by a payment of its own."""
        if order_id in self.book.orders:
            return
        lines: dict[str, tuple[int, str | None]] = {"1": (GOODS, None)} if goods else {}
        lines |= {"2": (1_000, first)} | ({"3": (900, second)} if second != first else {})
        for name in (first, second):
            self.reserve(name)
        self._state(order_id, lines)
        for line, (price, _) in lines.items() if paid else ():
            self._capture(order_id, price, {line: price})

    @rule(
        order_id=orders,
        line=line_ids,
        name=cards,
        price=st.sampled_from((1_000, 900, 0)),
        removes=st.booleans(),
    )
    def change_order(self, order_id: str, line: str, name: str, price: int, removes: bool) -> None:
        """A line is added, repriced, given another certificate or removed; line 1 is goods."""
        known = self.book.orders.get(order_id)
        lines = dict(known.lines) if known else {}
        if lines.pop(line, None) is None or not removes:
            lines[line] = (GOODS, None) if line == "1" else (price, name)
        if lines and not (known and line in lines and self._is_another_line(order_id, line, lines[line][1])):
            self._state(order_id, lines)

    def _is_another_line(self, order_id: str, line: str, name: str | None) -> bool:
        """Whether the certificate was on another line, which it would take along, or the number was one for good.

        Examples tell of both.
        """
        elsewhere = any(one == name and number != line for number, one in self.ever_named[order_id])
        known = self.book.orders[order_id]
        replaced = known.is_final(line) and known.named[line] != name
        return name is not None and (elsewhere or replaced)

    def _state(self, order_id: str, lines: Lines) -> None:
        known = self.book.orders.get(order_id)
        number = known.version + 1 if known else 1
        self.book.stated(order_id, number, dict(lines))
        self.ever_named[order_id] |= {(line, name) for line, (_, name) in lines.items() if name is not None}
        published = [
            make.goods(line, price)
            if name is None
            else make.gift(line, price, name, reservation_id=self._reservation(name))
            for line, (price, name) in lines.items()
        ]
        at = self.world.now()
        self.world.publish(make.ordered(*published, own=None, version=number, order_id=order_id, at=at))
        self.absorb()

    def _reservation(self, name: str) -> str:
        reservation = self.state(name).reservation
        return reservation.reservation_id if reservation else "none"

    @rule(order_id=orders, line=line_ids, whole=rarely, how=st.sampled_from(("cancelled", "returned")))
    def withdraw(self, order_id: str, line: str, whole: bool, how: str) -> None:
        order = self.book.orders.get(order_id)
        if order is None or not order.version:
            return
        whole = whole and how == "cancelled"
        number, at = order.version + 1, self.world.now()
        self.book.withdrawn(order_id, number, None if whole else {line}, how)
        named = () if whole else (line,)
        say = make.cancelled if how == "cancelled" else make.returned
        self.world.publish(say(*named, version=number, order_id=order_id, at=at))
        self.absorb()

    # Payments -----------------------------------------------------------------------------------

    @rule(order_id=orders, line=line_ids, part=st.sampled_from((None, None, 400)), doubtful=rarely)
    def capture(self, order_id: str, line: str, part: int | None, doubtful: bool) -> None:
        order = self.book.orders.get(order_id)
        if order is None or line not in order.ever:
            return
        lacking = order.lines.get(line, (1_000, None))[0] - order.captured(line)
        amount = part or lacking
        if amount > 0:
            self._capture(order_id, amount, {} if doubtful else {line: amount})

    def _capture(self, order_id: str, amount: int, to: dict[str, int]) -> None:
        payment = self.fresh("P")
        if amount > 0:
            self.book.captured(order_id, payment, amount, to)
            self.world.publish(
                make.captured(amount, payment, to=to or None, order_id=order_id, at=self.world.now())
            )
            self.absorb()

    @rule(order_id=orders, void=st.booleans())
    def authorize_or_void(self, order_id: str, void: bool) -> None:
        if order_id in self.book.orders:
            say = make.voided if void else make.authorized
            self.world.publish(say(payment_id="P-0", order_id=order_id))
            self.absorb()

    @rule(
        order_id=orders,
        line=line_ids,
        part=st.sampled_from((None, None, 100, 400)),
        place=st.integers(0, 3),
        odd=st.sampled_from(
            ("", "", "", "", "foreign", "more", "doubtful", "doubtful foreign", "otherPayment")
        ),
    )
    def refund(self, order_id: str, line: str, part: int | None, place: int, odd: str) -> None:
        order = self.book.orders.get(order_id)
        if order is None or not order.captures or line not in order.ever:
            return
        brought = [payment for payment, to in order.captures if line in to]
        if odd == "otherPayment" or not brought:
            brought = [payment for payment, _ in order.captures]
        rest = order.captured(line) - order.back(line, set())
        amount = part or (rest + 100 if odd == "more" else rest)
        if amount > 0:
            to = {} if "doubtful" in odd else {line: amount}
            refund = Refund(brought[place % len(brought)], to, "foreign" in odd, self.world.now())
            self._refund(order_id, amount, refund)

    def _refund(self, order_id: str, amount: int, refund: Refund) -> None:
        name = self.fresh("refund")
        self.book.refunded(order_id, name, amount, refund)
        message = make.refunded(
            amount,
            name,
            to=refund.to or None,
            order_id=order_id,
            currency="EUR" if refund.foreign else "RUB",
            at=refund.at,
            payment_id=refund.payment,
        )
        self.world.publish(message)
        self.absorb()

    # Spending -----------------------------------------------------------------------------------

    @rule(place=places, key=redemptions, amount=amounts, order=till_orders, days=st.sampled_from((0, 0, 3)))
    def hold(self, place: int, key: str, amount: int, order: str, days: int) -> None:
        name = self.a_card(place)
        until = self.world.clock + 30 * make.MINUTE + days * make.DAY
        expected = self.book.hold(name, key, amount, order, until)
        seconds = int((until - self.world.clock).total_seconds())
        self.world.tell(name, make.hold(amount, key, order_id=order, seconds=seconds))
        assert self._outcome() == expected
        self.absorb()

    @rule(place=places, key=redemptions, channel=channels)
    def give_a_hold_back(self, place: int, key: str, channel: str) -> None:
        name = self.a_card(place)
        expected = self.book.void(self.book.cards[name], key, channel)
        self.world.tell(name, make.unhold(key, channel))
        assert self._outcome() == expected
        self.absorb()

    @rule(
        place=places,
        kind=st.sampled_from(("captured", "captured", "captured", "voided", "refunded", "authorized")),
        key=st.one_of(redemptions, redemptions, st.none()),
        amount=amounts,
        order=till_orders,
        payment=till_payments,
        channel=channels,
    )
    def pay_with(
        self, place: int, kind: str, key: str | None, amount: int, order: str, payment: str, channel: str
    ) -> None:
        name = self.a_card(place)
        card = self.book.cards[name]
        found = self.book.find(card, key, order, payment, channel)
        message = make.spending(kind, amount, key, order_id=order, payment_id=payment, channel=channel)
        self.world.tell(name, message)
        assert self._outcome() == self._expected(name, found, message)
        self.absorb()

    def _expected(self, name: str, found: str | None, message: m.SpendingReported) -> str:
        card, order, channel = self.book.cards[name], message.order_id, message.cause.channel or ""
        purchase = card.purchases[found] if found else None
        if purchase is not None and (purchase.channel, purchase.order) != (channel, order):
            return "notTheHolder"
        match message.kind:
            case m.SpendingKind.CAPTURED:
                made = [event for event in self._last() if isinstance(event, e.RedemptionCaptured)]
                new = message.redemption_id or (made[0].redemption_id if made else "none")
                outcome = self.book.spend(card, found, new, message.amount, order, channel)
                purchase = card.purchases.get(found or new)
            case m.SpendingKind.VOIDED if purchase is not None and purchase.state == "captured":
                outcome = "redemptionCaptured"
            case m.SpendingKind.VOIDED:
                outcome = self.book.give_back(card, found or "none")
            case m.SpendingKind.REFUNDED:
                outcome = self.book.restore(card, found, message.amount)
            case _:
                outcome = "" if found or channel == "im" else "holdRequired"
        if purchase is not None:
            purchase.payment = purchase.payment or message.payment_id
        return outcome

    def _last(self) -> tuple[e.PublicEvent, ...]:
        assert self.world.last is not None
        return tuple(one.event for one in self.world.last.recorded)

    def _outcome(self) -> str:
        """What the first public event says of a purchase."""
        published = [event for event in self._last() if isinstance(event, e.PublicEvent)]
        match published[0] if published else None:
            case None:
                return ""
            case e.RedemptionRejected(reason=reason):
                return reason.value
            case e.UnexpectedMessage(reason=reason):
                return reason
            case e.RedemptionUncoveredAlerted():
                return "uncovered"
            case event:
                return event.type.removeprefix("redemption.")

    # People and time ----------------------------------------------------------------------------

    @rule(
        place=places,
        decision=st.sampled_from(("approve", "approve", "reject")),
        amount=st.sampled_from((None, None, None, 0, 100, 400, 1_000)),
        by=st.sampled_from(("ann", "bob")),
    )
    def resolve(self, place: int, decision: str, amount: int | None, by: str) -> None:
        waiting = [
            (name, sale, sale.open_case)
            for name in NAMES
            for sale in self.state(name).sales
            if sale.open_case
        ]
        if not waiting:
            return
        name, of, case = waiting[place % len(waiting)]
        card, sale = self.book.cards[name], self.book.cards[name].sales[of.order_id, of.line_id]
        message = make.resolve(case.refund_case_id, decision, amount, by=by)
        clear = self.book.orders[of.order_id].clear
        expected = self.book.resolve(card, sale, decision, amount, by) if clear else ""
        self.world.tell(name, message)
        if clear:
            assert self._decided() == expected
        self.absorb()

    def _decided(self) -> str:
        published = self._last()
        match published[0] if published else None:
            case None:
                return "nothing"
            case e.OperatorActed():
                return "waits"
            case e.RefundResolved(decision=decision):
                return decision
            case event:
                return type(event).__name__

    @rule(
        time=st.sampled_from((make.HOUR, make.HOUR, make.DAY, 3 * make.DAY, 8 * make.DAY)), very_long=rarely
    )
    def wait(self, time: timedelta, very_long: bool) -> None:
        time += 360 * make.DAY if very_long else timedelta()
        for _ in self.world.wait(time):
            self.absorb()
        self.absorb()

    @rule(place=st.integers(0, 200))
    def say_again(self, place: int) -> None:
        """Topics repeat; what was heard changes nothing."""
        if self.world.said:
            said = self.world.said[place % len(self.world.said)]
            before, published = dict(self.world.states), len(self.world.stream)
            self.world.publish(said)
            assert (self.world.states, len(self.world.stream)) == (before, published)


TestWholeDomain = WholeDomain.TestCase
TestWholeDomain.settings = searched(80)
