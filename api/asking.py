"""Asking workflows to do something: every call that changes a sold certificate goes this way."""

from collections.abc import Callable
from datetime import datetime

import structlog

from api import problems
from api.temporal import TemporalConnection
from giftcert.clock import utc_now
from giftcert.settings import Settings
from workflows.asking import WorkflowAwayError, ask
from workflows.requests import Answer, Refusal, Request

_LOG = structlog.get_logger(__name__)
RETRY_AFTER = 2


class Workflows:
    """Asks certificates' workflows, for no longer than a caller is kept waiting."""

    def __init__(self, settings: Settings, temporal: TemporalConnection) -> None:
        self._wait = settings.request_timeout
        self._temporal = temporal

    async def ask(self, certificate_id: str, channel: str, make: Callable[[datetime], Request]) -> Answer:
        """Return what the workflow committed.

        Args:
            certificate_id: of one that is or was sold.
            channel: who sold it.
            make: makes the request, given the instant after which it is not carried out any more. Its ``key`` has to
                be new with each attempt, so it takes that instant in: Temporal remembers answers by key, also refusals.

        Raises:
            ProblemError: 503, where it may have been carried out or not, and may be repeated.
        """
        now = utc_now()
        decide_before = now + self._wait
        try:
            client = await self._temporal.client()
            answer = await ask(client, certificate_id, channel, make(decide_before), decide_before, now)
        except WorkflowAwayError as error:
            _LOG.warning("workflow did not answer", certificate=certificate_id, error=str(error))
            raise _workflow_away() from error
        if answer.refusal == Refusal.TOO_LATE.value:
            raise _workflow_away()
        return answer


def _workflow_away() -> problems.ProblemError:
    return problems.ProblemError(problems.PART_UNAVAILABLE, {"part": "temporal"}, RETRY_AFTER)
