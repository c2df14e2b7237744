"""Support blocks a certificate and lifts the block, and has its client written to again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from giftcert.clock import utc_now
from giftcert.contracts.notices import about_product
from giftcert.domain.events import OperatorActed
from giftcert.domain.lifecycle import Rule, cell
from giftcert.domain.messages import Block, RequestNotification, Unblock
from giftcert.domain.policy import Policy
from giftcert.domain.state import CertificateState
from giftcert.people.asking import Ask, queue_of
from giftcert.people.deciding import Act, Decided, decide_on, new_key
from giftcert.storage.certificates import CertificateRepository, StoredCertificate, UnknownCertificateError
from giftcert.storage.events import EventRepository
from giftcert.storage.withdrawals import LockedCertificate, WithdrawalRepository
from workflows.requests import Answer


class NotAllowedError(Exception):
    """A certificate of this status cannot be told this; ``status`` as it is shown."""

    def __init__(self, status: str) -> None:
        super().__init__(status)
        self.status = status


@dataclass(frozen=True, slots=True)
class Standing:
    """How a certificate stands after an act; amounts in minor units of ``currency``."""

    certificate_id: str
    currency: str
    status: str
    refund_state: str
    balance: int
    held: int


class Blocking:
    """Blocks, unblocks, and asks for another notification: by the workflow where a certificate is or was sold."""

    def __init__(self, engine: AsyncEngine, ask: Ask, policy: Policy, channels: Sequence[str]) -> None:
        self._engine = engine
        self._ask = ask
        self._policy = policy
        self._channels = channels

    async def block(self, certificate_id: UUID, act: Act) -> Standing:
        """Stop spending and disclosure, and of an unsold certificate that it is given; again, it changes nothing.

        Raises:
            UnknownCertificateError: there is no such certificate.
            NotAllowedError: it is finished.
        """
        return await self._tell(certificate_id, Block(key=new_key(), reason=act.reason, by=act.by))

    async def unblock(self, certificate_id: UUID, act: Act) -> Standing:
        """Lift a block; where there is none nothing changes.

        Raises:
            UnknownCertificateError: there is no such certificate.
        """
        return await self._tell(certificate_id, Unblock(key=new_key(), reason=act.reason, by=act.by))

    async def notify_again(self, certificate_id: UUID, by: str) -> Standing:
        """Have CRM write to the client again.

        Raises:
            UnknownCertificateError: there is no such certificate.
            NotAllowedError: it is not in a buyer's hands.
        """
        async with self._engine.connect() as connection:
            state = (await CertificateRepository(connection).load(str(certificate_id))).state
        return await self._ask_workflow(state, RequestNotification(key=new_key(), requested_by=by))

    async def _tell(self, certificate_id: UUID, message: Block | Unblock) -> Standing:
        async with self._engine.begin() as connection:
            found = await WithdrawalRepository(connection).lock_one(certificate_id)
            if found is None:
                raise UnknownCertificateError(str(certificate_id))
            stored = await CertificateRepository(connection).load(str(certificate_id))
            if _is_nobodys(found, stored.state):
                return standing_of(await self._carry_out(connection, found, stored, message))
        return await self._ask_workflow(stored.state, message)

    async def _carry_out(
        self,
        connection: AsyncConnection,
        found: LockedCertificate,
        stored: StoredCertificate,
        message: Block | Unblock,
    ) -> CertificateState:
        """Decide under the lock, as no workflow would."""
        now = utc_now()
        decided = decide_on(stored, message, self._policy, now)
        if decided.records:
            await WithdrawalRepository(connection).write([decided.state], now)
            if found.is_told:
                events = EventRepository(connection)
                await events.append(stored.state.certificate_id, decided.records)
            else:
                await _tell_of_untold(connection, decided, message, now)
        return decided.state

    async def _ask_workflow(
        self, state: CertificateState, message: Block | Unblock | RequestNotification
    ) -> Standing:
        if cell(state.status, message).rule is Rule.UNEXPECTED:
            raise NotAllowedError(state.shown_status)
        channel = queue_of(state, self._channels)
        answer = await self._ask(state.certificate_id, channel, lambda _before: message)
        if answer.refusal is not None:  # it has changed since it was read
            raise NotAllowedError(answer.status)
        return _standing(state, answer)


def _is_nobodys(found: LockedCertificate, state: CertificateState) -> bool:
    """Whether no order ever named it, so that no workflow leads it and a block concerns no money."""
    return found.is_unsold and not state.orders and not state.past_sales


async def _tell_of_untold(
    connection: AsyncConnection, decided: Decided, message: Block | Unblock, now: datetime
) -> None:
    """The life that the stream tells begins with the reservation, so what came before is told of the product."""
    state = decided.state
    done = "blocked" if state.blocked else "unblocked"
    what = f"{done} certificate {state.certificate_id}, which was never reserved: {message.reason}"
    told = about_product(OperatorActed(who=message.by, what=what), state.product, now)
    await EventRepository(connection).append_keyed(state.product, [told])


def standing_of(state: CertificateState) -> Standing:
    """Return how a certificate stands."""
    return Standing(
        certificate_id=state.certificate_id,
        currency=state.currency,
        status=state.shown_status,
        refund_state=state.refund_state.value,
        balance=state.balance,
        held=state.held,
    )


def _standing(state: CertificateState, answer: Answer) -> Standing:
    return Standing(
        certificate_id=state.certificate_id,
        currency=state.currency,
        status=answer.status,
        refund_state=answer.refund_state,
        balance=answer.balance,
        held=answer.held,
    )
