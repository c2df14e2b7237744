"""A deliberately naive second reading of the rules for an order whose every payment says for which line it is.

Lists and loops, everything looked up anew; it shares no code with the order.
"""

from dataclasses import dataclass, field
from datetime import datetime

from giftcert.domain.order import messages as m


@dataclass
class NaiveLine:
    number: str
    certificate: str | None
    price: int
    listed: bool = True
    how: str | None = None
    paid_at: set[int] = field(default_factory=set)
    kept: int | None = None


@dataclass
class NaiveOrder:
    """``bore`` says which line had which number from when on."""

    lines: list[NaiveLine] = field(default_factory=list)
    bore: list[tuple[datetime, str, int]] = field(default_factory=list)
    captures: list[tuple[str, datetime, int]] = field(default_factory=list)
    refunds: list[tuple[str, datetime, int]] = field(default_factory=list)

    def hear(self, message: m.OrderMessage) -> None:
        match message:
            case m.OrderStated():
                self.state(message)
            case m.OrderCancelled(line_ids=None):
                for line in self.lines:
                    line.how = "cancelled" if line.how in {None, "removed"} else line.how
            case m.OrderCancelled() | m.LinesReturned():
                how = "cancelled" if isinstance(message, m.OrderCancelled) else "returned"
                for number in message.line_ids or ():
                    self.leave(number, how)
            case m.PaymentCaptured():
                self.captures += [
                    (part.line_id, message.cause.occurred_at, part.amount) for part in message.allocations
                ]
            case m.PaymentRefunded():
                self.refunds += [
                    (part.line_id, message.cause.occurred_at, part.amount) for part in message.allocations
                ]
            case _:
                pass
        self.look_what_is_paid()

    def state(self, version: m.OrderStated) -> None:
        before = list(self.lines)
        was_listed = [line.listed for line in before]
        found = {stated.line_id: self.find(stated.certificate_id, before) for stated in version.lines}
        for stated in version.lines:
            nth = self.last_of(stated.line_id, before, was_listed)
            if found[stated.line_id] is None and nth is not None and nth not in found.values():
                same_kind = (before[nth].certificate is None) == (stated.certificate_id is None)
                found[stated.line_id] = nth if same_kind else None
        for line in self.lines:
            line.listed = False
        for stated in version.lines:
            self.put(stated, found[stated.line_id], version.cause.occurred_at)
        for nth, line in enumerate(before):
            if was_listed[nth] and not line.listed and line.how is None:
                line.how = "removed"

    def find(self, certificate: str | None, lines: list[NaiveLine]) -> int | None:
        named = [nth for nth, line in enumerate(lines) if certificate and line.certificate == certificate]
        return next(iter(named), None)

    def last_of(self, number: str, lines: list[NaiveLine], was_listed: list[bool]) -> int | None:
        mine = [nth for nth, line in enumerate(lines) if line.number == number]
        mine = [nth for nth in mine if lines[nth].how not in {"cancelled", "returned"}]
        listed = [nth for nth in mine if was_listed[nth]]
        borne = [nth for _, of, nth in self.bore if of == number and nth in mine]
        return next(iter(listed), None) if listed else (borne[-1] if borne else None)

    def put(self, stated: m.OrderLine, nth: int | None, at: datetime) -> None:
        if nth is None:
            nth = len(self.lines)
            self.lines.append(NaiveLine(stated.line_id, stated.certificate_id, stated.amount))
        line = self.lines[nth]
        if line.certificate != stated.certificate_id:
            line.kept = None
        line.number, line.certificate, line.price = stated.line_id, stated.certificate_id, stated.amount
        line.listed = True
        line.how = None if line.how == "removed" else line.how
        self.bore.append((at, stated.line_id, nth))

    def leave(self, number: str, how: str) -> None:
        mine = [nth for nth, line in enumerate(self.lines) if line.number == number]
        listed = [nth for nth in mine if self.lines[nth].listed]
        borne = [nth for _, of, nth in self.bore if of == number and nth in mine]
        live = [nth for nth in borne if self.lines[nth].how not in {"cancelled", "returned"}]
        meant = listed or live[-1:] or borne[-1:]
        if meant and self.lines[meant[0]].how in {None, "removed"}:
            self.lines[meant[0]].how = how

    # Money ----------------------------------------------------------------------------------------

    def meant(self, number: str, at: datetime) -> int | None:
        mine = sorted((one for one in self.bore if one[1] == number), key=lambda one: one[0])
        then = [nth for since, _, nth in mine if since <= at]
        return then[-1] if then else next((nth for _, _, nth in mine), None)

    def captured(self, nth: int) -> int:
        return sum(amount for number, at, amount in self.captures if self.meant(number, at) == nth)

    def back(self, nth: int) -> int:
        brought, gave = (sum(one[2] for one in payments) for payments in (self.captures, self.refunds))
        if brought == gave > 0:
            return self.captured(nth)
        return sum(amount for number, at, amount in self.refunds if self.meant(number, at) == nth)

    def look_what_is_paid(self) -> None:
        for nth, line in enumerate(self.lines):
            if line.listed and line.how is None and self.captured(nth) - self.back(nth) >= line.price:
                line.paid_at.add(line.price)
                line.kept = line.price

    def price(self, nth: int) -> int:
        kept = self.lines[nth].kept
        return self.lines[nth].price if kept is None else kept

    def is_paid(self, nth: int) -> bool:
        price = self.price(nth)
        return price in self.lines[nth].paid_at and self.captured(nth) - self.back(nth) >= price
