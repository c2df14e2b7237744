"""``/certificates/next`` and ``/reservations``: a channel reserves certificates, extends and releases reservations."""

import asyncio
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import structlog
from fastapi import APIRouter, Path, Query, Request
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.responses import Response

from api import problems
from api.authentication import (
    AuthenticatedRoute,
    ChannelCaller,
    DirectRoute,
    check_channel,
    check_known_channel,
)
from api.idempotency import HIT, HIT_HEADER, LONGEST_KEY, SentKey, json_reply, key_of
from api.openapi import WITH_BODY, WITH_KEY, may_answer
from api.problems import InvalidFieldError
from api.products import find_product
from api.schemas import CERTIFICATE_ID, LARGEST_AMOUNT, Money, Schema
from api.services import Services, services_of
from giftcert.clock import Clock
from giftcert.domain.certificate.messages import ExtendReservation, ReleaseReservation
from giftcert.domain.numbers import mask
from giftcert.lifecycle.requests import Outcome
from giftcert.security import Caller
from giftcert.storage.blocked_attempts import RECORDED_EVERY, BlockedAttemptRepository, RefusedClaims
from giftcert.storage.claims import Claim, Claimed, ClaimKey, ClaimRequest, ClaimResult, shared_answer
from giftcert.storage.outages import DATABASE_ERRORS
from giftcert.storage.reservations import ReservationRepository, StoredReservation

_LOG = structlog.get_logger(__name__)
RESERVATION_ID = "01936f8e-5b10-7a2f-8c1d-1a2b3c4d5e6f"
LONGEST_NAME = 64
"""Of channels and products, which operations name."""
ORDERED, CHANNEL_RELEASED = "ordered", "channelReleased"
"""How a reservation may have been resolved."""
Name = Annotated[str, Query(min_length=1, max_length=LONGEST_NAME)]
ReservationId = Annotated[UUID, Path(alias="reservationId", examples=[RESERVATION_ID])]
_CLAIMING = (
    problems.CHANNEL_NOT_ALLOWED,
    problems.POOL_EXHAUSTED,
    problems.RESERVATION_ENDED,
    problems.TOO_MANY_RESERVATIONS,
    *WITH_KEY,
)
_ENDING = may_answer(
    problems.CHANNEL_NOT_ALLOWED,
    problems.UNKNOWN_RESERVATION,
    problems.ALREADY_ORDERED,
    problems.RESERVATION_ENDED,
    *WITH_KEY,
)


class Reservation(Schema):
    """A certificate that a channel may sell until ``reservedUntil``."""

    certificate_id: UUID = Field(examples=[CERTIFICATE_ID])
    reservation_id: UUID = Field(examples=[RESERVATION_ID])
    masked_number: str = Field(examples=["************1234"])
    product: str = Field(examples=["GC-5000"])
    nominal: Money | None = Field(description="null: open value, chosen with the order")
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
        description="Minor units; open-value products only",
        examples=[None],
    )


class NextCertificateRoute(DirectRoute):
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


@next_router.get(
    "/certificates/next",
    operation_id="reserveNext",
    response_model=Reservation,
    responses={**may_answer(*_CLAIMING), 200: HIT_HEADER},
)
async def reserve_next(
    request: Request,
    caller: ChannelCaller,
    channel: Annotated[Name, Query(examples=["im"])],
    product: Annotated[Name | None, Query(examples=["GC-5000"])] = None,
    key: SentKey = None,
) -> Response:
    """Reserve the next certificate of a product's pool for a channel."""
    claimed = await _claim(request, caller, _Wanted(channel, product), "next", key)
    return json_reply(claimed.claims[0], repeated=claimed.result is ClaimResult.REPEATED)


@router.post(
    "/reservations",
    operation_id="reserveMany",
    status_code=201,
    response_model=list[Reservation],
    responses={**may_answer(*_CLAIMING, *WITH_BODY), 201: HIT_HEADER},
)
async def reserve_many(
    request: Request, caller: ChannelCaller, body: ReservationOrder, key: SentKey = None
) -> Response:
    """Reserve several certificates, all or none; open-value products may name a nominal."""
    wanted = _Wanted(body.channel, body.product, body.quantity, body.nominal)
    claimed = await _claim(request, caller, wanted, "reservations", key)
    return json_reply(claimed.claims, 201, repeated=claimed.result is ClaimResult.REPEATED)


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
    used = key_of(services, caller, "extend", key, {"reservationId": str(reservation_id)})
    found = await _find(services, caller, reservation_id)

    def answer(outcome: Outcome) -> Claim:
        state, reserved = outcome.state, outcome.state.reservation
        return {
            "certificateId": found.certificate_id,
            "reservationId": str(reservation_id),
            "maskedNumber": mask(found.last_four, outcome.product.number_length),
            **shared_answer(
                outcome.product,
                state.nominal or None,
                found.channel,
                reserved.reserved_until if reserved else found.reserved_until,
            ),
        }

    message = ExtendReservation(str(reservation_id))
    outcome = await services.act(found.certificate_id, message, key=used, answer=answer)
    if outcome.refusal is not None or outcome.repeated:
        _check_live(await _find(services, caller, reservation_id))
    return json_reply(outcome.answer, repeated=outcome.repeated)


@router.delete(
    "/reservations/{reservationId}",
    operation_id="releaseReservation",
    status_code=204,
    responses={**_ENDING, 204: HIT_HEADER},
)
async def release_reservation(
    request: Request, caller: ChannelCaller, reservation_id: ReservationId, key: SentKey = None
) -> Response:
    """Give the certificate back to the pool. It may be repeated: what was given back stays so."""
    services = services_of(request)
    used = key_of(services, caller, "release", key, {"reservationId": str(reservation_id)})
    found = await _find(services, caller, reservation_id)
    outcome = await services.act(found.certificate_id, ReleaseReservation(str(reservation_id)), key=used)
    if outcome.refusal is not None:
        found = await _find(services, caller, reservation_id)
        if found.resolution != CHANNEL_RELEASED:
            _check_live(found)
    return Response(status_code=204, headers=HIT if outcome.repeated else {})


@dataclass(frozen=True, slots=True)
class _Wanted:
    channel: str
    product: str | None
    quantity: int = 1
    nominal: int | None = None


async def _claim(request: Request, caller: Caller, wanted: _Wanted, call: str, key: str | None) -> Claimed:
    """Give certificates, or the answer that was given before under the same key.

    Raises:
        ProblemError: 403 for another channel, 409 where the pool holds too few, 410, 422, 429 and 503 as the contract
            says.
    """
    check_known_channel(request, caller, wanted.channel)
    services = services_of(request)
    product = await find_product(services, wanted.product)
    if wanted.nominal is not None and not product.allows_nominal(wanted.nominal):
        raise InvalidFieldError("nominal", "not a nominal of this product")
    parameters = {**asdict(wanted), "product": product.id}
    used = key_of(services, caller, call, key, parameters)
    claim = ClaimRequest(
        product=product,
        quantity=wanted.quantity,
        channel=wanted.channel,
        caller=caller.subject,
        nominal=wanted.nominal or product.nominal,
        now=services.clock(),
        key=ClaimKey(used.caller_key, used.parameters) if used else None,
    )
    repeated = await _check_cap(services, claim)
    if repeated is not None:
        return repeated
    async with services.claims_in_progress.alone(used):
        return await _given(services, claim)


async def _check_cap(services: Services, claim: ClaimRequest) -> Claimed | None:
    """A caller at its cap still gets the answer to a call that went through before."""
    try:
        await services.cap.check(claim.caller, claim.quantity)
    except problems.ProblemError:
        repeated = await services.past_claims.repeat(claim.key, claim.now) if claim.key else None
        if repeated is None:
            raise
        return _checked(repeated)
    return None


async def _given(services: Services, claim: ClaimRequest) -> Claimed:
    claimed = _checked(await services.claims.claim(claim))
    if claimed.result is ClaimResult.EXHAUSTED:
        await services.refused_claims.record(claim.product.id, claim.channel, claim.now)
        raise problems.ProblemError(problems.POOL_EXHAUSTED)
    if claimed.result is ClaimResult.GIVEN:
        services.cap.add(claim.caller, claim.quantity)
    return claimed


def _checked(claimed: Claimed) -> Claimed:
    match claimed.result:
        case ClaimResult.OTHER_PARAMETERS:
            raise problems.ProblemError(problems.IDEMPOTENCY_MISMATCH)
        case ClaimResult.ENDED:
            raise problems.ProblemError(problems.RESERVATION_ENDED)
        case ClaimResult.GIVEN | ClaimResult.REPEATED | ClaimResult.EXHAUSTED:
            return claimed


async def _find(services: Services, caller: Caller, reservation_id: UUID) -> StoredReservation:
    async with services.engine.connect() as connection:
        found = await ReservationRepository(connection).find(reservation_id)
    if found is None:
        raise problems.ProblemError(problems.UNKNOWN_RESERVATION)
    check_channel(caller, found.channel)
    return found


def _check_live(reservation: StoredReservation) -> None:
    """Say why a reservation can be neither extended nor released."""
    if reservation.resolution == ORDERED:
        raise problems.ProblemError(problems.ALREADY_ORDERED)
    if reservation.resolution is not None:
        raise problems.ProblemError(problems.RESERVATION_ENDED)


# Refused claims -------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Waiting:
    """Refusals of one product and channel that wait to be written together."""

    first_at: datetime
    last_at: datetime
    attempts: int = 0


class RefusedClaimLedger:
    """Group commit of refused claims (409): what was refused while a write ran is written by the next.

    Each caller waits until its own is counted durably. A single write at a time: all would lock the same row anyway.
    """

    def __init__(self, engine: AsyncEngine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        self._waiting: dict[tuple[str, str], _Waiting] = {}
        self._written: asyncio.Future[None] | None = None
        self._writing: asyncio.Task[None] | None = None

    async def record(self, product: str, channel: str, now: datetime) -> None:
        """Count one refusal; when this returns it is committed.

        Raises:
            Exception: what the database raised; then the refusal is not counted and must not be answered.
        """
        waiting = self._waiting.setdefault((product, channel), _Waiting(now, now))
        waiting.attempts += 1
        waiting.last_at = now
        if self._written is None:
            self._written = asyncio.get_running_loop().create_future()
        written = self._written
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_all())
        await asyncio.shield(written)

    async def run(self, stop: asyncio.Event) -> None:
        """Append until stopped ``issue.blocked`` for what no later refusal does; first for what a crash left."""
        while not stop.is_set():
            try:
                async with self._engine.begin() as connection:
                    await BlockedAttemptRepository(connection).record_due(self._clock())
            except DATABASE_ERRORS as error:
                _LOG.warning("refused claims wait to be recorded", error=type(error).__name__)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), RECORDED_EVERY.total_seconds())

    async def _write_all(self) -> None:
        while self._waiting and self._written is not None:
            waiting, self._waiting = self._waiting, {}
            written, self._written = self._written, None
            try:
                await self._write(waiting)
            except Exception as error:  # noqa: BLE001 - handed to every caller that waits for it
                written.set_exception(error)
            else:
                written.set_result(None)
        self._writing = None

    async def _write(self, waiting: dict[tuple[str, str], _Waiting]) -> None:
        async with self._engine.begin() as connection:
            attempts = BlockedAttemptRepository(connection)
            for (product, channel), count in sorted(waiting.items(), key=lambda one: one[0]):
                refused = RefusedClaims(product, channel, count.attempts, count.first_at, count.last_at)
                await attempts.add(refused)
            await attempts.record_due(self._clock())
