"""Group commit of claims: those of one product that come while the connections are busy are served by one statement.

Without it each claim is a trip and a commit of its own, and the server spends more time on those than on claims.
"""

import asyncio
from dataclasses import dataclass

from giftcert.storage.claims import Claimed, ClaimRepository, ClaimRequest
from giftcert.storage.outages import is_database_away

LARGEST_BATCH = 200
"""Certificates claimed by one statement, some 20 ms of the server; a single claim is at most half of it."""
STATEMENTS_AT_ONCE = 2
"""While one waits for the disk the next runs. With more each would serve fewer claims, for the same price."""
TURNS = 3
"""Of the event loop, before a statement begins: requests that have arrived come as far as their claims, and join it."""


class ClaimQueue:
    """Gathers the claims of a process; each is answered as if it were alone."""

    def __init__(self, claims: ClaimRepository) -> None:
        self._claims = claims
        self._products: dict[str, _ProductQueue] = {}

    async def claim(self, request: ClaimRequest) -> Claimed:
        """Reserve as many certificates as asked, or none; a repeat under the same key is answered as at first.

        One call at a time may come under a key: no statement serves it twice.

        Raises:
            Exception: what the database raised; then nothing was claimed, or the same key tells what was.
        """
        queue = self._products.setdefault(request.product.id, _ProductQueue(self._claims))
        return await queue.claim(request)


@dataclass(slots=True)
class _Waiting:
    request: ClaimRequest
    answer: "asyncio.Future[Claimed]"


class _ProductQueue:
    """The claims of one product that wait; the next statement serves all of them."""

    def __init__(self, claims: ClaimRepository) -> None:
        self._claims = claims
        self._waiting: list[_Waiting] = []
        self._serving: set[asyncio.Task[None] | None] = set()

    async def claim(self, request: ClaimRequest) -> Claimed:
        answer: asyncio.Future[Claimed] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(request, answer))
        if len(self._serving) < STATEMENTS_AT_ONCE:
            self._serving.add(asyncio.create_task(self._serve_all()))
        return await answer

    async def _serve_all(self) -> None:
        try:
            while self._waiting:
                for _ in range(TURNS):
                    await asyncio.sleep(0)
                if batch := self._next_batch():
                    await self._serve(batch)
        finally:  # at once, not when the task is seen to be done: whoever comes in between would wait for nobody
            self._serving.discard(asyncio.current_task())

    def _next_batch(self) -> list[_Waiting]:
        quantity, end = 0, 0
        while end < len(self._waiting) and quantity + self._waiting[end].request.quantity <= LARGEST_BATCH:
            quantity += self._waiting[end].request.quantity
            end += 1
        batch, self._waiting = self._waiting[:end], self._waiting[end:]
        return batch

    async def _serve(self, batch: list[_Waiting]) -> None:
        try:
            answers = await self._claims.claim([one.request for one in batch])
        except Exception as error:  # noqa: BLE001 - handed to every caller that waits for it
            if len(batch) > 1 and not is_database_away(error):
                for one in batch:  # what the server refuses of one must not fail the others
                    await self._serve([one])
                return
            for one in batch:
                if not one.answer.done():  # its caller may have left
                    one.answer.set_exception(error)
        else:
            for one, answer in zip(batch, answers, strict=True):
                if not one.answer.done():
                    one.answer.set_result(answer)
