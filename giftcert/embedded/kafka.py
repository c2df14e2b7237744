"""Embedded Kafka: the real broker, one node that is broker and controller (KRaft)."""

import base64
import shutil
import uuid
from pathlib import Path

from giftcert.embedded import kafka_jars
from giftcert.embedded.commands import complete
from giftcert.embedded.errors import StackError
from giftcert.embedded.ports import LOOPBACK
from giftcert.embedded.programs import Program
from giftcert.embedded.readiness import accepts_connections
from giftcert.embedded.state_folder import StateFolder

_SMALL_JVM = ("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
_LOG_LEVEL = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"


class Kafka:
    """A broker with its logs in the state folder."""

    def __init__(
        self, state: StateFolder, port: int, controller_port: int, *, cache: Path, partitions: int
    ) -> None:
        self._folder = state.root / "kafka"
        self._log = state.logs / "kafka.log"
        self._port = port
        self._controller_port = controller_port
        self._cache = cache
        self._partitions = partitions

    @property
    def address(self) -> str:
        """Host and port for clients."""
        return f"{LOOPBACK}:{self._port}"

    async def prepare(self) -> Program:
        """Fetch the jars and format the storage at first start; return what to run.

        Raises:
            StackError: either failed.
        """
        self._folder.mkdir(exist_ok=True)
        jars = await kafka_jars.fetch(self._cache)
        self._properties.write_text(self._configuration())
        java = ("java", *_SMALL_JVM, _LOG_LEVEL, "-cp", f"{jars}/*")
        if not (self._data / "meta.properties").exists():
            await self._format(java)
        return Program(
            name="kafka",
            command=(*java, "kafka.Kafka", str(self._properties)),
            log=self._log,
            address=self.address,
            is_ready=self._is_ready,
        )

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    @property
    def _properties(self) -> Path:
        return self._folder / "server.properties"

    def _configuration(self) -> str:
        client, controller = f"{LOOPBACK}:{self._port}", f"{LOOPBACK}:{self._controller_port}"
        return "\n".join(
            [
                "process.roles=broker,controller",
                "node.id=1",
                f"controller.quorum.voters=1@{controller}",
                f"listeners=PLAINTEXT://{client},CONTROLLER://{controller}",
                f"advertised.listeners=PLAINTEXT://{client}",
                "controller.listener.names=CONTROLLER",
                "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
                f"log.dirs={self._data}",
                f"num.partitions={self._partitions}",
                "auto.create.topics.enable=false",  # a misspelt topic shall be an error, not a topic
                "offsets.topic.replication.factor=1",
                "offsets.topic.num.partitions=4",
                "transaction.state.log.replication.factor=1",
                "transaction.state.log.min.isr=1",
                "share.coordinator.state.topic.replication.factor=1",
                "share.coordinator.state.topic.min.isr=1",
                # One that was killed may register anew only when its last session has run out, by default after 9 s.
                "broker.session.timeout.ms=4000",
                "broker.heartbeat.interval.ms=500",
                "group.initial.rebalance.delay.ms=0",  # a lone consumer need not wait for others
            ]
        )

    async def _format(self, java: tuple[str, ...]) -> None:
        shutil.rmtree(self._data, ignore_errors=True)
        # Never a "-" in front: the tool would take the id for another option, once in 64 starts.
        cluster = base64.urlsafe_b64encode(b"\0" + uuid.uuid4().bytes[1:]).decode().rstrip("=")
        code, output = await complete(
            *(*java, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(self._properties))
        )
        if code != 0:
            raise StackError(f"Kafka's storage cannot be set up: {output[-300:]}")

    async def _is_ready(self) -> bool:
        return await accepts_connections(LOOPBACK, self._port)
