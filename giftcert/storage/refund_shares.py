"""Who gets how much of a refund that named no line: one word per line, agreed under one lock."""

from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from giftcert.contracts.codec import encode_message
from giftcert.contracts.identity import share_key
from giftcert.domain.messages import RefundAssigned
from giftcert.domain.state import AssignedShare, CertificateState
from giftcert.storage.deliveries import DeliveryRepository, NewDelivery

_LOCK = text("""
    SELECT pg_advisory_xact_lock(hashtextextended(:order_id || chr(10) || refund_id, 1))
    FROM unnest(CAST(:refund_ids AS text[])) AS refund_id ORDER BY refund_id
""")
_SAID = text("""
    SELECT refund_id, line_id, amount FROM refund_shares
    WHERE order_id = :order_id AND refund_id = ANY(CAST(:refund_ids AS text[])) ORDER BY refund_id, line_id
""")
_SAY = text("""
    INSERT INTO refund_shares (order_id, refund_id, line_id, amount, certificate_id)
    VALUES (:order_id, :refund_id, :line_id, :amount, CAST(:certificate_id AS uuid))
""")
_OTHERS = text("""
    SELECT certificate_id::text, sale_channel FROM order_certificates JOIN certificates USING (certificate_id)
    WHERE order_certificates.order_id = :order_id AND certificate_id <> CAST(:certificate_id AS uuid)
    ORDER BY certificate_id
""")


class RefundShareRepository:
    """Reads and writes ``refund_shares``; the caller owns the transaction, and holds its certificate's lock."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def agree(
        self, state: CertificateState, shares: Sequence[RefundAssigned]
    ) -> tuple[RefundAssigned, ...]:
        """Write shares that were decided knowing all that was said before, and tell the order's other certificates.

        Args:
            state: the certificate after the decision, with all that it knows of the order.
            shares: of one order.

        Returns:
            What the decision did not know of the same refunds; nothing is written then.
        """
        order_id = shares[0].order_id
        asked = {"order_id": order_id, "refund_ids": sorted({one.refund_id for one in shares})}
        await self._connection.execute(_LOCK, asked)
        known = state.order(order_id).assigned
        said = [AssignedShare(*row) for row in await self._connection.execute(_SAID, asked)]
        unknown = tuple(_message(order_id, one) for one in said if one not in known)
        if not unknown:
            await self._write(state, order_id, shares)
        return unknown

    async def _write(self, state: CertificateState, order_id: str, shares: Sequence[RefundAssigned]) -> None:
        about = {"order_id": order_id, "certificate_id": state.certificate_id}
        rows = [
            about | {"refund_id": one.refund_id, "line_id": one.line_id, "amount": one.amount}
            for one in shares
        ]
        await self._connection.execute(_SAY, rows)
        others = (await self._connection.execute(_OTHERS, about)).all()
        channel = state.order(order_id).channel or state.sale_channel or ""
        deliveries = [
            NewDelivery(certificate_id, one.key, sale_channel or channel, encode_message(one))
            for certificate_id, sale_channel in others
            for one in shares
        ]
        if deliveries:
            await DeliveryRepository(self._connection).add(deliveries)


def _message(order_id: str, share: AssignedShare) -> RefundAssigned:
    return RefundAssigned(
        key=share_key(order_id, share.refund_id, share.line_id),
        order_id=order_id,
        refund_id=share.refund_id,
        line_id=share.line_id,
        amount=share.amount,
    )
