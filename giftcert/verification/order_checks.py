"""Invariants 3, 4, 9 and 10 of orders, checked with the domain's own functions.

An order's lines are computed anew, and each certificate decides on them once more: nothing may follow.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from giftcert.domain.certificate.decide import decide
from giftcert.domain.certificate.messages import LineChanged
from giftcert.domain.certificate.state import Line, LineRef, Status, known_lines
from giftcert.domain.order.line_standings import line_standings
from giftcert.domain.order.order import Order
from giftcert.domain.order.paid import settled
from giftcert.domain.policy import Policy, Terms
from giftcert.lifecycle.review import line_as_seen
from giftcert.storage.certificates import StoredCertificate, encode_state
from giftcert.storage.order_lines import OrderLineRow
from giftcert.storage.verification.checks import Rule, Violation
from giftcert.storage.verification.session import StoredOrders, concerned_by

STRAY_HOLDER = Rule(3, "strayHolder")
REFUNDED_UNCAPTURED = Rule(4, "refundedUncaptured")
REFUNDED_OF_OTHER = Rule(4, "refundedOfOther")
INPUT_LOST = Rule(9, "inputLost", "order")
ORDER_UNREADABLE = Rule(9, "orderUnreadable", "order")
STANDING_DIFFERS = Rule(9, "standingDiffers", "order")
UNDECIDED = Rule(9, "undecided")
ISSUED_UNPAID = Rule(10, "issuedUnpaid")
_ISSUED = frozenset({Status.ISSUED, Status.PARTIALLY_REDEEMED, Status.REDEEMED, Status.EXPIRED})
NO_ID = "00000000-0000-7000-8000-000000000000"


def violations(stored: StoredOrders, policy: Policy, now: datetime) -> Iterator[Violation]:
    """Yield what is wrong with these orders. Pure."""
    seen = {ref: line_as_seen(row) for ref, row in stored.lines.items()}
    decided = {key: one for key, one in stored.certificates.items() if key not in stored.waiting}
    lines_of: defaultdict[str, dict[int, OrderLineRow]] = defaultdict(dict)
    for ref, row in stored.lines.items():
        lines_of[ref.order_id][ref.line_key] = row
    for order in stored.orders:
        rows = lines_of[order.order_id]
        yield from _inputs_lost(order, stored.received.get(order.order_id, 0))
        yield from _standings_differ(order, rows)
        yield from _issued_unpaid(order, rows)
        for row in rows.values():
            ref = LineRef(*row.key)
            yield from _stray_holder(row, ref, stored.certificates)
            yield from _refunded_too_much(seen[ref], decided.get(row.holder or ""))
            for certificate_id in sorted(concerned_by(row) & decided.keys()):
                yield from _undecided(decided[certificate_id], ref, seen, policy, now)


def order_unreadable(order_id: str, error: ValueError) -> Violation:
    """Nothing can be folded into such an order, and nothing else about it can be checked."""
    expected = "an order that can be decoded, with its lines and the certificates that it concerns"
    return ORDER_UNREADABLE.broken(order_id, "", expected, str(error))


def _inputs_lost(order: Order, received: int) -> Iterator[Violation]:
    """Each message that was received and new raised the revision by one, as did each word of a person on a refund."""
    known = order.revision - len(order.shares)
    if received > known:
        expected = f"as many messages folded as the inbox has, {received}"
        yield INPUT_LOST.broken(order.order_id, "", expected, f"at most {known}")


def _standings_differ(order: Order, lines: Mapping[int, OrderLineRow]) -> Iterator[Violation]:
    """A line stands as its order says, whoever wrote either."""
    if order.size_exceeded:
        return
    counted = {key: row.counted for key, row in lines.items()}
    for key, standing in line_standings(order, counted).items():
        row = lines.get(key)
        if row is None or replace(row.standing, revision=standing.revision) != standing:
            expected = f"line {standing.line_id} as the order of revision {order.revision} says"
            seen = "no row" if row is None else f"another standing, of revision {row.standing.revision}"
            yield STANDING_DIFFERS.broken(order.order_id, str(key), expected, seen)


def _issued_unpaid(order: Order, lines: Mapping[int, OrderLineRow]) -> Iterator[Violation]:
    """Whoever is issued was paid by captures of its order, though they may have gone back since."""
    if order.size_exceeded:
        return
    for line in settled(order).lines:
        row = lines.get(line.key)
        if row is not None and row.holder is not None and row.holder_status in _ISSUED and not line.paid:
            expected = f"{row.holder_status} after messages of captures that reach its price"
            yield _broken(ISSUED_UNPAID, row.holder, row, expected, "none")


def _stray_holder(
    row: OrderLineRow, ref: LineRef, certificates: Mapping[str, StoredCertificate]
) -> Iterator[Violation]:
    """Whoever holds a line has its sale there: else no other certificate ever gets the line."""
    if row.holder is None:
        return
    state = certificates[row.holder].state if row.holder in certificates else None
    if state is None or state.sale is None or (state.sale.ref, state.status) != (ref, row.holder_status):
        seen = f"{state.status}, with another sale or none" if state else "no such certificate"
        expected = f"{row.holder_status}, with its sale there, as it holds the line"
        yield _broken(STRAY_HOLDER, row.holder, row, expected, seen)


def _undecided(
    stored: StoredCertificate, ref: LineRef, seen: Mapping[LineRef, Line], policy: Policy, now: datetime
) -> Iterator[Violation]:
    """What the newest standing brings about has been decided, so that it brings about nothing more.

    Asked as of the last decision: an instant that has passed since is decided when the certificate looks.
    """
    if stored.parked:
        return
    refs = sorted({*known_lines(stored.state), ref} & seen.keys())
    state = replace(stored.state, lines=tuple(seen[one] for one in refs))
    message, terms = LineChanged(), Terms(stored.product, policy)
    decision = decide(state, message, stored.decided_at or now, terms, lambda: NO_ID)
    if decision.public or encode_state(decision.state) != encode_state(stored.state):
        follows = ", ".join(event.type for event in decision.public) or "a change of its state"
        expected = "decided as it stands"
        yield _broken(UNDECIDED, state.certificate_id, seen[ref], expected, f"{follows} would follow")


def _refunded_too_much(line: Line, holder: StoredCertificate | None) -> Iterator[Violation]:
    """What was refunded of a line was captured, and by the same payment; else a refund case says that it was not.

    Of a line that nobody holds money that never came may go back: no certificate answers for it.
    """
    if holder is None or any(sale.ref == line.ref and sale.open_case for sale in holder.state.sales):
        return
    standing, counted = line.standing, line.counted
    new = [
        (one, one.certain - counted.of(one.refund_id, one.currency))
        for one in standing.refunds
        if one.currency == standing.currency
    ]
    refunded, captured = sum(amount for _, amount in new), standing.captured - counted.captured
    overdrawn = [one.refund_id for one, amount in new if one.overdrawn and amount > 0]
    subject = holder.state.certificate_id
    if refunded > max(0, captured):
        seen = f"{refunded} refunded, and no refund case about it"
        yield _broken(REFUNDED_UNCAPTURED, subject, line, f"at most {captured} as captured", seen)
    elif overdrawn:
        seen = f"refund {overdrawn[0]} of a payment that brought less, and no refund case about it"
        yield _broken(REFUNDED_OF_OTHER, subject, line, "at most what its payment brought", seen)


def _broken(
    rule: Rule, certificate_id: str, line: Line | OrderLineRow, expected: str, seen: str
) -> Violation:
    """``about`` is the line, as ``repair`` reads it."""
    standing = line.standing
    about = f"{standing.order_id} {standing.line_key}"
    expected = f"order {standing.order_id}, line {standing.line_id}: {expected}"
    return rule.broken(certificate_id, about, expected, seen)
