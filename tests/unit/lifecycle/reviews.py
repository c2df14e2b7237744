"""Certificates as a transaction loads them, with lines of an order of which something was said; no database."""

from datetime import datetime
from itertools import count
from typing import Any

from giftcert.domain.certificate import messages as m
from giftcert.domain.certificate.decide import decide
from giftcert.domain.certificate.state import CertificateState
from giftcert.domain.order.line_standings import line_standings
from giftcert.domain.order.messages import OrderMessage
from giftcert.domain.order.order import apply, settled
from giftcert.domain.order.state import Order
from giftcert.lifecycle.review import MayRelease, Review
from giftcert.storage.certificates import LoadedCertificate, ParkedWork, PendingLine, StoredCertificate
from giftcert.storage.order_lines import OrderLineRow
from tests.unit.domain.certificate import factories as make
from tests.unit.domain.certificate.factories import NOON


def rows(
    *messages: OrderMessage, holder: str | None = None, status: str = "ordered"
) -> tuple[OrderLineRow, ...]:
    """Return the lines of an order of which this was said."""
    order: Order | None = None
    for message in messages:
        order = apply(order, message, NOON)
    assert order is not None
    return tuple(
        OrderLineRow(
            standing=standing,
            speaker=standing.naming.certificate_id,
            holder=holder,
            holder_status=status if holder else None,
        )
        for standing in line_standings(settled(order), {}).values()
    )


def reserved() -> CertificateState:
    message = make.reserve()
    return decide(make.certificate(), message, NOON, make.terms(), lambda: "id").state


def loaded(
    state: CertificateState | None = None,
    lines: tuple[OrderLineRow, ...] = (),
    *,
    pending: tuple[PendingLine, ...] | None = None,
    spendings: tuple[tuple[str, m.SpendingReported], ...] = (),
    parked: tuple[ParkedWork, ...] = (),
) -> LoadedCertificate:
    """Return a certificate for which all its lines are pending, unless other rows are."""
    waiting = [PendingLine(line.key, number) for number, line in enumerate(lines, 1)]
    stored: dict[str, Any] = {
        "state": state or reserved(),
        "product": make.FIXED,
        "sequence": 1,
        "version": 1,
        "decided_at": None,
        "next_instant": None,
        "timer_at": None,
        "run_key": None,
        "parked": parked,
        "number_sealed": b"number",
        "cvc_sealed": b"cvc",
    }
    return LoadedCertificate(
        stored=StoredCertificate(**stored),
        lines=lines,
        pending=tuple(waiting) if pending is None else pending,
        spendings=spendings,
        clients=(),
    )


async def allowed(*_: object) -> bool:
    return True


async def forbidden(*_: object) -> bool:
    return False


def review_of(
    found: LoadedCertificate,
    now: datetime = NOON,
    build: str = "1",
    may_release: MayRelease = forbidden,
    *,
    retry_parked: bool = False,
) -> Review:
    numbers = count(1)
    return Review(
        found, make.terms(), now, lambda: f"id-{next(numbers)}", build, may_release, retry_parked=retry_parked
    )


def published(review: Review) -> list[str]:
    return [record.event_type for record in review.records]
