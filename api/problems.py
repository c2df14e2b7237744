"""RFC 9457 problems with stable types, in one list, and the handlers that answer errors with them."""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any

import msgspec
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from giftcert.domain.certificate.state import CertificateState
from giftcert.lifecycle.idempotency import IdempotencyBusyError
from giftcert.lifecycle.requests import Outcome
from giftcert.security.tokens import TokenError
from giftcert.storage.certificates import UnknownCertificateError
from giftcert.storage.database import (
    DATABASE_ERRORS,
    OverloadedError,
    StandstillError,
    is_database_away,
)
from giftcert.storage.idempotency import IdempotencyMismatchError
from giftcert.storage.operations import UnknownBatchError

_LOG = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER = 2  # seconds


class Problem(Enum):
    """Every kind of problem: its status, what a caller is to do, and its title where that is not its name in words."""

    MALFORMED_REQUEST = (
        400,
        "The request is no HTTP/1.1, or more were sent at once than are answered; mend the client.",
    )
    UNAUTHENTICATED = 401, "Send Authorization: Bearer with a token that has not expired.", "No valid token"
    ROLE_NOT_ALLOWED = 403, "The token has none of the roles that may make this call; use one that has."
    CHANNEL_NOT_ALLOWED = 403, "The token is not for this channel; use one of the channel's own."
    CREDENTIALS_REJECTED = (
        403,
        "Number and CVC do not belong together, and nobody learns which is wrong; have both typed again.",
    )
    NOT_FOUND = 404, "There is nothing under this path; see /openapi.json for those that there are."
    UNKNOWN_CERTIFICATE = 404, "No certificate has this certificateId; check it."
    UNKNOWN_RESERVATION = 404, "No reservation has this reservationId; check it."
    UNKNOWN_BATCH = 404, "No batch has this batchId; check it."
    UNKNOWN_REDEMPTION = 404, "No redemption has this redemptionId; check it."
    UNKNOWN_REFUND_CASE = (
        404,
        "No refund case has this refundCaseId; `GET /refunds` lists those that are open.",
    )
    UNKNOWN_OPERATION = 404, "No operation has this operationId; check it."
    METHOD_NOT_ALLOWED = 405, "This path does not know the method; see /openapi.json for those that it knows."
    REQUEST_TIMEOUT = 408, "The request was not there in time; send it faster."
    POOL_EXHAUSTED = 409, "No certificates are left to give; sell something else for now."
    ALREADY_ORDERED = 409, "An order names the certificate; cancel the order instead."
    NOT_ISSUED = (
        409,
        "In this `certificateStatus` and `refundState` no CVC is disclosed; ask again later, that may change.",
    )
    NOT_ACTIVE = (
        409,
        "In this `certificateStatus` a certificate pays for nothing and discloses no CVC; do not repeat.",
    )
    INSUFFICIENT_BALANCE = (
        409,
        "The certificate holds no more than `balance`; take that, and the rest by other means.",
    )
    REFUND_IN_PROGRESS = (
        409,
        "A certificate pays for nothing while a refund of it is open; repeat once that is decided.",
    )
    REDEMPTION_CAPTURED = 409, "The payment was captured; it is given back by a refund, not by a void."
    NOTHING_PENDING = (
        409,
        "The refund case is closed; read the certificate for what was decided.",
    )
    STATUS_NOT_ALLOWED = (
        409,
        "This is not done to a certificate in `certificateStatus`; read the certificate first.",
    )
    RESERVATION_ENDED = (
        410,
        "The reservation was ordered, given back or has expired; reserve another certificate.",
    )
    REDEMPTION_ENDED = 410, "The redemption under this Idempotency-Key was voided or lapsed; use a new key."
    BODY_TOO_LARGE = 413, "A body holds at most 64 KB; send less."
    INVALID_REQUEST = 422, "`errors` names each field that does not fit, and why; mend the request."
    IDEMPOTENCY_MISMATCH = (
        422,
        "It came with other parameters before; use a new key.",
        "Idempotency-Key used before",
    )
    IDEMPOTENCY_KEY_REQUIRED = 422, "Send an Idempotency-Key with this call.", "Idempotency-Key required"
    CURRENCY_MISMATCH = 422, "The certificate is in another currency; take another means of payment."
    TOO_MANY_RESERVATIONS = (
        429,
        "The caller holds as many unordered reservations as it may, of this product or in all; order or wait.",
    )
    TOO_MANY_DISCLOSURES = 429, "Ask for CVCs more slowly; see Retry-After."
    TOO_MANY_ATTEMPTS = 429, "Too many checks of numbers and CVCs, or too many wrong ones; see Retry-After."
    HEADERS_TOO_LARGE = 431, "All headers together hold at most 16 KB; send fewer."
    INTERNAL_ERROR = 500, "The service failed; the call may be repeated with its key."
    PART_UNAVAILABLE = 503, "A part of the service is away; repeat after Retry-After."
    STANDSTILL = (
        503,
        "Database and stream do not belong together, as after a restore; repeat once operations have recovered.",
    )
    OVERLOADED = 503, "More is asked of the service at this moment than it answers; repeat after Retry-After."
    REQUEST_IN_PROGRESS = (
        503,
        "The first call under this Idempotency-Key still runs; repeat after Retry-After.",
    )

    def __init__(self, status: int, explanation: str, title: str = "") -> None:
        self.status = status
        self.explanation = explanation
        self.slug = self.name.lower().replace("_", "-")
        self.title = title or self.slug.replace("-", " ").capitalize()
        self.type = f"/problems/{self.slug}"  # this API resolves it itself, and explains the problem there

    @property
    def document(self) -> dict[str, Any]:
        """The members that every problem document of this kind has."""
        return {"type": self.type, "title": self.title, "status": self.status, "detail": self.explanation}


PROBLEMS = {problem.slug: problem for problem in Problem}


class ProblemError(Exception):
    """Raised where the fact is known; answered in one place.

    ``members`` are extension members such as ``certificateStatus``, never a secret; ``retry_after`` is in seconds.
    """

    def __init__(
        self, problem: Problem, members: Mapping[str, Any] | None = None, retry_after: int | None = None
    ) -> None:
        super().__init__(problem.slug)
        self.problem = problem
        self.members = members or {}
        self.retry_after = retry_after


class InvalidFieldError(ProblemError):
    """422 of one field, by the name under which the caller sent it."""

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(Problem.INVALID_REQUEST, {"errors": [{"field": field, "detail": detail}]})


def refused(outcome: Outcome, otherwise: Problem) -> ProblemError:
    """Return the problem that is named as the refusal, or another one, with what it says of the certificate."""
    name, state = outcome.refusal.name if outcome.refusal else "", outcome.state
    problem = Problem.__members__.get(name, otherwise)
    match problem:
        case Problem.NOT_ISSUED | Problem.NOT_ACTIVE | Problem.REFUND_IN_PROGRESS:
            return ProblemError(problem, standing_of(state))
        case Problem.STATUS_NOT_ALLOWED:
            return ProblemError(problem, {"certificateStatus": state.shown_status})
        case Problem.INSUFFICIENT_BALANCE:
            return ProblemError(problem, {"balance": {"amount": state.balance, "currency": state.currency}})
        case _:
            return ProblemError(problem)


def standing_of(state: CertificateState) -> dict[str, str]:
    """Return how a certificate stands, as members of a problem."""
    return {"certificateStatus": state.shown_status, "refundState": state.refund_state.value}


def answer(error: ProblemError) -> Response:
    """Return the reply for a problem."""
    problem = error.problem
    headers = {"Cache-Control": "no-store"}
    if problem is Problem.UNAUTHENTICATED:
        headers["WWW-Authenticate"] = "Bearer"
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    content = msgspec.json.encode({**problem.document, **error.members})
    return Response(content, problem.status, headers, media_type=MEDIA_TYPE)


_REFUSALS = {401, 403, 429}
_BY_STATUS = {
    404: Problem.NOT_FOUND,
    405: Problem.METHOD_NOT_ALLOWED,
    408: Problem.REQUEST_TIMEOUT,
    413: Problem.BODY_TOO_LARGE,
}
_FIXED: Mapping[type[Exception], ProblemError] = {
    UnknownBatchError: ProblemError(Problem.UNKNOWN_BATCH),
    UnknownCertificateError: ProblemError(Problem.UNKNOWN_CERTIFICATE),
    IdempotencyMismatchError: ProblemError(Problem.IDEMPOTENCY_MISMATCH),
    IdempotencyBusyError: ProblemError(Problem.REQUEST_IN_PROGRESS, retry_after=RETRY_AFTER),
    OverloadedError: ProblemError(Problem.OVERLOADED, retry_after=RETRY_AFTER),
}


def handle_problems(app: FastAPI) -> None:
    """Have every error of the application answered as a problem."""

    async def answer_known(request: Request, error: Exception) -> Response:
        problem = _problem_of(error)
        if problem.problem.status in _REFUSALS:  # the log and the figures say so
            request.state.refusal = error.reason if isinstance(error, TokenError) else problem.problem.slug
        return answer(problem)

    async def answer_unexpected(_: Request, __: Exception) -> Response:
        return answer(ProblemError(Problem.INTERNAL_ERROR))

    known: list[type[Exception]] = [ProblemError, TokenError, RequestValidationError, HTTPException]
    known += [*_FIXED, *DATABASE_ERRORS]
    for kind in known:
        app.exception_handler(kind)(answer_known)
    app.exception_handler(Exception)(answer_unexpected)


def _problem_of(error: Exception) -> ProblemError:
    if type(error) in _FIXED:
        return _FIXED[type(error)]
    match error:
        case ProblemError():
            return error
        case TokenError():
            return ProblemError(Problem.UNAUTHENTICATED, {"detail": str(error)})
        case RequestValidationError():
            return _invalid(error.errors())
        case HTTPException():
            problem = _BY_STATUS.get(error.status_code, Problem.INVALID_REQUEST)
            return ProblemError(
                problem, {"detail": error.detail} if problem is Problem.BODY_TOO_LARGE else {}
            )
        case _ if is_database_away(error):
            return _away(error)
        case _:
            raise error


def _away(error: Exception) -> ProblemError:
    if isinstance(error, StandstillError):  # the guard has logged it
        return ProblemError(Problem.STANDSTILL, {"reason": error.reason}, RETRY_AFTER)
    # Nobody's mistake: one line in the log, without the trace that a mistake gets.
    _LOG.warning("database away", error=type(error).__name__)
    return ProblemError(Problem.PART_UNAVAILABLE, {"part": "database"}, RETRY_AFTER)


def _invalid(errors: Sequence[Mapping[str, Any]]) -> ProblemError:
    """Name each field and what is wrong with it; the value itself may be a secret."""
    if [(found["loc"], found["type"]) for found in errors] == [(("header", "Idempotency-Key"), "missing")]:
        return ProblemError(Problem.IDEMPOTENCY_KEY_REQUIRED)
    members = [{"field": _field(found["loc"]), "detail": _detail(found)} for found in errors]
    return ProblemError(Problem.INVALID_REQUEST, {"errors": members})


def _detail(found: Mapping[str, Any]) -> str:
    """What is wrong; pydantic's own words about a malformed UUID would quote from it."""
    return "Input should be a valid UUID" if found["type"] == "uuid_parsing" else str(found["msg"])


def _field(location: tuple[str | int, ...]) -> str:
    """The path to a field without the part of the request that it stands in; a broken body is ``body``."""
    names = [str(part) for part in location[1:] if not isinstance(part, int)]
    return ".".join(names) or str(location[0])
