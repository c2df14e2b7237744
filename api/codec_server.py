"""Codec server of Temporal's Web UI and command line: opens payloads for people of support and ops, and seals none.

As Temporal's clients expect it: POST /decode, payloads as JSON of protobuf, from browsers that show the Web UI. Tokens,
errors, limits and connections are as the API has them.
"""

import asyncio
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias
from urllib.parse import urlsplit

import structlog
from fastapi import APIRouter, FastAPI, Request, Response, Security
from fastapi.middleware.cors import CORSMiddleware
from google.protobuf import json_format
from temporalio.api.common.v1 import Payload, Payloads

from api.authentication import AuthenticatedRoute, Bearer, Call
from api.middleware import RequestMiddleware
from api.problems import Problem, ProblemError, handle_problems
from api.server import serve_until_cancelled, server_of
from giftcert.security.key_files import KeyFileError
from giftcert.security.keys import token_verifier_of
from giftcert.security.tokens import Role, TokenVerifier
from giftcert.settings import Settings
from giftcert.temporal.payload_codec import EncryptingCodec, PayloadKeyError, payload_codec_of

BODY_BYTES = 8 << 20
"""A page of a history comes in one request."""
CONNECTIONS, REQUESTS = 500, 20
_LOCAL = {"127.0.0.1", "::1", "localhost"}
_LOG = structlog.get_logger(__name__)
_Call: TypeAlias = Annotated[Call, Security(Bearer(Role.SUPPORT, Role.OPS))]


@dataclass(frozen=True, slots=True)
class CodecServices:
    """What checks tokens."""

    tokens: TokenVerifier


class _DecodeRoute(AuthenticatedRoute):
    """Reads the body itself, as it is JSON of protobuf."""

    async def plain_arguments(self, request: Request) -> dict[str, Any] | None:
        return {"request": request}


def create_codec_app(settings: Settings) -> FastAPI:
    """Return the application; raises ``KeyFileError`` where there are no keys."""
    codec, tokens = payload_codec_of(settings), token_verifier_of(settings)
    if codec is None:
        raise KeyFileError("GIFTCERT_TEMPORAL_PAYLOAD_KEYS is not set: there is nothing to open")
    if tokens.keys.are_embedded and settings.codec_host not in _LOCAL:
        where = f"GIFTCERT_CODEC_HOST={settings.codec_host} can be reached by others"
        raise KeyFileError(f"{where}: set GIFTCERT_JWT_JWKS to keys of your own")
    router = APIRouter(route_class=_DecodeRoute)

    @router.post("/decode")
    async def decode(call: _Call, request: Request) -> Response:
        if request.headers.get("x-namespace", settings.temporal_namespace) != settings.temporal_namespace:
            raise ProblemError(Problem.ROLE_NOT_ALLOWED, {"detail": "The payloads are of another namespace."})
        sealed = _parsed(await request.body())
        opened = Payloads(payloads=[_opened(codec, payload) for payload in sealed.payloads])
        _LOG.info("payloads opened", caller=call.caller.subject, payloads=len(opened.payloads))
        return Response(json_format.MessageToJson(opened, indent=None), media_type="application/json")

    app = FastAPI(openapi_url=None)
    app.state.services = CodecServices(tokens)
    app.include_router(router)
    handle_problems(app)
    ui = urlsplit(settings.temporal_ui_url)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=[f"{ui.scheme}://{ui.netloc}"],
        allow_methods=["POST"],
        allow_headers=["Authorization", "Authorization-Extras", "Content-Type", "X-Namespace"],
        allow_credentials=True,
    )
    app.add_middleware(RequestMiddleware, log=settings.access_log, most=REQUESTS, body_bytes=BODY_BYTES)
    return app


async def serve(settings: Settings) -> None:
    """Serve until cancelled; raises as `create_codec_app`."""
    app = create_codec_app(settings)
    server = server_of(app, connections=CONNECTIONS, drain=settings.api_drain, body_bytes=BODY_BYTES)
    renewing = asyncio.create_task(app.state.services.tokens.keys.keep_renewing())
    try:
        await serve_until_cancelled(server, settings.codec_host, settings.codec_port, "CODEC")
    finally:
        renewing.cancel()


def _parsed(body: bytes) -> Payloads:
    try:
        return json_format.Parse(body, Payloads(), ignore_unknown_fields=True)
    except (json_format.ParseError, UnicodeDecodeError, RecursionError):
        raise ProblemError(
            Problem.MALFORMED_REQUEST, {"detail": "These are no payloads in protobuf's JSON."}
        ) from None


def _opened(codec: EncryptingCodec, payload: Payload) -> Payload:
    """Return a payload opened, or as it is, so that one which does not open hides no others."""
    try:
        return codec.opened(payload)
    except (PayloadKeyError, ValueError):
        return payload
