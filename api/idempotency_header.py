"""Idempotency-Key: the header of a call, and how an answer that comes again looks."""

from collections.abc import Mapping
from typing import Annotated, Any, TypeAlias

import msgspec
from fastapi import Header
from pydantic import StringConstraints
from starlette.responses import Response

from api.authentication import Call
from api.problems import Problem, ProblemError
from api.schemas import NO_NUL
from giftcert.lifecycle.idempotency import idempotency_key
from giftcert.storage.idempotency import IdempotencyKey

LONGEST_KEY = 64
_HEADER = "Idempotency-Key"
_Key = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_KEY, pattern=NO_NUL)]
SentKey: TypeAlias = Annotated[
    _Key | None,
    Header(
        alias=_HEADER,
        description="Repeats of this call under the same key get the same answer for 24 hours.",
        examples=["5f0c9a52-IM-1001"],
    ),
]
RequiredKey: TypeAlias = Annotated[
    _Key,
    Header(
        alias=_HEADER,
        description="Never forgotten: a repeat under the same key gets the same redemption as it then stands.",
        examples=["5f0c9a52-receipt-POS-17"],
    ),
]


def key_of(call: Call, name: str, key: str | None, parameters: Mapping[str, Any]) -> IdempotencyKey | None:
    """Return the key that was sent, with a digest of all that makes two calls of a name the same.

    Where none was sent, and the settings want one, the call is refused.
    """
    if key is None:
        if call.services.settings.require_idempotency_key:
            raise ProblemError(Problem.IDEMPOTENCY_KEY_REQUIRED)
        return None
    content = msgspec.json.encode(parameters, order="sorted")
    return idempotency_key(call.services.keyring, call.caller.subject, name, key, content)


def reply(content: bytes | None, status: int = 200, *, repeated: bool = False) -> Response:
    """Answer with JSON that was made here, or nothing; ``repeated``: it was given before under the same key."""
    headers = {"Idempotency-Hit": "true"} if repeated else {}
    return Response(content, status, headers, media_type="application/json" if content else None)
