"""A deliberately naive second reckoning of the rules' money, written from the words of the lifecycle alone.

Integers, strings and lists, everything added up anew. It knows nothing of ``giftcert.domain``. What topics, channels,
people and time did is entered; what every certificate should then show can be asked. Amounts are minor units.

Which lines a refund without allocations means is not reckoned here: an order that has a payment of which not every
kopeck names its line is *unclear*, and what becomes of its sales is taken from the stream, money still added up.
"""

from datetime import datetime

from tests.unit.domain.naive_records import Card, Order, Purchase, Refund, Sale
from tests.unit.domain.naive_refunds import WAITS, Judge

Due = tuple[datetime, int, str, tuple[str, ...]]


class Book(Judge):
    """Everything that happened, and what follows from it."""

    # The order and its money ----------------------------------------------------------------------

    def stated(self, order_id: str, version: int, lines: dict[str, tuple[int, str | None]]) -> None:
        order = self.orders.setdefault(order_id, Order())
        for line in set(order.lines) - set(lines):
            order.left[line] = version
            order.how.setdefault(line, "removed")
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
        for line in order.lines:
            if lines is None or line in lines:
                order.left[line] = version
                order.how.setdefault(line, how)

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
                card.purchases[what[0]].lapsed = True
                self.give_back(card, what[0])
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
        card.purchases[key] = Purchase(amount, order, until=min(until, self.now + self.hold_limit))
        return "authorized"

    def give_back(self, card: Card, key: str) -> str:
        purchase = card.purchases.get(key)
        if purchase is None or not purchase.held:
            return ""
        card.balance += purchase.held
        purchase.held = 0
        self._after_a_hold(card)
        return "voided"

    def _after_a_hold(self, card: Card) -> None:
        if card.phase == "expired":
            card.breakage += card.balance
            card.balance = 0
        self.judge(card)

    def find(self, card: Card, key: str | None, order: str, payment: str) -> str | None:
        """By its id, else by the payment, else the only hold of the order, else the only one that lapsed."""
        if key is not None:
            return key if key in card.purchases else None
        known = [name for name, one in card.purchases.items() if one.payment == payment]
        of_order = {name: one for name, one in card.purchases.items() if one.order == order}
        held = [name for name, one in of_order.items() if one.held]
        held = held or [name for name, one in of_order.items() if one.lapsed and not one.spent]
        return known[-1] if known else held[0] if len(held) == 1 else None

    def spend(self, card: Card, found: str | None, key: str, amount: int, order: str, *, direct: bool) -> str:
        purchase = card.purchases.get(found) if found else None
        if purchase is not None and purchase.held:
            if amount > purchase.held:
                return "exceedsHold"
            card.balance += purchase.held - amount
            purchase.held = 0
        else:
            was_held = purchase is not None and purchase.until is not None
            if not was_held and not direct:
                return "holdRequired"
            refused = self.refusal(card, amount)
            if refused:
                return refused
            purchase = card.purchases.setdefault(found or key, Purchase(0, order))
            card.balance -= amount
        purchase.spent += amount
        self._after_a_hold(card)
        return "captured"

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
