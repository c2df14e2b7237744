"""The reservation: reserve, extend, release, lapse. PostgreSQL claims by the same rules without loading the state."""

from dataclasses import replace
from enum import StrEnum

from giftcert.domain.certificate import events as e
from giftcert.domain.certificate import messages as m
from giftcert.domain.certificate.decision import Decision
from giftcert.domain.certificate.state import Reservation, Status
from giftcert.domain.certificate.words import ReleaseReason


class ReservationRefusal(StrEnum):
    """Why a channel cannot have, keep or give back the certificate."""

    BLOCKED = "blocked"
    OTHER_RESERVATION = "otherReservation"


def reserve(decision: Decision, message: m.Reserve) -> None:
    """Give an available certificate to a channel; a blocked one is never given."""
    if decision.state.blocked:
        decision.refusal = ReservationRefusal.BLOCKED
        return
    until = decision.now + decision.product.reservation
    decision.record(e.Reserved(reservation_id=message.reservation_id, reserved_until=until))
    reservation = Reservation(
        reservation_id=message.reservation_id,
        reserved_until=until,
        channel=message.channel,
        reserved_at=decision.now,
    )
    nominal = decision.state.nominal if message.nominal is None else message.nominal
    decision.change(replace(decision.state, reservation=reservation, nominal=nominal))


def extend(decision: Decision, message: m.ExtendReservation) -> None:
    """Keep it as long again from now, up to the product's limit from the beginning."""
    reservation = _live(decision, message.reservation_id)
    if reservation is None:
        decision.refusal = ReservationRefusal.OTHER_RESERVATION
        return
    limit = (reservation.reserved_at or decision.now) + decision.product.reservation_limit
    until = max(reservation.reserved_until, min(decision.now + decision.product.reservation, limit))
    decision.change(replace(decision.state, reservation=replace(reservation, reserved_until=until)))


def give_back(decision: Decision, message: m.ReleaseReservation) -> None:
    """Release what the channel gives back."""
    if _live(decision, message.reservation_id) is None:
        decision.refusal = ReservationRefusal.OTHER_RESERVATION
        return
    _release(decision, message.reservation_id, ReleaseReason.CHANNEL_RELEASED)


def lapsed(decision: Decision, message: m.ReservationLapsed) -> None:
    """Release on time alone; that this is allowed is the caller's to know."""
    _release(decision, message.reservation_id, ReleaseReason.RESERVATION_EXPIRED)


def _live(decision: Decision, reservation_id: str) -> Reservation | None:
    reservation = decision.state.reservation
    found = reservation is not None and reservation.reservation_id == reservation_id
    return reservation if found and decision.state.status == Status.RESERVED else None


def _release(decision: Decision, reservation_id: str, reason: ReleaseReason) -> None:
    decision.record(e.Released(reservation_id=reservation_id, order_id=None, reason=reason))
