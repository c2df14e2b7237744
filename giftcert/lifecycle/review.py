"""One review of a locked certificate: what waits for it is decided, then deadlines that have passed, then a request.

Pure but for the release gate, which it asks. Nothing is written here.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Literal, NamedTuple, TypeAlias

import msgspec

from giftcert.contracts.notices import Component, FailureReason, ProcessingFailed, about_certificate
from giftcert.contracts.stream import EventRecord, stamp
from giftcert.domain.certificate import events as e
from giftcert.domain.certificate import messages as m
from giftcert.domain.certificate.deadlines import Deadline, deadlines, is_over, next_deadline
from giftcert.domain.certificate.decide import decide
from giftcert.domain.certificate.decision import Decision
from giftcert.domain.certificate.lines import concerned_by_holder
from giftcert.domain.certificate.state import CertificateState, Holder, Line, LineRef, RefundCase, Status
from giftcert.domain.certificate.support_requests import record_act
from giftcert.domain.identifiers import NewId
from giftcert.domain.policy import Policy, Terms
from giftcert.lifecycle.release_gate import look_again_after
from giftcert.storage.certificates import LoadedCertificate, ParkedWork, PendingLine
from giftcert.storage.decisions import DecisionWrite, Disclosure
from giftcert.storage.idempotency import Answer
from giftcert.storage.order_lines import LineKey, LineReport, OrderLineRow
from giftcert.storage.pending import PendingRow
from giftcert.temporal.signals import Signal

SPENDINGS: LineKey = ("", 0)  # the row of pending that stands for spendings

MayRelease: TypeAlias = Callable[
    [Deadline, CertificateState, Sequence[PendingLine], Sequence[str]], Awaitable[bool]
]

_CASE: msgspec.json.Decoder[RefundCase] = msgspec.json.Decoder(RefundCase)


class StandingStillError(RuntimeError):
    """A deadline is still due after it was decided."""


class _Work(NamedTuple):
    """What a decision is about, as ``ParkedWork`` names it."""

    kind: Literal["line", "spending", "deadline"]
    key: str
    line_key: int = 0
    revision: int = 0


class Review:
    """Decides message after message on one certificate; ``state`` is always that after the last decision."""

    def __init__(
        self,
        loaded: LoadedCertificate,
        terms: Terms,
        now: datetime,
        new_id: NewId,
        build: str,
        may_release: MayRelease,
        *,
        retry_parked: bool = False,
    ) -> None:
        self.loaded = loaded
        self.before = replace(loaded.stored.state, lines=tuple(map(line_as_seen, loaded.lines)))
        self.state = self.before
        self.now = now
        self.records: list[EventRecord] = []  # for the stream
        self.decided: list[PendingLine] = []  # what is done of what was pending
        self.applied: list[str] = []  # and of spendings, by identity
        self.disclosures: list[Disclosure] = []
        self.look_again: datetime | None = None  # when the gate is asked again
        self.resolution: str | None = None  # how the reservation ended
        self.is_unlocked = False  # the number may be checked again
        self.terms = terms
        self._new_id = new_id
        self._build = build
        self._may_release = may_release
        self._retry_parked = retry_parked
        self._parked = {(one.kind, one.key, one.line_key): one for one in loaded.stored.parked}
        self._passed_over: set[m.DeadlinePassed] = set()

    @property
    def parked(self) -> tuple[ParkedWork, ...]:
        """What a fault of ours kept from being decided."""
        return tuple(self._parked.values())

    @property
    def is_behind(self) -> bool:
        """Whether a line changed that became known too late to be locked; it stays pending."""
        return len(self.decided) < len(self.loaded.pending)

    @property
    def is_over(self) -> bool:
        """Whether nothing is open, so that a run may end."""
        return self._is_at_rest and not (self.parked or self.is_behind)

    @property
    def next_instant(self) -> datetime | None:
        """When it looks at itself; never while it is at rest, as set statements lead what is for sale."""
        if self._is_at_rest:
            return None
        deadline = next_deadline(self.state, self._policy, self._passed_over)
        return min(filter(None, (deadline.at if deadline else None, self.look_again)), default=None)

    @property
    def timer_instant(self) -> datetime | None:
        """The same for the timer of its run: what the sweep finds when it is due is left out."""
        if self._is_at_rest:
            return None
        due = (one for one in deadlines(self.state, self._policy) if one.has_timer)
        instants = [one.at for one in due if one.message not in self._passed_over]
        return min(filter(None, (*instants, self.look_again)), default=None)

    def timer(self, timer_at: datetime | None) -> datetime | None:
        """Return what the timer of its run will be set to: it is moved only when its instant comes earlier."""
        return None if self.is_over else min(filter(None, (timer_at, self.timer_instant)), default=None)

    @property
    def _is_at_rest(self) -> bool:
        return is_over(self.state, self._policy)

    @property
    def _policy(self) -> Policy:
        return self.terms.policy

    def decide_pending(self) -> None:
        """Decide on lines that changed, as they now stand, and on spendings; both in the order in which they came."""
        locked = {SPENDINGS, *(line.ref for line in self.state.lines)}
        self.decided = [one for one in self.loaded.pending if one.key in locked]
        refs = [LineRef(*one.key) for one in self.decided]
        refs += [LineRef(one.key, one.line_key) for one in self.parked if one.kind == "line"]
        for ref in dict.fromkeys(refs):
            line = self.state.line(ref)
            if line is not None:
                self._decided(m.LineChanged(), _Work("line", *ref, line.standing.revision))
        for identity, spending in self.loaded.spendings:
            if self._decided(spending, _Work("spending", identity)):
                self.applied.append(identity)

    async def pass_deadlines(self) -> None:
        """Decide on all deadlines that have passed, one after another."""
        while (deadline := self._due()) is not None:
            work = _Work("deadline", repr(deadline.message))
            if await self._is_held_back(deadline, work):
                self.look_again = self.now + look_again_after(deadline, self.now)
                self._passed_over.add(deadline.message)
            elif not self._decided(deadline.message, work, deadline):
                self._passed_over.add(deadline.message)

    def _due(self) -> Deadline | None:
        deadline = next_deadline(self.state, self._policy, self._passed_over)
        return deadline if deadline is not None and deadline.at <= self.now else None

    async def _is_held_back(self, deadline: Deadline, work: _Work) -> bool:
        if not deadline.may_release or not self._is_to_try(work):
            return False
        if self._parked or self.state.waits_for or self.is_behind:
            return True
        return not await self._may_release(deadline, self.state, self.decided, self.applied)

    def decide_request(self, request: m.Request) -> Decision:
        """Decide a request, and return the decision about it alone. What that raises is raised."""
        decision = decide(self.state, request, self.now, self.terms, self._new_id)
        record_act(decision, request)
        self._take(decision, channel=getattr(request, "channel", None))
        self.is_unlocked = isinstance(request, m.UnlockVerification) and decision.refusal is None
        self.disclosures = [
            Disclosure(
                disclosed_to=event.disclosed_to,
                purpose=event.purpose,
                notification_id=event.notification_id,
                sequence=self.loaded.stored.sequence + len(self.records),  # a disclosure is one event
            )
            for event in decision.public
            if isinstance(event, e.CvcDisclosed)
        ]
        return decision

    def see_standings(self, rows: Iterable[OrderLineRow]) -> None:
        """Take lines as they stand after what a request says to their order."""
        standings = {row.key: row.standing for row in rows}
        lines = (replace(one, standing=standings.get(one.ref, one.standing)) for one in self.state.lines)
        self.state = replace(self.state, lines=tuple(lines))

    def to_write(
        self, timer_at: datetime | None, run_key: int | None, answer: Answer | None = None
    ) -> DecisionWrite | None:
        """Return what to write, or ``None`` if everything is as it was."""
        stored, known = self.loaded.stored, set(self.before.redemptions)
        decision = DecisionWrite(
            state=self.state,
            was=stored.state.shown_status,
            at=self.now,
            version=stored.version,
            sequence=stored.sequence,
            records=self.records,
            next_instant=self.next_instant,
            timer_at=timer_at,
            run_key=run_key,
            parked=self.parked,
            lines=self.changed_lines(),
            pending=self.decided,
            spendings=self.applied,
            redemptions=[one for one in self.state.redemptions if one not in known],
            reservation_changed=self.state.reservation != self.before.reservation,
            resolution=self.resolution,
            disclosures=self.disclosures,
            is_unlocked=self.is_unlocked,
            answer=answer,
        )
        if any((self.records, decision.lines, self.decided, self.applied, answer)):
            return decision
        before = (stored.state, stored.next_instant, stored.timer_at, stored.run_key, stored.parked)
        now = (replace(self.state, lines=()), self.next_instant, timer_at, run_key, self.parked)
        return None if now == before else decision

    def changed_lines(self) -> list[tuple[Line, LineReport]]:
        """Return the lines whose holder, waiters or money changed, each with what ingest reported."""
        reports = {row.key: row.report for row in self.loaded.lines}
        before = {line.ref: _written(line) for line in self.before.lines}
        return [(line, reports[line.ref]) for line in self.state.lines if _written(line) != before[line.ref]]

    def freed(self) -> list[PendingRow]:
        """Return pending rows for those concerned by a line's holder that let go of it or came further."""
        holders = {line.ref: line.holder for line in self.before.lines}
        return [
            PendingRow(
                certificate_id=certificate_id,
                order_id=line.ref.order_id,
                line_key=line.ref.line_key,
                kind=Signal.LINE_FREED,
                channel=line.standing.channel,
                cause=None,
            )
            for line, _ in self.changed_lines()
            if line.holder != holders[line.ref]
            for certificate_id in concerned_by_holder(line)
            if certificate_id != self.state.certificate_id
        ]

    def _is_to_try(self, work: _Work) -> bool:
        """Parked work is tried again when its standing or the build has changed, or when asked to."""
        parked = self._parked.get(work[:3])
        return (
            parked is None
            or self._retry_parked
            or (parked.revision, parked.build) != (work.revision, self._build)
        )

    def _decided(
        self, message: m.Fact | m.DeadlinePassed, work: _Work, must_move: Deadline | None = None
    ) -> bool:
        """Decide a message, or park it: a fault of ours in one certificate must not keep it from all else."""
        if not self._is_to_try(work):
            return False
        try:
            decision = decide(self.state, message, self.now, self.terms, self._new_id)
            self._check_progress(decision, must_move)
            self._take(decision)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a fault of ours
            self._park(work, message, type(error).__name__)
            return False
        self._parked.pop(work[:3], None)
        return True

    def _check_progress(self, decision: Decision, deadline: Deadline | None) -> None:
        if deadline and next_deadline(decision.state, self._policy, self._passed_over) == deadline:
            raise StandingStillError

    def _take(self, decision: Decision, channel: str | None = None) -> None:
        self.records += stamp(
            self.state, decision.recorded, at=self.now, channel=channel, clients=self.terms.clients
        )
        before, self.state = self.state.reservation, decision.state
        if decision.state.reservation != before:
            self.resolution = _resolution(decision) or self.resolution

    def _park(self, work: _Work, message: m.Fact | m.DeadlinePassed, error: str) -> None:
        """Park work; the stream hears of it the first time."""
        known = self._parked.get(work[:3])
        since = known.since if known else self.now
        self._parked[work[:3]] = ParkedWork(**work._asdict(), build=self._build, error=error, since=since)
        if known is not None:
            return
        cause = message.cause if isinstance(message, m.SpendingReported) else None
        notice = ProcessingFailed(
            topic=cause.topic if cause else None,
            event_id=cause.event_id if cause else None,
            reason=FailureReason.PARKED,
            detail=f"{type(message).__name__} could not be decided: {error}",
            component=Component.WORKFLOW,
        )
        self.records.append(about_certificate(notice, self.state, self.now))


def line_as_seen(row: OrderLineRow) -> Line:
    """Return a line as a certificate sees it."""
    return Line(
        standing=row.standing,
        counted=row.counted,
        holder=Holder(row.holder, Status(row.holder_status)) if row.holder and row.holder_status else None,
        names_ours=row.speaker is not None,
        unpaid_until=row.unpaid_until,
        open_case=None if row.open_case is None else _CASE.decode(row.open_case),
        recipient=row.recipient,
        waiters=row.waiters,
        reported=row.report.foreign,
    )


def _written(line: Line) -> tuple[object, ...]:
    """What the transaction writes of a line; the rest is ingest's."""
    return line.holder, line.waiters, line.counted, line.open_case, line.reported


def _resolution(decision: Decision) -> str | None:
    for event in decision.public:
        match event:
            case e.Ordered():
                return "ordered"
            case e.Released():
                return event.reason.value
            case e.Retired():
                return "retired"
            case _:
                pass
    return None
