"""The one place where what went wrong becomes a problem document."""

from collections.abc import Mapping
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from api import problems
from api.idempotency import KEY_HEADER
from giftcert.storage.certificates import UnknownCertificateError
from giftcert.storage.outages import DATABASE_ERRORS, is_database_away

_LOG = structlog.get_logger(__name__)
_BY_STATUS = {404: problems.NOT_FOUND, 405: problems.METHOD_NOT_ALLOWED}
_RETRY_AFTER = 2


def handle_problems(app: FastAPI) -> None:
    """Have every error of the application answered as a problem."""
    app.exception_handler(problems.ProblemError)(_problem)
    app.exception_handler(UnknownCertificateError)(_unknown_certificate)
    app.exception_handler(RequestValidationError)(_invalid)
    app.exception_handler(HTTPException)(_http)
    for kind in DATABASE_ERRORS:
        app.exception_handler(kind)(_database)
    app.exception_handler(Exception)(_unexpected)


async def _problem(_: Request, error: Exception) -> Response:
    if not isinstance(error, problems.ProblemError):
        raise error
    return problems.answer(error)


async def _unknown_certificate(_: Request, __: Exception) -> Response:
    return problems.answer(problems.ProblemError(problems.UNKNOWN_CERTIFICATE))


async def _invalid(_: Request, error: Exception) -> Response:
    """Name the field and what is wrong with it; the value itself may be a secret."""
    if not isinstance(error, RequestValidationError):
        raise error
    errors = [{"field": _field(one["loc"]), "detail": _detail(one)} for one in error.errors()]
    if [(one["loc"], one["type"]) for one in error.errors()] == [(("header", KEY_HEADER), "missing")]:
        return problems.answer(problems.ProblemError(problems.IDEMPOTENCY_KEY_REQUIRED))
    return problems.answer(problems.ProblemError(problems.INVALID_REQUEST, {"errors": errors}))


def _detail(one: Mapping[str, Any]) -> str:
    """What is wrong; pydantic's own words about a malformed UUID would quote from it."""
    return "Input should be a valid UUID" if one["type"] == "uuid_parsing" else str(one["msg"])


def _field(location: tuple[str | int, ...]) -> str:
    """The path to a field without the part of the request that it stands in; a broken body is ``body``."""
    names = [str(part) for part in location[1:] if not isinstance(part, int)]
    return ".".join(names) or str(location[0])


async def _http(_: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return problems.answer(problems.ProblemError(_BY_STATUS.get(status, problems.INVALID_REQUEST)))


async def _database(_: Request, error: Exception) -> Response:
    """An outage is nobody's mistake: said once in the log, without the trace that a mistake gets."""
    if not is_database_away(error):
        raise error
    _LOG.warning("database away", error=type(error).__name__)
    away = {"part": "database"}
    return problems.answer(problems.ProblemError(problems.PART_UNAVAILABLE, away, _RETRY_AFTER))


async def _unexpected(_: Request, __: Exception) -> Response:
    return problems.answer(problems.ProblemError(problems.INTERNAL_ERROR))
