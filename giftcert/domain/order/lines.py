"""Line identity: what the versions of an order make of its lines.

A new version's lines are matched by certificate, then by lineId where that line is unmatched and was not cancelled or
returned; the rest are new. Lines left unmatched are removed, with their money.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from giftcert.domain.cause import Cause
from giftcert.domain.order.messages import LinesReturned, OrderCancelled, OrderLine, OrderStated
from giftcert.domain.order.standing import LineWithdrawal, Naming, Withdrawal
from giftcert.domain.order.state import Absence, Bearing, KnownLine, Order, SaidWithdrawal

# Full versions ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Stated:
    """A line of a full version, with its price and when we heard of it."""

    line: OrderLine
    price: int
    version: OrderStated
    now: datetime


def state_whole(order: Order, version: OrderStated, now: datetime) -> Order:
    """Return the order as a full version says that it now is.

    Cancellations and returns under this version or a newer one hold for it, whichever was told first.
    """
    newer = tuple(said for said in order.withdrawals if said.version >= version.version)
    if newer:
        earlier = [said for said in order.withdrawals if said.version < version.version]
        order = _withdrawn(_as_last_stated(order), *earlier)
    stated = _stated(order, version, now)
    has_live = any(line.listed and line.withdrawal is None for line in stated.lines)
    stated = replace(
        stated,
        version=max(order.version, version.version),
        stated_version=version.version,
        lines=tuple(
            line
            if line.stated_withdrawal is line.withdrawal
            else replace(line, stated_withdrawal=line.withdrawal)
            for line in stated.lines
        ),
        withdrawals=newer,
        was_cancelled=order.is_cancelled and not has_live,
        is_cancelled=order.is_cancelled and not has_live,
    )
    return _withdrawn(stated, *newer)


def _as_last_stated(order: Order) -> Order:
    """Return the order without the cancellations and returns since its last full version."""
    lines = tuple(replace(line, withdrawal=line.stated_withdrawal) for line in order.lines)
    return replace(order, lines=lines, is_cancelled=order.was_cancelled)


def _stated(order: Order, version: OrderStated, now: datetime) -> Order:
    price_of = prices(version.lines, version.total)
    lines = [_kept(line, version) for line in order.lines]
    here: list[int] = []
    for line, known in zip(version.lines, _match(order.lines, version.lines), strict=True):
        one = _Stated(line, price_of[line.line_id], version, now)
        if known is None:
            lines.append(_new(one, len(lines) + 1))
        else:
            lines[known.key - 1] = _restated(known, one)
        here.append(lines[-1].key if known is None else known.key)
    return replace(
        order,
        channel=version.channel,
        customer_id=version.customer_id,
        currency=version.currency,
        total=version.total,
        lines=tuple(lines),
        bearings=_borne(order.bearings, (lines[key - 1] for key in here), version.cause.occurred_at),
    )


def prices(lines: Sequence[OrderLine], total: int) -> dict[str, int]:
    """Return what each line costs: its amount less its share of a discount of the whole order.

    The discount is what the total is below the sum of the lines. It is shared over the positive lines by amount,
    largest remainders first, ties by lineId.
    """
    price_of = {line.line_id: line.amount for line in lines}
    positive = [line for line in lines if line.amount > 0]
    discount, base = sum(price_of.values()) - total, sum(line.amount for line in positive)
    if discount <= 0 or base == 0:
        return price_of
    for line in positive:
        price_of[line.line_id] -= discount * line.amount // base
    left = sum(price_of.values()) - total
    by_remainder = sorted(positive, key=lambda line: (-(discount * line.amount % base), line.line_id))
    for line in by_remainder[:left]:
        price_of[line.line_id] -= 1
    return price_of


def _match(known: Iterable[KnownLine], stated: Sequence[OrderLine]) -> list[KnownLine | None]:
    known = tuple(known)
    of_certificate = {line.naming.certificate_id: line for line in known if line.naming is not None}
    of_number = _by_number(line for line in known if not line.is_final)
    found = [
        of_certificate.get(line.certificate_id or "") if line.is_certificate else None for line in stated
    ]
    taken = {line.key for line in found if line is not None}
    for place, line in enumerate(stated):
        candidate = of_number.get(line.line_id) if found[place] is None else None
        if candidate is None or candidate.key in taken:
            continue
        if (candidate.naming is not None) == line.is_certificate:
            found[place] = candidate
    return found


def _by_number(lines: Iterable[KnownLine]) -> dict[str, KnownLine]:
    """Return the line that last bore each lineId: one that is listed, else the one removed last."""
    found: dict[str, KnownLine] = {}
    for line in lines:
        rival = found.get(line.line_id)
        if rival is None or _recency(line) > _recency(rival):
            found[line.line_id] = line
    return found


def _recency(line: KnownLine) -> tuple[bool, bool, int, int]:
    withdrawal = line.withdrawal
    return line.listed, withdrawal is None, withdrawal.said_in if withdrawal else 0, line.key


def _kept(line: KnownLine, version: OrderStated) -> KnownLine:
    """A line that the version may not list any more; it is put back if it does."""
    if not line.listed:
        return line
    if line.withdrawal is not None:
        return replace(line, listed=False)
    return replace(line, listed=False, withdrawal=_left(Withdrawal.REMOVED, version.version, version.cause))


def _left(how: Withdrawal, version: int, cause: Cause) -> LineWithdrawal:
    return LineWithdrawal(
        how=how, occurred_at=cause.occurred_at, version=version, said_in=version, cause=cause
    )


def _new(stated: _Stated, key: int) -> KnownLine:
    line = stated.line
    return KnownLine(
        key=key,
        line_id=line.line_id,
        amount=line.amount,
        price=stated.price,
        nominal=line.nominal,
        naming=_naming(stated, None) if line.is_certificate else None,
        certificates=(line.certificate_id or "",) if line.is_certificate else (),
    )


def _restated(known: KnownLine, stated: _Stated) -> KnownLine:
    line, version = stated.line, stated.version
    restated = replace(
        known, line_id=line.line_id, amount=line.amount, price=stated.price, nominal=line.nominal, listed=True
    )
    if line.is_certificate:
        restated = _renamed(restated, known, stated)
    if known.withdrawal is None:
        return restated
    if known.is_final:  # for good; it may be listed, but does not come back
        in_vain = known.listed_in <= known.withdrawal.said_in
        return replace(restated, listed_in=version.version if in_vain else known.listed_in)
    absence = Absence(known.withdrawal.occurred_at, version.cause.occurred_at)
    return replace(restated, withdrawal=None, absences=(*known.absences, absence))


# Naming -------------------------------------------------------------------------------------------


def _renamed(line: KnownLine, known: KnownLine, stated: _Stated) -> KnownLine:
    """How the version names a certificate: as before, on other terms, or anew."""
    naming, certificate_id = known.naming, stated.line.certificate_id or ""
    came_back = known.withdrawal is not None and not known.is_final
    if naming is None or naming.certificate_id != certificate_id or came_back:
        others = tuple(one for one in known.certificates if one != certificate_id)
        return replace(line, naming=_naming(stated, naming), certificates=(*others, certificate_id))
    before = known.amount, known.price, known.nominal, naming.newest_reservation_id
    if before == (line.amount, line.price, line.nominal, stated.line.reservation_id):
        return line
    changed = replace(
        naming,
        terms_version=stated.version.version,
        terms_applied_at=stated.now,
        terms_cause=stated.version.cause,
        newest_reservation_id=stated.line.reservation_id,
    )
    return replace(line, naming=changed)


def _naming(stated: _Stated, before: Naming | None) -> Naming:
    line, version = stated.line, stated.version
    certificate_id = line.certificate_id or ""
    replaced = before.certificate_id if before and before.certificate_id != certificate_id else None
    first = _first_naming(certificate_id, line.reservation_id, version.version, version.cause, stated.now)
    return replace(first, replaces=replaced) if replaced else first


def _first_naming(
    certificate_id: str, reservation_id: str | None, version: int, cause: Cause, now: datetime
) -> Naming:
    return Naming(
        certificate_id=certificate_id,
        version=version,
        occurred_at=cause.occurred_at,
        reservation_id=reservation_id,
        applied_at=now,
        terms_version=version,
        terms_applied_at=now,
        newest_reservation_id=reservation_id,
        replaces=None,
        cause=cause,
        terms_cause=cause,
    )


# Cancellations and returns ------------------------------------------------------------------------


def withdraw(order: Order, message: OrderCancelled | LinesReturned, now: datetime) -> Order:
    """Return the order after a cancellation or return; one that newer ones overtook takes its place before them.

    It may be the first message that names a certificate: then its line is new, and withdrawn.
    """
    how = Withdrawal.CANCELLED if isinstance(message, OrderCancelled) else Withdrawal.RETURNED
    said = SaidWithdrawal(version=message.version, how=how, line_ids=message.line_ids, cause=message.cause)
    overtaken = any(one.version > said.version for one in order.withdrawals)
    known = replace(
        order,
        version=max(order.version, message.version),
        channel=order.channel or message.channel,
        lines=(*order.lines, *_first_heard_of(order, message, said, now)),
        withdrawals=tuple(sorted((*order.withdrawals, said), key=lambda one: one.version)),
    )
    return _withdrawn(_as_last_stated(known), *known.withdrawals) if overtaken else _withdrawn(known, said)


def _first_heard_of(
    order: Order, message: OrderCancelled | LinesReturned, said: SaidWithdrawal, now: datetime
) -> list[KnownLine]:
    """Lines that the order is first heard of by, as they are cancelled or returned. What they cost is not known."""
    numbers = {line.line_id for line in order.lines}
    named = {line.naming.certificate_id for line in order.lines if line.naming is not None}
    new = [one for one in message.certificates if one[0] not in numbers and one[1] not in named]
    return [
        KnownLine(
            key=key,
            line_id=line_id,
            amount=0,
            price=0,
            listed=False,
            withdrawal=_left(said.how, said.version, said.cause),
            stated_withdrawal=_left(said.how, said.version, said.cause),
            naming=_first_naming(certificate_id, None, message.version, message.cause, now),
            certificates=(certificate_id,),
        )
        for key, (line_id, certificate_id) in enumerate(new, start=len(order.lines) + 1)
    ]


def _withdrawn(order: Order, *withdrawals: SaidWithdrawal) -> Order:
    """Return the order after these, by version."""
    lines = list(order.lines)
    cancelled = order.is_cancelled
    for said in withdrawals:
        for key in _meant(lines, said.line_ids):
            lines[key - 1] = _gone(lines[key - 1], said)
        cancelled = cancelled or (said.how is Withdrawal.CANCELLED and said.line_ids is None)
    return replace(order, lines=tuple(lines), is_cancelled=cancelled)


def _meant(lines: Sequence[KnownLine], line_ids: tuple[str, ...] | None) -> list[int]:
    if line_ids is None:
        return [line.key for line in lines if line.listed or not line.is_final]
    of_number = _by_number(lines)
    return [of_number[line_id].key for line_id in line_ids if line_id in of_number]


def _gone(line: KnownLine, said: SaidWithdrawal) -> KnownLine:
    """What was removed before is now gone for good; how a line first left otherwise stands."""
    before = line.withdrawal
    if before is None:
        return replace(line, withdrawal=_left(said.how, said.version, said.cause))
    how = said.how if before.how is Withdrawal.REMOVED else before.how
    return replace(line, withdrawal=replace(before, how=how, said_in=said.version))


# lineIds ------------------------------------------------------------------------------------------


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
    """Which line a payment means by a lineId: the one that last bore it then; before any did, the first that does."""

    def __init__(self, order: Order) -> None:
        self._of: dict[str, list[Bearing]] = {}
        for one in order.bearings:
            self._of.setdefault(one.line_id, []).append(one)
        for line in order.lines:  # first heard of as they were cancelled or returned
            if line.line_id not in self._of and line.naming is not None:
                self._of[line.line_id] = [Bearing(line.line_id, line.naming.occurred_at, line.key)]
        for borne in self._of.values():
            borne.sort(key=lambda one: one.occurred_at)

    def line(self, line_id: str, at: datetime) -> int | None:
        """Return the key of the line that bore a lineId at an instant of business time."""
        borne = self._of.get(line_id)
        if borne is None:
            return None
        if len(borne) == 1:
            return borne[0].line_key
        until_then = [one for one in borne if one.occurred_at <= at]
        return (until_then or borne[:1])[-1].line_key

    def amounts(self, allocations: Iterable[tuple[str, int]], at: datetime) -> Mapping[int | None, int]:
        """Return allocated amounts by line key; ``None`` is for lineIds that no line ever bore."""
        found: dict[int | None, int] = {}
        for line_id, amount in allocations:
            key = self.line(line_id, at)
            found[key] = found.get(key, 0) + amount
        return found
