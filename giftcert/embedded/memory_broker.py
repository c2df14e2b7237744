"""The stand-in where Java or Maven is missing: librdkafka's in-memory broker, which speaks the protocol.

Started as ``python -m giftcert.embedded.memory_broker FILE``: it writes its address into the file and runs
until its lifeline is cut or it is told to end. Messages are lost with it, and the port cannot be chosen.
"""

import asyncio
import signal
import sys
from pathlib import Path

from confluent_kafka import Producer

from giftcert.embedded.parent import Lifeline
from giftcert.embedded.programs import Program
from giftcert.embedded.readiness import accepts_connections
from giftcert.embedded.state_folder import StateFolder


class MemoryBroker:
    """The in-memory broker as a part of the stack."""

    def __init__(self, state: StateFolder) -> None:
        self._address_file = state.run / "memory-broker.address"
        self._log = state.logs / "kafka.log"

    @property
    def address(self) -> str:
        """Host and port for clients, known once it is ready."""
        return self._address_file.read_text()

    async def prepare(self) -> Program:
        """Return what to run."""
        self._address_file.unlink(missing_ok=True)
        return Program(
            name="kafka",
            command=(sys.executable, "-m", "giftcert.embedded.memory_broker", str(self._address_file)),
            log=self._log,
            address=lambda: f"{self.address}  in memory",
            is_ready=self._is_ready,
            lifeline=True,
            replaceable=False,  # another would have another port and none of the messages
        )

    async def _is_ready(self) -> bool:
        if not self._address_file.exists():
            return False
        host, _, port = self.address.rpartition(":")
        return await accepts_connections(host, int(port))


async def _serve(address_file: Path) -> None:
    producer = Producer({"test.mock.num.brokers": 1, "log_level": 3})
    broker = next(iter(producer.list_topics(timeout=10).brokers.values()))
    partial = address_file.with_suffix(".partial")
    partial.write_text(f"{broker.host}:{broker.port}")
    partial.rename(address_file)
    lifeline = Lifeline()
    watch = asyncio.create_task(lifeline.watch())
    for stop_signal in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(stop_signal, lifeline.cut.set)
    await lifeline.cut.wait()
    watch.cancel()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1])))
