"""Whether a message is new to an order, a repeat, or contradicts what was said before."""

from enum import StrEnum

from giftcert.domain.order import messages as m
from giftcert.domain.order.state import Order


class Novelty(StrEnum):
    """What a message is to an order that may have heard it."""

    NEW = "new"
    REPEAT = "repeat"
    STALE = "stale"
    CONTRADICTION = "contradiction"


def novelty(order: Order | None, message: m.OrderMessage) -> Novelty:
    """Return whether a message is new to an order, known from the order alone."""
    if order is None:
        return Novelty.NEW
    known = order.contents.get(m.identity_of(message))
    if known is not None and known == m.content_of(message):
        return Novelty.REPEAT
    if known is not None and not isinstance(message, m.RefundShareDecided):  # persons' newest word stands
        return Novelty.CONTRADICTION
    # What only cancellations and returns overtook is news, as when it was mended and replayed.
    is_stale = isinstance(message, m.OrderVersion) and message.version < order.stated_version
    return Novelty.STALE if is_stale else Novelty.NEW
