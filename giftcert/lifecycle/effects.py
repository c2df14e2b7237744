"""What a review of a certificate leads to: what is written, whom the commit concerns, what support sees. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from giftcert.domain.certificate.deadlines import is_over
from giftcert.domain.certificate.messages import Request
from giftcert.domain.certificate.state import CertificateState
from giftcert.lifecycle.review import Review
from giftcert.lifecycle.snapshot import SealedSecrets, Snapshot
from giftcert.lifecycle.visibility import details, visibility, waiting_for
from giftcert.storage.decisions import DecisionWrite
from giftcert.storage.idempotency import Answer
from giftcert.storage.pending import PendingRow
from giftcert.temporal.signals import Signal, Wake


@dataclass(frozen=True, slots=True)
class Effects:
    """The effects of a review."""

    review: Review

    @property
    def is_over(self) -> bool:
        """Whether nothing is open, so that a run may end."""
        return self._is_at_rest and not (self.review.parked or self.review.is_behind)

    @property
    def _is_at_rest(self) -> bool:
        return is_over(self.review.state, self.review.policy)

    @property
    def next_instant(self) -> datetime | None:
        """When it looks at itself; never while it is at rest, as set statements lead what is for sale."""
        return None if self._is_at_rest else self.review.next_instant

    def timer(self, timer_at: datetime | None) -> datetime | None:
        """Return what the timer of its run will be set to, which is moved only where the next instant comes earlier."""
        return None if self.is_over else min(filter(None, (timer_at, self.next_instant)), default=None)

    # What is written ------------------------------------------------------------------------------

    def to_write(self, timer_at: datetime | None, answer: Answer | None = None) -> DecisionWrite | None:
        """Return what to write, or ``None`` if everything is as it was."""
        stored, review, state = self.review.loaded.stored, self.review, self.review.state
        known = set(stored.state.redemptions)
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
            redemptions=[one for one in state.redemptions if one not in known],
            reservation_changed=state.reservation != stored.state.reservation,
            resolution=review.resolution,
            disclosures=review.disclosures,
            is_unlocked=review.is_unlocked,
            answer=answer,
        )
        is_as_it_was = not any((review.records, decision.lines, review.decided, review.applied, answer)) and (
            (stored.state, stored.next_instant, stored.timer_at, stored.parked)
            == (replace(state, lines=()), self.next_instant, timer_at, review.parked)
        )
        return None if is_as_it_was else decision

    # Whom it concerns -----------------------------------------------------------------------------

    def freed_rows(self) -> list[PendingRow]:
        """Return the pending rows of certificates that may now have a line, or hear of its holder."""
        return [
            PendingRow(
                certificate_id=certificate_id,
                order_id=line.ref.order_id,
                line_key=line.ref.line_key,
                kind=Signal.LINE_FREED,
                channel=line.standing.channel,
                cause=None,
            )
            for line, certificate_id in self.review.freed()
        ]

    def wake_of(self, request: Request) -> Iterator[Wake]:
        """Yield the signal to the certificate's own run, if support would see a difference there."""
        before, state = self.review.before, self.review.state
        channel = _channel(state) or _channel(before)
        looks_alike = (visibility(before), before.shown_status) == (visibility(state), state.shown_status)
        if looks_alike or channel is None or not (state.sales or state.waits_for):
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
        state, parked = self.review.state, len(self.review.parked)
        said = details(state, self.next_instant)
        if parked:
            said += f"\n\n**{parked} messages could not be decided**, for a fault of the service."
        return Snapshot(
            status=state.shown_status,
            over=self.is_over,
            next_instant=self.next_instant,
            details=said,
            waiting_for=waiting_for(state),
            visibility=visibility(state),
            sealed=sealed_secrets(self.review) if first else None,
            wakes=wakes,
        )


def sealed_secrets(review: Review) -> SealedSecrets:
    """Return number and CVC of the certificate that was reviewed."""
    stored = review.loaded.stored
    return SealedSecrets(number_sealed=stored.number_sealed, cvc_sealed=stored.cvc_sealed)


def freed_wake(row: PendingRow) -> Wake:
    """Return the signal about a pending row of ``freed_rows``."""
    return Wake(
        certificate_id=row.certificate_id, signal=row.kind, channel=row.channel, order_id=row.order_id
    )


def _channel(state: CertificateState) -> str | None:
    """Return who sold the certificate last, on whose task queue a run of it is started."""
    channels = [sale.channel for sale in state.sales if sale.channel is not None]
    return channels[-1] if channels else state.sale_channel
