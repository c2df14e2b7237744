"""Everything that may go wrong for a caller, in one list: RFC 9457 problems with stable types."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "/problems/"
"""A type is a reference that this API resolves itself: ``GET /problems/pool-exhausted`` explains it."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A kind of problem; ``title`` never changes, ``explanation`` tells a caller what to do."""

    name: str
    status: int
    title: str
    explanation: str

    @property
    def type(self) -> str:
        """The stable ``type`` of the problem document."""
        return TYPE_PREFIX + self.name


UNAUTHENTICATED = Problem(
    "unauthenticated", 401, "No valid token", "Send Authorization: Bearer with a token that has not expired."
)
ROLE_NOT_ALLOWED = Problem(
    "role-not-allowed", 403, "Role not allowed", "The token has none of the roles that may make this call."
)
CHANNEL_NOT_ALLOWED = Problem(
    "channel-not-allowed", 403, "Channel not allowed", "The token is not for this channel."
)
CREDENTIALS_REJECTED = Problem(
    "credentials-rejected",
    403,
    "Credentials rejected",
    "Number and CVC do not belong together; nobody learns which of them is wrong.",
)
NOT_FOUND = Problem("not-found", 404, "Not found", "There is nothing under this path.")
UNKNOWN_CERTIFICATE = Problem(
    "unknown-certificate", 404, "Unknown certificate", "No certificate has this certificateId."
)
UNKNOWN_RESERVATION = Problem(
    "unknown-reservation", 404, "Unknown reservation", "No reservation has this reservationId."
)
UNKNOWN_BATCH = Problem("unknown-batch", 404, "Unknown batch", "No batch has this batchId.")
UNKNOWN_REDEMPTION = Problem(
    "unknown-redemption", 404, "Unknown redemption", "No redemption has this redemptionId."
)
UNKNOWN_REFUND_CASE = Problem(
    "unknown-refund-case", 404, "Unknown refund case", "No refund case has this refundCaseId."
)
METHOD_NOT_ALLOWED = Problem(
    "method-not-allowed", 405, "Method not allowed", "This path does not know the method."
)
POOL_EXHAUSTED = Problem(
    "pool-exhausted", 409, "Pool exhausted", "No certificates are left to give; sell something else for now."
)
ALREADY_ORDERED = Problem(
    "already-ordered", 409, "Already ordered", "An order names the certificate; cancel the order instead."
)
NOT_ISSUED = Problem(
    "not-issued",
    409,
    "Not issued",
    "The CVC is not disclosed while the certificate is as `certificateStatus` and `refundState` say; that may change.",
)
NOT_ACTIVE = Problem(
    "not-active",
    409,
    "Not active",
    "A certificate in this `certificateStatus` pays for nothing, and its CVC is not disclosed.",
)
INSUFFICIENT_BALANCE = Problem(
    "insufficient-balance", 409, "Insufficient balance", "The certificate holds no more than `balance`."
)
REFUND_IN_PROGRESS = Problem(
    "refund-in-progress",
    409,
    "Refund in progress",
    "The certificate pays for nothing while a refund of it is open; that may change.",
)
REDEMPTION_CAPTURED = Problem(
    "redemption-captured",
    409,
    "Redemption captured",
    "The payment was captured; it is given back by a refund, not by a void.",
)
NOTHING_PENDING = Problem(
    "nothing-pending", 409, "Nothing pending", "The refund case is closed; there is nothing left to decide."
)
STATUS_NOT_ALLOWED = Problem(
    "status-not-allowed",
    409,
    "Status not allowed",
    "This is not done to a certificate in `certificateStatus`.",
)
RESERVATION_ENDED = Problem(
    "reservation-ended", 410, "Reservation ended", "The reservation was ordered, given back or has run out."
)
REDEMPTION_ENDED = Problem(
    "redemption-ended",
    410,
    "Redemption ended",
    "The redemption of this Idempotency-Key was voided or has lapsed; use a new key for another one.",
)
INVALID_REQUEST = Problem(
    "invalid-request", 422, "Invalid request", "`errors` names each field that does not fit, and why."
)
IDEMPOTENCY_MISMATCH = Problem(
    "idempotency-mismatch",
    422,
    "Idempotency-Key used before",
    "The key came with other parameters before; use a new key for another call.",
)
IDEMPOTENCY_KEY_REQUIRED = Problem(
    "idempotency-key-required", 422, "Idempotency-Key required", "Send an Idempotency-Key with this call."
)
CURRENCY_MISMATCH = Problem(
    "currency-mismatch", 422, "Currency mismatch", "The certificate is in another currency."
)
TOO_MANY_RESERVATIONS = Problem(
    "too-many-reservations",
    429,
    "Too many reservations",
    "The caller holds as many unordered reservations as it may; order, give back or wait.",
)
TOO_MANY_DISCLOSURES = Problem(
    "too-many-disclosures", 429, "Too many disclosures", "Ask for CVCs more slowly; see Retry-After."
)
TOO_MANY_ATTEMPTS = Problem(
    "too-many-attempts",
    429,
    "Too many attempts",
    "The caller checks numbers and CVCs too often, or too many were wrong; see Retry-After.",
)
INTERNAL_ERROR = Problem(
    "internal-error", 500, "Internal error", "The service failed; the call may be repeated with its key."
)
PART_UNAVAILABLE = Problem(
    "part-unavailable", 503, "Part unavailable", "A part of the service is away; repeat after Retry-After."
)

PROBLEMS = {problem.name: problem for problem in tuple(globals().values()) if isinstance(problem, Problem)}


class ProblemError(Exception):
    """Raised where the fact is known; answered in one place.

    Args:
        problem: what kind it is.
        members: extension members, such as ``certificateStatus``; never a secret.
        retry_after: seconds, for 429 and 503.
    """

    def __init__(
        self, problem: Problem, members: Mapping[str, Any] | None = None, retry_after: int | None = None
    ) -> None:
        super().__init__(problem.name)
        self.problem = problem
        self.members = members or {}
        self.retry_after = retry_after


class InvalidFieldError(ProblemError):
    """422 of one field, by the name under which the caller sent it."""

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(INVALID_REQUEST, {"errors": [{"field": field, "detail": detail}]})


def answer(error: ProblemError) -> Response:
    """Return the reply for a problem."""
    problem = error.problem
    body = {
        "type": problem.type,
        "title": problem.title,
        "status": problem.status,
        "detail": problem.explanation,
    }
    headers = {"Cache-Control": "no-store"}
    if problem is UNAUTHENTICATED:
        headers["WWW-Authenticate"] = "Bearer"
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    return Response(
        msgspec.json.encode({**body, **error.members}), problem.status, headers, media_type=MEDIA_TYPE
    )
