"""``giftcert verify`` as a person, and as a program, runs it."""

import json
from pathlib import Path

import pytest

from tests.integration.verification.conftest import World
from tests.integration.verification.sold_world import ISSUED, POOL

pytestmark = pytest.mark.integration


async def test_it_ends_well_where_nothing_is_wrong(world: World, tmp_path: Path) -> None:
    done = await world.command(tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"{POOL} certificates checked, no violation" in done.stdout
    assert done.stdout.endswith("All invariants hold.\n")
    assert f"certificates: {POOL} of {POOL}" in done.stderr


async def test_it_names_what_is_wrong_and_fails(world: World, tmp_path: Path) -> None:
    await world.spoil("DELETE FROM disclosures")
    done = await world.command(tmp_path)
    assert done.returncode == 1
    assert done.stdout.endswith("Not all invariants hold.\n")
    assert f"8 disclosureUnrecorded: certificate {world.ids[ISSUED]}: expected a record" in done.stdout
    assert "Traceback" not in done.stderr


async def test_a_stream_that_is_not_there_is_said_in_one_line(world: World, tmp_path: Path) -> None:
    world.settings = world.settings.model_copy(update={"topic_stream": "Stream-nowhere"})
    done = await world.command(tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "giftcert: there is no topic Stream-nowhere: `giftcert setup` makes it\n"


async def test_a_kafka_that_is_not_there_is_named_with_its_setting(world: World, tmp_path: Path) -> None:
    world.settings = world.settings.model_copy(update={"kafka_bootstrap_servers": "127.0.0.1:1"})
    done = await world.command(tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1].startswith("giftcert: Kafka at 127.0.0.1:1 cannot be used")
    assert "GIFTCERT_KAFKA_BOOTSTRAP_SERVERS" in done.stderr


async def test_programs_get_json(world: World, tmp_path: Path) -> None:
    await world.spoil("DELETE FROM outbox_shards WHERE shard = 7")

    done = await world.command(tmp_path, "--json", "--sample", "5")
    said = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (1, "")
    assert [one["violations"] for one in said["invariants"]] == [*[0] * 8, 1, 0]
    assert [(one["rule"], one["subject"]) for one in said["violations"]] == [("shardMissing", "7")]

    repaired = await world.command(tmp_path, "--json", "--repair")
    said = json.loads(repaired.stdout)
    assert (repaired.returncode, said["holds"], said["violations"]) == (0, True, [])
    assert said["repaired"] == ["shards given their row again, so that their events are published: 1"]
    assert [one["rule"] for one in said["found"]] == ["shardMissing"]


async def test_what_cannot_be_repaired_is_said_so(world: World, tmp_path: Path) -> None:
    await world.spoil("DELETE FROM disclosures")
    done = await world.command(tmp_path, "--repair")
    assert done.returncode == 1
    assert done.stdout.endswith(
        "Not all invariants hold.\nNothing of it can be set off again: a person has to look.\n"
    )
    await world.spoil("DELETE FROM outbox_shards WHERE shard = 7")
    done = await world.command(tmp_path, "--repair")
    assert done.returncode == 1
    assert done.stdout.endswith(
        "repaired: shards given their row again, so that their events are published: 1\n"
        "What is left is for a person to look at.\n"
    )


async def test_a_repair_looks_at_everything(world: World, tmp_path: Path) -> None:
    done = await world.command(tmp_path, "--repair", "--sample", "5")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "giftcert: --repair looks at everything: leave --sample out\n"
