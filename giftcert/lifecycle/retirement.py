"""Retirement of a batch or a certificate: what is not sold is retired by a set statement, the rest one by one."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from giftcert.domain.certificate.messages import Retire
from giftcert.lifecycle.change import Lifecycle
from giftcert.storage.operations import OperationRepository
from giftcert.temporal.signals import Wake


@dataclass(frozen=True, slots=True)
class Retired:
    """One step of an operation: whether it was the last, and whom it concerns."""

    finished: bool
    wakes: tuple[Wake, ...] = ()


async def retire_next(lifecycle: Lifecycle, operation_id: UUID, now: datetime) -> Retired:
    """Retire or block the next certificates of an operation; a step cut short by a crash may be done again."""
    async with lifecycle.database.transaction() as connection:
        operations = OperationRepository(connection)
        operation = await operations.find(operation_id)
        if operation is None or operation.finished_at is not None:
            return Retired(finished=True)
        chunk = await operations.retire_unsold(operation, now)
    request = Retire(reason=operation.reason, by=operation.requested_by)
    outcomes = [await lifecycle.act(str(one), request, now) for one in chunk.left]
    async with lifecycle.database.transaction() as connection:
        finished = await OperationRepository(connection).advance(operation, chunk, now)
    return Retired(finished, tuple(wake for outcome in outcomes for wake in outcome.wakes))
