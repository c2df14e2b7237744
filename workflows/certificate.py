"""One certificate's workflow: wait for a message or a deadline, ask the domain, run one activity."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, FailureError

with workflow.unsafe.imports_passed_through():
    from activities.transition import (
        APPLY_TRANSITION,
        LOAD_CERTIFICATE,
        Loaded,
        Outcome,
        Transition,
        TransitionAnswer,
    )
    from giftcert.contracts.codec import decode_message, encode_message
    from giftcert.domain.deadlines import Deadline, next_deadline
    from giftcert.domain.identifiers import uuid7
    from giftcert.domain.messages import (
        AuthorizeRedemption,
        Block,
        ClientUpdated,
        LineHolder,
        LinesReturned,
        Message,
        OrderCancelled,
        OrderStated,
        PaymentAuthorized,
        PaymentCaptured,
        PaymentRefunded,
        PaymentVoided,
        RefundAssigned,
        RequestNotification,
        ResolveRefund,
        SpendingReported,
        Unblock,
        VoidRedemption,
    )
    from giftcert.domain.policy import Terms
    from giftcert.domain.state import CertificateState, Status
    from workflows.answers import too_late
    from workflows.names import CERTIFICATE_WORKFLOW
    from workflows.plan import Plan, Received, before_deadlines, make_plan, names_line
    from workflows.requests import Answer, Limits, Request
    from workflows.run_input import Carried, CertificateInput, SealedSecrets
    from workflows.shown import details, is_worth_setting, shown, updates, waiting_for

LOCAL_LIMIT = timedelta(seconds=5)
ACTIVITY_LIMIT = timedelta(seconds=30)
RETRY_FIRST = timedelta(milliseconds=200)
RETRY_LONGEST = timedelta(minutes=5)
HISTORY_LIMIT = 2_000
SEEN_LIMIT = 500
Result = TypeVar("Result")
LIVE = frozenset({Status.ORDERED, Status.ISSUED, Status.PARTIALLY_REDEEMED})


@workflow.defn(name=CERTIFICATE_WORKFLOW)
class CertificateWorkflow:
    """Leads one certificate from its first order message to its end.

    Signal handlers only enqueue. One loop takes all that waits, decides it on the stored state, and commits it by
    one transition activity; what came first elsewhere makes it decide again. A run ends when the certificate is in
    the pool or finished and nothing is open; the next message starts another from the stored state.
    """

    @workflow.init
    def __init__(self, start: CertificateInput) -> None:
        carried = start.carried or Carried()
        self._id = start.certificate_id
        self._stored: Loaded | None = None
        self._known: CertificateState | None = None
        self._inbox: list[Received] = [
            Received(decode_message(message.encode()), at) for message, at in carried.waiting
        ]
        self._remembered: list[Received] = []
        self._held_back: list[Received] = []
        self._seen: dict[str, None] = dict.fromkeys(carried.seen)
        self._shown = carried.shown
        self._timer: asyncio.Task[None] | None = None
        self._timer_at: datetime | None = None
        self._rang = False
        self._retry_at: datetime | None = None
        self._retries = 0
        self._newer_build = False
        self._changed_elsewhere = False
        self._answers: dict[str, Answer] = {}

    @workflow.run
    async def run(self, start: CertificateInput) -> str:
        """Lead the certificate until nothing is open; the result says in words where it ended."""
        self._stored = await self._load()
        self._known = self._stored.state
        self._show()
        while True:
            if self._changed_elsewhere:
                await self._look_again()
            await self._work()
            if not workflow.all_handlers_finished():  # those who asked take their answers before the run ends
                await workflow.wait_condition(lambda: bool(self._inbox) or workflow.all_handlers_finished())
                continue
            if self._is_over():
                return f"{self._state.shown_status}: nothing is open"
            if self._should_renew():
                workflow.continue_as_new(replace(start, carried=self._carried()))
            self._set_timer()
            await workflow.wait_condition(self._has_work)

    # Messages ------------------------------------------------------------------------------------

    @workflow.signal
    def order_stated(self, message: OrderStated) -> None:
        """The order as it now is."""
        self._take(message)

    @workflow.signal
    def order_cancelled(self, message: OrderCancelled) -> None:
        """Lines of the order were cancelled."""
        self._take(message)

    @workflow.signal
    def lines_returned(self, message: LinesReturned) -> None:
        """Lines of the order came back."""
        self._take(message)

    @workflow.signal
    def payment_authorized(self, message: PaymentAuthorized) -> None:
        """Money was promised."""
        self._take(message)

    @workflow.signal
    def payment_captured(self, message: PaymentCaptured) -> None:
        """Money was taken."""
        self._take(message)

    @workflow.signal
    def payment_voided(self, message: PaymentVoided) -> None:
        """A promise of money was given up."""
        self._take(message)

    @workflow.signal
    def payment_refunded(self, message: PaymentRefunded) -> None:
        """Money went back."""
        self._take(message)

    @workflow.signal
    def spending_reported(self, message: SpendingReported) -> None:
        """The certificate was used as a tender."""
        self._take(message)

    @workflow.signal
    def client_updated(self, message: ClientUpdated) -> None:
        """The buyer's settings changed."""
        self._take(message)

    @workflow.signal
    def refund_assigned(self, message: RefundAssigned) -> None:
        """A person said of another certificate of the order what a refund means."""
        self._take(message)

    @workflow.signal
    def changed_elsewhere(self) -> None:
        """Somebody changed the certificate without asking here, such as a batch that was withdrawn."""
        self._changed_elsewhere = True

    # Requests ------------------------------------------------------------------------------------

    @workflow.update
    async def ask_authorize_redemption(self, request: AuthorizeRedemption, limits: Limits) -> Answer:
        """A channel wants to hold part of the balance."""
        return await self._answered(request, limits)

    @ask_authorize_redemption.validator
    def _holds_something(self, request: AuthorizeRedemption, limits: Limits) -> None:
        del limits
        if request.amount <= 0:
            raise ApplicationError("amount: must be above 0", type="BadRequest")

    @workflow.update
    async def ask_void_redemption(self, request: VoidRedemption, limits: Limits) -> Answer:
        """A channel gives a hold back."""
        return await self._answered(request, limits)

    @workflow.update
    async def ask_resolve_refund(self, request: ResolveRefund, limits: Limits) -> Answer:
        """A person decides a refund case."""
        return await self._answered(request, limits)

    @ask_resolve_refund.validator
    def _decides_something(self, request: ResolveRefund, limits: Limits) -> None:
        del limits
        if request.amount is not None and request.amount < 0:
            raise ApplicationError("amount: must not be below 0", type="BadRequest")

    @workflow.update
    async def ask_block(self, request: Block, limits: Limits) -> Answer:
        """Support stops spending and disclosure."""
        return await self._answered(request, limits)

    @workflow.update
    async def ask_unblock(self, request: Unblock, limits: Limits) -> Answer:
        """Support lifts a block."""
        return await self._answered(request, limits)

    @workflow.update
    async def ask_request_notification(self, request: RequestNotification, limits: Limits) -> Answer:
        """CRM or support asks to write to the client again."""
        return await self._answered(request, limits)

    async def _answered(self, request: Request, limits: Limits) -> Answer:
        """Enqueue a request and wait for the loop's answer."""
        self._inbox.append(Received(request, workflow.now(), decide_before=limits.decide_before))
        await workflow.wait_condition(lambda: request.key in self._answers)
        return self._answers.pop(request.key)

    @workflow.query
    def sealed_secrets(self) -> SealedSecrets:
        """Return number and CVC as sealed.

        Raises:
            ApplicationError: the run has only begun and has not loaded the certificate.
        """
        if self._stored is None:
            raise ApplicationError("the certificate is not loaded yet", type="NotLoaded")
        return SealedSecrets(
            number_sealed=self._stored.number_sealed,
            cvc_sealed=self._stored.cvc_sealed,
            status=self._state.shown_status,
            version=self._stored.version,
        )

    @workflow.query
    def state(self) -> CertificateState | None:
        """Return the state as the workflow knows it; it holds no secret."""
        return self._known

    def _take(self, message: Message) -> None:
        """Enqueue a message unless it was taken before; the database has the last word on repeats."""
        if message.key in self._seen:
            return
        self._seen[message.key] = None
        if len(self._seen) > SEEN_LIMIT:
            self._seen.pop(next(iter(self._seen)))
        self._inbox.append(Received(message, workflow.now()))

    # The loop ------------------------------------------------------------------------------------

    @property
    def _state(self) -> CertificateState:
        if self._known is None:
            raise ApplicationError("the certificate is not loaded yet", type="NotLoaded")
        return self._known

    def _has_work(self) -> bool:
        return bool(self._inbox) or self._rang or self._changed_elsewhere

    async def _look_again(self) -> None:
        """Load the certificate anew and show it; what was remembered is decided again on what it now is."""
        self._changed_elsewhere = False
        before, self._stored = self._loaded, await self._load()
        self._newer_build = self._newer_build or self._loaded.build != before.build
        self._known = self._loaded.state
        self._inbox, self._remembered = self._remembered + self._inbox, []
        self._show()

    async def _work(self) -> None:
        """Apply all waiting messages, then every deadline that has passed."""
        told: Deadline | None = None
        while True:
            batch = self._due_again() + self._in_time(self._taken())
            if not batch:
                deadline = self._due()
                if deadline is None:
                    return
                if deadline == told:  # it could not be carried out now; a little later then
                    self._retry_later()
                    return
                told = deadline
                batch = [Received(deadline.message, workflow.now(), due=deadline.at)]
            await self._apply(batch)

    def _due(self) -> Deadline | None:
        if self._retry_at is not None and not self._held_back and workflow.now() < self._retry_at:
            return None
        deadline = next_deadline(self._state, self._terms.policy)
        return deadline if deadline is not None and deadline.at <= workflow.now() else None

    def _taken(self) -> list[Received]:
        waiting, self._inbox = self._inbox, []
        return waiting

    def _in_time(self, waiting: list[Received]) -> list[Received]:
        """What waits, without requests whose callers have given up: those are answered so, and nothing is done."""
        late = [
            one for one in waiting if one.decide_before is not None and workflow.now() >= one.decide_before
        ]
        self._answers.update((one.message.key, too_late(self._state)) for one in late)
        return [one for one in waiting if one not in late]

    def _due_again(self) -> list[Received]:
        """What waited for another certificate to leave the order line, once it is time to ask again."""
        if not self._held_back or self._retry_at is None or workflow.now() < self._retry_at:
            return []
        held, self._held_back, self._retry_at = self._held_back, [], None
        return held

    async def _apply(self, batch: list[Received]) -> None:
        """Decide and commit, again and again if another was first, until it is stored or has to wait."""
        while batch:
            plan = make_plan(self._loaded.state, (*self._remembered, *batch), self._terms, self._new_id)
            if plan.may_wait:
                self._remembered += batch
                self._known = plan.state
                return
            answer = await self._commit(plan, (*self._remembered, *batch))
            batch = self._again(self._go_on(answer, plan, batch))

    def _again(self, left: list[Received]) -> list[Received]:
        """What is decided once more: a deadline after all that came meanwhile, and nothing whose caller gave up."""
        if any(one.due is not None for one in left):
            left = before_deadlines(left, self._taken())
        return self._in_time(left)

    def _go_on(self, answer: TransitionAnswer, plan: Plan, batch: list[Received]) -> list[Received]:
        """Take the answer in; return what is still to be decided."""
        match answer.outcome:
            case Outcome.APPLIED:
                self._answers.update(plan.answers)
                self._stored = replace(self._loaded, state=plan.state, version=answer.version)
                self._newer_build = answer.build != self._loaded.build
                self._known, self._remembered = plan.state, []
                self._retry_at, self._retries = (
                    (self._retry_at, self._retries) if self._held_back else (None, 0)
                )
                self._show()
                return []
            case Outcome.ALREADY_APPLIED | Outcome.STALE:
                self._stored = answer.current or self._loaded
                self._known = self._stored.state
                # Only this run sends a request's key, so what was applied is what it planned.
                self._answers.update(
                    {key: plan.answers[key] for key in answer.applied_keys if key in plan.answers}
                )
                left = [
                    one for one in (*self._remembered, *batch) if one.message.key not in answer.applied_keys
                ]
                self._remembered = []
                return left
            case Outcome.LINE_HELD:
                return self._line_held(answer.holder, batch)
            case Outcome.ASSIGNED_ELSEWHERE:
                heard = [Received(one, workflow.now()) for one in answer.assigned]
                return [*heard, *batch]
            case Outcome.NOT_CAUGHT_UP:
                self._retry_later()
                return []

    def _line_held(self, holder: LineHolder | None, batch: list[Received]) -> list[Received]:
        """Another certificate stands on the line: refused if that is issued, else asked again a little later."""
        if holder == LineHolder.ISSUED:
            return [self._told_of_holder(one) for one in batch]
        naming = [one for one in batch if names_line(one.message)] or batch
        self._held_back += naming
        self._retry_later()
        return [one for one in batch if one not in naming]

    def _told_of_holder(self, received: Received) -> Received:
        message = received.message
        if isinstance(message, OrderStated) and message.own is not None:
            return replace(received, message=replace(message, line_holder=LineHolder.ISSUED))
        return received

    def _retry_later(self) -> None:
        wait = min(RETRY_FIRST * 2 ** min(self._retries, 16), RETRY_LONGEST)
        self._retries += 1
        self._retry_at = workflow.now() + wait

    async def _commit(self, plan: Plan, received: tuple[Received, ...]) -> TransitionAnswer:
        transition = Transition(
            certificate_id=self._id,
            expected_version=self._loaded.version,
            keys=tuple(one.message.key for one in received if not one.message.key.startswith("deadline:")),
            events=plan.events,
            state=plan.state,
            at=received[-1].at,
            caught_up_beyond=plan.released_on_time,
            assigned=plan.assigned,
            redemptions=plan.redemptions,
        )
        summary = ", ".join(event.event_type for event in plan.events) or "facts recorded"
        return await self._run(APPLY_TRANSITION, transition, TransitionAnswer, summary)

    async def _load(self) -> Loaded:
        return await self._run(LOAD_CERTIFICATE, self._id, Loaded, "load the certificate")

    async def _run(self, name: str, argument: object, result: type[Result], summary: str) -> Result:
        """Run an activity locally within a short limit, else as a normal one that support sees pending."""
        try:
            answer: Result = await workflow.execute_local_activity(
                name,
                argument,
                result_type=result,
                schedule_to_close_timeout=LOCAL_LIMIT,
                retry_policy=RetryPolicy(maximum_attempts=2),
                summary=summary,
            )
        except FailureError as error:
            # What a local activity raises comes as it is, and within an ActivityError where a time limit ended it.
            cause = error.cause if isinstance(error, ActivityError) else error
            if isinstance(cause, ApplicationError) and cause.non_retryable:
                raise
            answer = await workflow.execute_activity(
                name, argument, result_type=result, start_to_close_timeout=ACTIVITY_LIMIT, summary=summary
            )
        return answer

    @property
    def _loaded(self) -> Loaded:
        if self._stored is None:
            raise ApplicationError("the certificate is not loaded yet", type="NotLoaded")
        return self._stored

    @property
    def _terms(self) -> Terms:
        return self._loaded.terms

    def _new_id(self) -> str:
        return uuid7(workflow.now(), workflow.random().getrandbits(74))

    # Time ----------------------------------------------------------------------------------------

    def _wake_at(self) -> datetime | None:
        deadline = next_deadline(self._state, self._terms.policy)
        instants = [deadline.at] if deadline is not None else []
        if self._retry_at is not None:
            passed = deadline is not None and deadline.at <= workflow.now()
            instants = [self._retry_at] if passed else [*instants, self._retry_at]
        return min(instants, default=None)

    def _set_timer(self) -> None:
        """Start the one timer, or move it if it would ring too late; one that rings early just sets the next."""
        self._rang = False
        wake_at = self._wake_at()
        if wake_at is None or (self._timer_at is not None and self._timer_at <= wake_at):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = wake_at
        self._timer = asyncio.create_task(self._ring(wake_at - workflow.now()))

    async def _ring(self, wait: timedelta) -> None:
        await workflow.sleep(wait, summary=waiting_for(self._state))
        self._timer, self._timer_at, self._rang = None, None, True

    # What is seen, and the end ---------------------------------------------------------------------

    def _show(self) -> None:
        """Say in words what the certificate waits for; set search attributes only where support would look."""
        deadline = next_deadline(self._state, self._terms.policy)
        workflow.set_current_details(details(self._state, deadline.at if deadline else None))
        if is_worth_setting(self._state, self._shown):
            self._shown = shown(self._state)
            workflow.upsert_search_attributes(updates(self._shown))

    def _is_over(self) -> bool:
        idle = not (self._remembered or self._held_back)
        return (
            idle and self._state.status not in LIVE and next_deadline(self._state, self._terms.policy) is None
        )

    def _should_renew(self) -> bool:
        """Whether to go on in a new run: the history grew long, or a newer deployment woke the certificate."""
        info = workflow.info()
        long = info.is_continue_as_new_suggested() or info.get_current_history_length() > HISTORY_LIMIT
        return long or self._newer_build

    def _carried(self) -> Carried:
        waiting = (*self._remembered, *self._held_back, *self._inbox)
        return Carried(
            waiting=tuple((encode_message(one.message).decode(), one.at) for one in waiting),
            seen=tuple(self._seen),
            shown=self._shown,
        )
