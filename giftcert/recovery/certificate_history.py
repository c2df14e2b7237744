"""Rebuilds a certificate from the events that the stream has of it and the database lost. Pure.

The events are folded by the domain's own ``evolve``. What a decision sets beside its events is taken from the lines as
they now stand, or from the product; what neither says is decided once more afterwards, on the same level.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from giftcert.contracts.payload import public_event
from giftcert.contracts.stream import StoredEvent
from giftcert.domain.certificate import events as e
from giftcert.domain.certificate.cases import with_changed_case
from giftcert.domain.certificate.evolve import evolve
from giftcert.domain.certificate.lines import (
    find_refusal,
    terms_version,
    with_alerted_money,
    with_changed_line,
    with_refusal,
)
from giftcert.domain.certificate.redemption_state import find_redemption, with_redemption
from giftcert.domain.certificate.sale_money import sale_money
from giftcert.domain.certificate.state import (
    CertificateState,
    Line,
    LineRef,
    RefundCase,
    Refusal,
    Sale,
)
from giftcert.domain.certificate.words import ConflictReason, VoidReason
from giftcert.domain.policy import Terms

UNKNOWN_CALLER = "not known: recovered"
"""Who reserved: no event says it, and the row that did is lost."""


@dataclass(slots=True)
class Reserving:
    """A reservation as events say it; ``reservations`` has a row for each."""

    reservation_id: str
    channel: str
    reserved_at: datetime
    reserved_until: datetime
    resolved_at: datetime | None = None
    resolution: str | None = None


@dataclass(slots=True)
class History:
    """A certificate after events that were lost, and the rows beside it; amounts in minor units."""

    state: CertificateState
    terms: Terms
    reservations: dict[str, Reserving] = field(default_factory=dict)
    ended: list[tuple[str, datetime, str]] = field(default_factory=list)
    """Reservations of before that ended: id, when, how."""
    disclosures: list[tuple[StoredEvent, e.CvcDisclosed]] = field(default_factory=list)
    decided_at: datetime | None = None
    sequence: int = 0
    available_since: datetime | None = None

    def follow(self, events: Iterable[StoredEvent]) -> None:
        """Fold events, in sequence. Raises ``DecodeError`` where one does not fit its type."""
        for event in events:
            decoded = public_event(event.event_type, event.payload)
            nominal = self.state.nominal if event.nominal is None else event.nominal
            self.state = replace(self.state, nominal=nominal)
            if decoded is not None:
                self._note(event, decoded)
                counted = _counted(self.state, decoded)
                self.state = evolve(counted, decoded, event.recorded_at)
                self._complete(event, decoded)
            self.sequence, self.decided_at = event.sequence or 0, event.recorded_at

    def _note(self, event: StoredEvent, decoded: e.PublicEvent) -> None:
        """Enter what has rows of its own."""
        match decoded:
            case e.Reserved():
                self.reservations[decoded.reservation_id] = Reserving(
                    decoded.reservation_id, event.channel or "", event.occurred_at, decoded.reserved_until
                )
            case e.Ordered():
                self._end_reservation(event, "ordered")
            case e.Released():
                self._end_reservation(event, decoded.reason.value)
                self.available_since = event.recorded_at
            case e.Retired():
                self._end_reservation(event, "retired")
            case e.CvcDisclosed():
                self.disclosures.append((event, decoded))
            case _:
                pass

    def _end_reservation(self, event: StoredEvent, how: str) -> None:
        live = self.state.reservation
        if live is None or live.ended:
            return
        known = self.reservations.get(live.reservation_id)
        if known is None:
            self.ended.append((live.reservation_id, event.recorded_at, how))
        else:
            known.resolved_at, known.resolution = event.recorded_at, how

    def _complete(self, event: StoredEvent, decoded: e.PublicEvent) -> None:
        """Set what a decision sets beside its event."""
        state = self.state
        match decoded:
            case e.Reserved() if state.reservation:
                known = replace(state.reservation, channel=event.channel, reserved_at=event.occurred_at)
                self.state = replace(state, reservation=known)
            case e.Ordered() if state.sale:
                self.state = replace(state, sale=self._sale(event, state.sale, state.line(state.sale.ref)))
            case e.Issued() if state.sale:  # a new price before that is in no event
                sold = replace(state.sale, amount=decoded.amount, nominal=event.nominal or 0)
                self.state = replace(state, sale=sold)
            case e.RefundPendingDetails() | e.CancelledWithoutRefundAlerted():
                self.state = with_changed_case(
                    state, decoded.refund_case_id, lambda one: _overdue(one, event.recorded_at)
                )
            case e.RedemptionAuthorized():
                hold = find_redemption(state, decoded.redemption_id)
                if hold is not None:
                    until = event.recorded_at + self.terms.product.hold
                    self.state = with_redemption(
                        state, replace(hold, channel=event.channel, expires_at=until)
                    )
            case e.RedemptionVoided() if decoded.reason == VoidReason.HOLD_LAPSED:
                self.state = _lapsed(state, decoded.redemption_id, event.occurred_at)
            case e.OrderConflicted() if decoded.line_id is not None:
                self.state = _refused(state, decoded.order_id, decoded.line_id, decoded.reason)
            case e.PaymentWithoutCertificateAlerted():
                self.state = _alerted(state, decoded)
            case _:
                pass

    def _sale(self, event: StoredEvent, sale: Sale, line: Line | None) -> Sale:
        standing = line.standing if line else None
        return replace(
            sale,
            channel=event.sale_channel,
            customer_id=standing.customer_id if standing else sale.customer_id,
            listed_amount=standing.amount if standing else sale.amount,
            nominal=event.nominal or 0,
            unpaid_until=event.recorded_at + self.terms.policy.unpaid_after_order,
        )


def _counted(state: CertificateState, event: e.PublicEvent) -> CertificateState:
    """Count a completed refund in its line, as the decision did: each refund up to what the event says is back."""
    if not isinstance(event, e.RefundCompleted):
        return state
    ref = LineRef(event.order_id, event.line_key)
    line = state.line(ref)
    if line is None:
        return state
    sale = next((one for one in state.sales if one.ref == ref), None) or Sale(
        order_id=event.order_id, line_key=event.line_key, line_id=event.line_id, amount=0
    )
    money, left, counting = sale_money(sale, line), event.amount, list[tuple[str, str, int]]()
    for refund_id, currency, amount in money.counting:
        if currency == line.standing.currency:
            amount = min(amount, left)  # noqa: PLW2901 - the rest came later, and waits for its own decision
            left -= amount
        if amount > 0:
            counting.append((refund_id, currency, amount))
    captured = min(event.amount, max(0, money.captured))
    return with_changed_line(
        state, ref, lambda one: replace(one, counted=one.counted.plus(captured, tuple(counting)))
    )


def _lapsed(state: CertificateState, redemption_id: str, at: datetime) -> CertificateState:
    """A hold that lapsed had come to its end, whatever the product's usual time is."""
    hold = find_redemption(state, redemption_id)
    if hold is None or (hold.expires_at is not None and hold.expires_at <= at):
        return state
    return with_redemption(state, replace(hold, expires_at=at))


def _overdue(case: RefundCase, at: datetime) -> RefundCase:
    """Note that what a case waited for had not come in time, as it was published."""
    return replace(case, overdue=case.overdue or (case.waits_until is not None and at >= case.waits_until))


def _line_of(state: CertificateState, order_id: str, line_id: str) -> Line | None:
    named = (one for one in state.lines if one.standing.order_id == order_id)
    return next((one for one in named if one.standing.line_id == line_id), None)


def _refused(
    state: CertificateState, order_id: str, line_id: str, reason: ConflictReason
) -> CertificateState:
    """Remember a refusal, so that it is not published again as long as nobody changes the line."""
    line = _line_of(state, order_id, line_id)
    if line is None:
        return state
    version = terms_version(line.standing)
    known = Refusal(order_id=order_id, line_key=line.ref.line_key, reason=reason, terms_version=version)
    return with_refusal(state, known)


def _alerted(state: CertificateState, event: e.PaymentWithoutCertificateAlerted) -> CertificateState:
    """Remember money that was published as having no certificate."""
    line = _line_of(state, event.order_id, event.line_id)
    if line is None:
        return state
    if event.payment_id is None:
        is_kept = find_refusal(state, line.ref) or any(one.ref == line.ref for one in state.sales)
        return with_alerted_money(state, line.standing) if is_kept else state
    foreign = [one.identity for one in line.standing.foreign_captures if one.payment_id == event.payment_id]
    return with_changed_line(state, line.ref, lambda one: replace(one, reported=(*one.reported, *foreign)))


def orders_of(state: CertificateState, events: Sequence[StoredEvent]) -> set[str]:
    """Return the orders whose lines are needed to follow these events."""
    named = {sale.order_id for sale in state.sales} | {ref.order_id for ref in state.waits_for}
    for event in events:
        decoded = public_event(event.event_type, event.payload)
        match decoded:
            case (
                e.Ordered()
                | e.RefundRequested()
                | e.RefundPendingDetails()
                | e.RefundCompleted()
                | e.OrderConflicted()
                | e.PaymentWithoutCertificateAlerted()
            ):
                named.add(decoded.order_id)
            case _:
                pass
    return named
