"""The archive of events: written once a month is over, and compared with chain, stream, database and certificates."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from giftcert.archive.archive import Archive, Checked
from giftcert.archive.months import ArchiveError
from tests.integration.verification.conftest import World
from tests.integration.verification.sold_world import POOL, REFUNDED, SPENT

pytestmark = pytest.mark.integration
LATER = timedelta(days=40)


def silent(_what: str, _done: int, _total: int) -> None:
    pass


def files_of(folder: Path, pattern: str = "*") -> list[Path]:
    return sorted(folder.glob(pattern))


async def written(world: World, folder: Path) -> Archive:
    """An archive of all months until next month has begun."""
    await world.link()
    archive = Archive(
        folder, world.database, world.settings, world.keyring, lambda: datetime.now(UTC) + LATER
    )
    assert await archive.write(silent)
    return archive


def differing(found: Checked) -> dict[str, int]:
    return {one.source: one.count for one in found.differences}


async def test_all_agree_and_the_stream_alone_rebuilds_every_certificate(
    world: World, tmp_path: Path
) -> None:
    archive = await written(world, tmp_path)
    found = await archive.check(silent)
    assert (found.holds, differing(found)) == (True, {})
    assert found.rebuilt + found.under_way == POOL
    assert found.under_way == 0
    assert found.events == await world.value("SELECT count(*) FROM events")
    assert await archive.write(silent) == [], "a month is written once"


async def test_an_event_that_was_changed_in_the_database_is_named(world: World, tmp_path: Path) -> None:
    archive = await written(world, tmp_path)
    await world.spoil("UPDATE events SET balance = 1 WHERE certificate_id = :id AND sequence = 2", of=SPENT)
    assert differing(await archive.check(silent)) == {"database": 1}


async def test_events_that_were_taken_away_everywhere_are_found_by_the_stream(
    world: World, tmp_path: Path
) -> None:
    """Their chain is made anew by somebody who has the keyring, and so is the archive."""
    await world.spoil("DELETE FROM events WHERE certificate_id = :id AND sequence > 1", of=REFUNDED)
    await world.spoil(
        "UPDATE certificates SET sequence = 1, status = 'reserved', reservation_ended = false, "
        "balance = 0, refund_state = 'none' WHERE certificate_id = :id",
        of=REFUNDED,
    )
    found = await (await written(world, tmp_path)).check(silent)
    assert (found.holds, found.not_rebuilt) == (False, 1)


async def test_a_file_that_was_changed_is_refused(world: World, tmp_path: Path) -> None:
    archive = await written(world, tmp_path)
    [file, *_] = files_of(tmp_path, "*.parquet")
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(ArchiveError, match="not the file that was written"):
        await archive.check(silent)
    manifest = file.with_suffix(".json")
    manifest.write_text(manifest.read_text().replace('"events": ', '"events": 1'))
    with pytest.raises(ArchiveError, match="changed since"):
        await archive.check(silent)


async def test_a_month_whose_events_are_not_in_the_chain_yet_waits(world: World, tmp_path: Path) -> None:
    await world.link()
    await world.spoil("INSERT INTO unlinked_events SELECT event_id FROM events LIMIT 1")
    archive = Archive(
        tmp_path, world.database, world.settings, world.keyring, lambda: datetime.now(UTC) + LATER
    )
    with pytest.raises(ArchiveError, match="audit chain"):
        await archive.write(silent)
    assert files_of(tmp_path) == []
