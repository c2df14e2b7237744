"""``giftcert up`` where all servers run elsewhere: it starts the service alone, on keys of your own."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
from command_runs import RunCommand
from servers_elsewhere import ISSUER, sell_one, topics_of_others
from stacks import Stack

from tests.integration.command_line.conftest import as_variables
from tests.state_folders import new_state_folder
from tests.tls_servers.certificates import Certificates
from tests.tls_servers.kafka import tls_kafka
from tests.tls_servers.postgres import tls_postgres
from tests.tls_servers.proxy import tls_proxy

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]
SERVERS = {"postgres", "temporal", "kafka"}
Start = Callable[..., Stack]


@pytest.fixture
def start(own_keys: dict[str, str], clean_environment: dict[str, str]) -> Iterator[Start]:
    """Start ``giftcert up`` with these settings and variables of others; it is ended for certain."""
    folder = new_state_folder("test")
    started: list[Stack] = []

    def begin(settings: dict[str, str], variables: dict[str, str]) -> Stack:
        named = as_variables({**settings, **own_keys, "jwt_issuer": ISSUER, "embedded_pool": "5"})
        started.append(Stack(folder, {**clean_environment, **named, **variables}))
        return started[0]

    yield begin
    for stack in started:
        stack.close()
    shutil.rmtree(folder)


async def test_the_service_alone_sells_on_servers_that_run_elsewhere(
    start: Start,
    fresh_database_url: str,
    temporal_address: str,
    kafka: str,
    own_keys: dict[str, str],
    giftcert: RunCommand,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = {
        "database_url": fresh_database_url,
        "temporal_address": temporal_address,
        "kafka_bootstrap_servers": kafka,
        **await topics_of_others(kafka),
    }
    stack = start(settings, {})
    assert stack.parts().keys().isdisjoint(SERVERS)
    await sell_one(stack, kafka, settings, own_keys, monkeypatch)
    verified = giftcert("verify", **settings, **own_keys)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert stack.end() == 0


@pytest.fixture
async def over_tls(
    temporal_address: str, certificates: Certificates
) -> AsyncIterator[tuple[dict[str, str], dict[str, str], str]]:
    """Servers that want certificates of our processes: settings, Temporal's own variables, Kafka as others reach it."""
    who, folder = certificates.client, new_state_folder("tls")
    files = {"certfile": who.certificate, "keyfile": who.key, "cafile": certificates.ca}
    async with (
        tls_kafka(folder / "kafka", certificates) as kafka,
        tls_postgres(folder / "postgres", certificates, certificates.server) as databases,
        tls_proxy(temporal_address, certificates.server, client_ca=certificates.ca) as temporal,
    ):
        tls = f"sslmode=verify-full&sslrootcert={certificates.ca}&sslcert={who.certificate}&sslkey={who.key}"
        settings = {
            "database_url": f"{databases['by_certificate']}?{tls}",
            "temporal_address": temporal,
            "kafka_bootstrap_servers": kafka["MUTUAL"],
            "kafka_security_protocol": "SSL",
            **{f"kafka_ssl_{name}": str(path) for name, path in files.items()},
            **await topics_of_others(kafka["PLAINTEXT"]),
        }
        variables = {
            "TEMPORAL_TLS": "true",
            "TEMPORAL_TLS_SERVER_CA_CERT_PATH": str(certificates.ca),
            "TEMPORAL_TLS_CLIENT_CERT_PATH": str(who.certificate),
            "TEMPORAL_TLS_CLIENT_KEY_PATH": str(who.key),
        }
        yield settings, variables, kafka["PLAINTEXT"]


async def test_the_service_sells_over_tls_with_certificates_of_its_own(
    start: Start,
    over_tls: tuple[dict[str, str], dict[str, str], str],
    own_keys: dict[str, str],
    giftcert: RunCommand,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings, variables, kafka = over_tls
    stack = await asyncio.to_thread(start, settings, variables)  # the proxy before Temporal runs here
    await sell_one(stack, kafka, settings, own_keys, monkeypatch)
    verified = await asyncio.to_thread(giftcert, "verify", **settings, **own_keys, variables=variables)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert await asyncio.to_thread(stack.end) == 0
