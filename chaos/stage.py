"""The stack that is to suffer, and what can be done to it on this machine beside ending its processes.

Where Toxiproxy is there, servers and service are two stacks with proxies between them, and the partners call the API
through one too. The servers' files then lie on a disk of their own, if we may mount one, and the service's processes
see a clock that can be moved, if libfaketime is installed. What cannot be done is said in a line each.
"""

import json
import os
import re
import subprocess
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit, urlunsplit

import psutil
from joserfc.jwk import ECKey

from benchmarks.measurement import new_folder, servers
from benchmarks.stack import GIFTCERT, Stack, running_stack
from chaos.proxies import Proxies, open_proxies, toxiproxy

SERVERS = ("postgres", "kafka", "temporal")
DISK_MB = 3_000
_KAFKA_SECONDS = 30
Mean = TypeVar("Mean")
_NEEDED = {
    "network": "no fault of the network: it takes Go, or toxiproxy-server",
    "disk": "no full disk: it takes Toxiproxy, and the right to mount one (root)",
    "clock": "no moved clock: it takes Toxiproxy, and libfaketime (package faketime)",
}


@dataclass(frozen=True, slots=True)
class Stage:
    """A running stack; ``folders`` hold the state of its parts. What is ``None`` cannot be done here.

    ``disk`` is a file system that only the servers write to, ``clock`` the file that moves the clock of the service's
    processes. ``apis`` are the addresses of additional API processes that run just now.
    """

    stack: Stack
    folders: tuple[Path, ...]
    proxies: Proxies | None = None
    disk: Path | None = None
    clock: Path | None = None
    apis: list[str] = field(default_factory=list)

    @property
    def can(self) -> frozenset[str]:
        """Which needs of faults are met."""
        means = {"network": self.proxies, "disk": self.disk, "clock": self.clock}
        return frozenset(name for name, mean in means.items() if mean is not None)

    def having(self, mean: Mean | None) -> Mean:
        """Return what a fault needs, which was asked for before."""
        if mean is None:
            raise LookupError("this fault cannot be made here")
        return mean

    @property
    def skipped(self) -> list[str]:
        """What cannot be done here, a line each, and what it takes."""
        lines = [line for name, line in _NEEDED.items() if name not in self.can]
        return [*lines, "Temporal's own clock is not moved: libfaketime does not reach programs in Go"]

    def processes(self, part: str) -> list[psutil.Process]:
        """Return the running processes of a part, as the stack wrote them down."""
        found = []
        for folder in self.folders:
            for path in Path(folder, "run").glob(f"{part}.*.json"):
                with suppress(psutil.NoSuchProcess, FileNotFoundError, ValueError):
                    found.append(psutil.Process(json.loads(path.read_text())["pid"]))
        return found


@asynccontextmanager
async def set_up(
    settings: Mapping[str, str], *, pool: int = 0, with_tools: bool = True
) -> AsyncIterator[Stage]:
    """Start everything with these settings, and end all of it; without tools it is the plain stack."""
    program = toxiproxy() if with_tools else None
    if program is None:
        with running_stack(pool, settings) as stack:
            yield Stage(stack, (stack.folder,))
        return
    with (
        new_folder() as folder,
        _own_disk(folder / "servers") as is_disk,
        servers(folder / "servers", *SERVERS) as addresses,
    ):
        async with open_proxies(program, _upstreams(addresses)) as proxies:
            state, service = folder / "servers" / "state", folder / "service"
            _advertise(state, proxies.ports["kafka"])
            clock = _clock(folder)
            service.mkdir()
            keys = _make_keys(service)
            external = {**settings, **keys, **_external(addresses, proxies.ports), **_faked(clock)}
            with running_stack(pool, external, service) as stack:
                api_port = await proxies.add("api", urlsplit(stack.api_url).netloc)
                proxied = replace(stack, api_url=f"http://127.0.0.1:{api_port}")
                disk = folder / "servers" if is_disk else None
                yield Stage(proxied, (stack.folder, state), proxies, disk, clock)


def _upstreams(addresses: Mapping[str, str]) -> dict[str, str]:
    """Return host and port of each server."""
    return {
        "postgres": urlsplit(addresses["database_url"]).netloc.rpartition("@")[2],
        "kafka": addresses["kafka_bootstrap_servers"],
        "temporal": addresses["temporal_address"],
    }


@contextmanager
def _own_disk(folder: Path) -> Iterator[bool]:
    """Make a folder, as a small file system of its own if we may; return whether it is one."""
    folder.mkdir()
    options = f"size={DISK_MB}m,mode=755"
    command = ["mount", "-t", "tmpfs", "-o", options, "giftcert-chaos", str(folder)]
    is_mounted = (
        os.geteuid() == 0 and not subprocess.run(command, check=False, capture_output=True).returncode
    )
    try:
        yield is_mounted
    finally:
        if is_mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=False)


def _advertise(state: Path, port: int) -> None:
    """Have Kafka name the proxy as its address, and start it anew."""
    properties = state / "kafka" / "server.properties"
    advertised = f"advertised.listeners=PLAINTEXT://127.0.0.1:{port}"
    properties.write_text(re.sub(r"advertised\.listeners=.*", advertised, properties.read_text()))
    record = next((state / "run").glob("kafka.*.json"))
    psutil.Process(json.loads(record.read_text())["pid"]).terminate()
    until = time.monotonic() + _KAFKA_SECONDS
    while record.exists() and time.monotonic() < until:
        time.sleep(0.1)


def _external(addresses: Mapping[str, str], ports: Mapping[str, int]) -> dict[str, str]:
    """Return the settings that lead the service to the servers by way of the proxies."""

    def proxied(url: str) -> str:
        parts = urlsplit(url)
        login = parts.netloc.rpartition("@")[0]
        return urlunsplit(parts._replace(netloc=f"{login}@127.0.0.1:{ports['postgres']}"))

    return {
        "GIFTCERT_DATABASE_URL": proxied(addresses["database_url"]),
        "GIFTCERT_DATABASE_OWNER_URL": proxied(addresses["database_owner_url"]),
        "GIFTCERT_KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{ports['kafka']}",
        "GIFTCERT_TEMPORAL_ADDRESS": f"127.0.0.1:{ports['temporal']}",
    }


def _make_keys(state: Path) -> dict[str, str]:
    """Make keys as an operator would, and return their settings: an embedded stack's are refused beside other servers.

    They lie where an embedded stack has its own, so that ``giftcert token`` signs with them.
    """
    keys = state / "keys"
    made = {"GIFTCERT_KEYRING": str(keys / "keyring.json"), "GIFTCERT_JWT_JWKS": str(keys / "jwks.json")}
    environment = {**os.environ, **made, "GIFTCERT_STATE_DIR": str(state)}
    subprocess.run([*GIFTCERT, "keys", "init"], env=environment, check=True, capture_output=True)
    signing = ECKey.generate_key("P-256", {"kid": "chaos", "use": "sig", "alg": "ES256"})
    private = keys / "token-key.json"
    private.touch(mode=0o600)
    private.write_text(json.dumps(signing.as_dict(private=True)))
    (keys / "jwks.json").write_text(json.dumps({"keys": [signing.as_dict(private=False)]}))
    return made


def _clock(folder: Path) -> Path | None:
    """Return the file that moves the clock, or ``None`` without libfaketime."""
    if _libfaketime() is None:
        return None
    clock = folder / "clock"
    clock.write_text("+0")
    return clock


def _libfaketime() -> Path | None:
    return next(iter(Path("/usr").glob("lib*/**/faketime/libfaketimeMT.so.1")), None)


def _faked(clock: Path | None) -> dict[str, str]:
    """Return the environment of processes that see the moved clock; what measures durations stays as it is."""
    if clock is None:
        return {}
    return {
        "LD_PRELOAD": str(_libfaketime()),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }
