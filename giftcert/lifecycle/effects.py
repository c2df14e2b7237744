"""What a review of a certificate leads to: what is written, whom the commit concerns, what support sees. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from giftcert.domain.certificate import events as e
from giftcert.domain.certificate.deadlines import is_over
from giftcert.domain.certificate.messages import Request
from giftcert.domain.certificate.state import CertificateState, Line
from giftcert.domain.policy import Policy
from giftcert.lifecycle.review import Review
from giftcert.lifecycle.snapshot import SealedSecrets, Snapshot
from giftcert.lifecycle.visibility import details, visibility, waiting_for
from giftcert.storage.certificates import LoadedCertificate
from giftcert.storage.decisions import DecisionWrite, Disclosure
from giftcert.storage.idempotency import Answer
from giftcert.storage.pending import PendingRow
from giftcert.temporal.signals import Signal, Wake


@dataclass(frozen=True, slots=True)
class Effects:
    """The effects of a review of a loaded certificate."""

    loaded: LoadedCertificate
    review: Review
    policy: Policy

    @property
    def is_over(self) -> bool:
        """Whether nothing is open, so that a run may end."""
        return self._is_at_rest and not (self.review.parked or self.review.is_behind)

    @property
    def _is_at_rest(self) -> bool:
        return is_over(self.review.state, self.policy)

    @property
    def next_instant(self) -> datetime | None:
        """When it looks at itself; never while it is at rest, as set statements lead what is for sale."""
        return None if self._is_at_rest else self.review.next_instant

    def timer(self, timer_at: datetime | None) -> datetime | None:
        """Return what the timer of its run will be set to, which is moved only where the next instant comes earlier."""
        if self.is_over:
            return None
        if timer_at is not None and (self.next_instant is None or timer_at <= self.next_instant):
            return timer_at
        return self.next_instant

    # What is written ------------------------------------------------------------------------------

    def to_write(self, timer_at: datetime | None, answer: Answer | None = None) -> DecisionWrite | None:
        """Return what to write, or ``None`` if everything is as it was."""
        stored, review, state = self.loaded.stored, self.review, self.review.state
        known = {one.redemption_id: one for one in stored.state.redemptions}
        decision = DecisionWrite(
            state=state,
            at=review.now,
            version=stored.version,
            sequence=stored.sequence,
            records=review.records,
            next_instant=self.next_instant,
            timer_at=timer_at,
            parked=review.parked,
            lines=[(line, row.report) for line, row in review.changed_lines()],
            pending=review.decided,
            spendings=review.applied,
            redemptions=[one for one in state.redemptions if known.get(one.redemption_id) != one],
            reservation_changed=state.reservation != stored.state.reservation,
            resolution=review.resolution,
            disclosures=self._disclosures(),
            is_unlocked=review.is_unlocked,
            answer=answer,
        )
        return decision if self._changes(decision) else None

    def _changes(self, decision: DecisionWrite) -> bool:
        stored = self.loaded.stored
        rest = (decision.records, decision.lines, decision.pending, decision.spendings, decision.answer)
        return any(rest) or (stored.state, stored.next_instant, stored.timer_at, stored.parked) != (
            replace(decision.state, lines=()),
            decision.next_instant,
            decision.timer_at,
            decision.parked,
        )

    def _disclosures(self) -> list[Disclosure]:
        """Return the disclosures among the events, each with the sequence number that its event gets."""
        return [
            Disclosure(
                disclosed_to=event.disclosed_to,
                purpose=event.purpose,
                notification_id=event.notification_id,
                sequence=self.loaded.stored.sequence + nth,
            )
            for nth, event in enumerate(self.review.public, 1)
            if isinstance(event, e.CvcDisclosed)
        ]

    # Whom it concerns -----------------------------------------------------------------------------

    def freed_rows(self) -> list[PendingRow]:
        """Return the pending rows of certificates that may now have a line, or hear of its holder."""
        return [_freed_row(line, certificate_id) for line, certificate_id in self.review.freed()]

    def wake_of(self, request: Request) -> Iterator[Wake]:
        """Yield the signal to the certificate's own run, if support would see a difference there."""
        before, state = self.review.before, self.review.state
        channel = _channel(state) or _channel(before)
        if _seen(before) == _seen(state) or channel is None or not (state.sales or state.waits_for):
            return
        yield Wake(
            certificate_id=state.certificate_id,
            signal=Signal.REQUEST_DECIDED,
            channel=channel,
            product=state.product,
            order_id=state.sales[-1].order_id if state.sales else None,
            cause=type(request).__name__,
        )

    # What support sees ----------------------------------------------------------------------------

    def snapshot(self, wakes: tuple[Wake, ...], *, first: bool) -> Snapshot:
        """Return what the run shows; the sealed secrets come with its first look."""
        state, stored = self.review.state, self.loaded.stored
        sealed = SealedSecrets(number_sealed=stored.number_sealed, cvc_sealed=stored.cvc_sealed)
        return Snapshot(
            status=state.shown_status,
            over=self.is_over,
            next_instant=self.next_instant,
            details=details(state, self.next_instant) + self._parked_line(),
            waiting_for=waiting_for(state),
            visibility=visibility(state),
            sealed=sealed if first else None,
            wakes=wakes,
        )

    def _parked_line(self) -> str:
        parked = len(self.review.parked)
        return (
            f"\n\n**{parked} messages could not be decided**, for a fault of the service." if parked else ""
        )


def freed_wake(row: PendingRow) -> Wake:
    """Return the signal that tells of a pending row of ``freed_rows``."""
    return Wake(
        certificate_id=row.certificate_id, signal=row.kind, channel=row.channel, order_id=row.order_id
    )


def _freed_row(line: Line, certificate_id: str) -> PendingRow:
    return PendingRow(
        certificate_id=certificate_id,
        order_id=line.ref.order_id,
        line_key=line.ref.line_key,
        kind=Signal.LINE_FREED,
        channel=line.standing.channel,
        cause=None,
    )


def _seen(state: CertificateState) -> tuple[object, ...]:
    return visibility(state), state.shown_status


def _channel(state: CertificateState) -> str | None:
    """Return who sold the certificate last, on whose task queue a run of it is started."""
    channels = [sale.channel for sale in state.sales if sale.channel is not None]
    return channels[-1] if channels else state.sale_channel
