"""Idempotency-Key: the same call under the same key is answered as it was at first."""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from fastapi import Header
from sqlalchemy.ext.asyncio import AsyncConnection

from api import problems
from api.quick_route import LONGEST_NAME
from giftcert.clock import utc_now
from giftcert.security import Caller
from giftcert.settings import Settings
from giftcert.storage.idempotency import IdempotencyKey, IdempotencyRepository
from giftcert.storage.reservations import ReservationRepository

NO_ANSWER = "null"
"""What is remembered of a call that answers with nothing."""
KEY_HEADER = "Idempotency-Key"
HIT = {"Idempotency-Hit": "true"}
"""Header of an answer that comes again."""
HIT_HEADER = {
    "headers": {
        "Idempotency-Hit": {
            "description": "`true` on an answer that was given before under the same Idempotency-Key",
            "schema": {"type": "string", "enum": ["true"]},
        }
    }
}
"""The same for the OpenAPI document."""


SentKey = Annotated[
    str | None,
    Header(
        alias=KEY_HEADER,
        min_length=1,
        max_length=LONGEST_NAME,
        description="Repeats of this call under the same key get the same answer for 24 hours.",
        examples=["5f0c9a52-order-IM-1001"],
    ),
]
"""The header as a parameter of an endpoint."""
RequiredKey = Annotated[
    str,
    Header(
        alias=KEY_HEADER,
        min_length=1,
        max_length=LONGEST_NAME,
        pattern=r"^[^\x00]*$",
        description="Never forgotten: a repeat under the same key gets the same redemption as it then stands.",
        examples=["5f0c9a52-receipt-POS-17"],
    ),
]
"""The same for a call that makes no sense without."""


def key_of(
    settings: Settings, caller: Caller, call: str, key: str | None, parameters: Mapping[str, Any]
) -> IdempotencyKey | None:
    """Return the key that was sent with what it belongs to; ``parameters`` is all that makes two calls the same.

    Raises:
        ProblemError: 422 where the settings want a key and there is none.
    """
    if key is None:
        if settings.require_idempotency_key:
            raise problems.ProblemError(problems.IDEMPOTENCY_KEY_REQUIRED)
        return None
    digest = hashlib.sha256(msgspec.json.encode(parameters, order="sorted")).digest()
    return IdempotencyKey(caller.subject, call, key, digest)


async def remembered_claims(connection: AsyncConnection, key: IdempotencyKey) -> list[dict[str, Any]] | None:
    """Return the claims that were answered under the key, if there were any.

    Raises:
        ProblemError: 422 for other parameters; 410 if a reservation has since ended.
    """
    remembered = await IdempotencyRepository(connection).find(key, utc_now())
    if remembered is None:
        return None
    if remembered.parameters != key.parameters:
        raise problems.ProblemError(problems.IDEMPOTENCY_MISMATCH)
    claims: list[dict[str, Any]] = json.loads(remembered.answer)
    reservations = [UUID(claim["reservationId"]) for claim in claims]
    if await ReservationRepository(connection).any_ended(reservations):
        raise problems.ProblemError(problems.RESERVATION_ENDED)
    return claims


async def answer_before(connection: AsyncConnection, key: IdempotencyKey | None, now: datetime) -> str | None:
    """Return what was answered under the key; a repeat while the first runs waits here for it.

    Raises:
        ProblemError: 422 for other parameters.
    """
    if key is None:
        return None
    keys = IdempotencyRepository(connection)
    await keys.lock(key)
    remembered = await keys.find(key, now)
    if remembered is not None and remembered.parameters != key.parameters:
        raise problems.ProblemError(problems.IDEMPOTENCY_MISMATCH)
    return remembered.answer if remembered else None


async def remember(
    connection: AsyncConnection, key: IdempotencyKey | None, answer: str, now: datetime
) -> None:
    """Remember an answer, given as JSON text, if there is a key."""
    if key is not None:
        await IdempotencyRepository(connection).remember(key, answer, now)
