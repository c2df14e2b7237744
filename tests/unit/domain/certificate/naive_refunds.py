"""The naive book's reading of the tables "Sale" and "Refunds", for orders whose every payment names its lines."""

from datetime import datetime, timedelta

from tests.unit.domain.certificate.naive_records import Card, Case, Order, Sale

DAY = timedelta(days=1)
VALID = 365 * DAY
WAITS = {"capture": DAY, "rest": 7 * DAY, "payment": 7 * DAY}
OVERDUE = {"capture": "notCaptured", "rest": "amountMismatch", "payment": "refundPaymentMissing"}


class Judge:
    """Decides again and again on all that is entered, until nothing more follows."""

    def __init__(
        self, names: list[str], nominal: int, hold_limit: timedelta, two_over: int, cap: int, now: datetime
    ) -> None:
        self.cards = {name: Card(nominal) for name in names}
        self.orders: dict[str, Order] = {}
        self.now = now
        self.hold_limit, self.two_over, self.cap = hold_limit, two_over, cap

    def judge(self, card: Card) -> None:
        """The tables "Sale" and "Refunds" for the sale that the certificate is under, until nothing more follows."""
        while card.sale is not None and self.is_clear(card):
            if not (
                self._unissued(card, card.sale) if card.phase == "ordered" else self._sold(card, card.sale)
            ):
                break
        self._named_too_late(card)
        for sale in card.sales.values():
            if sale is not card.sale and self.orders[sale.order].clear:
                self._past(card, sale)

    def _named_too_late(self, card: Card) -> None:
        """A line left its order before the certificate took it: its money has to go back all the same."""
        for order_id, order in self.orders.items():
            for line, name in order.named.items():
                if self.cards.get(name or "") is not card or line not in order.left:
                    continue
                if (order_id, line) in card.sales or order.captured(line) <= 0:
                    continue
                if card.phase in {"available", "reserved"}:
                    card.sales[order_id, line] = Sale(order_id, line, order.ever[line])
                else:
                    order.clear = False

    def is_clear(self, card: Card) -> bool:
        return card.sale is not None and self.orders[card.sale.order].clear

    def _past(self, card: Card, sale: Sale) -> None:
        """A sale that was let go: its money still comes and goes."""
        order = self.orders[sale.order]
        if self._gone_to_another(card, sale):
            self._close(sale)
        elif sale.line in order.left or order.new(sale.line, sale.counted) or sale.case:
            back, captured = order.back(sale.line, sale.counted), order.captured(sale.line) - sale.returned
            verdict = self._unissued_verdict(sale, back, captured, out=sale.line in order.left)
            if self._say(card, sale, *verdict):
                self._past(card, sale)

    def _gone_to_another(self, card: Card, sale: Sale) -> bool:
        """Whether the line lives on with another certificate, and its money with it."""
        return self.cards.get(self.orders[sale.order].named[sale.line] or "") is not card

    def _unissued(self, card: Card, sale: Sale) -> bool:
        """Whether anything followed."""
        order = self.orders[sale.order]
        out = sale.line in order.left
        if self._gone_to_another(card, sale):
            self._close(sale)
            return self._let_go(card)
        back, captured = order.back(sale.line, sale.counted), order.captured(sale.line) - sale.returned
        if not (out or order.new(sale.line, sale.counted) or sale.case):
            if captured >= sale.price:
                self.issued(card)
            return card.phase == "live"
        verdict = self._unissued_verdict(sale, back, captured, out=out)
        followed, back = self._say(card, sale, *verdict), verdict[2] if verdict[0] == "done" else back
        if sale.case is None and (back >= captured > 0 or (out and captured <= 0 >= back)):
            return self._let_go(card)
        return followed

    def _unissued_verdict(  # noqa: PLR0911 - the table
        self, sale: Sale, back: int, captured: int, *, out: bool
    ) -> tuple[str, str, int, int]:
        approved, foreign = sale.case is not None and sale.case.approved is not None, self._foreign(sale)
        if foreign and not approved:
            return "ask", "currencyMismatch", back or self._foreign_sum(sale), 0
        if approved and (captured if foreign else back) > 0:
            return "done", "", max(back, captured) if foreign else back, 0
        if captured <= 0 and (back > 0 or foreign):
            return "wait", "capture", back, 0
        if back > captured or self._overdrawn(sale):
            return "ask", "exceedsCaptured", back, 0
        if back == captured > 0:
            return "done", "", back, 0
        if back > 0:
            return "wait", "rest", back, 0
        return ("wait", "payment", captured, 0) if out and captured > 0 else ("nothing", "", 0, 0)

    def _let_go(self, card: Card) -> bool:
        card.phase, card.sale = "available", None
        return True

    def _sold(self, card: Card, sale: Sale) -> bool:
        return self._say(card, sale, *self._sold_verdict(card, sale))

    def _sold_verdict(self, card: Card, sale: Sale) -> tuple[str, str, int, int]:  # noqa: PLR0911 - the table
        order, case = self.orders[sale.order], sale.case
        back = order.back(sale.line, sale.counted)
        captured = max(order.captured(sale.line) - sale.returned, sale.price - sale.settled)
        left = order.left.get(sale.line, 0)
        out = left > sale.decided
        whole = back + sale.settled >= sale.price
        if case and case.approved is not None and back > 0 and not (whole and card.held):
            worth = self.worth(card, sale, back)
            return "done", "", back, card.balance if whole else min(case.approved, card.balance, worth)
        if self._foreign(sale):
            return "ask", "currencyMismatch", back or self._foreign_sum(sale), 0
        if sale.price == 0 and out and card.phase != "refunded":
            if card.spent or card.held:
                return "ask", "certificateRedeemed" if card.spent else "redemptionInProgress", back, 0
            return "done", "", back, card.balance
        if back > 0:
            asked = self._asked(card, sale, back, captured)
            if asked:
                return ("wait", asked, back, 0) if asked in WAITS else ("ask", asked, back, 0)
            return "done", "", back, card.balance
        approved = case is not None and case.approved is not None and left > 0
        if (out and card.phase != "refunded") or approved:
            return "wait", "payment", captured, 0
        return "nothing", "", 0, 0

    def _asked(self, card: Card, sale: Sale, back: int, captured: int) -> str | None:
        together = back + sale.settled
        rows = (
            (captured + sale.settled == 0, "capture"),
            (back > captured or self._overdrawn(sale), "exceedsCaptured"),
            (sale.settled >= sale.price, "alreadyRefunded"),
            (card.phase == "expired", "certificateExpired"),
            (card.blocked, "certificateBlocked"),
            (card.held > 0, "redemptionInProgress"),
            (card.spent > 0, "certificateRedeemed"),
            (together > sale.price, "amountMismatch"),
            (together < sale.price, "rest"),
        )
        return next((reason for applies, reason in rows if applies), None)

    def _foreign(self, sale: Sale) -> bool:
        order = self.orders[sale.order]
        return any(order.refunds[name].foreign for name in order.new(sale.line, sale.counted))

    def _foreign_sum(self, sale: Sale) -> int:
        order = self.orders[sale.order]
        new = [order.refunds[name] for name in order.new(sale.line, sale.counted)]
        return sum(one.to[sale.line] for one in new if one.foreign)

    def _overdrawn(self, sale: Sale) -> bool:
        order = self.orders[sale.order]
        new = [order.refunds[name] for name in order.new(sale.line, sale.counted)]
        return any(order.overdrawn(one.payment) for one in new if not one.foreign)

    def _say(self, card: Card, sale: Sale, verdict: str, why: str, amount: int, taken: int) -> bool:
        """Keep the case as the verdict says; whether money was counted or a case closed."""
        if verdict == "done":
            approved = sale.issued and sale.case and sale.case.approved is not None
            worth = self.worth(card, sale, amount) if approved else 0
            self._count(card, sale, amount, taken, "completed", max(0, worth - taken))
            return True
        if verdict == "nothing":
            return self._close(sale)
        newest = next(reversed(self.orders[sale.order].new(sale.line, sale.counted)), None)
        case = sale.case or Case(self.now)
        before = case.reason, case.awaiting, case.amount, case.newest
        if verdict == "wait" and (case.awaiting, case.amount, case.newest) != (why, amount, newest):
            refunded_at = self.orders[sale.order].refunded_at(sale.line, sale.counted)
            case.since = self.now if why == "payment" or refunded_at is None else refunded_at
            case.awaiting, case.overdue = why, False
        case.amount, case.newest, sale.case = amount, newest, case
        case.reason = why if verdict == "ask" else OVERDUE[why] if case.overdue else None
        if before != (case.reason, case.awaiting, amount, newest):
            case.agreed = None
        return False

    def _close(self, sale: Sale) -> bool:
        had, sale.case = sale.case is not None, None
        sale.closed += ["rejected"] if had else []
        return had

    def _count(
        self, card: Card, sale: Sale, amount: int, taken: int, outcome: str, uncovered: int = 0
    ) -> None:
        card.uncovered += uncovered
        sale.counted |= set(self.orders[sale.order].new(sale.line, sale.counted))
        captured = self.orders[sale.order].captured(sale.line) - sale.returned
        sale.returned += min(amount, max(0, captured))
        sale.case = None
        sale.closed.append(outcome)
        if sale.issued:
            sale.settled += amount
            self.take(card, taken, may_end=outcome == "completed")

    def take(self, card: Card, taken: int, *, may_end: bool) -> None:
        card.balance -= taken
        card.taken += taken
        if may_end and card.balance == card.held == 0:
            card.phase = "refunded"

    # A person decides -----------------------------------------------------------------------------

    def resolve(self, card: Card, sale: Sale, decision: str, amount: int | None, by: str) -> str:
        """Of a clear sale: nothing follows, a second person is awaited, or it is carried out."""
        case = sale.case
        if case is None:
            return "nothing"
        foreign = self._foreign(sale)
        back = self.orders[sale.order].back(sale.line, sale.counted)
        money = back if foreign else back or case.amount
        worth = card.balance if sale.price == 0 else self.worth(card, sale, money)
        most = card.balance if foreign else min(card.balance, worth)
        if decision == "reject":
            refused = not sale.issued or (
                (amount or 0) > self._most_worth(card, sale) if foreign else amount is not None
            )
        elif sale.issued:
            refused = (amount or 0) > most or (foreign and amount is None)
        else:
            refused = amount is not None
        if refused:
            return "nothing"
        named = (most if amount is None else amount) if sale.issued else 0
        stands = case.reason is None and case.approved == named
        if decision == "approve" and stands:
            return "nothing"
        if (sale.price if foreign else case.amount) > self.two_over and not self._second(
            case, decision, amount, by
        ):
            said_before, case.agreed = case.agreed == (decision, amount, by), (decision, amount, by)
            return "nothing" if said_before else "waits"
        case.agreed = None
        if decision == "reject":
            self._reject(card, sale, amount, back, worth)
        else:
            self._approve(card, sale, most if amount is None else amount, back, worth)
        self.judge(card)
        return decision

    def _most_worth(self, card: Card, sale: Sale) -> int:
        if sale.price == 0:
            return card.balance
        return self.worth(card, sale, max(0, sale.price - sale.settled))

    def worth(self, card: Card, sale: Sale, money: int) -> int:
        """A part of the price in nominal units, rounded up over all parts so far."""
        before = -(-card.nominal * sale.settled // sale.price)
        return -(-card.nominal * (sale.settled + money) // sale.price) - before

    def _second(self, case: Case, decision: str, amount: int | None, by: str) -> bool:
        return case.agreed is not None and case.agreed[:2] == (decision, amount) and case.agreed[2] != by

    def _decided(self, sale: Sale) -> None:
        if sale.issued:
            sale.decided = max(sale.decided, self.orders[sale.order].left.get(sale.line, 0))

    def _money(self, card: Card, sale: Sale, back: int, worth: int) -> int:
        """Of another currency so much as that part of the nominal had cost."""
        if not self._foreign(sale):
            return back
        return max(back, min(worth * sale.price // card.nominal, max(0, sale.price - sale.settled)))

    def _reject(self, card: Card, sale: Sale, amount: int | None, back: int, worth: int) -> None:
        self._decided(sale)
        if self._foreign(sale):
            worth = self._most_worth(card, sale) if amount is None else amount
        elif back <= 0:
            self._close(sale)
            return
        self._count(card, sale, self._money(card, sale, back, worth), 0, "rejected", worth)

    def _approve(self, card: Card, sale: Sale, amount: int, back: int, worth: int) -> None:
        case = sale.case
        assert case
        self._decided(sale)
        if sale.issued and (back > 0 or self._foreign(sale) or sale.price == 0):
            uncovered = max(0, worth - amount)
            money = self._money(card, sale, back, amount + uncovered)
            self._count(card, sale, money, amount, "completed", uncovered)
        else:
            case.approved, case.reason = amount if sale.issued else 0, None
            case.awaiting, case.since, case.overdue = "payment", self.now, False

    def issued(self, card: Card) -> None:
        assert card.sale
        card.phase, card.balance, card.sale.issued = "live", card.nominal, True
        card.valid_until = self.now + VALID
