"""Bearer tokens: who calls, in which roles, for which channels."""

import time
from collections.abc import Callable, Coroutine
from functools import lru_cache
from typing import Annotated, Any, TypeAlias

from fastapi import Request, Security
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from fastapi.security.base import SecurityBase
from starlette.responses import Response

from api import problems
from api.services import services_of
from giftcert.clock import utc_now
from giftcert.redaction import is_fit_to_tell
from giftcert.security import Caller, Role, TokenError, TokenVerifier

CHECKED_FOR_SECONDS = 5
"""So much later than it says a token may still be good; other clocks differ by more."""
_REMEMBERED = 4096


class CheckedTokens:
    """Checks a token once in a while: its claims are as costly to check as the rest of a request is to answer."""

    def __init__(self, tokens: TokenVerifier) -> None:
        self._tokens = tokens
        self._checked = lru_cache(_REMEMBERED)(self._check)

    def caller_of(self, token: str) -> Caller:
        """Return who calls.

        Raises:
            TokenError: the token is refused; the message may be shown to the caller.
            ProblemError: 422, as the subject may not stand on the stream.
        """
        return self._checked(token, int(time.monotonic()) // CHECKED_FOR_SECONDS)

    def _check(self, token: str, _period: int) -> Caller:
        caller = self._tokens.verify(token, utc_now())
        if caller.roles - {Role.CHANNEL} and not is_fit_to_tell(caller.subject):
            raise problems.InvalidFieldError(
                "sub", "goes to the stream: an opaque id, no address and no number"
            )
        return caller


class Bearer(SecurityBase):
    """A dependency that lets callers with one of these roles through, and gives the endpoint who it is."""

    def __init__(self, *roles: Role) -> None:
        described = HTTPBearer(bearerFormat="JWT", description="Roles: channel, crm, support, ops")
        self.model = described.model
        self.scheme_name = "bearer"
        self._roles = frozenset(role.value for role in roles)

    async def __call__(self, request: Request) -> Caller:
        """Return the caller, whom the route has checked."""
        caller: Caller = request.state.caller
        return caller

    def check(self, request: Request) -> Caller:
        """Check the token.

        Raises:
            ProblemError: 401 without a valid token, 403 without the role.
        """
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise problems.ProblemError(problems.UNAUTHENTICATED)
        try:
            caller = services_of(request).tokens.caller_of(token)
        except TokenError as error:
            raise problems.ProblemError(problems.UNAUTHENTICATED, {"detail": str(error)}) from None
        if self._roles.isdisjoint(caller.roles):
            raise problems.ProblemError(problems.ROLE_NOT_ALLOWED)
        request.state.caller = caller
        return caller


class AuthenticatedRoute(APIRoute):
    """Checks the token before the body is read, and that the query says nothing that the call does not know.

    By itself FastAPI reads and parses the body first, and passes over a parameter that is misspelt.
    """

    @property
    def bearer(self) -> Bearer:
        """Who may call."""
        [bearer] = [part.call for part in self.dependant.dependencies if isinstance(part.call, Bearer)]
        return bearer

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers a request."""
        answer, bearer = super().get_route_handler(), self.bearer
        known = frozenset(parameter.alias for parameter in self.dependant.query_params)

        async def answer_caller(request: Request) -> Response:
            bearer.check(request)
            if not known.issuperset(request.query_params):
                raise problems.InvalidFieldError("query", "a parameter that this call does not know")
            return await answer(request)

        return answer_caller


class DirectRoute(AuthenticatedRoute):
    """Hands requests that are plainly in order to the endpoint, and all others to FastAPI, which finds what is wrong.

    Working out the declared parameters takes FastAPI a fifth of a whole request, and buyers wait for it. They stay
    declared: for the document, and for every request that is not plainly in order.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers a request."""
        answer_checked, bearer = super().get_route_handler(), self.bearer

        async def answer(request: Request) -> Response:
            caller = bearer.check(request)
            arguments = await self.plain_arguments(request)
            if arguments is None:
                return await answer_checked(request)
            response: Response = await self.endpoint(request=request, caller=caller, **arguments)
            return response

        return answer

    async def plain_arguments(self, request: Request) -> dict[str, Any] | None:
        """Return what else the endpoint takes, if each is there as declared and nothing else is, else ``None``."""
        raise NotImplementedError


ChannelCaller: TypeAlias = Annotated[Caller, Security(Bearer(Role.CHANNEL))]
SupportCaller: TypeAlias = Annotated[Caller, Security(Bearer(Role.SUPPORT))]
CrmCaller: TypeAlias = Annotated[Caller, Security(Bearer(Role.CRM))]
CrmOrSupportCaller: TypeAlias = Annotated[Caller, Security(Bearer(Role.CRM, Role.SUPPORT))]
ReadingCaller: TypeAlias = Annotated[Caller, Security(Bearer(Role.CHANNEL, Role.CRM, Role.SUPPORT))]
OpsCaller: TypeAlias = Annotated[Caller, Security(Bearer(Role.OPS))]


def check_known_channel(request: Request, caller: Caller, channel: str) -> None:
    """Let only callers of a channel go on that there is.

    Raises:
        ProblemError: 422 for one that there is not, 403 for another's.
    """
    if channel not in services_of(request).settings.channels:
        raise problems.InvalidFieldError("channel", "no such channel")
    check_channel(caller, channel)


def check_channel(caller: Caller, channel: str) -> None:
    """Let only callers of the channel go on.

    Raises:
        ProblemError: 403.
    """
    if channel not in caller.channels:
        raise problems.ProblemError(problems.CHANNEL_NOT_ALLOWED)
