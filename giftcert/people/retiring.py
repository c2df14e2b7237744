"""Operations withdraw a batch or one certificate: what is unsold is retired, what is sold is blocked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from giftcert.clock import utc_now
from giftcert.contracts.notices import about_product
from giftcert.domain.events import OperatorActed
from giftcert.domain.messages import Block, Retire
from giftcert.domain.policy import Policy
from giftcert.domain.state import Status
from giftcert.people.deciding import Act, Decided, decide_on, new_key
from giftcert.people.nudging import Nudge
from giftcert.storage.certificates import CertificateRepository, StoredCertificate, UnknownCertificateError
from giftcert.storage.events import EventRepository
from giftcert.storage.withdrawals import RETIRABLE, LockedCertificate, WithdrawalRepository

CHUNK = 1_000
"""Certificates in one transaction: about a tenth of a second, in which their orders and claims wait."""


class UnknownBatchError(LookupError):
    """There is no batch with this id."""


@dataclass(frozen=True, slots=True)
class Retirement:
    """How many certificates were retired and blocked now, and how many of those asked for stand how afterwards."""

    retired: int
    blocked: int
    statuses: dict[str, int]


class Retiring:
    """Withdraws certificates, a part of them in each transaction; begun again, it goes on where it ended."""

    def __init__(
        self,
        engine: AsyncEngine,
        policy: Policy,
        act: Act,
        nudge: Nudge | None = None,
        progress: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._engine = engine
        self._policy = policy
        self._act = act
        self._nudge = nudge
        self._progress = progress
        self._retired = 0
        self._blocked = 0

    async def batch(self, batch_id: UUID) -> Retirement:
        """Withdraw all certificates of a batch.

        Raises:
            UnknownBatchError: there is no such batch.
        """
        async with self._engine.connect() as connection:
            if not await WithdrawalRepository(connection).has_batch(batch_id):
                raise UnknownBatchError(batch_id)
        # What was locked by others may have become something else meanwhile, hence once more from the beginning.
        while await self._pass_over(batch_id):
            pass
        async with self._engine.connect() as connection:
            statuses = await WithdrawalRepository(connection).statuses(batch_id)
        return Retirement(self._retired, self._blocked, statuses)

    async def certificate(self, certificate_id: UUID) -> Retirement:
        """Withdraw one certificate.

        Raises:
            UnknownCertificateError: there is no such certificate.
        """
        async with self._engine.begin() as connection:
            found = await WithdrawalRepository(connection).lock_one(certificate_id)
            if found is None:
                raise UnknownCertificateError(str(certificate_id))
            led = await self._withdraw(connection, [found], f"certificate {certificate_id}")
            [stored] = await CertificateRepository(connection).load_all([certificate_id])
        await self._tell(led)
        return Retirement(self._retired, self._blocked, {stored.state.shown_status: 1})

    async def _pass_over(self, batch_id: UUID) -> int:
        """Go through the batch once; return how many certificates there were to withdraw."""
        after, seen = UUID(int=0), 0
        while True:
            async with self._engine.begin() as connection:
                found = await WithdrawalRepository(connection).lock_some(batch_id, after, CHUNK)
                if not found:
                    return seen
                led = await self._withdraw(connection, found, f"batch {batch_id}")
            await self._tell(led)
            after, seen = found[-1].certificate_id, seen + len(found)
            self._progress(self._retired + self._blocked)

    async def _tell(self, led: Sequence[str]) -> None:
        if self._nudge is not None:
            await self._nudge.tell(led)

    async def _withdraw(
        self, connection: AsyncConnection, found: Sequence[LockedCertificate], which: str
    ) -> list[str]:
        """Retire or block, as the domain decides; return those changed that a workflow may lead."""
        now = utc_now()
        untold = [one for one in found if one.is_unsold and not one.is_told]
        if untold:
            await self._retire_untold(connection, untold, which, now)
        others = [one.certificate_id for one in found if one.is_told and (one.is_unsold or one.is_sold)]
        stored = await CertificateRepository(connection).load_all(others)
        changed = [one for one in (self._decide(each, now) for each in stored) if one.records]
        await self._carry_out(connection, changed, now)
        return [one.state.certificate_id for one in changed if one.state.orders]

    async def _retire_untold(
        self, connection: AsyncConnection, found: Sequence[LockedCertificate], which: str, now: datetime
    ) -> None:
        """Retire what no channel ever had: the stream, which knows nothing of them, is told of all by one event."""
        await WithdrawalRepository(connection).retire_untold([one.certificate_id for one in found])
        what = f"retired {len(found)} certificates of {which} that were never reserved: {self._act.reason}"
        told = about_product(OperatorActed(who=self._act.by, what=what), found[0].product, now)
        await EventRepository(connection).append_keyed(found[0].product, [told])
        self._retired += len(found)

    def _decide(self, stored: StoredCertificate, now: datetime) -> Decided:
        kind = Retire if stored.state.status in RETIRABLE else Block
        message = kind(key=new_key(), reason=self._act.reason, by=self._act.by)
        return decide_on(stored, message, self._policy, now)

    async def _carry_out(
        self, connection: AsyncConnection, changed: Sequence[Decided], now: datetime
    ) -> None:
        if not changed:
            return
        await WithdrawalRepository(connection).write([one.state for one in changed], now)
        told = [(UUID(one.state.certificate_id), record) for one in changed for record in one.records]
        await EventRepository(connection).append_all(told)
        retired = sum(one.state.status == Status.RETIRED for one in changed)
        self._retired += retired
        self._blocked += len(changed) - retired
