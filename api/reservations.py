"""``/certificates/next`` and ``/reservations``: a channel reserves certificates, extends and releases reservations."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from fastapi import APIRouter, Path, Query, Request
from prometheus_client import Counter
from pydantic import Field
from starlette.responses import Response

from api.authentication import AuthenticatedRoute, Call, ChannelCall
from api.idempotency_header import LONGEST_KEY, SentKey, key_of, reply
from api.openapi import keyed
from api.problems import InvalidFieldError, Problem, ProblemError
from api.schemas import CERTIFICATE_ID, LARGEST_AMOUNT, Money, Schema
from giftcert.domain.certificate.messages import ExtendReservation, ReleaseReservation
from giftcert.domain.numbers import mask
from giftcert.lifecycle.requests import Outcome
from giftcert.storage.claims import Claim, Claimed, ClaimRequest, ClaimResult
from giftcert.storage.reservations import ReservationRepository, StoredReservation

RESERVATION_ID = "01936f8e-5b10-7a2f-8c1d-1a2b3c4d5e6f"
LONGEST_NAME = 64
Name = Annotated[str, Query(min_length=1, max_length=LONGEST_NAME)]
ReservationId = Annotated[UUID, Path(alias="reservationId", examples=[RESERVATION_ID])]
_CLAIMING = (
    Problem.CHANNEL_NOT_ALLOWED,
    Problem.POOL_EXHAUSTED,
    Problem.RESERVATION_ENDED,
    Problem.TOO_MANY_RESERVATIONS,
)
_ENDING = (
    Problem.CHANNEL_NOT_ALLOWED,
    Problem.UNKNOWN_RESERVATION,
    Problem.ALREADY_ORDERED,
    Problem.RESERVATION_ENDED,
)

_CLAIMS = Counter(
    "giftcert_claims_total",
    "Certificates that channels asked to reserve, by what came of it: given, exhausted, capped, or of a repeat",
    ["product", "channel", "result"],
)


class Reservation(Schema):
    """A certificate that a channel may sell until ``reservedUntil``."""

    certificate_id: UUID = Field(examples=[CERTIFICATE_ID])
    reservation_id: UUID = Field(examples=[RESERVATION_ID])
    masked_number: str = Field(examples=["************1234"])
    product: str = Field(examples=["GC-5000"])
    nominal: Money | None = Field(
        description="Face value, in minor units; null: an open value, chosen with the order"
    )
    channel: str = Field(examples=["im"])
    reserved_until: datetime = Field(examples=["2026-11-23T10:30:00Z"])


class ReservationOrder(Schema):
    """How many certificates a channel wants at once."""

    channel: str = Field(min_length=1, max_length=LONGEST_NAME, examples=["pos"])
    product: str | None = Field(None, min_length=1, max_length=LONGEST_NAME, examples=["GC-5000"])
    quantity: int = Field(ge=1, le=100, strict=True, examples=[10])
    nominal: int | None = Field(
        None,
        ge=1,
        le=LARGEST_AMOUNT,
        strict=True,
        description="Face value of an open-value product, in minor units of its currency; left out for others",
        examples=[None],
    )


class NextCertificateRoute(AuthenticatedRoute):
    """The shorter way from a request to ``GET /certificates/next``."""

    async def plain_arguments(self, request: Request) -> dict[str, Any] | None:
        """Return channel, product and key."""
        query = request.query_params
        channel, product = query.get("channel"), query.get("product")
        key = request.headers.get("idempotency-key")
        given = [name for name in (channel, product, key) if name is not None]
        if channel is None or len(query.multi_items()) > 1 + (product is not None):
            return None
        if not all(0 < len(name) <= LONGEST_KEY and "\0" not in name for name in given):
            return None
        return {"channel": channel, "product": product, "key": key}


next_router = APIRouter(tags=["reservations"], route_class=NextCertificateRoute)
router = APIRouter(tags=["reservations"], route_class=AuthenticatedRoute)


@next_router.get("/certificates/next", **keyed({200: Reservation}, *_CLAIMING))
async def reserve_next(
    call: ChannelCall,
    channel: Annotated[
        Name, Query(description="The channel that reserves; one of the token's", examples=["im"])
    ],
    product: Annotated[
        Name | None,
        Query(
            description="Id of the product; may be left out where a default is configured",
            examples=["GC-5000"],
        ),
    ] = None,
    key: SentKey = None,
) -> Response:
    """Reserve the next certificate of a product's pool for a channel."""
    wanted = ReservationOrder(channel=channel, product=product, quantity=1)
    claimed = await _claim(call, wanted, "next", key)
    return _reply(claimed.claims[0], 200, claimed)


@router.post("/reservations", **keyed({201: list[Reservation]}, *_CLAIMING, has_body=True))
async def reserve_many(call: ChannelCall, body: ReservationOrder, key: SentKey = None) -> Response:
    """Reserve several certificates, all or none; open-value products may name a nominal."""
    claimed = await _claim(call, body, "reservations", key)
    return _reply(claimed.claims, 201, claimed)


@router.post("/reservations/{reservationId}/extend", **keyed({200: Reservation}, *_ENDING))
async def extend_reservation(
    call: ChannelCall, reservation_id: ReservationId, key: SentKey = None
) -> Response:
    """Keep the certificate for the product's reservation time from now on, up to the product's limit."""
    used = key_of(call, "extend", key, {"reservationId": reservation_id})
    found = await _find(call, reservation_id)

    def answer(outcome: Outcome) -> Claim:
        reserved, nominal = outcome.state.reservation, outcome.state.nominal
        return {
            "certificateId": found.certificate_id,
            "reservationId": str(reservation_id),
            "maskedNumber": mask(found.last_four, outcome.product.number_length),
            "product": outcome.product.id,
            "nominal": {"amount": nominal, "currency": outcome.product.currency} if nominal else None,
            "channel": found.channel,
            "reservedUntil": reserved.reserved_until if reserved else found.reserved_until,
        }

    message = ExtendReservation(str(reservation_id))
    outcome = await call.services.act(found.certificate_id, message, key=used, answer=answer)
    if outcome.refusal is not None or outcome.repeated:
        _check_live(await _find(call, reservation_id))
    return reply(outcome.answer, repeated=outcome.repeated)


@router.delete("/reservations/{reservationId}", **keyed({204: None}, *_ENDING))
async def release_reservation(
    call: ChannelCall, reservation_id: ReservationId, key: SentKey = None
) -> Response:
    """Give the certificate back to the pool. It may be repeated: what was given back stays so."""
    used = key_of(call, "release", key, {"reservationId": reservation_id})
    found = await _find(call, reservation_id)
    outcome = await call.services.act(found.certificate_id, ReleaseReservation(str(reservation_id)), key=used)
    if outcome.refusal is not None:
        found = await _find(call, reservation_id)
        if found.resolution != "channelReleased":
            _check_live(found)
    return reply(None, 204, repeated=outcome.repeated)


async def _claim(call: Call, wanted: ReservationOrder, name: str, key: str | None) -> Claimed:
    """Give certificates, or the answer that was given before under the same key."""
    call.check_known_channel(wanted.channel)
    services = call.services
    product = await services.catalogue.find(wanted.product)
    if wanted.nominal is not None and not product.allows_nominal(wanted.nominal):
        raise InvalidFieldError("nominal", "not a nominal of this product")
    used = key_of(call, name, key, wanted.model_dump() | {"product": product.id})
    claim = ClaimRequest(
        product=product,
        quantity=wanted.quantity,
        channel=wanted.channel,
        caller=call.caller.subject,
        nominal=wanted.nominal or product.nominal,
        now=services.clock(),
        key=used,
    )
    if not await services.cap.allows(claim.caller, product.id, claim.quantity):
        # A call that went through before is still answered.
        before = await services.past_claims.repeat(claim.key, claim.now) if claim.key else None
        if before is None:
            _CLAIMS.labels(claim.product.id, claim.channel, "capped").inc(claim.quantity)
            raise ProblemError(Problem.TOO_MANY_RESERVATIONS, retry_after=10)
        return _checked(call, claim, before)
    async with services.lifecycle.calls.alone(used):
        return _checked(call, claim, await services.claims.claim(claim))


def _checked(call: Call, claim: ClaimRequest, claimed: Claimed) -> Claimed:
    _CLAIMS.labels(claim.product.id, claim.channel, claimed.result.value).inc(claim.quantity)
    match claimed.result:
        case ClaimResult.OTHER_PARAMETERS:
            raise ProblemError(Problem.IDEMPOTENCY_MISMATCH)
        case ClaimResult.ENDED:
            raise ProblemError(Problem.RESERVATION_ENDED)
        case ClaimResult.EXHAUSTED:
            raise ProblemError(Problem.POOL_EXHAUSTED)
        case ClaimResult.GIVEN:
            call.services.cap.add(claim.caller, claim.product.id, claim.quantity)
        case ClaimResult.REPEATED:
            pass
    return claimed


def _reply(body: object, status: int, claimed: Claimed) -> Response:
    return reply(msgspec.json.encode(body), status, repeated=claimed.result is ClaimResult.REPEATED)


async def _find(call: Call, reservation_id: UUID) -> StoredReservation:
    async with call.services.database.connection() as connection:
        found = await ReservationRepository(connection).find(reservation_id)
    if found is None:
        raise ProblemError(Problem.UNKNOWN_RESERVATION)
    call.check_channel(found.channel)
    return found


def _check_live(reservation: StoredReservation) -> None:
    """Say why a reservation can be neither extended nor released."""
    if reservation.resolution == "ordered":
        raise ProblemError(Problem.ALREADY_ORDERED)
    if reservation.resolution is not None:
        raise ProblemError(Problem.RESERVATION_ENDED)
