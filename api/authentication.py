"""Bearer tokens: who calls, in which roles, for which channels."""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any, TypeAlias

from fastapi import Request, Security
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from fastapi.security.base import SecurityBase
from starlette.responses import Response

from api.problems import InvalidFieldError, Problem, ProblemError
from api.services import Services, services_of
from giftcert.clock import utc_now
from giftcert.redaction import is_fit_to_tell
from giftcert.security import Caller, Role, TokenError


class Bearer(SecurityBase):
    """A dependency that lets callers with one of these roles through, and gives the endpoint who it is."""

    def __init__(self, *roles: Role) -> None:
        described = HTTPBearer(bearerFormat="JWT", description="Roles: channel, crm, support, ops")
        self.model = described.model
        self.scheme_name = "bearer"
        self._roles = frozenset(roles)

    async def __call__(self, request: Request) -> Caller:
        """Return the caller, whom the route has checked."""
        caller: Caller = request.state.caller
        return caller

    def check(self, request: Request, services: Services) -> Caller:
        """Check the token.

        Raises:
            ProblemError: 401 without a valid token, 403 without the role, 422 where the subject may not be told.
        """
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise ProblemError(Problem.UNAUTHENTICATED)
        try:
            caller = services.tokens.verify(token, utc_now())
        except TokenError as error:
            raise ProblemError(Problem.UNAUTHENTICATED, {"detail": str(error)}) from None
        if caller.roles - {Role.CHANNEL} and not is_fit_to_tell(caller.subject):
            raise InvalidFieldError("sub", "goes to the stream: an opaque id, no address and no number")
        if self._roles.isdisjoint(caller.roles):
            raise ProblemError(Problem.ROLE_NOT_ALLOWED)
        request.state.caller = caller
        return caller


class AuthenticatedRoute(APIRoute):
    """Checks the token before the body is read, and that the query says nothing that the call does not know.

    By itself FastAPI reads and parses the body first, and passes over a parameter that is misspelt.
    """

    async def plain_arguments(self, request: Request) -> dict[str, Any] | None:
        """Return what the endpoint takes besides services and caller, if the request is plainly in order.

        A route that overrides this hands such requests to its endpoint itself: working out the declared parameters
        takes FastAPI a fifth of a whole request. FastAPI answers all others, and finds what is wrong.
        """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers a request."""
        answer_declared = super().get_route_handler()
        [bearer] = [part.call for part in self.dependant.dependencies if isinstance(part.call, Bearer)]
        known = frozenset(parameter.alias for parameter in self.dependant.query_params)

        async def answer(request: Request) -> Response:
            services = await services_of(request)
            caller = bearer.check(request, services)
            arguments = await self.plain_arguments(request)
            if arguments is not None:
                response: Response = await self.endpoint(services=services, caller=caller, **arguments)
                return response
            if not known.issuperset(request.query_params):
                raise InvalidFieldError("query", "a parameter that this call does not know")
            return await answer_declared(request)

        return answer


ChannelCaller: TypeAlias = Annotated[Caller, Security(Bearer(Role.CHANNEL))]
SupportCaller: TypeAlias = Annotated[Caller, Security(Bearer(Role.SUPPORT))]
CrmCaller: TypeAlias = Annotated[Caller, Security(Bearer(Role.CRM))]
CrmOrSupportCaller: TypeAlias = Annotated[Caller, Security(Bearer(Role.CRM, Role.SUPPORT))]
ReadingCaller: TypeAlias = Annotated[Caller, Security(Bearer(Role.CHANNEL, Role.CRM, Role.SUPPORT))]
ChannelOrOpsCaller: TypeAlias = Annotated[Caller, Security(Bearer(Role.CHANNEL, Role.OPS))]
OpsCaller: TypeAlias = Annotated[Caller, Security(Bearer(Role.OPS))]


def check_known_channel(services: Services, caller: Caller, channel: str) -> None:
    """Let only callers of a channel go on that there is.

    Raises:
        ProblemError: 422 for one that there is not, 403 for another's.
    """
    if channel not in services.settings.channels:
        raise InvalidFieldError("channel", "no such channel")
    check_channel(caller, channel)


def check_channel(caller: Caller, channel: str) -> None:
    """Let only callers of the channel go on.

    Raises:
        ProblemError: 403.
    """
    if channel not in caller.channels:
        raise ProblemError(Problem.CHANNEL_NOT_ALLOWED)
