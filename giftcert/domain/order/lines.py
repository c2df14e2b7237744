"""Line identity: what the versions of an order make of its lines.

A new version's lines are matched by certificate, then by lineId where that line is unmatched and was not cancelled or
returned; the rest are new. Lines left unmatched are removed, with their money.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from giftcert.domain.order.messages import LinesReturned, OrderCancelled, OrderLine, OrderStated, OrderVersion
from giftcert.domain.order.standing import LineWithdrawal, NamedBy, Naming, Withdrawal
from giftcert.domain.order.state import Absence, Bearing, KnownLine, Order, SaidWithdrawal


def state_whole(order: Order, version: OrderStated, now: datetime) -> Order:
    """Fold a full version; cancellations and returns said in it or a newer one hold, whichever came first."""
    newer = tuple(said for said in order.withdrawals if said.withdrawal.said_in >= version.version)
    earlier = order.withdrawals[: len(order.withdrawals) - len(newer)]
    order = _withdrawn(replace(order, withdrawals=earlier))
    lines, listed = _stated_lines(order.lines, version, now)
    stated = replace(
        order,
        version=max(order.version, version.version),
        stated_version=version.version,
        channel=version.channel,
        customer_id=version.customer_id,
        currency=version.currency,
        total=version.total,
        lines=tuple(
            line
            if line.withdrawal is line.stated_withdrawal
            else replace(line, stated_withdrawal=line.withdrawal)
            for line in lines
        ),
        bearings=_borne(order.bearings, (lines[key - 1] for key in listed), version.cause.occurred_at),
        withdrawals=newer,
    )
    return _withdrawn(stated)


def _stated_lines(
    known: Sequence[KnownLine], version: OrderStated, now: datetime
) -> tuple[list[KnownLine], list[int]]:
    """Return all lines as a version leaves them, and the keys of those that it lists."""
    price_of = prices(version.lines, version.total)
    lines = [_unlisted(line, version) for line in known]
    listed: list[int] = []
    for line, match in zip(version.lines, _match(known, version.lines), strict=True):
        before = match or KnownLine(key=len(lines) + 1, line_id=line.line_id)
        if match is None:
            lines.append(before)
        lines[before.key - 1] = _restated(before, line, price_of[line.line_id], version, now)
        listed.append(before.key)
    return lines, listed


def prices(lines: Sequence[OrderLine], total: int) -> dict[str, int]:
    """Return what each line costs, by lineId: its amount less its share of a discount of the whole order.

    The discount is what the total is below the sum of the lines, shared over the positive ones by amount: largest
    remainders first, ties by lineId.
    """
    price_of = {line.line_id: line.amount for line in lines}
    positive = [line for line in lines if line.amount > 0]
    discount, base = sum(price_of.values()) - total, sum(line.amount for line in positive)
    if discount <= 0:
        return price_of
    for line in positive:
        price_of[line.line_id] -= discount * line.amount // base
    left = sum(price_of.values()) - total
    by_remainder = sorted(positive, key=lambda line: (-(discount * line.amount % base), line.line_id))
    for line in by_remainder[:left]:
        price_of[line.line_id] -= 1
    return price_of


def _match(known: Sequence[KnownLine], stated: Sequence[OrderLine]) -> list[KnownLine | None]:
    of_certificate: dict[str | None, KnownLine] = {
        line.naming.certificate_id: line for line in known if line.naming is not None
    }
    of_number = _by_number(line for line in known if not line.is_final)
    found = [of_certificate.get(line.certificate_id) for line in stated]
    taken = {line.key for line in found if line is not None}
    for place, line in enumerate(stated):
        candidate = of_number.get(line.line_id)
        if found[place] is None and candidate is not None and candidate.key not in taken:
            found[place] = candidate if (candidate.naming is not None) == line.is_certificate else None
    return found


def _by_number(lines: Iterable[KnownLine]) -> dict[str, KnownLine]:
    """The line that last bore each lineId: the listed one, else the one removed last."""
    return {line.line_id: line for line in sorted(lines, key=_recency)}


def _recency(line: KnownLine) -> tuple[bool, int, int]:
    return line.listed, line.withdrawal.said_in if line.withdrawal else 0, line.key


def _unlisted(line: KnownLine, version: OrderStated) -> KnownLine:
    """A known line as if the version does not list it: removed, unless ``_restated`` brings it back."""
    withdrawal = line.withdrawal
    if line.listed and withdrawal is None:
        withdrawal = _withdrawal(Withdrawal.REMOVED, version)
    return replace(line, listed=False, withdrawal=withdrawal)


def _restated(
    known: KnownLine, line: OrderLine, price: int, version: OrderStated, now: datetime
) -> KnownLine:
    restated = replace(
        known, line_id=line.line_id, amount=line.amount, price=price, nominal=line.nominal, listed=True
    )
    if line.certificate_id is not None:
        others = tuple(one for one in known.certificates if one != line.certificate_id)
        restated = replace(
            restated,
            naming=_naming(restated, known, line, version, now),
            certificates=(*others, line.certificate_id),
        )
    if known.withdrawal is None:
        return restated
    if known.is_final:  # for good; it may be listed, but does not come back
        in_vain = known.listed_in <= known.withdrawal.said_in
        return replace(restated, listed_in=version.version if in_vain else known.listed_in)
    absence = Absence(known.withdrawal.cause.occurred_at, version.cause.occurred_at)
    return replace(restated, withdrawal=None, absences=(*known.absences, absence))


def _naming(
    restated: KnownLine, known: KnownLine, line: OrderLine, version: OrderStated, now: datetime
) -> Naming:
    """How the version names a certificate: as before, on other terms, or anew."""
    before, certificate_id = known.naming, line.certificate_id or ""
    named_by = _named_by(version, now, line.reservation_id)
    came_back = known.withdrawal is not None and not known.is_final
    if before is None or before.certificate_id != certificate_id or came_back:
        replaced = before.certificate_id if before and before.certificate_id != certificate_id else None
        return Naming(certificate_id=certificate_id, began=named_by, terms=named_by, replaces=replaced)
    terms = known.amount, known.price, known.nominal, before.terms.reservation_id
    if terms == (restated.amount, restated.price, restated.nominal, line.reservation_id):
        return before
    return replace(before, terms=named_by)


def _named_by(said: OrderVersion, now: datetime, reservation_id: str | None = None) -> NamedBy:
    return NamedBy(version=said.version, cause=said.cause, applied_at=now, reservation_id=reservation_id)


def withdraw(order: Order, message: OrderCancelled | LinesReturned, now: datetime) -> Order:
    """Fold a cancellation or return; one that newer ones overtook takes its place before them."""
    named_by = _named_by(message, now)
    how = Withdrawal.CANCELLED if isinstance(message, OrderCancelled) else Withdrawal.RETURNED
    said = SaidWithdrawal(message.line_ids, _withdrawal(how, message))
    numbers = {line.line_id for line in order.lines}
    named = {line.naming.certificate_id for line in order.lines if line.naming is not None}
    new = [one for one in message.certificates if one[0] not in numbers and one[1] not in named]
    # It may be the first message that names a certificate: then its line is new, and withdrawn.
    first_named = [
        KnownLine(  # what it costs is not known
            key=key,
            line_id=line_id,
            listed=False,
            stated_withdrawal=said.withdrawal,
            naming=Naming(certificate_id=certificate_id, began=named_by, terms=named_by),
            certificates=(certificate_id,),
        )
        for key, (line_id, certificate_id) in enumerate(new, start=len(order.lines) + 1)
    ]
    return _withdrawn(
        replace(
            order,
            version=max(order.version, message.version),
            channel=order.channel or message.channel,
            lines=(*order.lines, *first_named),
            withdrawals=tuple(sorted((*order.withdrawals, said), key=lambda one: one.withdrawal.said_in)),
        )
    )


def _withdrawal(how: Withdrawal, said: OrderVersion) -> LineWithdrawal:
    return LineWithdrawal(how=how, said_in=said.version, cause=said.cause)


def _withdrawn(order: Order) -> Order:
    """Apply the cancellations and returns since the newest full version, by version."""
    lines = [
        line
        if line.withdrawal is line.stated_withdrawal
        else replace(line, withdrawal=line.stated_withdrawal)
        for line in order.lines
    ]
    for said in order.withdrawals:
        for key in _meant(lines, said.line_ids):
            lines[key - 1] = _gone(lines[key - 1], said.withdrawal)
    return replace(order, lines=tuple(lines))


def _meant(lines: Sequence[KnownLine], line_ids: tuple[str, ...] | None) -> list[int]:
    if line_ids is None:
        return [line.key for line in lines if line.listed or not line.is_final]
    of_number = _by_number(lines)
    return [of_number[line_id].key for line_id in line_ids if line_id in of_number]


def _gone(line: KnownLine, said: LineWithdrawal) -> KnownLine:
    """A removed line is now gone for good; otherwise how it first left stands."""
    before = line.withdrawal
    if before is None:
        return replace(line, withdrawal=said)
    how = said.how if before.how is Withdrawal.REMOVED else before.how
    return replace(line, withdrawal=replace(before, how=how, said_in=said.said_in))


def _borne(
    bearings: tuple[Bearing, ...], lines: Iterable[KnownLine], occurred_at: datetime
) -> tuple[Bearing, ...]:
    newest = {one.line_id: one for one in bearings}
    new = [
        Bearing(line.line_id, occurred_at, line.key)
        for line in lines
        if (last := newest.get(line.line_id)) is None
        or last.line_key != line.key
        or occurred_at < last.occurred_at
    ]
    return (*bearings, *new)


class Bearers:
    """Which line an allocation means: the one that last bore its lineId by then, else the first that ever did."""

    def __init__(self, order: Order) -> None:
        self._of: dict[str, list[Bearing]] = {}
        for one in order.bearings:
            self._of.setdefault(one.line_id, []).append(one)
        for line in order.lines:  # first heard of as they were cancelled or returned
            if line.line_id not in self._of and line.naming is not None:
                first = Bearing(line.line_id, line.naming.began.cause.occurred_at, line.key)
                self._of[line.line_id] = [first]
        for borne in self._of.values():
            borne.sort(key=lambda one: one.occurred_at)

    def amounts(self, allocations: Iterable[tuple[str, int]], at: datetime) -> dict[int | None, int]:
        """Return what is allocated at a business time, by line key; ``None``: no line ever bore the lineId."""
        found: dict[int | None, int] = {}
        for line_id, amount in allocations:
            key = self._line(line_id, at)
            found[key] = found.get(key, 0) + amount
        return found

    def _line(self, line_id: str, at: datetime) -> int | None:
        borne = self._of.get(line_id)
        if borne is None:
            return None
        until_then = [one for one in borne if one.occurred_at <= at]
        return (until_then or borne[:1])[-1].line_key
