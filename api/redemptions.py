"""``/redemptions``: a channel holds what a purchase takes, reads how it stands, voids it."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from fastapi import APIRouter, Path, Request
from pydantic import Field, ValidationError
from starlette.responses import Response
from uuid_utils.compat import uuid7

from api.authentication import AuthenticatedRoute, Call, ChannelCall
from api.idempotency_header import LONGEST_KEY, RequiredKey, SentKey, key_of, reply
from api.openapi import keyed, may_answer
from api.problems import Problem, ProblemError, refused, standing_of
from api.schemas import CERTIFICATE_ID, LARGEST_AMOUNT, LONGEST_ID, NO_NUL, Money, Schema
from api.verification import Credentials, EndUser
from giftcert.domain.certificate.messages import AuthorizeRedemption, VoidRedemption
from giftcert.domain.certificate.redemptions import VoidRefusal
from giftcert.domain.certificate.state import CertificateState, RedemptionState, Status
from giftcert.lifecycle.idempotency import idempotency_key
from giftcert.lifecycle.requests import Outcome
from giftcert.storage.guesses import Guess, StoredCredentials
from giftcert.storage.idempotency import IdempotencyKey
from giftcert.storage.redemptions import RedemptionRepository, StoredRedemption

REDEMPTION_ID = "01936f91-2d30-7c4b-8f3a-3a4b5c6d7e8f"
NEVER_SOLD = frozenset({Status.AVAILABLE, Status.RESERVED, Status.ORDERED, Status.RETIRED})
"""A certificate of these is nobody's to pay with; the attempt is no event of it."""
ENDED = frozenset({RedemptionState.VOIDED, RedemptionState.LAPSED})
RedemptionId = Annotated[UUID, Path(alias="redemptionId", examples=[REDEMPTION_ID])]
_NOT_YOURS = (Problem.CHANNEL_NOT_ALLOWED, Problem.UNKNOWN_REDEMPTION)


class Amount(Schema):
    """What a purchase takes, in minor units of a currency."""

    amount: int = Field(ge=1, le=LARGEST_AMOUNT, strict=True, examples=[120_000])
    currency: str = Field(pattern="^[A-Z]{3}$", examples=["RUB"])


class RedemptionOrder(Credentials):
    """A purchase that a certificate is to pay for."""

    amount: Amount
    order_id: str = Field(min_length=1, max_length=LONGEST_ID, pattern=NO_NUL, examples=["POS-17"])
    hold_seconds: int | None = Field(
        None,
        ge=1,
        le=366 * 86_400,
        strict=True,
        description="How long the amount stays held, in seconds; the product's hold if left out, and its limit at most",
        examples=[1_800],
    )


class RedemptionView(Schema):
    """A purchase that a certificate pays for, as it stands."""

    redemption_id: UUID = Field(examples=[REDEMPTION_ID])
    certificate_id: UUID = Field(examples=[CERTIFICATE_ID])
    status: Literal["authorized", "captured", "voided", "lapsed"] = Field(
        validation_alias="state", examples=["authorized"]
    )
    order_id: str = Field(examples=["POS-17"])
    channel: str = Field(examples=["pos"])
    amount: Money = Field(description="What was asked for, or spent without a hold, in minor units")
    held: Money = Field(description="Waits for its capture, in minor units")
    spent: Money = Field(description="Captured, in minor units")
    restored: Money = Field(description="Given back of what was captured, in minor units")
    balance: Money = Field(description="What else the certificate can pay for now, in minor units")
    expires_at: datetime | None = Field(
        description="When what is held is given back by itself; null for a purchase that was never held",
        examples=["2026-11-23T12:30:00Z"],
    )


class RedemptionRoute(AuthenticatedRoute):
    """The shorter way from a request to ``POST /redemptions``."""

    async def plain_arguments(self, request: Request) -> dict[str, Any] | None:
        """Return body, key and end user."""
        headers = request.headers
        key, end_user = headers.get("idempotency-key"), headers.get("giftcert-end-user")
        if headers.get("content-type") != "application/json" or request.url.query:
            return None
        if key is None or not 0 < len(key) <= LONGEST_KEY or "\0" in key:
            return None
        if end_user is not None and not 0 < len(end_user) <= LONGEST_ID:
            return None
        try:
            body = RedemptionOrder.model_validate_json(await request.body())
        except ValidationError:
            return None
        return {"body": body, "key": key, "end_user": end_user}


redeem_router = APIRouter(tags=["spending"], route_class=RedemptionRoute)
router = APIRouter(tags=["spending"], route_class=AuthenticatedRoute)


@redeem_router.post(
    "/redemptions",
    **keyed(
        {201: RedemptionView},
        Problem.CHANNEL_NOT_ALLOWED,
        Problem.CREDENTIALS_REJECTED,
        Problem.NOT_ACTIVE,
        Problem.INSUFFICIENT_BALANCE,
        Problem.REFUND_IN_PROGRESS,
        Problem.REDEMPTION_ENDED,
        Problem.CURRENCY_MISMATCH,
        Problem.TOO_MANY_ATTEMPTS,
        has_body=True,
    ),
)
async def redeem(
    call: ChannelCall, body: RedemptionOrder, key: RequiredKey, end_user: EndUser = None
) -> Response:
    """Hold what a purchase takes until its payment is captured, voided, or the hold expires.

    After a 503 it may be held or not: repeat with the same key, which never holds twice.
    """
    call.check_known_channel(body.channel)
    credentials = call.services.credentials
    guess = credentials.guess(call.caller, body, end_user, call.services.clock())
    used = _key(call, guess, body, key)
    found = await credentials.check(guess, body.cvc, used)
    if found is None:
        raise ProblemError(Problem.CREDENTIALS_REJECTED)
    if found.remembered is not None:
        return await _repeated(call, found.remembered)
    outcome = await _hold(call, found, body, used)
    if outcome.repeated:
        return await _repeated(call, outcome.answer)
    return _reply(_held(outcome.state, _redemption_id(outcome.answer)))


@router.get("/redemptions/{redemptionId}", responses=may_answer(*_NOT_YOURS))
async def get_redemption(call: ChannelCall, redemption_id: RedemptionId) -> RedemptionView:
    """Return a redemption and its state."""
    return _view(await _find(call, redemption_id))


@router.delete("/redemptions/{redemptionId}", **keyed({204: None}, *_NOT_YOURS, Problem.REDEMPTION_CAPTURED))
async def void_redemption(call: ChannelCall, redemption_id: RedemptionId, key: SentKey = None) -> Response:
    """Give back what is held. It may be repeated: what has ended stays so."""
    used = key_of(call, "void", key, {"redemptionId": redemption_id})
    found = await _find(call, redemption_id)
    message = VoidRedemption(channel=found.channel, redemption_id=found.redemption_id)
    outcome = await call.services.act(found.certificate_id, message, key=used)
    if outcome.refusal == VoidRefusal.CAPTURED:
        raise ProblemError(Problem.REDEMPTION_CAPTURED)
    if outcome.refusal is not None:
        raise ProblemError(Problem.UNKNOWN_REDEMPTION)
    return reply(None, 204, repeated=outcome.repeated)


def _key(call: Call, guess: Guess, body: RedemptionOrder, key: str) -> IdempotencyKey:
    """Return the key of a call. The CVC is no part of it: under a key that is known nobody shall try others."""
    parameters = {**body.model_dump(exclude={"number", "cvc"}), "number": guess.fingerprint.hex()}
    content = msgspec.json.encode(parameters, order="sorted")
    return idempotency_key(call.services.keyring, guess.caller, "redeem", key, content, kept=True)


async def _hold(call: Call, found: StoredCredentials, body: RedemptionOrder, key: IdempotencyKey) -> Outcome:
    """Have the certificate, whose number and CVC were right, hold the amount."""
    state = found.state
    if state.status in NEVER_SOLD:
        raise ProblemError(Problem.NOT_ACTIVE, standing_of(state))
    redemption_id = str(uuid7())
    message = AuthorizeRedemption(
        channel=body.channel,
        redemption_id=redemption_id,
        order_id=body.order_id,
        amount=body.amount.amount,
        currency=body.amount.currency,
        hold_seconds=body.hold_seconds,
    )
    outcome = await call.services.act(
        state.certificate_id,
        message,
        key=key,
        answer=lambda _: {"redemptionId": redemption_id},
        seen=found.idle(call.services.clock()),
    )
    if outcome.refusal is not None:
        raise refused(outcome, Problem.NOT_ACTIVE)
    return outcome


def _redemption_id(remembered: bytes | None) -> str:
    """Return the redemption that was made under a key, as its answer is remembered."""
    return str(msgspec.json.decode(remembered or b"")["redemptionId"])


async def _repeated(call: Call, remembered: bytes | None) -> Response:
    """Answer with the redemption that was made under a key as it stands now."""
    async with call.services.database.connection() as connection:
        found = await RedemptionRepository(connection).find(_redemption_id(remembered))
    if found is None or found.state in ENDED:
        raise ProblemError(Problem.REDEMPTION_ENDED)
    return _reply(found, repeated=True)


def _held(state: CertificateState, redemption_id: str) -> StoredRedemption:
    """Return a hold that has just been made as it was stored."""
    [hold] = [hold for hold in state.redemptions if hold.redemption_id == redemption_id]
    return StoredRedemption(
        redemption_id=redemption_id,
        certificate_id=state.certificate_id,
        channel=hold.channel or "",
        order_id=hold.order_id,
        state=hold.state,
        amount=hold.held,
        held=hold.held,
        spent=hold.spent,
        restored=hold.restored,
        expires_at=hold.expires_at,
        currency=state.currency,
        balance=state.balance,
    )


async def _find(call: Call, redemption_id: UUID) -> StoredRedemption:
    async with call.services.database.connection() as connection:
        found = await RedemptionRepository(connection).find(str(redemption_id))
    if found is None:
        raise ProblemError(Problem.UNKNOWN_REDEMPTION)
    call.check_channel(found.channel)
    return found


def _view(redemption: StoredRedemption) -> RedemptionView:
    return RedemptionView.model_validate(redemption, context=redemption.currency)


def _reply(redemption: StoredRedemption, *, repeated: bool = False) -> Response:
    return reply(_view(redemption).model_dump_json(by_alias=True).encode(), 201, repeated=repeated)
