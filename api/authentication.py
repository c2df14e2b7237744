"""Bearer tokens: who calls, in which roles, for which channels."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from fastapi import Request, Security
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from fastapi.security.base import SecurityBase
from starlette.responses import Response

from api.problems import RETRY_AFTER, InvalidFieldError, Problem, ProblemError
from giftcert.clock import utc_now
from giftcert.security.tokens import Caller, Role, TokenError, UnknownKeyError

if TYPE_CHECKING:
    from api.services import Services  # it is made of what the resources define, which import this module


@dataclass(frozen=True, slots=True)
class Call:
    """Who calls, and the services that answer."""

    caller: Caller
    services: "Services"

    def check_channel(self, channel: str) -> None:
        """Refuse (403) a caller that is not of this channel."""
        if channel not in self.caller.channels:
            raise ProblemError(Problem.CHANNEL_NOT_ALLOWED)

    def check_known_channel(self, channel: str) -> None:
        """Refuse a name that was sent where there is no such channel (422), or the caller is not of it (403)."""
        if channel not in self.services.settings.channels:
            raise InvalidFieldError("channel", "no such channel")
        self.check_channel(channel)


class Bearer(SecurityBase):
    """A dependency that lets callers with one of these roles through, and gives the endpoint its call."""

    def __init__(self, *roles: Role) -> None:
        described = HTTPBearer(bearerFormat="JWT", description="Roles: channel, crm, support, ops")
        self.model = described.model
        self.scheme_name = "bearer"
        self.roles = frozenset(roles)

    async def __call__(self, request: Request) -> Call:
        """Return the call, whose token the route has checked."""
        call: Call = request.state.call
        return call

    def check(self, request: Request) -> Call:
        """Check the token: 401 if it is not valid, 403 without the role, 422 if its subject must not be published."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise TokenError("no-token", Problem.UNAUTHENTICATED.explanation)
        services: Services = request.app.state.services
        caller = services.tokens.verify(token, utc_now())
        if not caller.is_fit_to_tell:
            request.state.refusal = "subject"
            raise InvalidFieldError("sub", "goes to the stream: an opaque id, no address and no number")
        request.state.caller = caller
        if self.roles.isdisjoint(caller.roles):
            raise ProblemError(Problem.ROLE_NOT_ALLOWED)
        request.state.call = call = Call(caller, services)
        return call

    async def check_again(self, request: Request) -> Call:
        """Check a token whose key is unknown once more, after a look for new keys of the issuer."""
        services: Services = request.app.state.services
        await services.tokens.keys.look()
        if not services.tokens.keys.version:
            raise ProblemError(Problem.PART_UNAVAILABLE, {"part": "keys of the issuer"}, RETRY_AFTER)
        return self.check(request)


class AuthenticatedRoute(APIRoute):
    """Checks the token before the body is read, and refuses query parameters that the call does not know.

    FastAPI itself would read and parse the body first, and ignore a misspelt parameter.
    """

    @property
    def bearer(self) -> Bearer:
        """What checks the token."""
        [bearer] = [part.call for part in self.dependant.dependencies if isinstance(part.call, Bearer)]
        return bearer

    async def plain_arguments(self, request: Request) -> dict[str, Any] | None:
        """Return what the endpoint takes besides the call, if the request is plainly in order.

        Only for the busiest routes: working out declared parameters takes FastAPI a fifth of a whole request. All other
        requests go through FastAPI, which says what is wrong.
        """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers a request."""
        answer_declared = super().get_route_handler()
        bearer = self.bearer
        known = frozenset(parameter.alias for parameter in self.dependant.query_params)

        async def answer(request: Request) -> Response:
            try:
                call = bearer.check(request)
            except UnknownKeyError:
                call = await bearer.check_again(request)
            arguments = await self.plain_arguments(request)
            if arguments is not None:
                response: Response = await self.endpoint(call, **arguments)
                return response
            if not known.issuperset(request.query_params):
                raise InvalidFieldError("query", "a parameter that this call does not know")
            return await answer_declared(request)

        return answer


ChannelCall: TypeAlias = Annotated[Call, Security(Bearer(Role.CHANNEL))]
SupportCall: TypeAlias = Annotated[Call, Security(Bearer(Role.SUPPORT))]
CrmCall: TypeAlias = Annotated[Call, Security(Bearer(Role.CRM))]
CrmOrSupportCall: TypeAlias = Annotated[Call, Security(Bearer(Role.CRM, Role.SUPPORT))]
ReadingCall: TypeAlias = Annotated[Call, Security(Bearer(Role.CHANNEL, Role.CRM, Role.SUPPORT))]
ChannelOrOpsCall: TypeAlias = Annotated[Call, Security(Bearer(Role.CHANNEL, Role.OPS))]
OpsCall: TypeAlias = Annotated[Call, Security(Bearer(Role.OPS))]
