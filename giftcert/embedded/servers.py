"""Which servers a stack starts, on which ports, and the addresses that follow."""

from dataclasses import dataclass, replace
from typing import Protocol

from giftcert.embedded import kafka_jars
from giftcert.embedded.addresses import Addresses
from giftcert.embedded.kafka import Kafka
from giftcert.embedded.memory_broker import MemoryBroker
from giftcert.embedded.ports import PortClaims
from giftcert.embedded.postgres import Postgres
from giftcert.embedded.programs import Program
from giftcert.embedded.state_folder import StateFolder
from giftcert.embedded.temporal import Temporal
from giftcert.settings import Settings


@dataclass(frozen=True, slots=True)
class StackOptions:
    """How a stack differs from the one that ``giftcert up`` starts.

    ``any_free_port``: take a free port where the wanted one is taken. ``durable=False``: PostgreSQL without
    fsync, Temporal in memory. ``memory_broker``: the in-memory broker even where the real one could run.
    """

    any_free_port: bool = False
    durable: bool = True
    memory_broker: bool = False


class Server(Protocol):
    """One of the three servers."""

    async def prepare(self) -> Program:
        """Make what its first start needs; return what to run."""
        ...


def embedded_parts(settings: Settings) -> frozenset[str]:
    """Return the servers whose address is not set, which are therefore ours to start."""
    addresses = {
        "postgres": settings.database_url,
        "temporal": settings.temporal_address,
        "kafka": settings.kafka_bootstrap_servers,
    }
    return frozenset(name for name, address in addresses.items() if address is None)


class Servers:
    """The servers of one stack, chosen and given their ports, not yet started."""

    def __init__(
        self,
        settings: Settings,
        state: StateFolder,
        parts: frozenset[str],
        options: StackOptions,
        ports: PortClaims,
    ) -> None:
        self._settings = settings
        self._state = state
        self._options = options
        self._ports = ports
        self.why_in_memory = self._why_in_memory() if "kafka" in parts else None
        self.postgres = self._postgres() if "postgres" in parts else None
        self.temporal = self._temporal() if "temporal" in parts else None
        self.kafka = self._kafka() if "kafka" in parts else None

    def all(self) -> list[Server]:
        """Return those that are to be started."""
        servers: list[Server | None] = [self.kafka, self.postgres, self.temporal]
        return [server for server in servers if server is not None]

    def addresses(self) -> Addresses:
        """Return where everything is: what is set, and what this stack starts.

        The in-memory broker must be ready for that; the addresses of the others are known before.
        """
        addresses = _external(self._settings)
        if self.postgres:
            addresses = replace(addresses, database_url=self.postgres.url)
        if self.temporal:
            ui_url, address = self.temporal.ui_url, self.temporal.address
            addresses = replace(addresses, temporal_address=address, temporal_ui_url=ui_url)
        if self.kafka:
            in_memory = self.why_in_memory is not None
            address = self.kafka.address
            addresses = replace(addresses, kafka_bootstrap_servers=address, kafka_in_memory=in_memory)
        return addresses

    def _why_in_memory(self) -> str | None:
        if self._options.memory_broker:
            return "as asked"
        return kafka_jars.why_not_real(self._settings.cache_dir)

    def _claim(self, setting: str, port: int) -> int:
        return self._ports.claim(setting, port, any_free=self._options.any_free_port)

    def _postgres(self) -> Postgres:
        port = self._claim("GIFTCERT_POSTGRES_PORT", self._settings.postgres_port)
        return Postgres(self._state, port, durable=self._options.durable)

    def _temporal(self) -> Temporal:
        return Temporal(
            self._state,
            self._claim("GIFTCERT_TEMPORAL_PORT", self._settings.temporal_port),
            self._claim("GIFTCERT_TEMPORAL_UI_PORT", self._settings.temporal_ui_port),
            self._settings.temporal_namespace,
            durable=self._options.durable,
        )

    def _kafka(self) -> Kafka | MemoryBroker:
        if self.why_in_memory is not None:
            return MemoryBroker(self._state)
        return Kafka(
            self._state,
            self._claim("GIFTCERT_KAFKA_PORT", self._settings.kafka_port),
            self._ports.free(),
            cache=self._settings.cache_dir,
            partitions=self._settings.topic_partitions,
        )


def _external(settings: Settings) -> Addresses:
    url = settings.database_url
    return Addresses(
        database_url=url.get_secret_value() if url else None,
        temporal_address=settings.temporal_address,
        temporal_ui_url=settings.temporal_ui_url if settings.temporal_address else None,
        kafka_bootstrap_servers=settings.kafka_bootstrap_servers,
    )
