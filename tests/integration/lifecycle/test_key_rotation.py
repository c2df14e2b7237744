"""Keys are rotated: what was sealed is sealed anew, a crash loses nothing, and no key goes that something needs."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from activities.maintenance import MaintenanceActivities
from giftcert.domain.products import Product
from giftcert.lifecycle import key_rotation
from giftcert.lifecycle.key_rotation import KeyRotation, RotationRefusedError
from giftcert.security.data_keys import DataKey, Purpose, SealError
from giftcert.security.keyring import Keyring
from giftcert.security.master_keys import version_of
from giftcert.settings import Settings
from giftcert.storage import data_keys
from giftcert.storage.data_keys import DataKeyRepository, Seals, StoredKey
from giftcert.storage.database import Database
from giftcert.storage.inbox import received
from giftcert.storage.pool import PoolRepository
from giftcert.storage.products import ProductRepository
from giftcert.storage.quarantine import NamedThings, QuarantinedRecord, QuarantineRepository, owner_at
from giftcert.storage.repository import write_together
from giftcert.temporal.signals import Signal
from tests.integration.lifecycle.world import START, World
from tests.shared_servers import owning
from tests.waiting import until

pytestmark = pytest.mark.integration
PLACE = ("All_Payments", 0, 7)
FIXED = Product("GC-5000", "RUB", nominal=500_000)
TOMORROW = START + timedelta(days=1)


@pytest.fixture
def keyring(tmp_path: Path) -> Keyring:
    return Keyring.create(tmp_path / "rotated" / "keyring.json")


@pytest.fixture
async def rotation(world: World, keyring: Keyring, monkeypatch: pytest.MonkeyPatch) -> KeyRotation:
    """Of a database with 20 sealed certificates in two batches, a quarantined record and two originals."""
    monkeypatch.setattr(key_rotation, "ROWS_AT_ONCE", 3)
    async with world.database.transaction() as connection:
        await ProductRepository(connection).put([FIXED])
        for _ in range(2):
            await PoolRepository(connection).generate(FIXED, 10, keyring, START)
        key = await DataKeyRepository(connection, keyring).for_inputs(START)
        originals = [key.seal(one, Purpose.ORIGINAL, owner_at(PLACE)) for one in (b"first", b"second")]
        rows = [(START.date(), "IM-1", *PLACE, "e", "order.created", one) for one in originals]
        await write_together(connection, received(rows))
        record = QuarantinedRecord(
            *PLACE,
            key.seal(b"key", Purpose.QUARANTINED_KEY, owner_at(PLACE)),
            None,
            b"",
            "emptyValue",
            "",
            START,
            None,
        )
        await QuarantineRepository(connection).add([(record, NamedThings())], START)
    return KeyRotation(world.database, keyring, "stream-0", lambda: TOMORROW)


async def opened(database: Database, keyring: Keyring) -> list[bytes]:
    """All that is sealed, as a process opens it that starts now."""
    seals = Seals(database, Keyring.load(keyring.path))
    async with database.connection() as connection:
        secrets = await connection.fetch("SELECT * FROM certificate_secrets ORDER BY 1")
        originals = await connection.fetch("SELECT original FROM inbox ORDER BY length(original)")
        keys = await connection.fetch("SELECT record_key FROM quarantine")
    return [
        *[await seals.open(row["number_sealed"], Purpose.NUMBER, row[0].bytes) for row in secrets],
        *[await seals.open(row["cvc_sealed"], Purpose.CVC, row[0].bytes) for row in secrets],
        *[await seals.open(row[0], Purpose.ORIGINAL, owner_at(PLACE)) for row in originals],
        *[await seals.open(row[0], Purpose.QUARANTINED_KEY, owner_at(PLACE)) for row in keys],
    ]


def sums(keys: list[StoredKey]) -> tuple[int, int]:
    """What old keys and what new ones are needed for."""
    old, new = (sum(one.rows for one in keys if bool(one.retired_at) is retired) for retired in (True, False))
    return old, new


async def test_all_that_was_sealed_is_sealed_by_new_keys_and_opens(rotation: KeyRotation) -> None:
    before = await opened(rotation.database, rotation.keyring)
    assert sums(await rotation.usage()) == (0, 21)
    await rotation.begin("olga", "yearly")
    assert sums(await rotation.usage()) == (21, 0)
    progress: list[int] = []
    assert await rotation.reseal(progress.append) == 21
    assert progress == sorted(progress)
    assert progress[-1] == 21
    keys = await rotation.usage()
    assert sums(keys) == (0, 21)
    assert sorted(one.scope for one in keys if not one.retired_at) == sorted(
        one.scope for one in keys if one.retired_at
    )
    assert await opened(rotation.database, rotation.keyring) == before
    assert await rotation.conclude() == []


async def test_a_rotation_that_was_cut_short_is_carried_on_by_anybody(rotation: KeyRotation) -> None:
    before = await opened(rotation.database, rotation.keyring)
    await rotation.begin("olga", "yearly")

    class CutShortError(Exception):
        pass

    def cut_short(done: int) -> None:
        if done >= 9:
            raise CutShortError

    with pytest.raises(CutShortError):
        await rotation.reseal(cut_short)
    assert sums(await rotation.usage()) == (12, 9)
    assert await opened(rotation.database, rotation.keyring) == before
    other = KeyRotation(rotation.database, Keyring.load(rotation.keyring.path), "stream-0", rotation.clock)
    assert len(await other.unfinished()) == 3
    assert await other.reseal(lambda _: None) == 12
    assert await other.conclude() == []


async def test_a_key_is_destroyed_only_when_nothing_needs_it(rotation: KeyRotation) -> None:
    before = await opened(rotation.database, rotation.keyring)
    assert await rotation.destroy_unneeded("olga", "done") == []
    await rotation.begin("olga", "yearly")
    assert [one for one in await rotation.destroy_unneeded("olga", "done") if "data key" in one] == []
    assert await opened(rotation.database, rotation.keyring) == before
    await rotation.reseal(lambda _: None)
    old = {
        one.scope[:5]: one.key_id for one in await rotation.usage() if one.retired_at and not one.originals
    }
    async with rotation.database.connection() as connection:
        kept = await connection.fetchrow("SELECT cvc_sealed, certificate_id FROM certificate_secrets LIMIT 1")
    assert len(await rotation.destroy_unneeded("olga", "done")) == 2
    assert await opened(rotation.database, rotation.keyring) == before
    of_destroyed = kept[0][:1] + old["batch"].to_bytes(4) + kept[0][5:]
    seals = Seals(rotation.database, Keyring.load(rotation.keyring.path))
    with pytest.raises(SealError, match="was destroyed"):
        await seals.open(of_destroyed, Purpose.CVC, kept[1].bytes)


async def test_originals_are_on_record_and_stay_sealed_as_they_were_with_their_key_until_they_go(
    rotation: KeyRotation,
) -> None:
    await rotation.begin("olga", "yearly")
    await rotation.reseal(lambda _: None)
    assert await rotation.conclude() == []  # nothing is left to be done
    await rotation.destroy_unneeded("olga", "done")
    [kept] = [one for one in await rotation.usage() if one.retired_at and not one.destroyed_at]
    assert (kept.scope, kept.rows, kept.originals) == ("inputs 2026-11", 0, 2)
    async with owning(rotation.database) as connection:
        await connection.execute("TRUNCATE inbox")
    assert await rotation.destroy_unneeded("olga", "they went") == [f"data key {kept.key_id}"]


async def test_every_data_key_is_wrapped_by_the_new_version_and_the_old_one_goes(
    rotation: KeyRotation,
) -> None:
    [old] = rotation.keyring.master_versions()
    await rotation.begin("olga", "yearly")
    assert rotation.keyring.master_versions()[0] == old
    wrapped_by = {version_of(one.wrapped) for one in await rotation.usage() if one.wrapped}
    assert wrapped_by == {rotation.keyring.master_versions()[1]}
    assert await rotation.destroy_unneeded("olga", "done") == [f"master key version {old}"]
    assert old not in rotation.keyring.master_versions()
    assert len(await opened(rotation.database, rotation.keyring)) == 43


async def test_a_rotation_waits_for_who_is_sealing_and_who_seals_after_it_waits_for_the_rotation(
    rotation: KeyRotation, world: World
) -> None:
    """What is sealed while a rotation begins is counted for its key; and a busy key is retired all the same."""
    async with world.database.transaction() as connection:
        key = await DataKeyRepository(connection, rotation.keyring).for_inputs(START)
        retiring = asyncio.create_task(rotation.begin("olga", "yearly"))
        await until(partial(waiting, world.database, 1))
        late = asyncio.create_task(seal(rotation))
        await until(partial(waiting, world.database, 2))
    await retiring
    assert (await late).key_id != key.key_id
    assert all(one.retired_at for one in await rotation.usage() if one.key_id == key.key_id)


async def test_a_rotation_is_refused_while_a_batch_is_long_in_the_making(
    rotation: KeyRotation, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_keys, "_LOCK", data_keys._LOCK.replace("2s", "20ms"))
    async with world.database.transaction() as connection:
        await DataKeyRepository(connection, rotation.keyring).for_batch(uuid4(), START)
        with pytest.raises(RotationRefusedError, match="a batch of the pool is in the making"):
            await rotation.begin("olga", "yearly")
    assert await rotation.unfinished() == []


async def seal(rotation: KeyRotation) -> DataKey:
    """As ingest does."""
    async with rotation.database.transaction() as connection:
        return await DataKeyRepository(connection, rotation.keyring).for_inputs(START)


async def waiting(database: Database, count: int) -> bool:
    """Whether so many wait for a lock of the data keys."""
    async with database.connection() as connection:
        waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'data_keys'::regclass"
        return bool(await connection.fetchval(waits) == count)


async def test_the_stream_hears_who_rotated_and_destroyed(rotation: KeyRotation) -> None:
    await rotation.begin("olga", "yearly")
    await rotation.reseal(lambda _: None)
    await rotation.destroy_unneeded("igor", "done")
    async with rotation.database.connection() as connection:
        events = await connection.fetch(
            "SELECT payload::jsonb AS p FROM events WHERE stream_key = 'stream-0' ORDER BY 1"
        )
    published = [row["p"] for row in events]
    assert len(published) == 2
    assert any("keys rotate: yearly" in one and "olga" in one for one in published)
    assert any("keys destroy, 2 data keys and 1 version of" in one and "igor" in one for one in published)


async def test_a_run_is_given_what_was_sealed_anew_and_counted_until_then(
    rotation: KeyRotation, world: World
) -> None:
    async with world.database.connection() as connection:
        certificate_id = await connection.fetchval(
            "SELECT certificate_id::text FROM certificate_secrets LIMIT 1"
        )
        await connection.execute(
            "UPDATE certificates SET next_instant = $2 WHERE certificate_id = $1::uuid",
            certificate_id,
            TOMORROW,
        )
    held = (await world.lifecycle.advance(certificate_id, START)).sealed
    assert held is not None
    async with world.database.connection() as connection:
        await connection.execute(
            "UPDATE certificates SET run_key = $2 WHERE certificate_id = $1::uuid",
            certificate_id,
            held.key_id,
        )
    await rotation.begin("olga", "yearly")
    await rotation.reseal(lambda _: None)
    sent = []

    async def send(wakes: object) -> None:
        sent.extend(wakes)

    assert await rotation.wake_runs(send, "im") == 1
    assert [(one.certificate_id, one.signal) for one in sent] == [(certificate_id, Signal.KEYS_ROTATED)]
    [left] = await rotation.conclude()
    assert (left.key_id, left.rows) == (held.key_id, 0)
    assert [one for one in await rotation.destroy_unneeded("olga", "done") if str(held.key_id) in one] == []
    seen = await world.lifecycle.advance(certificate_id, START, sealed_by=held.key_id)
    assert seen.sealed is not None
    assert seen.sealed.key_id != held.key_id
    again = await world.lifecycle.advance(certificate_id, START, sealed_by=seen.sealed.key_id)
    assert again.sealed is None
    assert await rotation.conclude() == []


async def test_a_schedule_carries_a_rotation_on_and_tells_when_nothing_is_left(
    rotation: KeyRotation, world: World
) -> None:
    client: Any = None  # no workflow holds a seal, so nobody is signalled
    lifecycle = replace(world.lifecycle, keyring=rotation.keyring)
    activities = MaintenanceActivities(
        world.database, Settings(_env_file=None), lifecycle, client, rotation.clock
    )
    assert await activities.reseal() == 0
    await rotation.begin("olga", "yearly")
    assert [await activities.reseal() for _ in range(2)] == [21, 0]
    assert await rotation.unfinished() == []
