"""Group commit of claims: those of a product that come while its statements run go with the next (ADR 26)."""

import asyncio
from collections import defaultdict
from itertools import accumulate
from typing import TypeAlias

from giftcert.storage.claims import Claimed, ClaimRepository, ClaimRequest
from giftcert.storage.database import is_database_away

LARGEST_BATCH = 200  # certificates, some 20 ms of the server; a single claim is at most half of it
STATEMENTS_AT_ONCE = 2  # while one waits for the disk the next runs; with more each would serve fewer claims
TURNS = 3  # of the event loop, before a statement begins: requests that have arrived come to their claims, and join
_Waiting: TypeAlias = tuple[ClaimRequest, "asyncio.Future[Claimed]"]


class ClaimQueue:
    """Gathers the claims of a process, by product; each is answered as if it were alone."""

    def __init__(self, claims: ClaimRepository) -> None:
        self._claims = claims
        self._waiting: defaultdict[str, list[_Waiting]] = defaultdict(list)
        self._serving: defaultdict[str, set[asyncio.Task[None] | None]] = defaultdict(set)

    async def claim(self, request: ClaimRequest) -> Claimed:
        """Reserve as many certificates as asked, or none; a repeat under the same key is answered as at first.

        One call at a time may come under a key: no statement serves it twice. After an error of the database nothing
        was claimed, or the same key tells what was.
        """
        product = request.product.id
        answer: asyncio.Future[Claimed] = asyncio.get_running_loop().create_future()
        self._waiting[product].append((request, answer))
        if len(self._serving[product]) < STATEMENTS_AT_ONCE:
            self._serving[product].add(asyncio.create_task(self._serve_all(product)))
        return await answer

    async def _serve_all(self, product: str) -> None:
        try:
            while self._waiting[product]:
                for _ in range(TURNS):
                    await asyncio.sleep(0)
                if batch := _next_batch(self._waiting[product]):
                    await self._serve(batch)
        finally:  # at once, not when the task is seen to be done: whoever comes in between would wait for nobody
            self._serving[product].discard(asyncio.current_task())

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


def _next_batch(waiting: list[_Waiting]) -> list[_Waiting]:
    """Remove and return as many claims, first come first served, as one statement may serve."""
    quantities = accumulate(request.quantity for request, _ in waiting)
    end = sum(1 for quantity in quantities if quantity <= LARGEST_BATCH)
    batch = waiting[:end]
    del waiting[:end]
    return batch
