"""CRM: reads the stream, fetches the CVC of each issued certificate and writes to the client.

``python -m simulators.crm`` runs until interrupted and says how many it wrote to.
"""

import argparse
import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from simulators.addresses import Addresses
from simulators.programs import run
from simulators.service import Disclosure, RefusedError, Service, open_service
from simulators.stream import Event, read_event
from simulators.topics import Reader, Record, open_reader

AT_ONCE = 8
"""Letters that are written at the same time."""


@dataclass(slots=True)
class Crm:
    """What CRM has done; a letter is known by its notification, so a repeated event writes no second one."""

    service: Service
    letters: dict[str, Disclosure] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    suppressed: int = 0
    on_letter: Callable[[str], None] = lambda _certificate_id: None
    _written: dict[str, Disclosure] = field(default_factory=dict)
    _begun: set[str] = field(default_factory=set)
    _desk: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    def has_written_about(self, certificate_id: str) -> bool:
        """Return whether the client of this certificate has had a letter."""
        return certificate_id in self._written

    def letter_about(self, certificate_id: str) -> Disclosure:
        """Return what the letter to the client of this certificate said.

        Raises:
            KeyError: there was none.
        """
        return self._written[certificate_id]

    async def handle(self, record: Record) -> None:
        """Write to the client if the record asks for it."""
        event = _read(record)
        if event is None or event.event_type != "notification.requested":
            return
        notification = event.text("notificationId") or ""
        if notification in self._begun:
            return
        self._begun.add(notification)
        if event.payload.get("suppressed"):
            self.suppressed += 1
            return
        await self._write_letter(event.certificate_id or "", notification)

    async def _write_letter(self, certificate_id: str, notification: str) -> None:
        async with self._desk:
            try:
                disclosure = await self.service.disclose(certificate_id, notification)
            except RefusedError as refusal:
                self.refused[notification] = str(refusal)
                return
        self.letters[notification] = disclosure
        self._written[certificate_id] = disclosure
        self.on_letter(certificate_id)


def _read(record: Record) -> Event | None:
    try:
        return read_event(record)
    except msgspec.DecodeError:
        return None


async def serve(crm: Crm, reader: Reader) -> None:
    """Go through the stream for ever; what was handed out is committed once every letter of it is written."""
    while True:
        records = await reader.batch()
        await asyncio.gather(*(crm.handle(record) for record in records))
        if records:
            await reader.commit()


async def work(addresses: Addresses, group: str) -> None:
    """Connect and serve, saying now and then how far it has come."""
    reading = open_reader(addresses, addresses.stream_topic, group=group)
    async with open_service(addresses, "crm") as service, reading as reader:
        crm = Crm(service)
        crm.on_letter = lambda certificate_id: print(f"wrote about {certificate_id}")  # noqa: T201
        await serve(crm, reader)


def main() -> None:
    """Read the options and run until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m simulators.crm", description=__doc__)
    parser.add_argument(
        "--group", default="crm-simulator", help="consumer group that remembers how far it read"
    )
    options = parser.parse_args()
    run(lambda addresses: work(addresses, options.group))


if __name__ == "__main__":
    main()
