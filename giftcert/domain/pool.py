"""Rules of the pool: reserve, extend, release. PostgreSQL claims by the same rules without loading the state."""

from giftcert.domain import events as e
from giftcert.domain.decision import Decision
from giftcert.domain.messages import ExtendReservation, ReleaseReservation, ReservationLapsed, Reserve


def reserve(decision: Decision, message: Reserve) -> None:
    """A channel takes an available certificate; a blocked one is never given."""
    if decision.state.blocked:
        decision.record(e.UnexpectedMessage(reason="blocked", detail="a blocked certificate is not given"))
        return
    decision.record(
        e.Reserved(reservation_id=message.reservation_id, reserved_until=message.reserved_until),
        e.ReservationOpened(channel=message.channel, reserved_at=decision.now, nominal=message.nominal),
    )


def extend_reservation(decision: Decision, message: ExtendReservation) -> None:
    """The channel keeps it longer, up to the product's limit from the beginning."""
    reservation = decision.state.reservation
    if reservation is None or reservation.reservation_id != message.reservation_id:
        decision.record(_other_reservation())
        return
    limit = (reservation.reserved_at or decision.now) + decision.product.reservation_limit
    until = max(reservation.reserved_until, min(message.reserved_until, limit))
    decision.record(e.ReservationExtended(reserved_until=until))


def release_reservation(decision: Decision, message: ReleaseReservation) -> None:
    """The channel gives it back."""
    _release(decision, message.reservation_id, e.ReleaseReason.CHANNEL_RELEASED)


def reservation_lapsed(decision: Decision, message: ReservationLapsed) -> None:
    """The time is over; that ingest has caught up is the caller's to know."""
    reservation = decision.state.reservation
    if reservation is not None and decision.now < reservation.reserved_until:
        return
    _release(decision, message.reservation_id, e.ReleaseReason.RESERVATION_EXPIRED)


def _release(decision: Decision, reservation_id: str, reason: e.ReleaseReason) -> None:
    reservation = decision.state.reservation
    if reservation is None or reservation.reservation_id != reservation_id:
        decision.record(_other_reservation())
        return
    decision.record(e.Released(reservation_id=reservation_id, order_id=None, reason=reason))


def _other_reservation() -> e.UnexpectedMessage:
    return e.UnexpectedMessage(
        reason="otherReservation", detail="the certificate is under another reservation"
    )
