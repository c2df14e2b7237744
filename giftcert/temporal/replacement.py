"""Replaces runs that the leading build cannot, or might not, go on with: a run holds nothing (ADR 95)."""

import asyncio
from collections.abc import Callable

from temporalio.client import Client, WorkflowExecution

from giftcert.temporal.runs import CertificateRuns
from giftcert.temporal.workflow_starts import replace_run

AT_ONCE = 16
LISTED_AFTER_SECONDS = 2.0
"""Temporal's lists lag a little, so the last look is so much later than the one before it."""


async def replace_left_behind(
    client: Client, withdrawn: str | None = None, report: Callable[[int], None] = lambda _done: None
) -> int:
    """Replace the runs that are stuck and, of a withdrawn version of the deployment, all that it has ever led.

    A task that failed is tried again ever more rarely, up to ten minutes apart; a new run looks at once. Commands that
    only the withdrawn build knows are in the histories that it led, so that no other can follow them. May be repeated.

    Returns:
        How many were replaced; ``report`` hears of it meanwhile.
    """
    runs, replaced, slots = CertificateRuns(client), set[str](), asyncio.Semaphore(AT_ONCE)

    async def replace(execution: WorkflowExecution) -> None:
        async with slots:
            await replace_run(client, execution)

    found_none = 0
    while found_none < 2:
        before = len(replaced)
        async for page in runs.left_behind(withdrawn):
            new = [one for one in page if one.run_id not in replaced]
            await asyncio.gather(*map(replace, new))
            replaced |= {one.run_id for one in new}
            report(len(replaced))
        found_none = 0 if len(replaced) > before else found_none + 1
        await asyncio.sleep(LISTED_AFTER_SECONDS)
    return len(replaced)
