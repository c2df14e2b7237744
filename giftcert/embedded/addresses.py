"""Where the servers of the service are: those that the settings name, and those of a stack that runs here."""

import asyncio
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from urllib.parse import urlsplit

from pydantic import SecretStr

from giftcert.embedded.guardian import PidFile
from giftcert.embedded.ports import LOOPBACK, accepts_connections
from giftcert.embedded.state_folder import StackError, StateFolder
from giftcert.security.keys import keyring_of, token_verifier_of
from giftcert.settings import Settings
from giftcert.temporal.client import temporal_configuration

PARTS = {"postgres": "database_url", "temporal": "temporal_address", "kafka": "kafka_bootstrap_servers"}
"""Each server, and the setting whose address makes it external."""
_USUAL_PORTS = {"database_url": 5432, "temporal_address": 7233, "kafka_bootstrap_servers": 9092}
_PATIENCE_SECONDS = 5
_BEGIN_SECONDS = 10  # `giftcert up &` takes about two to be seen
_START_SECONDS = 300  # at first it may have to fetch Kafka
_LOOK_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Addresses:
    """The addresses of the three servers; None where a part is neither embedded here nor external."""

    database_url: str | None = None
    database_owner_url: str | None = None
    temporal_address: str | None = None
    temporal_ui_url: str | None = None
    temporal_embedded: bool = False
    kafka_bootstrap_servers: str | None = None
    kafka_in_memory: bool = False
    api_url: str | None = None
    metrics_urls: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def external(cls, settings: Settings) -> "Addresses":
        """Return those that are set: of servers that are not ours to start."""
        url, owner_url = settings.database_url, settings.database_owner_url
        return cls(
            database_url=url.get_secret_value() if url else None,
            database_owner_url=owner_url.get_secret_value() if url and owner_url else None,
            temporal_address=settings.temporal_address,
            temporal_ui_url=settings.temporal_ui_url if settings.temporal_address else None,
            kafka_bootstrap_servers=settings.kafka_bootstrap_servers,
        )

    @property
    def servers(self) -> Mapping[str, str | None]:
        """The address of each server under the name of its setting."""
        addresses = (self.database_url, self.temporal_address, self.kafka_bootstrap_servers)
        return dict(zip(PARTS.values(), addresses, strict=True))

    def environment(self) -> Mapping[str, str]:
        """Return them as the environment variables that a person would set for the processes of the service."""
        named = {**self.servers, "temporal_ui_url": self.temporal_ui_url}
        return {f"GIFTCERT_{name.upper()}": value for name, value in named.items() if value is not None}


@dataclass(frozen=True, slots=True)
class RunningStack:
    """A stack that runs here: where it is, which channels it serves, who holds it, and since when."""

    addresses: Addresses
    channels: tuple[str, ...]
    process_id: int
    since: datetime

    @property
    def is_ready(self) -> bool:
        """Whether it has started: its API is the last to have an address."""
        return self.addresses.api_url is not None


def save_addresses(addresses: Addresses, settings: Settings) -> None:
    """Write them, with who holds the stack, where commands run beside it look; the owner alone reads it."""
    holder = PidFile.of("supervisor", os.getpid())
    path = StateFolder(settings.state_dir).addresses
    record = {"holder": asdict(holder) if holder else None, "channels": settings.channels}
    fresh = path.with_suffix(".new")
    fresh.touch(mode=0o600)
    fresh.write_text(json.dumps({**record, "addresses": asdict(addresses)}))
    fresh.replace(path)  # nobody reads half of it


def running_stack(settings: Settings) -> RunningStack | None:
    """Return the stack that runs on the state folder, if one does.

    Raises:
        StackError: one runs, but another version of the service has started it.
    """
    try:
        content = json.loads(StateFolder(settings.state_dir).addresses.read_text())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    holder = PidFile(**content["holder"]) if content["holder"] else None
    if holder is None or holder.process() is None:
        return None
    since = datetime.fromtimestamp(holder.started, UTC)
    try:
        addresses = Addresses(**content["addresses"])
    except TypeError:
        raise StackError(
            f"another version started the stack on {settings.state_dir}: end its `giftcert up`, and start it again"
        ) from None
    return RunningStack(addresses, tuple(content["channels"]), holder.pid, since)


async def started_stack(settings: Settings, waits: Callable[[str], None]) -> RunningStack:
    """Return the stack that runs on the state folder, once it is ready; ``waits`` hears what is waited for.

    Raises:
        StackError: none has begun to start within some seconds, or it has ended again.
    """
    stack = running_stack(settings)
    if stack is None:
        waits(f"no stack runs on {settings.state_dir} yet: waiting for one to start")
        stack = await _seen_within(_BEGIN_SECONDS, settings, lambda _: True)
    if stack is not None and not stack.is_ready:
        waits(f"the stack on {settings.state_dir} is starting: waiting until it is ready")
        stack = await _seen_within(_START_SECONDS, settings, lambda found: found.is_ready)
    if stack is None:
        raise StackError(f"no stack runs on {settings.state_dir}: start `giftcert up`")
    return stack


async def _seen_within(
    seconds: float, settings: Settings, is_wanted: Callable[[RunningStack], bool]
) -> RunningStack | None:
    """Look until there is such a stack; None when time is up, or the one that was starting has ended."""
    until, before = time.monotonic() + seconds, running_stack(settings)
    while True:
        found = running_stack(settings)
        if found is not None and is_wanted(found):
            return found
        if time.monotonic() > until or (before is not None and found is None):
            return None
        before = found
        await asyncio.sleep(_LOOK_SECONDS)


def running_addresses(settings: Settings) -> Addresses:
    """Return the addresses of the stack that runs on the state folder; all None where none does."""
    stack = running_stack(settings)
    return stack.addresses if stack else Addresses()


def with_running_stack(settings: Settings, needed: Iterable[str] = tuple(PARTS.values())) -> Settings:
    """Fill addresses that are not set with those of the running stack; `StackError` where a needed one is unknown."""
    external, running = Addresses.external(settings).servers, running_addresses(settings)
    found: dict[str, object] = {
        name: SecretStr(value) if name == "database_url" else value
        for name, value in running.servers.items()
        if value is not None and external[name] is None
    }
    for name in needed:
        if external[name] is None and name not in found:
            raise StackError(
                f"GIFTCERT_{name.upper()} is not set and no stack runs on {settings.state_dir}: "
                "start `giftcert up`, or set it"
            )
    if "database_url" in found and running.database_owner_url is not None:
        found["database_owner_url"] = SecretStr(running.database_owner_url)
    if "temporal_address" in found and running.temporal_ui_url is not None:
        found["temporal_ui_url"] = running.temporal_ui_url
    if running.temporal_embedded and external["temporal_address"] in {None, running.temporal_address}:
        found["temporal_envconfig"] = False
    elif "temporal_namespace" not in settings.model_fields_set:
        found |= _namespace(settings)
    return settings.model_copy(update=found)


def _namespace(settings: Settings) -> dict[str, object]:
    named = temporal_configuration(settings).get("namespace")
    return {"temporal_namespace": named} if named else {}


async def check_external(settings: Settings) -> None:
    """Connect to every external address, before anything is built on it; `StackError` where nothing answers."""
    external = Addresses.external(settings).servers
    checks = [_check(name, address) for name, address in external.items() if address is not None]
    await asyncio.gather(*checks)


def _hosts_and_ports(addresses: str, usual_port: int) -> Iterator[tuple[str, int]]:
    urls = [addresses] if "//" in addresses else [f"//{one.strip()}" for one in addresses.split(",")]
    for url in map(urlsplit, urls):
        yield url.hostname or LOOPBACK, url.port or usual_port


async def _check(name: str, addresses: str) -> None:
    servers = list(_hosts_and_ports(addresses, _USUAL_PORTS[name]))
    for host, port in servers:
        with suppress(TimeoutError):
            if await asyncio.wait_for(accepts_connections(host, port), _PATIENCE_SECONDS):
                return
    tried = ", ".join(f"{host}:{port}" for host, port in servers)
    raise StackError(f"GIFTCERT_{name.upper()}: nothing answers at {tried}")


def refuse_embedded_keys(settings: Settings) -> None:
    """Raise a `StackError` where keys that an embedded stack made for itself would serve others than this machine.

    An address of the stack that runs on the state folder is no external one.
    """
    exposed = _exposed_by(settings)
    if exposed is None:
        return
    for setting, embedded in (
        ("GIFTCERT_KEYRING", settings.keyring is None or keyring_of(settings).origin == "embedded"),
        ("GIFTCERT_JWT_JWKS", settings.jwt_jwks is None or token_verifier_of(settings).keys.are_embedded),
    ):
        if embedded:
            raise StackError(
                f"{exposed}: set {setting} to keys of your own, those of the embedded stack are not for it"
            )


def _exposed_by(settings: Settings) -> str | None:
    if not settings.is_api_local:
        return f"GIFTCERT_API_HOST={settings.api_host} can be reached by others"
    running = running_addresses(settings).servers
    for name, address in Addresses.external(settings).servers.items():
        if address not in {None, running[name]}:
            return f"GIFTCERT_{name.upper()} is external"
    return None
