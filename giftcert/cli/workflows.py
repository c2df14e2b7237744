"""Commands that ask certificates' workflows."""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from giftcert.cli.errors import CommandError

if TYPE_CHECKING:
    from temporalio.client import Client

    from giftcert.people.asking import Ask
    from giftcert.people.nudging import Nudge
    from giftcert.settings import Settings
    from workflows.requests import Answer, Request


async def asking(settings: "Settings") -> "Ask":
    """Connect to Temporal and return what asks a certificate's workflow.

    Raises:
        CommandError: Temporal cannot be reached; later, no worker answers in time.
    """
    from activities.temporal_client import connect
    from giftcert.cli.reaching import reaching_temporal
    from giftcert.clock import utc_now
    from workflows.asking import WorkflowAwayError, ask
    from workflows.requests import Refusal

    with reaching_temporal(settings.temporal_address):
        client = await connect(settings)

    async def ask_it(certificate_id: str, channel: str, make: "Callable[[datetime], Request]") -> "Answer":
        now = utc_now()
        before = now + settings.request_timeout
        try:
            answer = await ask(client, certificate_id, channel, make(before), before, now)
        except WorkflowAwayError as error:
            raise _no_answer(settings) from error
        if answer.refusal == Refusal.TOO_LATE.value:
            raise _no_answer(settings)
        return answer

    return ask_it


async def nudging(settings: "Settings") -> "Nudge | None":
    """Return what tells workflows of a change, if it is known where Temporal is; nobody waits for it to answer."""
    if settings.temporal_address is None:
        return None
    from activities.temporal_client import connect
    from giftcert.people.nudging import Nudge

    client = await connect(settings, lazy=True)

    async def connected() -> "Client":
        return client

    return Nudge(connected)


def _no_answer(settings: "Settings") -> CommandError:
    seconds = f"{settings.request_timeout.total_seconds():g}"
    return CommandError(
        f"no worker answered within {seconds} s (GIFTCERT_REQUEST_TIMEOUT): "
        "it may have been carried out, look before repeating"
    )
