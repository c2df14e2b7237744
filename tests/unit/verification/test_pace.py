"""The pace of a verification: it works in slices and rests in proportion."""

import pytest

from giftcert.verification.pace import SLICE_SECONDS, Pace


class Time:
    """A clock that only the test moves, and what was slept."""

    def __init__(self) -> None:
        self.now, self.slept = 0.0, list[float]()

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


async def test_a_rest_is_as_long_as_the_proportion_says() -> None:
    time = Time()
    pace = Pace(1.5, time.clock, time.sleep)
    time.now += 0.2
    await pace.pause()
    assert time.slept == pytest.approx([0.3])


async def test_little_work_is_not_interrupted_and_counts_with_what_follows() -> None:
    time = Time()
    pace = Pace(1.0, time.clock, time.sleep)
    for _ in range(4):
        time.now += SLICE_SECONDS * 0.3
        await pace.pause()
    assert time.slept == pytest.approx([SLICE_SECONDS * 1.2])


async def test_the_rest_itself_is_no_work() -> None:
    time = Time()
    pace = Pace(1.0, time.clock, time.sleep)
    time.now += 1
    await pace.pause()
    await pace.pause()
    assert time.slept == [1]


async def test_at_full_speed_others_of_the_process_have_their_turn() -> None:
    time = Time()
    pace = Pace(0, time.clock, time.sleep)
    time.now += 1
    await pace.pause()
    assert time.slept == [0]
