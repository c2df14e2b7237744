"""Who calls, and what the caller may do."""

from fastapi import Request
from fastapi.security import HTTPBearer
from fastapi.security.base import SecurityBase

from api import problems
from api.services import services_of
from giftcert.security import Caller, Role, TokenError


class Bearer(SecurityBase):
    """A dependency that lets callers with one of these roles through, and gives the endpoint who it is."""

    def __init__(self, *roles: Role) -> None:
        described = HTTPBearer(bearerFormat="JWT", description="Roles: channel, crm, support, ops")
        self.model = described.model
        self.scheme_name = "bearer"
        self._roles = frozenset(role.value for role in roles)

    async def __call__(self, request: Request) -> Caller:
        """Check the token.

        Raises:
            ProblemError: 401 without a valid token, 403 without the role.
        """
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise problems.ProblemError(problems.UNAUTHENTICATED)
        try:
            caller = services_of(request).callers.of(token)
        except TokenError as error:
            raise problems.ProblemError(problems.UNAUTHENTICATED, {"detail": str(error)}) from None
        if self._roles.isdisjoint(caller.roles):
            raise problems.ProblemError(problems.ROLE_NOT_ALLOWED)
        request.state.caller = caller.subject
        return caller


def check_own_channel(request: Request, caller: Caller, channel: str) -> None:
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
