"""What support sees of a certificate in the Temporal Web UI: search attributes, and plain words."""

from dataclasses import dataclass
from datetime import datetime

from temporalio.common import SearchAttributeUpdate

from giftcert.domain.redemptions import open_holds
from giftcert.domain.state import CertificateState, Redemption, RefundCase, RefundState, Status
from workflows import search_attributes as sa

_QUIET = frozenset({Status.AVAILABLE, Status.RESERVED, Status.ORDERED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """The search attributes as last set."""

    status: str
    channel: str | None
    order_id: str | None
    refund_state: str
    refund_reason: str | None
    product: str


def shown(state: CertificateState) -> Shown:
    """Return the search attributes that a state deserves; the refund state is that of all its sales."""
    case = _pending_case(state)
    return Shown(
        status=state.shown_status,
        channel=state.sale_channel,
        order_id=state.sale.order_id if state.sale else None,
        refund_state=state.any_refund_state.value,
        refund_reason=case.reason.value if case and case.reason else None,
        product=state.product,
    )


def is_worth_setting(state: CertificateState, before: Shown | None) -> bool:
    """Return whether support would look for the change: an ordinary unpaid order is not worth an action."""
    if before is None and state.status in _QUIET and state.any_refund_state == RefundState.NONE:
        return False
    return shown(state) != before


def updates(now: Shown) -> list[SearchAttributeUpdate[str]]:
    """Return what to upsert; what does not apply is taken away."""
    values = {
        sa.CERTIFICATE_STATUS: now.status,
        sa.CHANNEL: now.channel,
        sa.ORDER_ID: now.order_id,
        sa.REFUND_STATE: now.refund_state,
        sa.REFUND_REASON: now.refund_reason,
        sa.PRODUCT: now.product,
    }
    return [key.value_unset() if value is None else key.value_set(value) for key, value in values.items()]


def details(state: CertificateState, wakes_at: datetime | None) -> str:
    """Return in plain words where the certificate stands and what it waits for."""
    waits = waiting_for(state) if wakes_at is not None or _pending_case(state) else "nothing"
    lines = [f"**{state.product}** is **{state.shown_status}**. It waits for {waits}."]
    if state.sale is not None:
        lines.append(f"Order {state.sale.order_id}, line {state.sale.line_id}, price {state.sale.amount}.")
    if state.balance or state.held:
        lines.append(f"Balance {state.balance}, held {state.held}, of a nominal of {state.nominal}.")
    lines += [_hold_line(hold) for hold in open_holds(state)]
    sales = (*state.past_sales, state.sale) if state.sale else state.past_sales
    lines += [_case_line(sale.order_id, case) for sale in sales for case in sale.cases if case.is_open]
    if wakes_at is not None:
        lines.append(f"Next looks at itself at {wakes_at:%Y-%m-%d %H:%M:%S} UTC.")
    lines.append(f"Amounts are in minor units of {state.currency}, as in the topics.")
    return "\n\n".join(lines)


def waiting_for(state: CertificateState) -> str:
    """Return, for the timer's summary, what the certificate waits for."""
    case = _pending_case(state)
    if case is not None:
        return f"a person to decide refund case {case.refund_case_id}"
    if any(case.is_open for case in (state.sale.cases if state.sale else ())):
        return "the money of a refund"
    if open_holds(state):
        return "the capture of a hold"
    return "payment of the order" if state.status == Status.ORDERED else "the end of validity"


def _pending_case(state: CertificateState) -> RefundCase | None:
    sales = (*state.past_sales, state.sale) if state.sale else state.past_sales
    cases = (case for sale in sales for case in sale.cases)
    return next((case for case in cases if case.state == RefundState.PENDING_DETAILS), None)


def _hold_line(hold: Redemption) -> str:
    until = f" until {hold.expires_at:%Y-%m-%d %H:%M:%S} UTC" if hold.expires_at else ""
    return f"Order {hold.order_id} holds {hold.held}{until} (redemption {hold.redemption_id})."


def _case_line(order_id: str, case: RefundCase) -> str:
    reason = f", {case.reason.value}" if case.reason else ""
    what = f"Refund case {case.refund_case_id} of order {order_id}"
    amount = f"{case.amount} {case.foreign_currency or ''}".rstrip()
    return f"{what} is **{case.state.value}**{reason}: amount {amount}."
