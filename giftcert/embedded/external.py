"""Looks whether the servers that are not ours to start are there at all, before anything is built on them."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import urlsplit

from giftcert.embedded.addresses import Addresses
from giftcert.embedded.errors import StackError
from giftcert.embedded.readiness import accepts_connections
from giftcert.settings import Settings

_PATIENCE_SECONDS = 5
_USUAL_PORTS = {"database_url": 5432, "temporal_address": 7233, "kafka_bootstrap_servers": 9092}


async def check_external(settings: Settings) -> None:
    """Connect to every external address.

    Raises:
        StackError: nothing answers at one of them; the message names its setting.
    """
    async with asyncio.TaskGroup() as group:
        for name, address in Addresses.external(settings).servers.items():
            if address is not None:
                servers = list(_hosts_and_ports(address, _USUAL_PORTS[name]))
                group.create_task(_check(f"GIFTCERT_{name.upper()}", servers))


def _hosts_and_ports(addresses: str, usual_port: int) -> Iterator[tuple[str, int]]:
    if "//" in addresses:
        url = urlsplit(addresses)
        yield url.hostname or "127.0.0.1", url.port or usual_port
        return
    for address in map(str.strip, addresses.split(",")):
        host, _, port = address.rpartition(":")
        yield (host.strip("[]"), int(port)) if host and port.isdigit() else (address, usual_port)


async def _check(setting: str, servers: list[tuple[str, int]]) -> None:
    for host, port in servers:
        with suppress(TimeoutError):
            if await asyncio.wait_for(accepts_connections(host, port), _PATIENCE_SECONDS):
                return
    tried = ", ".join(f"{host}:{port}" for host, port in servers)
    raise StackError(f"{setting}: nothing answers at {tried}")
