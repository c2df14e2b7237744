"""What a decision about a refund says to the order: how much of the refund is the money of the certificate's line."""

from dataclasses import dataclass
from datetime import datetime
from typing import Self

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from giftcert.domain.certificate.messages import ResolveRefund
from giftcert.domain.certificate.resolution import shares_decided
from giftcert.domain.order.order import apply, settled
from giftcert.domain.order.state import Order
from giftcert.domain.policy import Policy
from giftcert.lifecycle import order_changes
from giftcert.lifecycle.review import Review
from giftcert.storage.certificates import CertificateRepository
from giftcert.storage.order_lines import OrderLineRepository
from giftcert.storage.orders import OrderRepository
from giftcert.storage.pending import PendingRow
from giftcert.temporal.signals import Wake


@dataclass(frozen=True, slots=True)
class SharesSaid:
    """Shares of a refund, folded into their order, and how its lines then stand."""

    change: order_changes.OrderChange
    revisions: tuple[order_changes.LineRevision, ...]
    products: dict[str, str]

    @classmethod
    async def of(
        cls,
        connection: AsyncConnection,
        review: Review,
        request: ResolveRefund,
        order: Order,
        policy: Policy,
    ) -> Self | None:
        """Fold what a decision says into the locked order, and show the review how its lines then stand.

        Returns:
            What is to be saved if the request is carried out; ``None`` where it says nothing to the order.
        """
        shares = shares_decided(review.state, request, policy)
        if not shares:
            return None
        for share in shares:
            order = apply(order, share, review.now)
        order = settled(order)
        rows = await OrderLineRepository(connection).lock([order.order_id])
        change = order_changes.OrderChange(order=order, said=shares)
        revisions, products = await order_changes.revise(connection, [change], rows, policy)
        review.see_standings(one.line for one in revisions)
        return cls(change, tuple(revisions), products)

    async def save(self, connection: AsyncConnection, now: datetime, also: list[PendingRow]) -> list[Wake]:
        """Write order, lines and pending rows, with other pending rows of the same transaction."""
        return await order_changes.save(
            connection, [self.change], self.revisions, self.products, now, also=also
        )


async def order_of_case(engine: AsyncEngine, certificate_id: str, refund_case_id: str) -> str | None:
    """Return the order whose refund a case is, which never changes: it has to be locked before the certificate.

    Raises:
        UnknownCertificateError: there is no such certificate.
    """
    async with engine.connect() as connection:
        state = (await CertificateRepository(connection).load(certificate_id)).state
    cases = ((sale.order_id, case.refund_case_id) for sale in state.sales for case in sale.cases)
    return next((order_id for order_id, case_id in cases if case_id == refund_case_id), None)


async def lock_order(connection: AsyncConnection, order_id: str) -> Order:
    """Lock an order that has certificate lines, and return it."""
    return (await OrderRepository(connection).lock([order_id]))[order_id].order
