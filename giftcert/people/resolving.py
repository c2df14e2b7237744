"""A person decides a refund case: found by its id, decided by its certificate's workflow, told from the stream."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine

from giftcert.domain.messages import ResolveRefund
from giftcert.domain.resolution import ResolutionRefusal
from giftcert.domain.state import CertificateState
from giftcert.people.asking import Ask, queue_of
from giftcert.people.deciding import new_key
from giftcert.storage.certificates import CertificateRepository
from giftcert.storage.refund_cases import LastDecision, RefundCaseRepository
from workflows.requests import Answer


class UnknownCaseError(LookupError):
    """No refund case has this id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a person decides about which case; ``amount`` is in nominal units."""

    refund_case_id: str
    decision: str
    amount: int | None
    note: str
    by: str


@dataclass(frozen=True, slots=True)
class Resolution:
    """What came of a verdict. ``decided`` is ``None`` if it was refused or waits for a second person."""

    verdict: Verdict
    certificate_id: str
    currency: str
    answer: Answer
    decided: LastDecision | None

    @property
    def refusal(self) -> ResolutionRefusal | None:
        """Why it was not carried out."""
        if self.decided is not None or self.answer.refusal is None:
            return None
        return ResolutionRefusal(self.answer.refusal)


class Resolving:
    """Decides refund cases through their workflows."""

    def __init__(self, engine: AsyncEngine, ask: Ask, channels: Sequence[str]) -> None:
        self._engine = engine
        self._ask = ask
        self._channels = channels

    async def resolve(self, verdict: Verdict, *, may_repeat: bool) -> Resolution:
        """Carry a verdict out, or say why not.

        Args:
            verdict: who decides what.
            may_repeat: the answer to the same verdict may have been lost, so that one which was carried out already
                is answered again, instead of saying that nothing waits.

        Raises:
            UnknownCaseError: there is no such case.
        """
        state = await self._certificate_of(verdict.refund_case_id)
        channel = queue_of(state, self._channels)
        answer = await self._ask(state.certificate_id, channel, lambda _before: _message(verdict))
        decided = await self._decided(verdict, answer, may_repeat=may_repeat)
        return Resolution(verdict, state.certificate_id, state.currency, answer, decided)

    async def _certificate_of(self, refund_case_id: str) -> CertificateState:
        async with self._engine.connect() as connection:
            certificate_id = await RefundCaseRepository(connection).certificate_of(refund_case_id)
            if certificate_id is None:
                raise UnknownCaseError(refund_case_id)
            return (await CertificateRepository(connection).load(certificate_id)).state

    async def _decided(self, verdict: Verdict, answer: Answer, *, may_repeat: bool) -> LastDecision | None:
        """Return what the stream tells of the decision, if it was carried out."""
        lost = may_repeat and answer.refusal == ResolutionRefusal.NOTHING_PENDING
        if answer.awaiting_second or (answer.refusal is not None and not lost):
            return None
        async with self._engine.connect() as connection:
            last = await RefundCaseRepository(connection).last_decision(verdict.refund_case_id, verdict.by)
        is_same = last is not None and (last.decision, last.note) == (verdict.decision, verdict.note)
        return last if is_same or not lost else None


def _message(verdict: Verdict) -> ResolveRefund:
    """The key is new with each attempt, as the loop remembers refusals too."""
    return ResolveRefund(
        key=new_key(),
        refund_case_id=verdict.refund_case_id,
        decision=verdict.decision,
        amount=verdict.amount,
        resolved_by=verdict.by,
        note=verdict.note,
    )
