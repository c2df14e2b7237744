"""The embedded servers: their state, their ports, their one folder."""

import asyncio
import socket
import stat
from pathlib import Path

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined] # exported all the same
from stand_ins import Reports
from temporalio.client import Client
from temporalio.service import RPCError

from giftcert.embedded.addresses import Addresses, running_addresses, with_running_stack
from giftcert.embedded.ports import PortClaims
from giftcert.embedded.stack import EmbeddedStack
from giftcert.embedded.state_folder import StackError
from giftcert.settings import Settings

pytestmark = pytest.mark.integration
NO_USUAL_PORTS = dict.fromkeys(("postgres_port", "temporal_port", "temporal_ui_port", "kafka_port"), 0)


def settings_of(state_dir: Path, **changes: object) -> Settings:
    return Settings(state_dir=state_dir, database_url=None, **(NO_USUAL_PORTS | changes))  # type: ignore[arg-type]


async def write_everywhere(addresses: Addresses) -> None:
    assert addresses.database_owner_url is not None
    assert addresses.temporal_address is not None
    connection = await asyncpg.connect(addresses.database_owner_url)
    await connection.execute("CREATE TABLE kept (word text)")
    await connection.execute("INSERT INTO kept VALUES ('kept')")
    await connection.close()
    producer = AIOKafkaProducer(bootstrap_servers=addresses.kafka_bootstrap_servers)
    async with producer:
        await make_topic(addresses)
        await producer.send_and_wait("kept", b"kept", partition=0)
    client = await Client.connect(addresses.temporal_address)
    await client.start_workflow("Kept", id="kept", task_queue="nobody")


async def make_topic(addresses: Addresses) -> None:
    admin = AdminClient({"bootstrap.servers": addresses.kafka_bootstrap_servers or ""})
    await asyncio.gather(*map(asyncio.wrap_future, admin.create_topics([NewTopic("kept", 1)]).values()))


async def read_everywhere(addresses: Addresses) -> list[object]:
    assert addresses.database_owner_url is not None
    assert addresses.temporal_address is not None
    connection = await asyncpg.connect(addresses.database_owner_url)
    row = await connection.fetchval("SELECT word FROM kept")
    await connection.close()
    consumer = AIOKafkaConsumer(
        "kept", bootstrap_servers=addresses.kafka_bootstrap_servers, auto_offset_reset="earliest"
    )
    async with consumer:
        message = await consumer.getone()
    client = await Client.connect(addresses.temporal_address)
    run = await client.get_workflow_handle("kept").describe()
    return [row, message.value, run.status.name if run.status else None]


async def test_state_survives_a_restart(state_dir: Path) -> None:
    settings = settings_of(state_dir)
    async with EmbeddedStack(settings) as addresses:
        await write_everywhere(addresses)
    async with EmbeddedStack(settings) as addresses:
        assert await read_everywhere(addresses) == ["kept", b"kept", "RUNNING"]


async def test_a_second_stack_on_the_same_state_is_refused_in_one_line(state_dir: Path) -> None:
    async with EmbeddedStack(settings_of(state_dir), parts=[]):
        with pytest.raises(StackError) as refused:
            async with EmbeddedStack(settings_of(state_dir), parts=[]):
                pass
    assert "running" in str(refused.value)
    assert "GIFTCERT_STATE_DIR" in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("part", "setting"),
    [
        ("postgres", "postgres_port"),
        ("temporal", "temporal_port"),
        ("temporal", "temporal_ui_port"),
        ("kafka", "kafka_port"),
    ],
)
async def test_a_taken_port_is_refused_by_the_name_of_its_setting(
    state_dir: Path, part: str, setting: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = settings_of(state_dir, **{setting: port})
        with pytest.raises(StackError, match=f"port {port} is taken: set GIFTCERT_{setting.upper()}"):
            async with EmbeddedStack(settings, parts=[part]):
                pass


async def test_a_taken_port_is_no_matter_where_any_will_do(state_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = settings_of(state_dir, postgres_port=taken.getsockname()[1])
        async with EmbeddedStack(
            settings, parts=["postgres"], any_free_port=True, durable=False
        ) as addresses:
            connection = await asyncpg.connect(addresses.database_url)
            await connection.close()


async def test_a_wrong_password_is_refused_although_the_address_is_local(state_dir: Path) -> None:
    async with EmbeddedStack(settings_of(state_dir), parts=["postgres"], durable=False) as addresses:
        assert addresses.database_url is not None
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(addresses.database_url, password="guessed")


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_only_the_owner_reads_passwords_and_addresses(state_dir: Path) -> None:
    async with EmbeddedStack(settings_of(state_dir), parts=["postgres"], durable=False):
        assert mode_of(state_dir / "postgres" / "password") == 0o600
        assert mode_of(state_dir / "postgres" / "service-password") == 0o600
        assert mode_of(state_dir / "addresses.json") == 0o600
        assert mode_of(state_dir / "keys") == 0o700


async def test_the_state_folder_keeps_its_mode_and_those_above_it_theirs_also_for_root(
    state_dir: Path,
) -> None:
    above = state_dir / "above"
    above.mkdir(mode=0o700)
    folder = above / "state"
    for _ in range(2):
        async with EmbeddedStack(settings_of(folder), parts=["postgres"], durable=False) as addresses:
            connection = await asyncpg.connect(addresses.database_url)
            await connection.close()
            modes = [mode_of(one) for one in (above, folder, folder / "postgres" / "data")]
            assert modes == [0o700, 0o700, 0o700]


async def test_commands_find_the_running_stack_and_only_that(state_dir: Path) -> None:
    settings = settings_of(state_dir, temporal_address="temporal:7233", kafka_bootstrap_servers="kafka:9092")
    async with EmbeddedStack(settings, durable=False) as addresses:
        found = with_running_stack(settings)
        assert found.database_url is not None
        assert found.database_url.get_secret_value() == addresses.database_url
        assert found.database_owner_address == addresses.database_owner_url != addresses.database_url
        assert found.temporal_address == "temporal:7233"
    assert running_addresses(settings) == Addresses()
    with pytest.raises(StackError, match="GIFTCERT_DATABASE_URL is not set and no stack runs"):
        with_running_stack(settings)


async def test_without_java_the_in_memory_broker_serves_and_it_is_said(
    state_dir: Path, reports: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(state_dir))
    async with EmbeddedStack(settings_of(state_dir), parts=["kafka"], report=reports) as addresses:
        assert addresses.kafka_in_memory
        async with AIOKafkaProducer(bootstrap_servers=addresses.kafka_bootstrap_servers) as producer:
            await producer.send_and_wait("anything", b"value")
    assert reports.of("in-memory broker, its messages end with it: Java 17 or newer is not installed")
    assert reports.of("set GIFTCERT_KAFKA_BOOTSTRAP_SERVERS")
    assert reports.of(f"ready  {addresses.kafka_bootstrap_servers}  in memory")


async def test_two_stacks_that_start_together_never_choose_the_same_port() -> None:
    with PortClaims() as first, PortClaims() as second, PortClaims(any_free=True) as third:
        port = first.free()
        with pytest.raises(StackError, match=f"port {port} is taken: set GIFTCERT_API_PORT"):
            second.claim("GIFTCERT_API_PORT", port)
        assert third.claim("GIFTCERT_API_PORT", port) != port
        first.close()
        assert second.claim("GIFTCERT_API_PORT", port) == port


async def test_temporal_in_memory_forgets(state_dir: Path) -> None:
    for _ in range(2):
        async with EmbeddedStack(settings_of(state_dir), parts=["temporal"], durable=False) as addresses:
            assert addresses.temporal_address is not None
            client = await Client.connect(addresses.temporal_address)
            with pytest.raises(RPCError, match="not found"):
                await client.get_workflow_handle("kept").describe()
            await client.start_workflow("Kept", id="kept", task_queue="nobody")
