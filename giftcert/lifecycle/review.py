"""One review of a locked certificate: what waits for it is decided, then deadlines that have passed, then a request.

Pure but for the release gate, which it asks. Nothing is written here.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import TypeAlias

import msgspec

from giftcert.contracts.notices import ProcessingFailed, about_certificate
from giftcert.contracts.records import EventRecord
from giftcert.contracts.stream import COMPONENT, stamp
from giftcert.domain.certificate import events as e
from giftcert.domain.certificate import messages as m
from giftcert.domain.certificate.deadlines import Deadline, next_deadline
from giftcert.domain.certificate.decide import decide
from giftcert.domain.certificate.decision import Decision
from giftcert.domain.certificate.state import (
    Holder,
    Line,
    LineRef,
    RefundCase,
    Status,
)
from giftcert.domain.identifiers import NewId
from giftcert.domain.policy import Policy, Terms
from giftcert.lifecycle.release_gate import look_again_after
from giftcert.storage.certificates import LoadedCertificate, ParkedWork, PendingLine
from giftcert.storage.order_lines import LineKey, OrderLineRow

SPENDINGS: LineKey = ("", 0)
"""The row of ``pending`` that stands for spendings."""

MayRelease: TypeAlias = Callable[[Deadline], Awaitable[bool]]
"""Says whether time alone may put the certificate back into the pool."""

_CASE: msgspec.json.Decoder[RefundCase] = msgspec.json.Decoder(RefundCase)


class StandingStillError(RuntimeError):
    """A deadline is still due after it was decided."""


class Review:
    """Decides message after message on one certificate, and collects what follows.

    ``state`` is always that after the last decision. ``records`` are the events for the stream, ``public`` what the
    domain calls each (``None``: a fault of ours). ``decided`` and ``applied`` are the pending lines and the spendings
    that are done, ``parked`` is what a fault of ours kept from being decided. ``look_again``: when the gate is asked
    again. ``resolution``: how the reservation ended. ``is_unlocked``: the number may be checked again.
    """

    def __init__(
        self, loaded: LoadedCertificate, terms: Terms, now: datetime, new_id: NewId, build: str
    ) -> None:
        self.before = replace(loaded.stored.state, lines=tuple(map(line_as_seen, loaded.lines)))
        self.state = self.before
        self.now = now
        self.records: list[EventRecord] = []
        self.public: list[e.PublicEvent | None] = []
        self.decided: list[PendingLine] = []
        self.applied: list[str] = []
        self.look_again: datetime | None = None
        self.resolution: str | None = None
        self.is_unlocked = False
        self._loaded = loaded
        self._terms = terms
        self._new_id = new_id
        self._build = build
        self._parked = {_name(one): one for one in loaded.stored.parked}
        self._passed_over: set[m.DeadlinePassed] = set()

    @property
    def parked(self) -> tuple[ParkedWork, ...]:
        """What could not be decided."""
        return tuple(self._parked.values())

    @property
    def is_behind(self) -> bool:
        """Whether a line changed that became known too late to be locked; it stays pending."""
        return len(self.decided) < len(self._loaded.pending)

    @property
    def next_instant(self) -> datetime | None:
        """When the certificate next has to look at itself."""
        deadline = next_deadline(self.state, self._policy, self._passed_over)
        instants = [one for one in (deadline.at if deadline else None, self.look_again) if one is not None]
        return min(instants, default=None)

    @property
    def _policy(self) -> Policy:
        return self._terms.policy

    # What waits -----------------------------------------------------------------------------------

    def decide_pending(self, *, retry_parked: bool) -> None:
        """Decide on lines that changed, as they now stand, and on spendings; both in the order in which they came."""
        locked = {line.ref: line for line in self.state.lines}
        for pending in self._loaded.pending:
            if pending.key == SPENDINGS:
                self.decided.append(pending)
            elif LineRef(*pending.key) in locked:
                self._line_changed(LineRef(*pending.key), retry=retry_parked)
                self.decided.append(pending)
        for ref in self._parked_lines():
            if ref in locked:
                self._line_changed(ref, retry=retry_parked)
        for identity, spending in self._loaded.spendings:
            if self._is_to_try(("spending", identity, 0), 0, retry=retry_parked) and self._decided(
                spending, ParkedWork(kind="spending", key=identity, build="", error="", since=self.now)
            ):
                self.applied.append(identity)

    def _line_changed(self, ref: LineRef, *, retry: bool) -> None:
        line = self.state.line(ref)
        if line is None:
            return
        revision = line.standing.revision
        if self._is_to_try(("line", ref.order_id, ref.line_key), revision, retry=retry):
            work = ParkedWork(
                kind="line",
                key=ref.order_id,
                line_key=ref.line_key,
                revision=revision,
                build="",
                error="",
                since=self.now,
            )
            self._decided(m.LineChanged(line), work)

    def _parked_lines(self) -> Iterator[LineRef]:
        done = {pending.key for pending in self.decided}
        for one in self.parked:
            if one.kind == "line" and (one.key, one.line_key) not in done:
                yield LineRef(one.key, one.line_key)

    # Deadlines ------------------------------------------------------------------------------------

    async def pass_deadlines(self, may_release: MayRelease, *, retry_parked: bool) -> None:
        """Decide on all deadlines that have passed, one after another."""
        while (deadline := self._due()) is not None:
            work = ParkedWork(kind="deadline", key=repr(deadline.message), build="", error="", since=self.now)
            if not self._is_to_try(_name(work), 0, retry=retry_parked):
                self._passed_over.add(deadline.message)
            elif deadline.may_release and not await self._may_release(may_release, deadline):
                self._hold_back(deadline)
            elif not self._decided(deadline.message, work, must_move=deadline):
                self._passed_over.add(deadline.message)

    def _due(self) -> Deadline | None:
        deadline = next_deadline(self.state, self._policy, self._passed_over)
        return deadline if deadline is not None and deadline.at <= self.now else None

    async def _may_release(self, may_release: MayRelease, deadline: Deadline) -> bool:
        if self._parked or self.state.waits_for or self.is_behind:
            return False
        return await may_release(deadline)

    def _hold_back(self, deadline: Deadline) -> None:
        self._passed_over.add(deadline.message)
        again = self.now + look_again_after(deadline, self.now)
        self.look_again = again if self.look_again is None else min(self.look_again, again)

    # Requests -------------------------------------------------------------------------------------

    def decide_request(self, request: m.Request) -> Decision:
        """Decide a request, and return the decision about it alone. What that raises is raised."""
        decision = decide(self.state, request, self.now, self._terms, self._new_id)
        self._take(decision, channel=getattr(request, "channel", None))
        self.is_unlocked = isinstance(request, m.UnlockVerification) and decision.refusal is None
        return decision

    def see_standings(self, rows: Iterable[OrderLineRow]) -> None:
        """Take lines as they stand after what a request says to their order."""
        newer = {LineRef(*row.key): row for row in rows}
        lines = (
            replace(line, standing=newer[line.ref].standing) if line.ref in newer else line
            for line in self.state.lines
        )
        self.state = replace(self.state, lines=tuple(lines))

    # Outcome --------------------------------------------------------------------------------------

    def changed_lines(self) -> list[tuple[Line, OrderLineRow]]:
        """Return the lines whose holder, waiters or money the decisions changed, each with its stored row."""
        rows = {LineRef(*row.key): row for row in self._loaded.lines}
        before = {line.ref: line for line in self.before.lines}
        lines = (self._with_own_status(line) for line in self.state.lines)
        return [
            (line, rows[line.ref])
            for line in lines
            if line.ref in rows and _written(line) != _written(before[line.ref])
        ]

    def freed(self) -> list[tuple[Line, str]]:
        """Return whom it concerns that a line's holder let go of it, or has come further."""
        before = {line.ref: line.holder for line in self.before.lines}
        return [
            (line, certificate_id)
            for line, _ in self.changed_lines()
            if line.holder != before[line.ref]
            for certificate_id in _concerned(line)
            if certificate_id != self.state.certificate_id
        ]

    def _with_own_status(self, line: Line) -> Line:
        """What others are told of the holder is how far it has come by now."""
        if line.holder is None or line.holder.certificate_id != self.state.certificate_id:
            return line
        return replace(line, holder=Holder(self.state.certificate_id, self.state.status))

    # One decision ---------------------------------------------------------------------------------

    def _is_to_try(self, name: tuple[str, str, int], revision: int, *, retry: bool) -> bool:
        """Work that is parked is tried again when its standing has changed, with another build, or when asked to."""
        parked = self._parked.get(name)
        return parked is None or retry or (parked.revision, parked.build) != (revision, self._build)

    def _decided(
        self, message: m.Fact | m.DeadlinePassed, work: ParkedWork, *, must_move: Deadline | None = None
    ) -> bool:
        """Decide a message, or park it: a fault of ours in one certificate must not keep it from all else."""
        try:
            decision = decide(self.state, message, self.now, self._terms, self._new_id)
            self._check_progress(decision, must_move)
            self._take(decision)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a fault of ours
            self._park(replace(work, build=self._build, error=type(error).__name__), message)
            return False
        self._parked.pop(_name(work), None)
        return True

    def _check_progress(self, decision: Decision, deadline: Deadline | None) -> None:
        if deadline and next_deadline(decision.state, self._policy, self._passed_over) == deadline:
            raise StandingStillError(deadline.message)

    def _take(self, decision: Decision, channel: str | None = None) -> None:
        records = stamp(self.state, decision.recorded, at=self.now, channel=channel, states=decision.states)
        before, self.state = self.state.reservation, decision.state
        self.records += records
        self.public += decision.public
        if before is not None and not before.ended and decision.state.reservation != before:
            self.resolution = _resolution(decision) or self.resolution

    def _park(self, work: ParkedWork, message: m.Fact | m.DeadlinePassed) -> None:
        known = self._parked.get(_name(work))
        if known is not None:
            self._parked[_name(work)] = replace(work, since=known.since)
            return
        self._parked[_name(work)] = work
        cause = message.cause if isinstance(message, m.SpendingReported) else None
        notice = ProcessingFailed(
            topic=cause.topic if cause else None,
            partition=None,
            offset=None,
            event_id=cause.event_id if cause else None,
            reason="parked",
            detail=f"{type(message).__name__} could not be decided: {work.error}",
            component=COMPONENT,
        )
        self.records.append(about_certificate(notice, self.state, self.now))
        self.public.append(None)


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


def _concerned(line: Line) -> tuple[str, ...]:
    """Return who waits for a line and, where nobody holds it, who speaks for its money and a case that was left."""
    named = line.standing.naming.certificate_id
    speaks = line.holder is None and line.names_ours and named not in line.waiters
    return (*line.waiters, named) if speaks else line.waiters


def _written(line: Line) -> tuple[object, ...]:
    """Return what the transaction writes of a line; the rest is ingest's."""
    return line.holder, line.waiters, line.counted, line.open_case, line.reported


def _resolution(decision: Decision) -> str | None:
    """Return how the reservation ended, as far as a decision ended it."""
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


def _name(work: ParkedWork) -> tuple[str, str, int]:
    return work.kind, work.key, work.line_key
