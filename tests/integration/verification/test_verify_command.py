"""``giftcert verify`` as a person, and as a program, runs it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.verification.conftest import World
from tests.processes import PATIENCE_SECONDS

pytestmark = pytest.mark.integration


def verify(world: World, folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    settings = world.settings
    assert settings.database_url is not None
    chosen = {
        "GIFTCERT_DATABASE_URL": settings.database_url.get_secret_value(),
        "GIFTCERT_KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers or "",
        "GIFTCERT_TEMPORAL_ADDRESS": settings.temporal_address or "",
        "GIFTCERT_TEMPORAL_NAMESPACE": settings.temporal_namespace,
        "GIFTCERT_TOPIC_STREAM": settings.topic_stream,
        "GIFTCERT_KEYRING": str(settings.keyring),
        "GIFTCERT_STATE_DIR": str(folder),
    }
    return subprocess.run(
        [sys.executable, "-m", "giftcert.cli", "verify", *arguments],
        env={**os.environ, **chosen},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


async def test_it_ends_well_where_nothing_is_wrong(world: World, tmp_path: Path) -> None:
    done = verify(world, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "14 certificates checked, no violation" in done.stdout
    assert done.stdout.endswith("All invariants hold.\n")
    assert "certificates: 14 of 14" in done.stderr


async def test_it_names_what_is_wrong_and_fails(world: World, tmp_path: Path) -> None:
    await world.spoil("DELETE FROM disclosures")
    done = verify(world, tmp_path)
    assert done.returncode == 1
    assert done.stdout.endswith("Not all invariants hold.\n")
    assert f"8 disclosureUnrecorded: certificate {world.ids[0]}: expected a record" in done.stdout
    assert "Traceback" not in done.stderr


async def test_a_stream_that_is_not_there_is_said_in_one_line(world: World, tmp_path: Path) -> None:
    world.settings = world.settings.model_copy(update={"topic_stream": "Stream-nowhere"})
    done = verify(world, tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "giftcert: there is no topic Stream-nowhere: `giftcert setup` makes it\n"


async def test_a_kafka_that_is_not_there_is_named_with_its_setting(world: World, tmp_path: Path) -> None:
    world.settings = world.settings.model_copy(update={"kafka_bootstrap_servers": "127.0.0.1:1"})
    done = verify(world, tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1].startswith("giftcert: Kafka at 127.0.0.1:1 cannot be used")
    assert "GIFTCERT_KAFKA_BOOTSTRAP_SERVERS" in done.stderr


async def test_programs_get_json(world: World, tmp_path: Path) -> None:
    await world.spoil("DELETE FROM shards WHERE shard = 7")

    done = verify(world, tmp_path, "--json", "--sample", "5")
    said = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (1, "")
    assert [one["violations"] for one in said["invariants"]] == [0] * 8 + [2]
    assert {one["subject"] for one in said["violations"]} == {"events-7", "signals-7"}

    repaired = verify(world, tmp_path, "--json", "--repair")
    assert repaired.returncode == 0
    assert json.loads(repaired.stdout)["repaired"] == [
        "2 shards given their row again: their work is taken up"
    ]
    assert verify(world, tmp_path, "--json").returncode == 0
