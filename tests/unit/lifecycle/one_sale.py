"""A certificate in the course of one sale, as details and search attributes show it."""

from dataclasses import replace
from datetime import UTC, datetime

from giftcert.domain.certificate.state import CertificateState, Sale, Status

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
SALE = Sale(order_id="IM-1", line_key=1, line_id="2", amount=450_000, channel="im", issued_at=NOON)
ORDERED = CertificateState(
    certificate_id="c",
    product="GC-5000",
    currency="RUB",
    nominal=500_000,
    status=Status.ORDERED,
    sale=SALE,
)
ISSUED = replace(ORDERED, status=Status.ISSUED, balance=500_000)
