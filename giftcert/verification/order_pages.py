"""Orders page by page: each with its lines, and with the certificates that decide on them."""

from collections.abc import Iterable
from datetime import datetime

from giftcert.domain.certificate.state import LineRef, known_lines
from giftcert.domain.policy import Policy
from giftcert.storage.certificates import CertificateRepository, StoredCertificate
from giftcert.storage.order_lines import OrderLineRow
from giftcert.storage.verification.orders import OrderPage, OrderPageRepository
from giftcert.storage.verification.session import Session
from giftcert.verification.order_checks import StoredOrders, concerned, violations
from giftcert.verification.secret_watch import Watches
from giftcert.verification.violations import Findings


class OrderPages:
    """Looks at the orders of one page within a snapshot."""

    def __init__(
        self,
        session: Session,
        repository: OrderPageRepository,
        policy: Policy,
        watches: Watches,
        findings: Findings,
    ) -> None:
        self._session = session
        self._repository = repository
        self._policy = policy
        self._watches = watches
        self._findings = findings

    async def look_at(self, page: OrderPage, now: datetime) -> None:
        """Hold these orders against their lines, and those against the certificates that they concern."""
        self._findings.check(len(page.lines), 9)
        self._findings.add_all(violations(await self._stored(page), self._policy, now))
        for stored in await self._watches.places.lines([order.order_id for order in page.orders]):
            self._watches.numbers.look(stored.said.encode(), "order", stored.place, stored.about)
        await self._watches.numbers.flush(self._findings)

    async def _stored(self, page: OrderPage) -> StoredOrders:
        ids = {one for row in page.lines for one in concerned(row)}
        found = await CertificateRepository(self._session).load_all(ids)
        certificates = {one.state.certificate_id: one for one in found}
        lines = {LineRef(*row.key): row for row in page.lines}
        return StoredOrders(
            orders=page.orders,
            lines=lines | await self._lines_beside(lines, certificates.values()),
            received=page.received,
            certificates=certificates,
            waiting=await self._repository.waiting(certificates),
        )

    async def _lines_beside(
        self, lines: dict[LineRef, OrderLineRow], certificates: Iterable[StoredCertificate]
    ) -> dict[LineRef, OrderLineRow]:
        """Return lines of other orders that these certificates decide on."""
        wanted = {ref for one in certificates for ref in known_lines(one.state)} - lines.keys()
        if not wanted:
            return {}
        return {LineRef(*row.key): row for row in await self._repository.lines(sorted(wanted))}
