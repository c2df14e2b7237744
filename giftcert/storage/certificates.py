"""Certificates as stored: load one, and carry out one transition of its lifecycle."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from giftcert.contracts.codec import decode_state, encode_state
from giftcert.domain.messages import LineHolder
from giftcert.domain.products import Product
from giftcert.domain.state import CertificateState, RefundState, Reservation, Status

_STORED = """
    SELECT c.certificate_id::text AS certificate_id, c.product_id, c.currency, c.nominal, c.status, c.blocked,
        c.balance, c.held, c.reservation_id::text AS reservation_id, c.reservation_channel, c.reserved_at,
        c.reserved_until, c.reservation_ended, c.version, c.state::text AS state, c.number_sealed, c.cvc_sealed,
        p.nominal AS product_nominal, p.least_nominal, p.greatest_nominal, p.validity, p.reservation,
        p.reservation_limit, p.hold, p.hold_limit, p.greatest_discount_percent, p.number_length, p.cvc_length
    FROM certificates c JOIN products p USING (product_id)
"""
_LOAD = text(f"{_STORED} WHERE c.certificate_id = CAST(:certificate_id AS uuid)")
_LOAD_ALL = text(f"{_STORED} WHERE c.certificate_id = ANY(CAST(:certificate_ids AS uuid[])) ORDER BY 1")
_LOCK = text("""
    SELECT c.version, ARRAY(
        SELECT a.message_key FROM applied_messages a
        WHERE a.certificate_id = c.certificate_id AND a.message_key = ANY(CAST(:keys AS text[]))
    ) AS applied
    FROM certificates c WHERE c.certificate_id = CAST(:certificate_id AS uuid) FOR UPDATE OF c
""")
_CAUGHT_UP = text("""
    SELECT coalesce((SELECT min(caught_up_to) > :instant FROM ingest_marks), false) AND NOT EXISTS (
        SELECT FROM deliveries d
        WHERE d.certificate_id = CAST(:certificate_id AS uuid)
            AND d.message_key <> ALL(CAST(:keys AS text[]))
            AND NOT EXISTS (
                SELECT FROM applied_messages a
                WHERE a.certificate_id = d.certificate_id AND a.message_key = d.message_key
            )
    )
""")
_CHANGE = text("""
    WITH changed AS (
        UPDATE certificates SET status = :status, blocked = :blocked, nominal = :nominal, balance = :balance,
            held = :held, refund_state = :refund_state, any_refund_state = :any_refund_state,
            refund_reason = :refund_reason, sale_channel = :sale_channel, order_id = :order_id, line_id = :line_id,
            customer_id = :customer_id, reserved_until = :reserved_until, reservation_ended = :reservation_ended,
            available_since = CASE WHEN status <> 'available' AND :status = 'available'
                THEN CAST(:at AS timestamptz) ELSE available_since END,
            state = CAST(:state AS jsonb), version = version + 1
        WHERE certificate_id = CAST(:certificate_id AS uuid)
        RETURNING version
    ), applied AS (
        INSERT INTO applied_messages (certificate_id, message_key)
        SELECT CAST(:certificate_id AS uuid), unnest(CAST(:keys AS text[]))
    ), resolved AS (
        UPDATE reservations SET resolved_at = :at, resolution = CAST(:resolution AS text)
        WHERE CAST(:resolution AS text) IS NOT NULL AND resolved_at IS NULL
            AND reservation_id = CAST(:reservation_id AS uuid)
    )
    SELECT version FROM changed
""")
_LINE_HOLDER = text("""
    SELECT status FROM certificates
    WHERE order_id = :order_id AND line_id = :line_id AND certificate_id <> CAST(:certificate_id AS uuid)
        AND status IN ('ordered', 'issued', 'partiallyRedeemed', 'redeemed', 'expired')
""")


class UnknownCertificateError(LookupError):
    """There is no certificate with this id."""


class LineHeldError(Exception):
    """Another certificate stands on the order line; ``holder`` is ``None`` if it has let go meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCertificate:
    """A certificate with its product, its lifecycle version and its sealed secrets."""

    state: CertificateState
    product: Product
    version: int
    number_sealed: bytes
    cvc_sealed: bytes


@dataclass(frozen=True, slots=True)
class Locked:
    """The lifecycle version under the row's lock, and which of the asked message keys are applied."""

    version: int
    applied: tuple[str, ...]


class CertificateRepository:
    """Certificates on a connection; the caller owns the transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def load(self, certificate_id: str) -> StoredCertificate:
        """Return a certificate as stored.

        Raises:
            UnknownCertificateError: there is none with this id.
        """
        result = await self._connection.execute(_LOAD, {"certificate_id": certificate_id})
        row = result.mappings().one_or_none()
        if row is None:
            raise UnknownCertificateError(certificate_id)
        return _stored(row)

    async def load_all(self, certificate_ids: Sequence[UUID]) -> list[StoredCertificate]:
        """Return certificates as stored; those that there are."""
        result = await self._connection.execute(_LOAD_ALL, {"certificate_ids": list(certificate_ids)})
        return [_stored(row) for row in result.mappings()]

    async def lock(self, certificate_id: str, keys: tuple[str, ...]) -> Locked:
        """Lock the row until the transaction ends.

        Raises:
            UnknownCertificateError: there is none with this id.
        """
        result = await self._connection.execute(_LOCK, {"certificate_id": certificate_id, "keys": list(keys)})
        row = result.one_or_none()
        if row is None:
            raise UnknownCertificateError(certificate_id)
        return Locked(version=row.version, applied=tuple(row.applied))

    async def is_caught_up(self, certificate_id: str, instant: datetime, keys: tuple[str, ...]) -> bool:
        """Return whether ingest has read past an instant and no delivery but ``keys`` waits to be applied."""
        parameters = {"certificate_id": certificate_id, "instant": instant, "keys": list(keys)}
        return bool((await self._connection.execute(_CAUGHT_UP, parameters)).scalar_one())

    async def change(self, state: CertificateState, keys: tuple[str, ...], at: datetime) -> int:
        """Store the state, count the version up, mark messages applied and resolve an ended reservation.

        Returns:
            The new lifecycle version.

        Raises:
            LineHeldError: another certificate stands on the same order line; the transaction is void.
        """
        parameters = {**_columns_of(state), "keys": list(keys), "at": at}
        try:
            return int((await self._connection.execute(_CHANGE, parameters)).scalar_one())
        except IntegrityError as error:
            if "certificates_live_line" in str(error.orig):
                raise LineHeldError from error
            raise

    async def line_holder(self, state: CertificateState) -> LineHolder | None:
        """Return how far another certificate on this one's order line has come, if there is one."""
        if state.sale is None:
            return None
        parameters = {
            "order_id": state.sale.order_id,
            "line_id": state.sale.line_id,
            "certificate_id": state.certificate_id,
        }
        status = (await self._connection.execute(_LINE_HOLDER, parameters)).scalar_one_or_none()
        if status is None:
            return None
        return LineHolder.ORDERED if status == Status.ORDERED else LineHolder.ISSUED


def _stored(row: RowMapping) -> StoredCertificate:
    return StoredCertificate(
        state=_state_of(row),
        product=_product_of(row),
        version=row["version"],
        number_sealed=row["number_sealed"],
        cvc_sealed=row["cvc_sealed"],
    )


def _state_of(row: RowMapping) -> CertificateState:
    """The stored rest, overlaid with the columns, which are the authority for what they hold."""
    if row["state"] is not None:
        rest = decode_state(row["state"])
    else:
        rest = CertificateState(
            certificate_id=row["certificate_id"],
            product=row["product_id"],
            currency=row["currency"],
            nominal=0,
        )
    return replace(
        rest,
        nominal=row["nominal"],
        status=Status(row["status"]),
        blocked=row["blocked"],
        balance=row["balance"],
        held=row["held"],
        reservation=_reservation_of(row),
    )


def _reservation_of(row: RowMapping) -> Reservation | None:
    if row["reservation_id"] is None:
        return None
    return Reservation(
        reservation_id=row["reservation_id"],
        channel=row["reservation_channel"],
        reserved_at=row["reserved_at"],
        reserved_until=row["reserved_until"],
        ended=row["reservation_ended"],
    )


def _product_of(row: RowMapping) -> Product:
    return Product(
        id=row["product_id"],
        currency=row["currency"],
        nominal=row["product_nominal"],
        least_nominal=row["least_nominal"],
        greatest_nominal=row["greatest_nominal"],
        validity=row["validity"],
        reservation=row["reservation"],
        reservation_limit=row["reservation_limit"],
        hold=row["hold"],
        hold_limit=row["hold_limit"],
        greatest_discount_percent=row["greatest_discount_percent"],
        number_length=row["number_length"],
        cvc_length=row["cvc_length"],
    )


def _columns_of(state: CertificateState) -> dict[str, Any]:
    sale, reservation = state.sale, state.reservation
    sales = (*state.past_sales, sale) if sale else state.past_sales
    reasons = (
        case.reason
        for one in sales
        for case in one.cases
        if case.state == RefundState.PENDING_DETAILS and case.reason is not None
    )
    return {
        "certificate_id": state.certificate_id,
        "status": state.status.value,
        "blocked": state.blocked,
        "nominal": state.nominal,
        "balance": state.balance,
        "held": state.held,
        "refund_state": state.refund_state.value,
        "any_refund_state": state.any_refund_state.value,
        "refund_reason": next(iter(reasons), None),
        "sale_channel": sale.channel if sale else None,
        "order_id": sale.order_id if sale else None,
        "line_id": sale.line_id if sale else None,
        "customer_id": sale.customer_id if sale else None,
        "reservation_id": reservation.reservation_id if reservation else None,
        "reserved_until": reservation.reserved_until if reservation else None,
        "reservation_ended": reservation.ended if reservation else True,
        "resolution": "ordered" if reservation and reservation.ended else None,
        "state": encode_state(state),
    }
