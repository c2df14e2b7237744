"""Codec server of Temporal's Web UI and command line: opens payloads for people of support and ops, and seals none.

As Temporal's clients expect it: POST /decode, payloads as JSON of protobuf, from browsers that show the Web UI.
"""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import structlog
import uvicorn
from google.protobuf import json_format
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from temporalio.api.common.v1 import Payload, Payloads

from giftcert.clock import utc_now
from giftcert.security.key_files import KeyFileError
from giftcert.security.keys import token_verifier_of
from giftcert.security.tokens import Caller, Role, TokenError, TokenVerifier
from giftcert.settings import Settings
from giftcert.temporal.payload_codec import EncryptingCodec, PayloadKeyError, payload_codec_of

BODY_BYTES = 8 << 20
"""A page of a history comes in one request."""
BODY_SECONDS = 10.0
SHUTDOWN_SECONDS = 5
_ROLES = frozenset({Role.SUPPORT, Role.OPS})
_LOCAL = {"127.0.0.1", "::1", "localhost"}
_LOG = structlog.get_logger(__name__)


def create_codec_app(settings: Settings) -> Starlette:
    """Return the application; raises ``KeyFileError`` where there are no keys."""
    codec, tokens = payload_codec_of(settings), token_verifier_of(settings)
    if codec is None:
        raise KeyFileError("GIFTCERT_TEMPORAL_PAYLOAD_KEYS is not set: there is nothing to open")
    if tokens.keys.are_embedded and settings.codec_host not in _LOCAL:
        where = f"GIFTCERT_CODEC_HOST={settings.codec_host} can be reached by others"
        raise KeyFileError(f"{where}: set GIFTCERT_JWT_JWKS to keys of your own")

    async def decode(request: Request) -> Response:
        caller = _caller(request, tokens)
        if request.headers.get("x-namespace", settings.temporal_namespace) != settings.temporal_namespace:
            raise HTTPException(403, "the payloads are of another namespace")
        sealed = _parsed(await _body(request))
        opened = Payloads(payloads=[_opened(codec, payload) for payload in sealed.payloads])
        _LOG.info("payloads opened", caller=caller.subject, payloads=len(opened.payloads))
        text = json_format.MessageToJson(opened, indent=None)
        return Response(text, media_type="application/json", headers={"Cache-Control": "no-store"})

    ui = urlsplit(settings.temporal_ui_url)
    cross_origin = Middleware(
        CORSMiddleware,
        allow_origins=[f"{ui.scheme}://{ui.netloc}"],
        allow_methods=["POST"],
        allow_headers=["Authorization", "Authorization-Extras", "Content-Type", "X-Namespace"],
        allow_credentials=True,
    )
    return Starlette(routes=[Route("/decode", decode, methods=["POST"])], middleware=[cross_origin])


async def serve(settings: Settings) -> None:
    """Serve until cancelled; raises as `create_codec_app`."""
    options = uvicorn.Config(
        create_codec_app(settings),
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="off",
        ws="none",
        limit_concurrency=200,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    server = _Server(options)
    with _listen(settings) as listener:
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            await asyncio.shield(serving)
        except asyncio.CancelledError:
            server.should_exit = True
            await serving
            raise


class _Server(uvicorn.Server):
    """Leaves signals to the runner of the process, which turns them into cancellation."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _listen(settings: Settings) -> socket.socket:
    try:
        return socket.create_server((settings.codec_host, settings.codec_port))
    except OSError as error:
        where = f"{settings.codec_host}:{settings.codec_port}"
        raise OSError(
            f"GIFTCERT_CODEC_HOST, GIFTCERT_CODEC_PORT: cannot listen on {where}: {error.strerror}"
        ) from error


def _caller(request: Request, tokens: TokenVerifier) -> Caller:
    """Return who asks, by the token that the Web UI passes on; the body is not read before."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    try:
        caller = tokens.verify(token if scheme.lower() == "bearer" else "", utc_now())
    except TokenError as error:
        raise HTTPException(401, str(error), {"WWW-Authenticate": "Bearer"}) from None
    if caller.roles.isdisjoint(_ROLES):
        raise HTTPException(403, "the token has none of the roles support and ops")
    return caller


async def _body(request: Request) -> bytes:
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > BODY_BYTES:
                    raise HTTPException(413, f"more than {BODY_BYTES >> 20} MB at once")
    except TimeoutError:
        raise HTTPException(408) from None
    return bytes(body)


def _parsed(body: bytes) -> Payloads:
    try:
        return json_format.Parse(body, Payloads(), ignore_unknown_fields=True)
    except (json_format.ParseError, UnicodeDecodeError, RecursionError):
        raise HTTPException(400, "no payloads in protobuf's JSON") from None


def _opened(codec: EncryptingCodec, payload: Payload) -> Payload:
    """Return a payload opened, or as it is, so that one which does not open hides no others."""
    try:
        return codec.opened(payload)
    except (PayloadKeyError, ValueError):
        return payload
