"""Invariants 3, 4 and 9 of orders, held against the domain itself. Pure.

An order's lines are computed anew, and each certificate is told once more how its lines stand: nothing may follow.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from giftcert.contracts.codec import encode_state
from giftcert.domain.certificate.decide import decide
from giftcert.domain.certificate.messages import LineChanged
from giftcert.domain.certificate.state import CertificateState, Line, LineRef, known_lines
from giftcert.domain.order.line_standings import line_standings
from giftcert.domain.order.order import Order
from giftcert.domain.policy import Policy, Terms
from giftcert.lifecycle.review import line_as_seen
from giftcert.storage.certificates import StoredCertificate
from giftcert.storage.order_lines import OrderLineRow
from giftcert.verification.violations import Violation

UNDECIDED = "undecided"
NO_ID = "00000000-0000-7000-8000-000000000000"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredOrders:
    """Orders as one snapshot has them.

    ``lines`` are theirs and whatever else their certificates decide on; ``received`` counts the messages about each
    order that the inbox still has; for ``waiting`` certificates something is to be decided yet.
    """

    orders: Collection[Order]
    lines: Mapping[LineRef, OrderLineRow]
    received: Mapping[str, int]
    certificates: Mapping[str, StoredCertificate]
    waiting: Collection[str]

    @property
    def by_order(self) -> dict[str, dict[int, OrderLineRow]]:
        """The lines of these orders, each order's by their keys."""
        found: dict[str, dict[int, OrderLineRow]] = {order.order_id: {} for order in self.orders}
        for ref, row in self.lines.items():
            if ref.order_id in found:
                found[ref.order_id][ref.line_key] = row
        return found


def violations(stored: StoredOrders, policy: Policy, now: datetime) -> Iterator[Violation]:
    """Yield what is wrong with these orders."""
    seen = {ref: line_as_seen(row) for ref, row in stored.lines.items()}
    decided = {key: one for key, one in stored.certificates.items() if key not in stored.waiting}
    lines_of = stored.by_order
    for order in stored.orders:
        rows = lines_of[order.order_id]
        yield from _inputs_lost(order, stored.received.get(order.order_id, 0))
        yield from _standings_differ(order, rows)
        for row in rows.values():
            ref = LineRef(*row.key)
            yield from _stray_holder(row, stored.certificates)
            yield from _refunded_too_much(row, seen[ref], decided)
            for certificate_id in sorted(concerned(row) & decided.keys()):
                yield from _undecided(decided[certificate_id], ref, seen, policy, now)


def concerned(row: OrderLineRow) -> set[str]:
    """Return the certificates that decide on a line: all that it ever named, and whoever holds it."""
    return {*row.named, *([row.holder] if row.holder else [])}


def _inputs_lost(order: Order, received: int) -> Iterator[Violation]:
    """Each message that was received and new raised the revision by one, as did each word of a person on a refund."""
    known = order.revision - len(order.shares)
    if received > known:
        yield Violation(
            invariant=9,
            rule="inputLost",
            kind="order",
            subject=order.order_id,
            expected=f"{received} messages folded, which the inbox has",
            seen=f"at most {known}",
        )


def _standings_differ(order: Order, lines: Mapping[int, OrderLineRow]) -> Iterator[Violation]:
    """A line stands as its order says, whoever wrote either."""
    if order.size_exceeded:
        return
    counted = {key: row.counted for key, row in lines.items()}
    for key, standing in line_standings(order, counted).items():
        row = lines.get(key)
        if row is None or replace(row.standing, revision=standing.revision) != standing:
            yield Violation(
                invariant=9,
                rule="standingDiffers",
                kind="order",
                subject=order.order_id,
                about=str(key),
                expected=f"line {standing.line_id} as the order of revision {order.revision} says",
                seen="no row" if row is None else f"another standing, of revision {row.standing.revision}",
            )


def _stray_holder(row: OrderLineRow, certificates: Mapping[str, StoredCertificate]) -> Iterator[Violation]:
    """Whoever holds a line has its sale there: else no other certificate ever gets the line."""
    if row.holder is None:
        return
    ref = LineRef(*row.key)
    state = certificates[row.holder].state if row.holder in certificates else None
    if state is None or state.sale is None or (state.sale.ref, state.status) != (ref, row.holder_status):
        seen = f"{state.status}, with another sale or none" if state else "no such certificate"
        expected = f"{row.holder_status}, with its sale there, as it holds the line"
        yield _violation(3, "strayHolder", row.holder, row, expected, seen)


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
    message, terms = LineChanged(seen[ref]), Terms(stored.product, policy)
    decision = decide(state, message, stored.decided_at or now, terms, lambda: NO_ID)
    if decision.public or encode_state(decision.state) != encode_state(stored.state):
        follows = ", ".join(event.type for event in decision.public) or "a change of its state"
        yield _violation(
            9, UNDECIDED, state.certificate_id, seen[ref], "decided as it stands", f"{follows} would follow"
        )


def _refunded_too_much(
    row: OrderLineRow, line: Line, certificates: Mapping[str, StoredCertificate]
) -> Iterator[Violation]:
    """What was refunded of a line was captured, and by the same payment; else a refund case says that it was not.

    Of a line that nobody holds money that never came may go back: no certificate answers for it.
    """
    holder = certificates.get(row.holder or "")
    if holder is None or _has_open_case(holder.state, line.ref):
        return
    standing, counted = line.standing, line.counted
    new = [one for one in standing.refunds if one.currency == standing.currency]
    refunded = sum(one.certain - counted.of(one.refund_id, one.currency) for one in new)
    captured = standing.captured - counted.captured
    overdrawn = [
        one for one in new if one.overdrawn and one.certain > counted.of(one.refund_id, one.currency)
    ]
    if refunded > max(0, captured):
        seen = f"{refunded} refunded, and no refund case about it"
        yield _violation(
            4,
            "refundedUncaptured",
            holder.state.certificate_id,
            line,
            f"at most {captured} as captured",
            seen,
        )
    elif overdrawn:
        seen = f"refund {overdrawn[0].refund_id} of a payment that brought less, and no refund case about it"
        yield _violation(
            4, "refundedOfOther", holder.state.certificate_id, line, "at most what its payment brought", seen
        )


def _has_open_case(state: CertificateState, ref: LineRef) -> bool:
    return any(sale.ref == ref and sale.open_case is not None for sale in state.sales)


def _violation(
    invariant: int, rule: str, certificate_id: str, line: Line | OrderLineRow, expected: str, seen: str
) -> Violation:
    """``about`` is the line, as ``repair`` reads it."""
    standing = line.standing
    return Violation(
        invariant=invariant,
        rule=rule,
        kind="certificate",
        subject=certificate_id,
        about=f"{standing.order_id} {standing.line_key}",
        expected=f"order {standing.order_id}, line {standing.line_id}: {expected}",
        seen=seen,
    )
