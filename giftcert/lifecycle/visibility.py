"""What support sees of a certificate in the Web UI, and when its run has to look anew."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType

from giftcert.domain.certificate.messages import Request
from giftcert.domain.certificate.state import (
    CertificateState,
    Redemption,
    RedemptionState,
    RefundCase,
    RefundState,
    Sale,
    Status,
)
from giftcert.lifecycle.review import Review
from giftcert.lifecycle.snapshot import SealedSecrets, Snapshot
from giftcert.storage.event_texts import FieldText
from giftcert.temporal.search_attributes import Visibility
from giftcert.temporal.signals import Signal, Wake
from giftcert.temporal.web_ui import literal

_NONE: Mapping[FieldText, str] = MappingProxyType({})
_ORDINARY = frozenset({Status.ORDERED, Status.ISSUED})  # saying so is not worth a billed action


def snapshot(
    review: Review, wakes: tuple[Wake, ...], *, sealed_by: int, masks: Mapping[FieldText, str] = _NONE
) -> Snapshot:
    """Return what a run shows after a review; the sealed secrets come if those that it holds are of another key.

    ``masks`` are shown instead of those of its ``names`` that may not be told.
    """
    sealed = sealed_secrets(review)
    state, parked = review.state, len(review.parked)
    said, seen = details(state, review.timer_instant), visibility(state)
    for (_, name), mask in masks.items():
        said = said.replace(literal(name), literal(mask))
    order_id = masks.get(("orderId", seen.order_id or ""), seen.order_id)
    if parked:
        said += f"\n\n**{parked} messages could not be decided**, for a fault of the service."
    return Snapshot(
        status=state.shown_status,
        over=review.is_over,
        next_instant=review.timer_instant,
        details=said,
        waiting_for=waiting_for(state),
        visibility=replace(seen, order_id=order_id),
        sealed=None if sealed.key_id == sealed_by else sealed,
        wakes=wakes,
    )


def names(state: CertificateState) -> set[FieldText]:
    """Return what others call the things that details tell of."""
    ids = {("orderId", sale.order_id) for sale in state.sales} | {
        ("lineId", sale.line_id) for sale in state.sales
    }
    for hold in _holds(state):
        ids |= {("orderId", hold.order_id), ("redemptionId", hold.redemption_id)}
    return ids


def sealed_secrets(review: Review) -> SealedSecrets:
    """Return number and CVC of the certificate that was reviewed."""
    stored = review.loaded.stored
    return SealedSecrets(number_sealed=stored.number_sealed, cvc_sealed=stored.cvc_sealed)


def own_wake(review: Review, request: Request) -> Iterator[Wake]:
    """Yield the signal to the certificate's own run, if support would see a difference there."""
    before, state = review.before, review.state
    channel = _channel(state) or _channel(before)
    looks_alike = (visibility(before), before.shown_status) == (visibility(state), state.shown_status)
    if looks_alike or channel is None or not (state.sales or state.waits_for):
        return
    yield Wake(
        certificate_id=state.certificate_id,
        signal=Signal.REQUEST_DECIDED,
        channel=channel,
        product=state.product,
        order_id=state.sales[-1].order_id if state.sales else None,
        cause=type(request).__name__,
    )


def _channel(state: CertificateState) -> str | None:
    """Who sold the certificate last: its task queue is where a run of it is started."""
    channels = [sale.channel for sale in state.sales if sale.channel is not None]
    return channels[-1] if channels else state.sale_channel


def visibility(state: CertificateState) -> Visibility:
    """Return the search attributes that a state deserves; order and refund state are those of earlier sales too."""
    sale, case = (state.sales[-1] if state.sales else None), _pending_case(state)
    refund_state = state.any_refund_state
    is_ordinary = state.status in _ORDINARY and not state.blocked and refund_state is RefundState.NONE
    return Visibility(
        status=None if is_ordinary else state.shown_status,
        channel=state.sale_channel or (sale.channel if sale else None),
        order_id=sale.order_id if sale else None,
        refund_state=None if is_ordinary else refund_state.value,
        refund_reason=case.reason.value if case and case.reason else None,
        product=state.product,
    )


def details(state: CertificateState, next_instant: datetime | None) -> str:
    """Return in plain words where the certificate stands and what it waits for."""
    waits = next_instant is not None or _pending_case(state) is not None or bool(state.waits_for)
    awaited = waiting_for(state) if waits else "nothing"
    lines = [f"**{state.product}** is **{state.shown_status}**. It waits for {awaited}."]
    if state.sale is not None:
        lines.append(
            f"Order {literal(state.sale.order_id)}, line {literal(state.sale.line_id)}, price {state.sale.amount}."
        )
    if state.balance or state.held:
        lines.append(f"Balance {state.balance}, held {state.held}, of a nominal of {state.nominal}.")
    for hold in _holds(state):
        until = f" until {hold.expires_at:%Y-%m-%d %H:%M:%S} UTC" if hold.expires_at else ""
        lines.append(
            f"Order {literal(hold.order_id)} holds {hold.held}{until} (redemption {literal(hold.redemption_id)})."
        )
    lines += [_case_line(sale, case) for sale in state.sales for case in sale.cases if case.is_open]
    if next_instant is not None:
        lines.append(f"Next looks at itself at {next_instant:%Y-%m-%d %H:%M:%S} UTC.")
    lines.append(f"Amounts are in minor units of {state.currency}, as in the topics.")
    return "\n\n".join(lines)


def waiting_for(state: CertificateState) -> str:
    """Return, for the timer's summary, what the certificate waits for."""
    case = _pending_case(state)
    if case is not None:
        return f"a person to decide refund case {case.refund_case_id}"
    if any(sale.open_case for sale in state.sales):
        return "the money of a refund"
    if _holds(state):
        return "the capture of a hold"
    if state.waits_for:
        return "another certificate to leave its order line"
    return "payment of the order" if state.status is Status.ORDERED else "the end of validity"


def _holds(state: CertificateState) -> list[Redemption]:
    return [one for one in state.redemptions if one.state is RedemptionState.AUTHORIZED]


def _pending_case(state: CertificateState) -> RefundCase | None:
    cases = (case for sale in state.sales for case in sale.cases)
    return next((case for case in cases if case.state is RefundState.PENDING_DETAILS), None)


def _case_line(sale: Sale, case: RefundCase) -> str:
    reason = f", {case.reason.value}" if case.reason else ""
    amount = f"{case.amount} {case.foreign_currency or ''}".rstrip()
    return (
        f"Refund case {case.refund_case_id} of order {literal(sale.order_id)} is **{case.state.value}**{reason}:"
        f" amount {amount}."
    )
