"""``/redemptions``: a channel holds what a purchase takes, looks how it stands, gives it back."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Request, Response, Security

from api import problems
from api.callers import Bearer, check_own_channel
from api.documentation import may_answer
from api.idempotency import HIT, HIT_HEADER, RequiredKey, SentKey, key_of
from api.redeeming import find, redeem, void
from api.services import services_of
from api.spending_schemas import REDEMPTION_ID, RedemptionOrder, RedemptionView
from api.views import money
from giftcert.security import Caller, Role
from giftcert.storage.redemptions import StoredRedemption

router = APIRouter(tags=["spending"])
ChannelCaller = Annotated[Caller, Security(Bearer(Role.CHANNEL))]
RedemptionId = Annotated[UUID, Path(alias="redemptionId", examples=[REDEMPTION_ID])]
_REDEEMING = may_answer(
    problems.CHANNEL_NOT_ALLOWED,
    problems.CREDENTIALS_REJECTED,
    problems.NOT_ACTIVE,
    problems.INSUFFICIENT_BALANCE,
    problems.REFUND_IN_PROGRESS,
    problems.REDEMPTION_ENDED,
    problems.CURRENCY_MISMATCH,
    problems.IDEMPOTENCY_KEY_REQUIRED,
    problems.IDEMPOTENCY_MISMATCH,
    problems.TOO_MANY_ATTEMPTS,
)
_KNOWN = (problems.CHANNEL_NOT_ALLOWED, problems.UNKNOWN_REDEMPTION)
_VOIDING = may_answer(
    *_KNOWN,
    problems.REDEMPTION_CAPTURED,
    problems.IDEMPOTENCY_KEY_REQUIRED,
    problems.IDEMPOTENCY_MISMATCH,
)


@router.post(
    "/redemptions",
    operation_id="redeem",
    status_code=201,
    responses={**_REDEEMING, 201: HIT_HEADER},
)
async def redeem_certificate(
    request: Request, response: Response, caller: ChannelCaller, body: RedemptionOrder, key: RequiredKey
) -> RedemptionView:
    """Hold what a purchase takes until its payment is captured, voided, or the hold runs out.

    After a 503 it may be held or not: repeat with the same key, which never holds twice.
    """
    check_own_channel(request, caller, body.channel)
    redeemed = await redeem(services_of(request), caller, body, key)
    if redeemed.again:
        response.headers.update(HIT)
    return _view(redeemed.redemption)


@router.get("/redemptions/{redemptionId}", operation_id="getRedemption", responses=may_answer(*_KNOWN))
async def get_redemption(
    request: Request, caller: ChannelCaller, redemption_id: RedemptionId
) -> RedemptionView:
    """Tell how a redemption stands."""
    return _view(await find(services_of(request), caller, redemption_id))


@router.delete(
    "/redemptions/{redemptionId}",
    operation_id="voidRedemption",
    status_code=204,
    responses={**_VOIDING, 204: HIT_HEADER},
)
async def void_redemption(
    request: Request, caller: ChannelCaller, redemption_id: RedemptionId, key: SentKey = None
) -> Response:
    """Give back what is held. It may be repeated: what has ended stays so."""
    services = services_of(request)
    used = key_of(services.settings, caller, "void", key, {"redemptionId": str(redemption_id)})
    again = await void(services, caller, redemption_id, used)
    return Response(status_code=204, headers=HIT if again else {})


def _view(redemption: StoredRedemption) -> RedemptionView:
    amounts = {
        name: money(getattr(redemption, name), redemption.currency)
        for name in ("amount", "held", "spent", "restored", "balance")
    }
    return RedemptionView.model_validate(
        {
            "redemption_id": redemption.redemption_id,
            "certificate_id": redemption.certificate_id,
            "status": redemption.state,
            "order_id": redemption.order_id,
            "channel": redemption.channel,
            "expires_at": redemption.expires_at,
            **amounts,
        }
    )
