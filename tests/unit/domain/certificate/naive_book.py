"""A deliberately naive second reckoning of the rules' money, written from the words of the lifecycle alone.

Integers, strings and lists, everything added up anew. It knows nothing of ``giftcert.domain``. What topics, channels,
people and time did is entered; what every certificate should then show can be asked. Amounts are minor units.

Which lines a refund without allocations means is not reckoned here: an order that has a payment of which not every
kopeck names its line is *unclear*, and what becomes of its sales is taken from the stream, money still added up.
"""

from datetime import datetime

from tests.unit.domain.certificate.naive_records import Card, Order, Purchase, Refund, Sale
from tests.unit.domain.certificate.naive_refunds import WAITS, Judge

Due = tuple[datetime, int, str, tuple[str, ...]]


class Book(Judge):
    """Everything that happened, and what follows from it."""

    # The order and its money ----------------------------------------------------------------------

    def stated(self, order_id: str, version: int, lines: dict[str, tuple[int, str | None]]) -> None:
        order = self.orders.setdefault(order_id, Order())
        for line, (_, name) in lines.items():
            if order.named.get(line, name) != name and (order.captured(line) or order.new(line, set())):
                order.clear = False  # what becomes of its money and cases is told in examples
            order.named[line] = name
        for line in set(order.lines) - set(lines) - set(order.left):
            order.left[line], order.how[line] = version, "removed"
        for line in lines:
            if order.how.get(line) == "removed":
                del order.left[line], order.how[line]
        order.lines, order.version = lines, version
        order.ever |= {line: price for line, (price, _) in lines.items()}
        for line, (price, name) in lines.items():
            card = self.cards.get(name or "")
            if card and card.phase == "ordered" and card.sale is card.sales.get((order_id, line)):
                assert card.sale
                card.sale.price = price

    def withdrawn(self, order_id: str, version: int, lines: set[str] | None, how: str) -> None:
        order = self.orders[order_id]
        order.version = version
        for line in order.ever:
            meant = (line in order.lines or not order.is_final(line)) if lines is None else line in lines
            if meant:
                order.left[line] = version
                order.how[line] = order.how[line] if order.is_final(line) else how

    def captured(self, order_id: str, payment: str, amount: int, to: dict[str, int]) -> None:
        order = self.orders.setdefault(order_id, Order())
        order.captures.append((payment, to))
        order.clear &= sum(to.values()) == amount

    def refunded(self, order_id: str, name: str, amount: int, refund: Refund) -> None:
        order = self.orders.setdefault(order_id, Order())
        order.refunds[name] = refund
        order.size[name] = amount
        order.refunded += 0 if refund.foreign else amount
        order.clear &= sum(refund.to.values()) == amount

    # The certificate ------------------------------------------------------------------------------

    def ordered(self, name: str, order_id: str, line: str, price: int) -> None:
        card = self.cards[name]
        card.sale = card.sales.setdefault((order_id, line), Sale(order_id, line, price))
        card.sale.price, card.phase = price, "ordered"

    def released(self, name: str) -> None:
        card = self.cards[name]
        card.phase, card.sale = "available", None

    # Time -----------------------------------------------------------------------------------------

    def pass_to(self, now: datetime) -> None:
        """Let everything come that is due, each at its own instant."""
        while (due := min(self._due(now), default=None)) is not None:
            at, _, name, what = due
            self.now = max(self.now, at)
            self._come(self.cards[name], what)
        self.now = now

    def _due(self, now: datetime) -> list[Due]:
        found: list[Due] = []
        for name, card in self.cards.items():
            if card.spendable and card.valid_until:
                found.append((card.valid_until, 1, name, ("validity",)))
            found += [
                (one.until, 2, name, (key,))
                for key, one in card.purchases.items()
                if one.held and one.until is not None
            ]
            for line, sale in card.sales.items():
                case = sale.case if self.orders[sale.order].clear else None
                if case is not None and case.awaiting and not case.reason and not case.overdue:
                    found.append((case.since + WAITS[case.awaiting], 0, name, line))
        return [one for one in found if one[0] <= now]

    def _come(self, card: Card, what: tuple[str, ...]) -> None:
        """The validity's end, a case's (by order and line), or a hold's."""
        match what:
            case ("validity",):
                card.breakage += card.balance
                card.balance, card.phase = 0, "expired"
            case (order, line):
                waiting = card.sales[order, line].case
                assert waiting
                waiting.overdue = True
            case _:
                self.give_back(card, what[0], lapsed=True)
        self.judge(card)

    # Spending -------------------------------------------------------------------------------------

    def refusal(self, card: Card, amount: int) -> str | None:
        past = card.valid_until is not None and self.now >= card.valid_until and card.sale is not None
        if card.phase == "expired" or past:
            return "expired"
        if not card.spendable:
            return "notActive"
        if card.blocked:
            return "blocked"
        if card.frozen or (card.sale and self.is_clear(card) and card.sale.case):
            return "refundInProgress"
        return "insufficientBalance" if amount > card.balance else None

    def hold(self, name: str, key: str, amount: int, order: str, until: datetime) -> str:
        card = self.cards[name]
        if key in card.purchases:
            return ""
        refused = self.refusal(card, amount)
        if refused:
            return refused
        card.balance -= amount
        until = min(until, self.now + self.hold_limit)
        card.purchases[key] = Purchase("held", order, "pos", held=amount, until=until)
        return "authorized"

    def void(self, card: Card, key: str, channel: str) -> str:
        """A channel gives its hold back over HTTP."""
        purchase = card.purchases.get(key)
        if purchase is None or purchase.channel != channel:
            return ""
        return self.give_back(card, key)

    def give_back(self, card: Card, key: str, *, lapsed: bool = False) -> str:
        purchase = card.purchases.get(key)
        if purchase is None or purchase.state != "held":
            return ""
        card.balance += purchase.held
        purchase.state, purchase.lapsed = ("lapsed", purchase.held) if lapsed else ("voided", 0)
        purchase.held = 0
        self._after_a_hold(card)
        return "voided"

    def _after_a_hold(self, card: Card) -> None:
        if card.phase == "expired":
            card.breakage += card.balance
            card.balance = 0
        self.judge(card)

    def find(self, card: Card, key: str | None, order: str, payment: str, channel: str) -> str | None:
        """By its id, else by the payment, else the only hold of the order, else the only one that lapsed."""
        if key is not None:
            return key if key in card.purchases else None
        known = [name for name, one in card.purchases.items() if one.payment == payment]
        if known:
            return known[-1]
        for state in ("held", "lapsed"):
            waiting = {
                name: one for name, one in card.purchases.items() if (one.order, one.state) == (order, state)
            }
            meant = [name for name, one in waiting.items() if one.channel == channel] or list(waiting)
            if meant:
                return meant[0] if len(meant) == 1 else None
        return None

    def spend(self, card: Card, found: str | None, key: str, amount: int, order: str, channel: str) -> str:
        purchase = card.purchases.get(found) if found else None
        state = purchase.state if purchase else "none"
        if purchase is not None and state in {"held", "lapsed"}:
            if amount > (purchase.held if state == "held" else purchase.lapsed):
                return "exceedsHold"
        elif channel != "im" or self._unheld(purchase) + amount > self.cap:
            return "holdRequired"
        if state != "held" and (refused := self.refusal(card, amount)):
            return refused
        purchase = purchase or card.purchases.setdefault(found or key, Purchase("captured", order, channel))
        card.balance += purchase.held - amount
        purchase.unheld += 0 if state in {"held", "lapsed"} else amount
        purchase.held, purchase.state = 0, "captured"
        purchase.spent += amount
        self._after_a_hold(card)
        return "captured"

    def _unheld(self, purchase: Purchase | None) -> int:
        return min(purchase.unheld, purchase.spent - purchase.restored) if purchase else 0

    def restore(self, card: Card, found: str | None, amount: int) -> str:
        purchase = card.purchases.get(found) if found else None
        if purchase is None or amount > purchase.spent - purchase.restored:
            return "restoreExceedsSpent"
        past = card.valid_until is not None and self.now >= card.valid_until
        if card.phase in {"refunded", "expired"} or past:
            return "uncovered"
        purchase.restored += amount
        card.balance += amount
        self.judge(card)
        return "restored"
