"""``/certificates/next`` and ``/reservations``: a channel takes certificates, keeps them longer, gives them back."""

from typing import Annotated
from uuid import UUID

import msgspec
from fastapi import APIRouter, Path, Query, Request, Security
from starlette.responses import Response

from api import problems
from api.callers import Bearer
from api.claiming import claim, make_request
from api.documentation import may_answer
from api.ending import extend, release
from api.idempotency import HIT, HIT_HEADER, SentKey, key_of
from api.quick_route import LONGEST_NAME, QuickRoute
from api.schemas import Reservation, ReservationOrder
from api.services import services_of
from giftcert.security import Caller, Role

next_router = APIRouter(tags=["reservations"], route_class=QuickRoute)
router = APIRouter(tags=["reservations"])
ChannelCaller = Annotated[Caller, Security(Bearer(Role.CHANNEL))]
Name = Annotated[str, Query(min_length=1, max_length=LONGEST_NAME)]
ReservationId = Annotated[UUID, Path(alias="reservationId")]
_CLAIMING = may_answer(
    problems.CHANNEL_NOT_ALLOWED,
    problems.POOL_EXHAUSTED,
    problems.RESERVATION_ENDED,
    problems.IDEMPOTENCY_KEY_REQUIRED,
    problems.IDEMPOTENCY_MISMATCH,
    problems.TOO_MANY_RESERVATIONS,
)
_ENDING = may_answer(
    problems.CHANNEL_NOT_ALLOWED,
    problems.UNKNOWN_RESERVATION,
    problems.ALREADY_ORDERED,
    problems.RESERVATION_ENDED,
    problems.IDEMPOTENCY_KEY_REQUIRED,
    problems.IDEMPOTENCY_MISMATCH,
)


@next_router.get(
    "/certificates/next",
    operation_id="reserveNext",
    response_model=Reservation,
    responses={**_CLAIMING, 200: HIT_HEADER},
)
async def reserve_next(
    request: Request,
    caller: ChannelCaller,
    channel: Annotated[Name, Query(examples=["im"])],
    product: Annotated[Name | None, Query(examples=["GC-5000"])] = None,
    key: SentKey = None,
) -> Response:
    """Reserve the next certificate of a product's pool for a channel."""
    wanted = await make_request(request, caller, channel, product, 1, None)
    services = services_of(request)
    used = key_of(services.settings, caller, "next", key, {"channel": channel, "product": wanted.product.id})
    given = await claim(services, wanted, used)
    return _json(given.claims[0], again=given.again)


@router.post(
    "/reservations",
    operation_id="reserveMany",
    status_code=201,
    response_model=list[Reservation],
    responses={**_CLAIMING, 201: HIT_HEADER},
)
async def reserve_many(
    request: Request, caller: ChannelCaller, body: ReservationOrder, key: SentKey = None
) -> Response:
    """Reserve several certificates, all or none; open-value products may name a nominal."""
    wanted = await make_request(request, caller, body.channel, body.product, body.quantity, body.nominal)
    parameters = {**body.model_dump(), "product": wanted.product.id}
    services = services_of(request)
    used = key_of(services.settings, caller, "reservations", key, parameters)
    given = await claim(services, wanted, used)
    return _json(given.claims, 201, again=given.again)


@router.post(
    "/reservations/{reservationId}/extend",
    operation_id="extendReservation",
    response_model=Reservation,
    responses={**_ENDING, 200: HIT_HEADER},
)
async def extend_reservation(
    request: Request, caller: ChannelCaller, reservation_id: ReservationId, key: SentKey = None
) -> Response:
    """Keep the certificate for the product's reservation time from now on, up to the product's limit."""
    services = services_of(request)
    used = key_of(services.settings, caller, "extend", key, {"reservationId": str(reservation_id)})
    extended = await extend(services, caller, reservation_id, used)
    return _json(extended.claim, again=extended.again)


@router.delete(
    "/reservations/{reservationId}",
    operation_id="releaseReservation",
    status_code=204,
    responses={**_ENDING, 204: HIT_HEADER},
)
async def release_reservation(
    request: Request, caller: ChannelCaller, reservation_id: ReservationId, key: SentKey = None
) -> Response:
    """Give the certificate back to the pool."""
    services = services_of(request)
    used = key_of(services.settings, caller, "release", key, {"reservationId": str(reservation_id)})
    again = await release(services, caller, reservation_id, used)
    return Response(status_code=204, headers=HIT if again and key else {})


def _json(body: object, status: int = 200, *, again: bool) -> Response:
    """Answer without another validation: the body was made here, and a claim's time counts."""
    content = msgspec.json.encode(body)
    return Response(content, status, HIT if again else {}, media_type="application/json")
