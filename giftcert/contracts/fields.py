"""Field types of the topics that the service reads, with the bounds that storage and the rules rely on."""

from datetime import UTC, datetime
from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta

LONGEST_IDENTIFIER = 200
GREATEST_AMOUNT = 2**53 - 1
"""Every JSON reader keeps integers exact up to here; PostgreSQL's bigint holds sums of them."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Identifier: TypeAlias = Annotated[str, Meta(min_length=1, max_length=LONGEST_IDENTIFIER)]
"""Opaque. The length is bounded because identities are indexed, and an index row has a greatest size."""
ShortText: TypeAlias = Annotated[str, Meta(min_length=1, max_length=64)]
Amount: TypeAlias = Annotated[int, Meta(ge=0, le=GREATEST_AMOUNT)]
"""Minor units of the message's currency."""
SignedAmount: TypeAlias = Annotated[int, Meta(ge=-GREATEST_AMOUNT, le=GREATEST_AMOUNT)]
"""Minor units too; below 0 on a line that takes something off."""
Currency: TypeAlias = Annotated[
    str, Meta(pattern=r"^[A-Z]{3}$", max_length=3)
]  # "$" alone lets a newline follow
Version: TypeAlias = Annotated[int, Meta(ge=1, le=2**63 - 1)]
Instant: TypeAlias = Annotated[datetime, Meta(tz=True)]


class Record(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    """What every input message carries; unknown fields of the owner are ignored."""

    event_id: Identifier
    event_type: str
    occurred_at: Instant
