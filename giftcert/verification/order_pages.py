"""Invariants 4 and 9 over orders, page by page: lines stand as their orders say, and certificates have decided so.

Both are held against the domain itself: an order's lines are computed anew, and each certificate is told once more how
its lines stand, of which nothing may follow.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from giftcert.contracts.codec import encode_state
from giftcert.domain.certificate.decide import decide
from giftcert.domain.certificate.messages import LineChanged
from giftcert.domain.certificate.state import CertificateState, Line, LineRef, known_lines
from giftcert.domain.order.line_standings import line_standings
from giftcert.domain.order.order import Order
from giftcert.domain.policy import Policy, Terms
from giftcert.lifecycle.review import line_as_seen
from giftcert.storage.certificates import StoredCertificate, find
from giftcert.storage.order_lines import OrderLineRow
from giftcert.storage.verification.orders import OrderPage, OrderPageRepository
from giftcert.storage.verification.session import Session
from giftcert.verification.secret_watch import Watches
from giftcert.verification.violations import Findings, Violation

UNDECIDED = "undecided"
NO_ID = "00000000-0000-7000-8000-000000000000"


class OrderPages:
    """Looks at the orders of one page within a snapshot."""

    def __init__(
        self,
        session: Session,
        repository: OrderPageRepository,
        policy: Policy,
        watches: Watches,
        findings: Findings,
    ) -> None:
        self._session = session
        self._repository = repository
        self._policy = policy
        self._watches = watches
        self._findings = findings

    async def look_at(self, page: OrderPage, now: datetime) -> None:
        """Hold these orders against their lines, and those against the certificates that they concern."""
        rows = {LineRef(*row.key): row for row in page.lines}
        self._findings.check(len(rows), 9)
        for order in page.orders:
            self._findings.add_all(_inputs_lost(order, page.received.get(order.order_id, 0)))
            self._findings.add_all(_standings_differ(order, rows))
        certificates = await self._certificates(page.lines)
        self._findings.add_all(_stray_holders(rows, certificates))
        for certificate_id in await self._repository.undecided(certificates):
            del certificates[certificate_id]  # they may stand otherwise when they have decided
        more = await self._lines_of(certificates, rows)
        seen = {ref: line_as_seen(row) for ref, row in (rows | more).items()}
        for ref, row in rows.items():
            self._findings.add_all(_refunded_too_much(row, seen[ref], certificates))
            for certificate_id in _concerned(row) & certificates.keys():
                self._findings.add_all(self._undecided(certificates[certificate_id], ref, seen, now))
        await self._look_for_secrets(page)

    async def _certificates(self, lines: Sequence[OrderLineRow]) -> dict[str, StoredCertificate]:
        ids = {one for row in lines for one in _concerned(row)}
        return {one.state.certificate_id: one for one in await find(self._session, ids)}

    async def _lines_of(
        self, certificates: dict[str, StoredCertificate], rows: dict[LineRef, OrderLineRow]
    ) -> dict[LineRef, OrderLineRow]:
        """Return lines of other orders that these certificates decide on."""
        wanted = {ref for one in certificates.values() for ref in known_lines(one.state)} - rows.keys()
        if not wanted:
            return {}
        return {LineRef(*row.key): row for row in await self._repository.lines(sorted(wanted))}

    def _undecided(
        self, stored: StoredCertificate, ref: LineRef, seen: dict[LineRef, Line], now: datetime
    ) -> Iterator[Violation]:
        """What the newest standing brings about has been decided, so that it brings about nothing more.

        Asked as of the last decision: an instant that has passed since is decided when the certificate looks.
        """
        if stored.parked:
            return
        refs = sorted({*known_lines(stored.state), ref} & seen.keys())
        state = replace(stored.state, lines=tuple(seen[one] for one in refs))
        terms = Terms(stored.product, self._policy)
        decision = decide(state, LineChanged(seen[ref]), stored.decided_at or now, terms, lambda: NO_ID)
        if decision.public or encode_state(decision.state) != encode_state(stored.state):
            follows = ", ".join(event.type for event in decision.public) or "a change of its state"
            yield Violation(
                invariant=9,
                rule=UNDECIDED,
                kind="certificate",
                subject=stored.state.certificate_id,
                about=f"{ref.order_id} {ref.line_key}",
                expected=f"order {ref.order_id}, line {seen[ref].standing.line_id} decided as it now stands",
                seen=f"from it would follow {follows}",
            )

    async def _look_for_secrets(self, page: OrderPage) -> None:
        for stored in await self._watches.places.lines([order.order_id for order in page.orders]):
            self._watches.numbers.look(stored.said.encode(), "order", stored.place, stored.about)
        await self._watches.numbers.flush(self._findings)


def _concerned(row: OrderLineRow) -> set[str]:
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


def _stray_holders(
    rows: dict[LineRef, OrderLineRow], certificates: dict[str, StoredCertificate]
) -> Iterator[Violation]:
    """Who holds a line has its sale there: else nobody else gets the line, ever."""
    for ref, row in rows.items():
        if row.holder is None:
            continue
        state = certificates[row.holder].state if row.holder in certificates else None
        sale = state.sale if state else None
        if state is None or sale is None or sale.ref != ref or state.status != row.holder_status:
            yield Violation(
                invariant=3,
                rule="strayHolder",
                kind="certificate",
                subject=row.holder,
                about=f"{ref.order_id} {ref.line_key}",
                expected=f"the sale of order {ref.order_id}, line {row.standing.line_id}, which it holds",
                seen=f"{state.status}, with another sale or none" if state else "no such certificate",
            )


def _standings_differ(order: Order, rows: dict[LineRef, OrderLineRow]) -> Iterator[Violation]:
    """A line stands as its order says, whoever wrote either."""
    if order.size_exceeded:
        return
    counted = {ref.line_key: row.counted for ref, row in rows.items() if ref.order_id == order.order_id}
    for key, standing in line_standings(order, counted).items():
        row = rows.get(LineRef(order.order_id, key))
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


def _refunded_too_much(
    row: OrderLineRow, line: Line, certificates: dict[str, StoredCertificate]
) -> Iterator[Violation]:
    """What was refunded of a line was captured, and by the same payment; else a refund case says that it was not."""
    owners = [one for one in (row.holder, row.speaker) if one is not None]
    if not owners or not certificates.keys() >= set(owners):
        return
    if line.open_case is not None or any(_has_open_case(certificates[one].state, line.ref) for one in owners):
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
        yield _violation(owners[0], line, "refundedUncaptured", f"at most {captured} as captured", seen)
    elif overdrawn:
        seen = f"refund {overdrawn[0].refund_id} of a payment that brought less, and no refund case about it"
        yield _violation(owners[0], line, "refundedOfOther", "at most what its payment brought", seen)


def _has_open_case(state: CertificateState, ref: LineRef) -> bool:
    return any(sale.ref == ref and sale.open_case is not None for sale in state.sales)


def _violation(certificate_id: str, line: Line, rule: str, expected: str, seen: str) -> Violation:
    ref = line.ref
    return Violation(
        invariant=4,
        rule=rule,
        kind="certificate",
        subject=certificate_id,
        about=f"{ref.order_id} {ref.line_key}",
        expected=f"order {ref.order_id}, line {line.standing.line_id}: {expected}",
        seen=seen,
    )
