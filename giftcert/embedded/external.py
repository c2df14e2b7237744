"""Looks whether the servers that are not ours to start are there at all, before anything is built on them."""

import asyncio
from urllib.parse import urlsplit

from giftcert.embedded.errors import StackError
from giftcert.embedded.readiness import accepts_connections
from giftcert.settings import Settings

_PATIENCE_SECONDS = 5


async def check_external(settings: Settings) -> None:
    """Connect to every external address.

    Raises:
        StackError: nothing answers at one of them; the message names its setting.
    """
    async with asyncio.TaskGroup() as group:
        for setting, servers in _external(settings):
            group.create_task(_check(setting, servers))


def _external(settings: Settings) -> list[tuple[str, list[tuple[str, int]]]]:
    found = []
    if settings.database_url is not None:
        url = urlsplit(settings.database_url.get_secret_value())
        found.append(("GIFTCERT_DATABASE_URL", [(url.hostname or "127.0.0.1", url.port or 5432)]))
    if settings.temporal_address is not None:
        found.append(("GIFTCERT_TEMPORAL_ADDRESS", [_host_and_port(settings.temporal_address, 7233)]))
    if settings.kafka_bootstrap_servers is not None:
        servers = [_host_and_port(one, 9092) for one in settings.kafka_bootstrap_servers.split(",")]
        found.append(("GIFTCERT_KAFKA_BOOTSTRAP_SERVERS", servers))
    return found


def _host_and_port(address: str, usual_port: int) -> tuple[str, int]:
    host, _, port = address.strip().rpartition(":")
    return (host.strip("[]"), int(port)) if host and port.isdigit() else (address.strip(), usual_port)


async def _check(setting: str, servers: list[tuple[str, int]]) -> None:
    for host, port in servers:
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                if await accepts_connections(host, port):
                    return
        except TimeoutError:
            continue
    tried = ", ".join(f"{host}:{port}" for host, port in servers)
    raise StackError(f"{setting}: nothing answers at {tried}")
