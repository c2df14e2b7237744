"""Group commit of claims: those of a product that come while its statements run go with the next (ADR 26)."""

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TypeAlias

from giftcert.storage.claims import Claimed, ClaimRepository, ClaimRequest
from giftcert.storage.database import OverloadedError, is_database_away

LARGEST_BATCH = 200  # certificates, some 20 ms of the server; a single claim is at most half of it
STATEMENTS_AT_ONCE = 2  # while one waits for the disk the next runs; with more each would serve fewer claims
MOST_WAITING = 400  # claims; they are served within half a second
WORTH_SHARING = 8  # claims; fewer go in one statement
_Waiting: TypeAlias = tuple[ClaimRequest, "asyncio.Future[Claimed]"]


@dataclass(slots=True)
class _ProductQueue:
    """The claims of one product."""

    waiting: list[_Waiting] = field(default_factory=list)
    being_served: int = 0
    statements: set[asyncio.Task[None] | None] = field(default_factory=set)

    def next_batch(self) -> list[_Waiting]:
        """Remove and return what the next statement serves, first come first served.

        Half of all claims there are, so that the other half is read and answered meanwhile: callers who ask again at
        once would otherwise all come to wait for one statement, and the process with them.
        """
        share = -(-(len(self.waiting) + self.being_served) // STATEMENTS_AT_ONCE)
        quantities = accumulate(request.quantity for request, _ in self.waiting)
        end = min(max(share, WORTH_SHARING), sum(1 for quantity in quantities if quantity <= LARGEST_BATCH))
        batch = self.waiting[:end]
        del self.waiting[:end]
        return batch


class ClaimQueue:
    """Gathers the claims of a process, by product; each is answered as if it were alone."""

    def __init__(self, claims: ClaimRepository) -> None:
        self._claims = claims
        self._queues: defaultdict[str, _ProductQueue] = defaultdict(_ProductQueue)

    async def claim(self, request: ClaimRequest) -> Claimed:
        """Reserve as many certificates as asked, or none; a repeat under the same key is answered as at first.

        One call at a time may come under a key: no statement serves it twice. After an error of the database nothing
        was claimed, or the same key returns what was; `OverloadedError` where too many wait already.
        """
        queue = self._queues[request.product.id]
        if len(queue.waiting) >= MOST_WAITING:
            raise OverloadedError(f"{len(queue.waiting)} claims wait")
        answer: asyncio.Future[Claimed] = asyncio.get_running_loop().create_future()
        queue.waiting.append((request, answer))
        if len(queue.statements) < STATEMENTS_AT_ONCE:
            queue.statements.add(asyncio.create_task(self._serve_all(queue)))
        return await answer

    async def _serve_all(self, queue: _ProductQueue) -> None:
        try:
            while queue.waiting:
                await asyncio.sleep(0)  # requests that have arrived come to their claims, and join
                if batch := queue.next_batch():
                    queue.being_served += len(batch)
                    await self._serve(batch)
                    queue.being_served -= len(batch)
        finally:  # at once, not when the task is seen to be done: whoever comes in between would wait for nobody
            queue.statements.discard(asyncio.current_task())

    async def _serve(self, batch: list[_Waiting]) -> None:
        try:
            claimed = await self._claims.claim([request for request, _ in batch])
        except Exception as error:  # noqa: BLE001 - handed to every caller that waits for it
            if len(batch) > 1 and not is_database_away(error):
                for one in batch:  # what the server refuses of one must not fail the others
                    await self._serve([one])
                return
            for _, answer in batch:
                if not answer.done():  # its caller may have left
                    answer.set_exception(error)
        else:
            for (_, answer), result in zip(batch, claimed, strict=True):
                if not answer.done():
                    answer.set_result(result)
