"""Calls of people under an Idempotency-Key: carried out once, answered again; a repeat meanwhile waits."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

import msgspec
from pydantic import BaseModel
from starlette.responses import Response

from api import problems
from api.idempotency import HIT
from api.services import Services
from giftcert.clock import utc_now
from giftcert.storage.idempotency import IdempotencyKey, IdempotencyRepository

LONGEST = timedelta(hours=1)
"""How long one call may take while others under its key wait: the retirement of a very large batch."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a call is answered with."""

    body: BaseModel
    status: int = 200


class _Remembered(msgspec.Struct, frozen=True):
    status: int
    body: msgspec.Raw


async def answer_once(
    services: Services, key: IdempotencyKey | None, work: Callable[[], Awaitable[Reply]]
) -> Response:
    """Carry a call out and answer it, or answer as before under the same key; problems are not remembered.

    Raises:
        ProblemError: 422 for another call's key; what the work raises.
    """
    if key is None:
        return _response(_remembered(await work()), again=False)
    async with services.key_holders, services.engine.begin() as connection:
        keys = IdempotencyRepository(connection)
        await keys.stay(LONGEST)
        await keys.lock(key)
        before = await keys.find(key, utc_now())
        if before is not None and before.parameters != key.parameters:
            raise problems.ProblemError(problems.IDEMPOTENCY_MISMATCH)
        if before is not None:
            return _response(msgspec.json.decode(before.answer, type=_Remembered), again=True)
        remembered = _remembered(await work())
        await keys.remember(key, msgspec.json.encode(remembered).decode(), utc_now())
    return _response(remembered, again=False)


def _remembered(reply: Reply) -> _Remembered:
    return _Remembered(reply.status, msgspec.Raw(reply.body.model_dump_json(by_alias=True).encode()))


def _response(reply: _Remembered, *, again: bool) -> Response:
    return Response(bytes(reply.body), reply.status, HIT if again else {}, media_type="application/json")
