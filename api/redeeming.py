"""A certificate pays: from number and CVC to the workflow's word, so that every step may be repeated.

The key's redemption is committed before the workflow is asked for it, and what the workflow grants is committed with
the change itself. So whatever breaks in between, a repeat under the same key asks for the same redemption.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from uuid_utils.compat import uuid7

from api import problems
from api.callers import check_channel
from api.idempotency import NO_ANSWER, answer_before, remember
from api.services import Services
from api.spending_schemas import RedemptionOrder
from giftcert.clock import utc_now
from giftcert.domain.events import RejectionReason
from giftcert.domain.messages import AuthorizeRedemption, VoidRedemption
from giftcert.domain.state import CertificateState, Redemption, RedemptionState, Status
from giftcert.security import Caller
from giftcert.storage.certificates import CertificateRepository, StoredCertificate
from giftcert.storage.idempotency import IdempotencyKey
from giftcert.storage.redemptions import (
    KeyUsedError,
    RedemptionRepository,
    StoredRedemption,
    WantedRedemption,
)
from workflows.requests import Answer

_NEVER_SOLD = frozenset({Status.AVAILABLE, Status.RESERVED, Status.ORDERED, Status.RETIRED})
_ENDED = frozenset({RedemptionState.VOIDED, RedemptionState.LAPSED})
_PROBLEMS: Mapping[str, problems.Problem] = {
    RejectionReason.REFUND_IN_PROGRESS: problems.REFUND_IN_PROGRESS,
    RejectionReason.CURRENCY_MISMATCH: problems.CURRENCY_MISMATCH,
    RejectionReason.INSUFFICIENT_BALANCE: problems.INSUFFICIENT_BALANCE,
}


@dataclass(frozen=True, slots=True)
class Redeemed:
    """The redemption as it stands; ``again`` if it was carried out before under the same key."""

    redemption: StoredRedemption
    again: bool


async def redeem(services: Services, caller: Caller, order: RedemptionOrder, key: str) -> Redeemed:
    """Hold an amount of a certificate, or return what was held before under the same key.

    Raises:
        ProblemError: as the contract of ``POST /redemptions`` says.
    """
    certificate = await _certificate(services, caller, order)
    if certificate.state.status in _NEVER_SOLD or certificate.state.sale_channel is None:
        raise problems.ProblemError(problems.NOT_ACTIVE, _standing(certificate.state))
    wanted = _wanted(certificate, caller, order, key)
    known = await _begin(services, wanted)
    if known.state is not None:
        return Redeemed(_live(known), again=True)
    answer = await services.workflows.ask(
        known.certificate_id,
        certificate.state.sale_channel,
        lambda decide_before: _hold(known, certificate, order, decide_before),
    )
    if answer.redemption is None:
        await _forget(services, wanted, known)
        raise refusal(answer, known.currency)
    return Redeemed(_live(_as_answered(known, answer.redemption, answer.balance)), again=False)


async def find(services: Services, caller: Caller, redemption_id: UUID) -> StoredRedemption:
    """Return a redemption of one of the caller's channels.

    Raises:
        ProblemError: 403 for another channel's, 404.
    """
    async with services.engine.connect() as connection:
        found = await RedemptionRepository(connection).find(redemption_id)
    if found is None:
        raise problems.ProblemError(problems.UNKNOWN_REDEMPTION)
    check_channel(caller, found.channel)
    return found


async def void(services: Services, caller: Caller, redemption_id: UUID, key: IdempotencyKey | None) -> bool:
    """Give a hold back; one that has ended stays so.

    Returns:
        Whether it was answered before under the same key.

    Raises:
        ProblemError: as ``find``; 409 once it is captured, 422 for another call's key.
    """
    found = await find(services, caller, redemption_id)
    async with services.engine.begin() as connection:
        again = await answer_before(connection, key, utc_now()) is not None
    if not again and found.state not in _ENDED:
        await _give_back(services, found)
    async with services.engine.begin() as connection:
        await remember(connection, key, NO_ANSWER, utc_now())
    return again


async def _give_back(services: Services, found: StoredRedemption) -> None:
    _check_not_captured(found.state)
    answer = await services.workflows.ask(
        found.certificate_id,
        found.sale_channel or found.channel,
        lambda decide_before: VoidRedemption(
            key=f"void:{found.redemption_id}:{decide_before.isoformat()}",
            channel=found.channel,
            redemption_id=found.redemption_id,
        ),
    )
    _check_not_captured(answer.redemption.state if answer.redemption else None)


async def _certificate(services: Services, caller: Caller, order: RedemptionOrder) -> StoredCertificate:
    number, cvc = order.number.get_secret_value(), order.cvc.get_secret_value()
    certificate_id = await services.credentials.certificate_of(caller.subject, order.channel, number, cvc)
    if certificate_id is None:
        raise problems.ProblemError(problems.CREDENTIALS_REJECTED)
    async with services.engine.connect() as connection:
        return await CertificateRepository(connection).load(str(certificate_id))


def _wanted(
    certificate: StoredCertificate, caller: Caller, order: RedemptionOrder, key: str
) -> WantedRedemption:
    """Instead of number and CVC, which were right, stands whose they are."""
    parameters = order.model_dump(exclude={"number", "cvc"}) | {
        "certificate_id": certificate.state.certificate_id
    }
    return WantedRedemption(
        caller=caller.subject,
        key=key,
        parameters=hashlib.sha256(msgspec.json.encode(parameters, order="sorted")).digest(),
        redemption_id=uuid7(),
        certificate_id=UUID(certificate.state.certificate_id),
        channel=order.channel,
        order_id=order.order_id,
        amount=order.amount.amount,
    )


async def _begin(services: Services, wanted: WantedRedemption) -> StoredRedemption:
    try:
        async with services.engine.begin() as connection:
            return await RedemptionRepository(connection).begin(wanted)
    except KeyUsedError:
        raise problems.ProblemError(problems.IDEMPOTENCY_MISMATCH) from None


async def _forget(services: Services, wanted: WantedRedemption, known: StoredRedemption) -> None:
    async with services.engine.begin() as connection:
        await RedemptionRepository(connection).refused(wanted, known.redemption_id)


def _hold(
    known: StoredRedemption, certificate: StoredCertificate, order: RedemptionOrder, decide_before: datetime
) -> AuthorizeRedemption:
    wanted = certificate.product.hold
    if order.hold_seconds is not None:
        wanted = timedelta(seconds=order.hold_seconds)
    return AuthorizeRedemption(
        key=f"hold:{known.redemption_id}:{decide_before.isoformat()}",
        channel=order.channel,
        redemption_id=known.redemption_id,
        order_id=order.order_id,
        amount=order.amount.amount,
        currency=order.amount.currency,
        expires_at=utc_now() + min(wanted, certificate.product.hold_limit),
    )


def _as_answered(known: StoredRedemption, now: Redemption, balance: int) -> StoredRedemption:
    return replace(
        known,
        state=now.state,
        held=now.held,
        spent=now.spent,
        restored=now.restored,
        expires_at=now.expires_at,
        balance=balance,
    )


def _live(redemption: StoredRedemption) -> StoredRedemption:
    if redemption.state in _ENDED:
        raise problems.ProblemError(problems.REDEMPTION_ENDED)
    return redemption


def _check_not_captured(state: RedemptionState | None) -> None:
    if state == RedemptionState.CAPTURED:
        raise problems.ProblemError(problems.REDEMPTION_CAPTURED)


def refusal(answer: Answer, currency: str) -> problems.ProblemError:
    """Return the problem of a hold that the workflow refused; all but three reasons mean "not active"."""
    problem = _PROBLEMS.get(answer.refusal or "", problems.NOT_ACTIVE)
    if problem is problems.CURRENCY_MISMATCH:
        return problems.ProblemError(problem)
    if problem is problems.INSUFFICIENT_BALANCE:
        return problems.ProblemError(problem, {"balance": {"amount": answer.balance, "currency": currency}})
    return problems.ProblemError(
        problem, {"certificateStatus": answer.status, "refundState": answer.refund_state}
    )


def _standing(state: CertificateState) -> dict[str, str]:
    return {"certificateStatus": state.shown_status, "refundState": state.refund_state.value}
