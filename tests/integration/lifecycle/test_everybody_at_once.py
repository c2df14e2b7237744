"""Random runs of everybody at once: no deadlock, every request answered once, no news lost.

``GIFTCERT_CONCURRENT_RUNS=10000`` makes more runs than CI has time for.
"""

import os
from random import SystemRandom

import pytest

from tests.integration.lifecycle.crowd import Crowd
from tests.integration.lifecycle.world import World

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(0 if "GIFTCERT_CONCURRENT_RUNS" in os.environ else 120),
]

RUNS = int(os.environ.get("GIFTCERT_CONCURRENT_RUNS", "8"))
STEPS = 8
CERTIFICATES = 4


async def test_whatever_is_committed_before_during_or_after_a_look_is_decided(world: World) -> None:
    for _ in range(RUNS):
        seed = SystemRandom().randrange(10**9)
        crowd = Crowd(world, await world.fill(CERTIFICATES))
        try:
            await crowd.run(seed, STEPS)
            await crowd.check()
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise
        await world.run(
            "UPDATE certificates SET blocked = true WHERE status = 'available'"
        )  # out of the next run's pool
