"""A channel keeps a reservation longer or gives it back: the domain decides, under the certificate's lock."""

import json
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection
from uuid_utils.compat import uuid7

from api import problems
from api.callers import check_channel
from api.idempotency import NO_ANSWER, answer_before, remember
from api.services import Services
from giftcert.clock import utc_now
from giftcert.contracts.stream import stamp
from giftcert.domain.decide import decide
from giftcert.domain.events import Event, ReservationExtended
from giftcert.domain.messages import ExtendReservation, ReleaseReservation
from giftcert.domain.numbers import mask
from giftcert.domain.policy import Terms
from giftcert.security import Caller
from giftcert.storage.certificates import CertificateRepository, StoredCertificate
from giftcert.storage.claims import Claim, shared_answer
from giftcert.storage.events import EventRepository
from giftcert.storage.idempotency import IdempotencyKey
from giftcert.storage.reservations import ReservationRepository, ReservationRow


@dataclass(frozen=True, slots=True)
class Extended:
    """The reservation as it now is; ``again`` if it was answered before under the same key."""

    claim: Claim
    again: bool


async def extend(
    services: Services, caller: Caller, reservation_id: UUID, key: IdempotencyKey | None
) -> Extended:
    """Keep a reservation for its product's time from now on, up to the product's limit.

    Raises:
        ProblemError: 403, 404, 409 if it is ordered, 410 if it has ended, 422 for another call's key.
    """
    now = utc_now()
    async with services.engine.begin() as connection:
        before = await answer_before(connection, key, now)
        reservation = await _live(connection, caller, reservation_id)
        if before is not None:
            return Extended(json.loads(before), again=True)
        stored = await CertificateRepository(connection).load(str(reservation.certificate_id))
        wanted = now + stored.product.reservation
        message = ExtendReservation(
            key=str(uuid7()), reservation_id=str(reservation_id), reserved_until=wanted
        )
        events = _decide(services, stored, message, now)
        until = next((one.reserved_until for one in events if isinstance(one, ReservationExtended)), wanted)
        await ReservationRepository(connection).extend(reservation, until)
        claim = _claim(stored, reservation, until)
        await remember(connection, key, json.dumps(claim), now)
    return Extended(claim, again=False)


async def release(
    services: Services, caller: Caller, reservation_id: UUID, key: IdempotencyKey | None
) -> bool:
    """Give the certificate of a reservation back; one that was given back before stays so.

    Returns:
        Whether it had been given back before.

    Raises:
        ProblemError: as ``extend``.
    """
    now = utc_now()
    async with services.engine.begin() as connection:
        await answer_before(connection, key, now)
        reservation = await _known(connection, caller, reservation_id)
        if reservation.resolution == "channelReleased":
            return True
        _check_live(reservation)
        await _release(connection, services, reservation, now)
        await remember(connection, key, NO_ANSWER, now)
    return False


async def _release(
    connection: AsyncConnection, services: Services, reservation: ReservationRow, now: datetime
) -> None:
    certificate_id = str(reservation.certificate_id)
    stored = await CertificateRepository(connection).load(certificate_id)
    message = ReleaseReservation(key=str(uuid7()), reservation_id=str(reservation.reservation_id))
    events = _decide(services, stored, message, now)
    records = stamp(stored.state, events, at=now, occurred_at=now, channel=reservation.channel, cause=None)
    await ReservationRepository(connection).release(reservation, now)
    await EventRepository(connection).append(certificate_id, records)


def _decide(
    services: Services,
    stored: StoredCertificate,
    message: ExtendReservation | ReleaseReservation,
    now: datetime,
) -> tuple[Event, ...]:
    terms = Terms(stored.product, services.settings.policy)
    return decide(stored.state, message, now, terms, lambda: str(uuid7()))


async def _known(connection: AsyncConnection, caller: Caller, reservation_id: UUID) -> ReservationRow:
    reservation = await ReservationRepository(connection).lock(reservation_id)
    if reservation is None:
        raise problems.ProblemError(problems.UNKNOWN_RESERVATION)
    check_channel(caller, reservation.channel)
    return reservation


async def _live(connection: AsyncConnection, caller: Caller, reservation_id: UUID) -> ReservationRow:
    reservation = await _known(connection, caller, reservation_id)
    _check_live(reservation)
    return reservation


def _check_live(reservation: ReservationRow) -> None:
    if reservation.resolution == "ordered":
        raise problems.ProblemError(problems.ALREADY_ORDERED)
    if reservation.resolution is not None:
        raise problems.ProblemError(problems.RESERVATION_ENDED)


def _claim(stored: StoredCertificate, reservation: ReservationRow, until: datetime) -> Claim:
    return {
        "certificateId": str(reservation.certificate_id),
        "reservationId": str(reservation.reservation_id),
        "maskedNumber": mask(reservation.last_four, stored.product.number_length),
        **shared_answer(stored.product, stored.state.nominal or None, reservation.channel, until),
    }
