"""One certificate's workflow: wait for a signal or the next instant, run one activity, show support the outcome."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.common import RawValue, RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, FailureError

with workflow.unsafe.imports_passed_through():
    from activities.payloads import Advance
    from giftcert.lifecycle.snapshot import SealedSecrets, Snapshot
    from giftcert.temporal.search_attributes import updates
    from giftcert.temporal.workflow_starts import CertificateInput
    from giftcert.texts import texts_in

LOCAL_LIMIT = timedelta(seconds=5)
ACTIVITY_LIMIT = timedelta(seconds=30)
SHORTEST_WAIT = timedelta(seconds=1)
"""An instant that has passed meanwhile is looked at no sooner, so that no mistake makes a busy loop."""


@workflow.defn
class CertificateWorkflow:
    """Leads a certificate from its first order message until nothing is open; the next message starts another run.

    It decides nothing: ``advance`` does, in one transaction, so a changed rule changes no command here.
    """

    def __init__(self) -> None:
        self._woken = False
        self._seen: Snapshot | None = None
        self._sealed: SealedSecrets | None = None
        self._timer: asyncio.Task[None] | None = None
        self._timer_at: datetime | None = None

    @workflow.run
    async def run(self, start: CertificateInput) -> str:
        """Lead the certificate to its end, and say how it ended. Cancelling the run ends nothing: it looks again."""
        leading = asyncio.create_task(self._lead(start))
        while True:
            try:
                return await asyncio.shield(leading)
            except asyncio.CancelledError:
                if leading.cancelled():  # the worker forgets the run
                    raise
                self._woken = True

    async def _lead(self, start: CertificateInput) -> str:
        while True:
            self._woken = False
            self._seen = seen = await self._advance(start.certificate_id)
            self._sealed = seen.sealed or self._sealed
            self._show(seen)
            if seen.over and not self._woken:
                return f"{seen.status}: nothing is open"
            if workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(start)
            self._set_timer(seen)
            await workflow.wait_condition(lambda: self._woken)

    @workflow.signal(dynamic=True)
    def wake(self, _name: str, _arguments: Sequence[RawValue]) -> None:
        """Look, whatever happened: name (``Signal``) and argument (``Woken``) are for readers of the history."""
        self._woken = True

    async def _advance(self, certificate_id: str) -> Snapshot:
        """Run the activity locally within a short limit, else as a normal one, which support sees pending."""
        look = Advance(
            certificate_id=certificate_id,
            now=workflow.now(),
            timer_at=self._timer_at,
            sealed_by=self._sealed.key_id if self._sealed else 0,
        )
        seen: Snapshot
        try:
            seen = await workflow.execute_local_activity(
                "advance",
                look,
                result_type=Snapshot,
                schedule_to_close_timeout=LOCAL_LIMIT,
                retry_policy=RetryPolicy(maximum_attempts=2),
            )
        except FailureError as error:
            # What a local activity raises comes as it is, and within an ActivityError where a time limit ended it.
            cause = error.cause if isinstance(error, ActivityError) else error
            if isinstance(cause, ApplicationError) and cause.non_retryable:
                raise
            seen = await workflow.execute_activity(
                "advance", look, result_type=Snapshot, start_to_close_timeout=ACTIVITY_LIMIT
            )
        return seen

    def _show(self, seen: Snapshot) -> None:
        """Say in words what the certificate waits for; upsert search attributes only where they differ.

        What the page's buttons do is added here, as it need not stand in each history.
        """
        workflow.set_current_details(f"{seen.details}\n\n{texts_in(seen.language)('buttons')}")
        changed = updates(seen.visibility, workflow.info().typed_search_attributes)
        if changed:
            workflow.upsert_search_attributes(changed)

    def _set_timer(self, seen: Snapshot) -> None:
        """Start the one timer, or move it if it would ring too late; one that rings early just looks again."""
        at = seen.next_instant
        if at is None or (self._timer_at is not None and self._timer_at <= at):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = at
        self._timer = asyncio.create_task(self._ring(at, seen.waiting_for))

    async def _ring(self, at: datetime, waiting_for: str) -> None:
        await workflow.sleep(max(at - workflow.now(), SHORTEST_WAIT), summary=waiting_for)
        self._timer, self._timer_at, self._woken = None, None, True

    # The Web UI offers queries by name, so the one for people comes first.
    @workflow.query(description="In words: where the certificate stands and what it waits for")
    def details(self) -> str | None:
        """Return what support reads, ``None`` before the first look."""
        return self._seen.details if self._seen else None

    @workflow.query(description="For programs: the status as last seen")
    def status(self) -> str | None:
        """Return the status as last seen, ``None`` before the first look."""
        return self._seen.status if self._seen else None

    @workflow.query(description="For the API: number and CVC, encrypted")
    def sealed_secrets(self) -> SealedSecrets | None:
        """Return number and CVC as sealed, ``None`` before the first look."""
        return self._sealed
