"""Embedded Kafka: the real broker, and an in-memory stand-in where Java or Maven is missing."""

import asyncio
import fcntl
import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from giftcert.embedded.keeper import Keeper, Program
from giftcert.embedded.ports import LOOPBACK, PortClaims, accepts_connections
from giftcert.embedded.state_folder import StackError, StateFolder
from giftcert.settings import Settings

_POM = Path(__file__).with_name("pom.xml")
_OLDEST_JAVA = 17
_FETCH_SECONDS = 300
_CLUSTER_ID = "Z2lmdGNlcnQtZW1iZWRkZQ"  # 16 bytes in base64; it distinguishes clusters, and this one is alone
_SMALL_JVM = ("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
_LOG_LEVEL = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
_CONFIGURATION = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{controller}
listeners=PLAINTEXT://{client},CONTROLLER://{controller}
advertised.listeners=PLAINTEXT://{client}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
num.partitions={partitions}
# A misspelt topic shall be an error, not a topic.
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
# A broker that was killed may register anew only when its last session has expired, by default after 9 s.
broker.session.timeout.ms=4000
broker.heartbeat.interval.ms=500
# A lone consumer need not wait for others.
group.initial.rebalance.delay.ms=0
"""


class Kafka:
    """One node that is broker and controller (KRaft), its logs in the state folder, its jars fetched by Maven."""

    def __init__(self, settings: Settings, state: StateFolder, ports: PortClaims) -> None:
        self._state = state
        self._folder = state.root / "kafka"
        self._port = ports.claim("GIFTCERT_KAFKA_PORT", settings.kafka_port)
        self._jars = _jar_folder(settings.cache_dir)
        self._address = f"{LOOPBACK}:{self._port}"
        self.addresses: Mapping[str, Any] = {"kafka_bootstrap_servers": self._address}
        self._configuration = _CONFIGURATION.format(
            client=self._address,
            controller=f"{LOOPBACK}:{ports.free()}",
            data=self._folder / "data",
            partitions=settings.topic_partitions,
        )

    @property
    def is_fetched(self) -> bool:
        """Whether its jars are here, which a first start fetches."""
        return self._jars.exists()

    async def prepare(self) -> Program:
        """Fetch the jars and format the storage at first start; return what to run."""
        self._folder.mkdir(exist_ok=True)
        if not self.is_fetched:
            await self._fetch()
        properties = self._folder / "server.properties"
        properties.write_text(self._configuration)
        java = ("java", *_SMALL_JVM, _LOG_LEVEL, "-cp", f"{self._jars}/*")
        if not (self._folder / "data" / "meta.properties").exists():
            await self._format(*java, "kafka.tools.StorageTool", "format", "-c", str(properties))
        return Program(
            name="kafka",
            command=(*java, "kafka.Kafka", str(properties)),
            address=self._address,
            is_ready=partial(accepts_connections, LOOPBACK, self._port),
        )

    async def _fetch(self) -> None:
        """Have Maven fill the folder, once, even where two stacks start together."""
        folder = self._jars
        folder.parent.mkdir(parents=True, exist_ok=True)
        with folder.with_suffix(".lock").open("w") as lock:
            await asyncio.to_thread(fcntl.flock, lock, fcntl.LOCK_EX)
            if folder.exists():
                return
            partial = folder.with_suffix(".partial")
            shutil.rmtree(partial, ignore_errors=True)
            copy = ("dependency:copy-dependencies", f"-DoutputDirectory={partial}")
            maven = Program("maven", ("mvn", "-q", "-B", "-f", str(_POM), *copy))
            try:
                async with asyncio.timeout(_FETCH_SECONDS):
                    code, output = await Keeper(maven, self._state).finish()
            except TimeoutError:
                raise StackError(f"Maven did not fetch Kafka within {_FETCH_SECONDS} s") from None
            if code != 0:
                reason = next((line for line in output.splitlines() if line.startswith("[ERROR]")), output)
                raise StackError(f"Maven could not fetch Kafka: {reason[:300]}")
            partial.rename(folder)

    async def _format(self, *command: str) -> None:
        shutil.rmtree(self._folder / "data", ignore_errors=True)
        program = Program("kafka-format", (*command, "-t", _CLUSTER_ID))
        code, output = await Keeper(program, self._state).finish()
        if code != 0:
            raise StackError(f"Kafka's storage cannot be set up: {output[-300:]}")


class MemoryBroker:
    """The in-memory broker: its messages end with it, and its port is its own choice, known once it is ready."""

    def __init__(self, state: StateFolder) -> None:
        self._address_file = state.run / "memory-broker.address"

    @property
    def addresses(self) -> Mapping[str, Any]:
        """The fields of `Addresses` that it fills."""
        return {"kafka_bootstrap_servers": self._address_file.read_text(), "kafka_in_memory": True}

    async def prepare(self) -> Program:
        """Return what to run."""
        self._address_file.unlink(missing_ok=True)
        return Program(
            name="kafka",
            command=(sys.executable, "-m", "giftcert.embedded.memory_broker", str(self._address_file)),
            address=lambda: f"{self._address_file.read_text()}  in memory",
            is_ready=self._is_ready,
            lifeline=True,
            replaceable=False,  # another would have another port and none of the messages
        )

    async def _is_ready(self) -> bool:
        if not self._address_file.exists():
            return False
        host, _, port = self._address_file.read_text().rpartition(":")
        return await accepts_connections(host, int(port))


def why_not_real(cache: Path) -> str | None:
    """Return why the real broker cannot run on this machine, or None if it can."""
    java = shutil.which("java")
    if java is None:
        return f"Java {_OLDEST_JAVA} or newer is not installed"
    done = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)  # noqa: S603
    found = re.search(r'version "(\d+)', done.stderr + done.stdout)
    if found is None or int(found[1]) < _OLDEST_JAVA:
        return f"Java is version {found[1] if found else 'unknown'}, older than {_OLDEST_JAVA}"
    if not _jar_folder(cache).exists() and shutil.which("mvn") is None:  # it is needed once
        return "Maven is not installed"
    return None


def _jar_folder(cache: Path) -> Path:
    """Return where the jars of this pom.xml are kept; it exists only when they are complete."""
    return cache.resolve() / f"kafka-{hashlib.sha256(_POM.read_bytes()).hexdigest()[:12]}"
