"""Migrate, setup and pool on real servers, each as often as one likes."""

import asyncio
import json
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
from command_runs import RunCommand
from confluent_kafka.admin import (  # type: ignore[attr-defined] # exported all the same
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)
from temporalio.client import Client

from giftcert.cli.demo import sells_for_demo
from giftcert.settings import Settings
from giftcert.verification.stream import stream_deviations
from simulators.demo_environment import PRODUCTS_FILE
from tests.shared_servers import as_owner
from tests.waiting import until

pytestmark = pytest.mark.integration
INPUTS = ("orders", "payments", "clients")
REPEATS = 6
RECONCILIATIONS = ("reconciliation", "reconciliation-of-a-sample")


@pytest.fixture
def addresses(fresh_database_url: str, kafka: str, temporal_address: str) -> dict[str, str]:
    name = uuid4().hex[:8]
    return {
        "database_url": fresh_database_url,
        "kafka_bootstrap_servers": kafka,
        "temporal_address": temporal_address,
        "temporal_namespace": f"test-{name}",
        "topic_stream": f"Stream-{name}",
        **{f"topic_{one}": f"{one}-{name}" for one in INPUTS},
    }


def test_what_is_missing_is_named_with_whose_it_is_until_nothing_is(
    giftcert: RunCommand, addresses: dict[str, str]
) -> None:
    before = giftcert("setup", "--check", "--json", **addresses)
    missing = {one["subject"]: one["maker"] for one in json.loads(before.stdout)["missing"]}
    assert before.returncode == 1
    assert missing == {
        f"topic {addresses['topic_orders']}": "Orders",
        f"topic {addresses['topic_payments']}": "Payments",
        f"topic {addresses['topic_clients']}": "CRM",
        f"topic {addresses['topic_stream']}": "giftcert setup",
        f"namespace {addresses['temporal_namespace']}": "giftcert setup",
        **{f"product {one}": "giftcert setup" for one in ("GC-1000", "GC-3000", "GC-5000", "GC-OPEN")},
    }
    made = giftcert("setup", **addresses)
    assert made.returncode == 0
    assert "everything is in place" not in made.stdout, "others have not made theirs"
    assert made.stdout.splitlines()[-1] == "setup has done its part"

    kafka = AdminClient({"bootstrap.servers": addresses["kafka_bootstrap_servers"]})
    topics = [
        NewTopic(addresses["topic_orders"], 4),
        NewTopic(addresses["topic_payments"], 2),
        NewTopic(addresses["topic_clients"], 1, config={"retention.ms": "3600000"}),
    ]
    for one in kafka.create_topics(topics).values():
        one.result()
    lines = giftcert("setup", "--check", **addresses).stdout.splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["CRM", "Payments"]
    assert "keeps records for 1:00:00, less than 7 days" in lines[1]
    assert f"has 2 partitions, and {addresses['topic_orders']} has 4" in lines[2]

    mended = {
        **addresses,
        "topic_payments": addresses["topic_orders"],
        "topic_clients": addresses["topic_orders"],
    }
    after = giftcert("setup", "--check", **mended)
    assert (after.returncode, after.stdout) == (0, "everything that is needed is in place\n")


def test_setup_makes_what_is_missing_and_nothing_twice(
    giftcert: RunCommand, addresses: dict[str, str]
) -> None:
    first = json.loads(giftcert("setup", "--json", **addresses).stdout)["done"]
    second = json.loads(giftcert("setup", "--json", **addresses).stdout)["done"]
    assert f"topic {addresses['topic_stream']} made" in first
    assert f"namespace {addresses['temporal_namespace']} made" in first
    assert "product GC-5000 added" in first
    assert second == []


def test_the_demo_plays_only_on_a_stack_that_was_started_with_its_products(
    giftcert: RunCommand, addresses: dict[str, str]
) -> None:
    settings = Settings.model_validate({"database_url": addresses["database_url"]})
    giftcert("setup", **addresses)
    assert not sells_for_demo(settings, PRODUCTS_FILE)
    giftcert("setup", products_file=str(PRODUCTS_FILE), **addresses)
    assert sells_for_demo(settings, PRODUCTS_FILE)


def test_topics_of_others_are_not_made_where_kafka_is_not_ours(
    giftcert: RunCommand, addresses: dict[str, str]
) -> None:
    done = json.loads(giftcert("setup", "--json", **addresses).stdout)["done"]
    assert not [line for line in done if addresses["topic_orders"] in line]


def test_setup_says_what_it_has_come_to_while_it_goes_on(
    giftcert: RunCommand, addresses: dict[str, str]
) -> None:
    lines = giftcert("setup", **addresses).stdout.splitlines()
    assert lines[0] == "PostgreSQL, Temporal and Kafka answer"
    assert {line.partition(":")[0] for line in lines if ": " in line} == {"PostgreSQL", "Temporal", "Kafka"}
    assert lines[-1] == "setup has done its part"
    done = giftcert("setup", "--json", **addresses)
    assert json.loads(done.stdout)["done"] == []
    assert "Kafka: nothing was left to make\n" in done.stderr


async def test_the_stream_is_kept_for_ever_even_if_somebody_changed_it(
    giftcert: RunCommand, addresses: dict[str, str]
) -> None:
    giftcert("setup", **addresses)
    admin, stream = (
        AdminClient({"bootstrap.servers": addresses["kafka_bootstrap_servers"]}),
        addresses["topic_stream"],
    )

    async def deviates_by(expected: dict[str, str]) -> None:
        """The broker tells of a change once its metadata have it."""

        async def does() -> bool:
            return stream_deviations(admin, stream) == expected

        await until(does)

    await deviates_by({})
    entry = ConfigEntry("retention.ms", "1000", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, stream, incremental_configs=[entry])
    for answer in admin.incremental_alter_configs([resource]).values():
        answer.result()
    await deviates_by({"retention.ms": "1000"})
    assert "is kept for ever now" in giftcert("setup", **addresses).stdout
    await deviates_by({})


async def test_support_can_filter_and_the_sweep_is_scheduled_after_setup(
    giftcert: RunCommand, addresses: dict[str, str]
) -> None:
    assert giftcert("setup", **addresses).returncode == 0
    client = await Client.connect(addresses["temporal_address"], namespace=addresses["temporal_namespace"])
    found = await client.count_workflows('RefundState = "pendingDetails" AND Product = "GC-5000"')
    assert found.count == 0

    async def are_scheduled() -> bool:
        """Temporal lists a schedule some time after it is made."""
        ids = sorted([entry.id async for entry in await client.list_schedules()])
        others = ["audit", "pool", "resealing", "reservation-expiry", "retention", "retirement"]
        return ids == sorted([*RECONCILIATIONS, *others])

    await until(are_scheduled)


def test_a_pool_is_made_and_counted(
    giftcert: RunCommand, addresses: dict[str, str], own_keys: dict[str, str]
) -> None:
    giftcert("setup", **addresses)
    assert giftcert("pool", "status", **addresses).stdout == "the pool is empty\n"
    made = giftcert(
        "pool", "generate", "--product", "GC-5000", "--count", "10", "--json", **addresses, **own_keys
    )
    assert json.loads(made.stdout)["count"] == 10
    [counted] = json.loads(giftcert("pool", "status", "--json", **addresses).stdout)
    assert counted == {
        "product": "GC-5000",
        "statuses": {"available": 10},
        "cooling": 0,
        "lowThreshold": 1_000,
        "sold": 0,
        "soldSince": None,
        "emptyAt": None,
    }


def test_keys_of_an_embedded_stack_seal_nothing_for_another_database(
    giftcert: RunCommand, addresses: dict[str, str]
) -> None:
    giftcert("setup", **addresses)
    giftcert("keys", "init")
    done = giftcert("pool", "generate", "--product", "GC-5000", "--count", "10", **addresses)
    assert done.returncode == 1
    assert "GIFTCERT_KEYRING" in done.stderr


@pytest.mark.parametrize(
    "command",
    [["pool", "generate", "--product", "GC-1000", "--count", "1"], ["prepare"], ["api"], ["ingest"]],
)
def test_a_keyring_that_did_not_seal_the_pool_is_refused(
    giftcert: RunCommand,
    addresses: dict[str, str],
    own_keys: dict[str, str],
    tmp_path: Path,
    command: list[str],
) -> None:
    giftcert("setup", **addresses)
    giftcert("pool", "generate", "--product", "GC-5000", "--count", "1", **addresses, **own_keys)
    others = {**own_keys, "keyring": str(tmp_path / "other.json")}
    giftcert("keys", "init", **others)
    refused = giftcert(*command, **addresses, **others)
    assert refused.returncode == 1
    assert (
        "GIFTCERT_KEYRING: the certificates in this database were sealed by another keyring" in refused.stderr
    )


@pytest.mark.parametrize("command", ["migrate", "setup", "prepare"])
def test_a_wrong_password_is_told_by_the_name_of_its_setting(
    giftcert: RunCommand, addresses: dict[str, str], command: str
) -> None:
    server = addresses["database_url"].rpartition("@")[2]
    done = giftcert(command, **{**addresses, "database_url": f"postgresql://giftcert:hunter2@{server}"})
    assert done.returncode == 1
    assert "cannot be used (GIFTCERT_DATABASE_URL): password authentication failed" in done.stderr
    assert done.stderr.count("\n") == 1
    assert "hunter2" not in done.stderr


def test_a_wrong_owner_of_the_tables_is_named_by_its_setting(
    giftcert: RunCommand, addresses: dict[str, str]
) -> None:
    server = addresses["database_url"].rpartition("@")[2]
    done = giftcert(
        "migrate", **{**addresses, "database_owner_url": f"postgresql://giftcert:hunter2@{server}"}
    )
    assert done.returncode == 1
    assert "cannot be used (GIFTCERT_DATABASE_OWNER_URL): password authentication failed" in done.stderr


@pytest.mark.parametrize("command", ["migrate", "prepare"])
async def test_tables_of_an_older_release_are_refused_in_one_line(
    giftcert: RunCommand, addresses: dict[str, str], command: str
) -> None:
    connection = await asyncpg.connect(as_owner(addresses["database_url"]))
    await connection.execute("UPDATE alembic_version SET version_num = '0042'")
    await connection.close()
    done = await asyncio.to_thread(giftcert, command, **addresses)
    assert done.returncode == 1
    assert done.stderr == (
        "giftcert: the tables are of another release of giftcert (revision 0042), which cannot be upgraded: "
        "delete the state folder (GIFTCERT_STATE_DIR), or give an empty database, and start again\n"
    )


def test_an_unknown_product_is_named_with_those_that_there_are(
    giftcert: RunCommand, addresses: dict[str, str], own_keys: dict[str, str]
) -> None:
    giftcert("setup", **addresses)
    done = giftcert("pool", "generate", "--product", "GC-7", "--count", "10", **addresses, **own_keys)
    assert done.returncode == 1
    assert "there is no product GC-7; there are: GC-1000, GC-3000, GC-5000, GC-OPEN" in done.stderr


def test_exit_codes_are_right_however_often_a_command_runs(
    cold_giftcert: RunCommand, addresses: dict[str, str]
) -> None:
    codes = [cold_giftcert("setup", **addresses).returncode for _ in range(REPEATS)]
    assert codes == [0] * REPEATS


@pytest.mark.parametrize(
    "command",
    [
        ["migrate"],
        ["pool", "status"],
        ["pool", "generate", "--product", "GC-5000", "--count", "1"],
        ["quarantine", "list"],
        ["refunds", "list"],
    ],
)
def test_a_command_loads_all_that_it_needs(
    giftcert: RunCommand,
    cold_giftcert: RunCommand,
    addresses: dict[str, str],
    own_keys: dict[str, str],
    command: list[str],
) -> None:
    """Other tests of it run where more is loaded."""
    giftcert("setup", **addresses)
    done = cold_giftcert(*command, **addresses, **own_keys)
    assert done.returncode == 0, done.stderr
