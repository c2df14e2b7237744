"""The one registry of search attributes: what support filters by in the Temporal Web UI."""

from collections.abc import Iterator
from dataclasses import astuple, dataclass
from datetime import datetime
from typing import Any

from temporalio.common import (
    SearchAttributeKey,
    SearchAttributePair,
    SearchAttributeUpdate,
    TypedSearchAttributes,
)

from giftcert.temporal.web_ui import keyword

CERTIFICATE_STATUS = SearchAttributeKey.for_keyword("CertificateStatus")
CHANNEL = SearchAttributeKey.for_keyword("Channel")
ORDER_ID = SearchAttributeKey.for_keyword("OrderId")
REFUND_STATE = SearchAttributeKey.for_keyword("RefundState")
REFUND_REASON = SearchAttributeKey.for_keyword("RefundReason")
PRODUCT = SearchAttributeKey.for_keyword("Product")
REFUND_SINCE = SearchAttributeKey.for_datetime("RefundSince")

KEYWORDS = (CERTIFICATE_STATUS, CHANNEL, ORDER_ID, REFUND_STATE, REFUND_REASON, PRODUCT)
"""In the order of the fields of ``Visibility``, which has ``REFUND_SINCE`` as its last."""
ALL: tuple[SearchAttributeKey[Any], ...] = (*KEYWORDS, REFUND_SINCE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Visibility:
    """The values of the search attributes; ``None`` is unset.

    ``status`` and ``refund_state`` are unset while a sale goes its ordinary way (ordered, then issued, no refund), so
    that it costs no action; once either says more, both are set.
    """

    status: str | None = None
    channel: str | None = None
    order_id: str | None = None
    refund_state: str | None = None
    refund_reason: str | None = None
    product: str | None = None
    refund_since: datetime | None = None  # since when a person is to decide


def pairs(visibility: Visibility) -> TypedSearchAttributes:
    """Return the search attributes to start a workflow with."""
    return TypedSearchAttributes(
        [SearchAttributePair(key, value) for key, value in _values(visibility) if value is not None]
    )


def updates(visibility: Visibility, shown: TypedSearchAttributes) -> list[SearchAttributeUpdate[Any]]:
    """Return what to upsert where ``shown`` is set: only what differs; what does not apply is taken away."""
    return [
        key.value_unset() if value is None else key.value_set(value)
        for key, value in _values(visibility)
        if shown.get(key) != value
    ]


def _values(visibility: Visibility) -> Iterator[tuple[SearchAttributeKey[Any], str | datetime | None]]:
    for key, value in zip(ALL, astuple(visibility), strict=True):
        yield key, keyword(value) if isinstance(value, str) else value
