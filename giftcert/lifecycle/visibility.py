"""What support sees of a certificate in the Web UI, and when its run has to look anew."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType

from giftcert.domain.certificate.messages import Request
from giftcert.domain.certificate.redemption_state import open_holds
from giftcert.domain.certificate.state import CertificateState, RefundState, Status
from giftcert.lifecycle.details import Details, Wording, pending_case
from giftcert.lifecycle.review import Review
from giftcert.lifecycle.snapshot import SealedSecrets, Snapshot
from giftcert.storage.event_texts import FieldText
from giftcert.temporal.search_attributes import Visibility
from giftcert.temporal.signals import Signal, Wake
from giftcert.temporal.web_ui import literal

_NONE: Mapping[FieldText, str] = MappingProxyType({})
_ORDINARY = frozenset({Status.ORDERED, Status.ISSUED})  # saying so is not worth a billed action


def snapshot(
    review: Review,
    wakes: tuple[Wake, ...],
    wording: Wording,
    *,
    sealed_by: int,
    masks: Mapping[FieldText, str] = _NONE,
) -> Snapshot:
    """Return what a run shows after a review; the sealed secrets come if those that it holds are of another key.

    ``masks`` are shown instead of those of its ``names`` that must not be shown.
    """
    sealed = sealed_secrets(review)
    state, parked = review.state, len(review.parked)
    details = Details(state, review.timer_instant, review.now, review.terms, wording)
    said, seen = details.text(), visibility(state)
    for (_, name), mask in masks.items():
        said = said.replace(literal(name), literal(mask))
    order_id = masks.get(("orderId", seen.order_id or ""), seen.order_id)
    if parked:
        said += "\n\n" + wording.texts("parked", count=parked)
    return Snapshot(
        status=state.shown_status,
        over=review.is_over,
        next_instant=review.timer_instant,
        details=said,
        language=wording.texts.language,
        waiting_for=details.waiting_for(),
        visibility=replace(seen, order_id=order_id),
        sealed=None if sealed.key_id == sealed_by else sealed,
        wakes=wakes,
    )


def names(state: CertificateState) -> set[FieldText]:
    """Return the names that details show, as others chose them."""
    ids = {("orderId", sale.order_id) for sale in state.sales} | {
        ("lineId", sale.line_id) for sale in state.sales
    }
    for hold in open_holds(state):
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
    sale, case = (state.sales[-1] if state.sales else None), pending_case(state)
    refund_state = state.any_refund_state
    is_ordinary = state.status in _ORDINARY and not state.blocked and refund_state is RefundState.NONE
    return Visibility(
        status=None if is_ordinary else state.shown_status,
        channel=state.sale_channel or (sale.channel if sale else None),
        order_id=sale.order_id if sale else None,
        refund_state=None if is_ordinary else refund_state.value,
        refund_reason=case.reason.value if case and case.reason else None,
        product=state.product,
        refund_since=case.pending_since if case else None,
    )
