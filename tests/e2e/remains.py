"""What a run leaves behind, place by place: what lies there, and how a leak gets there."""

import asyncio
import base64
import sys
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias
from uuid import uuid4

import httpx
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from prometheus_client import CollectorRegistry, Counter, generate_latest
from stdnum import luhn
from temporalio.client import Client

from giftcert.embedded.addresses import running_addresses, with_running_stack
from giftcert.kafka_connection import connection_options
from giftcert.security.data_keys import Purpose
from giftcert.security.keys import keyring_of
from giftcert.settings import Settings
from giftcert.storage.data_keys import DataKeyRepository
from giftcert.storage.database import Database
from giftcert.temporal.client import connect
from giftcert.temporal.search_attributes import Visibility, pairs
from tests.leaks import Secrets, files_below, texts_of_every_table
from tests.waiting import until

Text: TypeAlias = tuple[str, bytes]
"""Where something stands, and what."""
_SECRETS = """
    SELECT certificate_id, number_sealed, cvc_sealed, sequence > 0 AS is_used
    FROM certificate_secrets JOIN certificates USING (certificate_id)
"""


@dataclass(frozen=True)
class Planted:
    """A number and a CVC that no certificate has."""

    number: str
    cvc: str

    @property
    def secrets(self) -> Secrets:
        return Secrets([self.number], [self.cvc])

    @property
    def in_base64(self) -> str:
        return base64.b64encode(f'{{"number": "{self.number}"}}'.encode()).decode()


@dataclass(frozen=True)
class Remains:
    """A stack that still runs, and what it has shown so far."""

    folder: Path
    environment: Mapping[str, str]
    shown: str
    _known: list[Secrets] = field(default_factory=list)

    @property
    def settings(self) -> Settings:
        return with_running_stack(Settings(_env_file=None, state_dir=self.folder))

    @asynccontextmanager
    async def opened(self, place: type["Place"]) -> AsyncIterator["Place"]:
        async with AsyncExitStack() as stack:
            yield place(self, stack)

    async def secrets(self) -> Secrets:
        """The numbers of all certificates, and the CVCs of those that anything was done with."""
        if not self._known:
            async with Database.of(self.settings, "test") as database, database.connection() as connection:
                rows = await connection.fetch(_SECRETS)
                keys = DataKeyRepository(connection, keyring_of(self.settings))
                numbers, cvcs = [
                    [
                        (await keys.open(row[f"{one}_sealed"], one, row["certificate_id"].bytes)).decode()
                        for row in rows
                        if one is Purpose.NUMBER or row["is_used"]
                    ]
                    for one in (Purpose.NUMBER, Purpose.CVC)
                ]
            assert len(numbers) > 1_000
            assert len(cvcs) >= 40
            self._known.append(Secrets(numbers, cvcs))
        return self._known[0]

    def planted(self, place: type["Place"]) -> Planted:
        """Secrets that are planted in this place alone."""
        seed = f"{PLACES.index(place):02}"
        digits = f"45395787{seed}36214"
        return Planted(digits + luhn.calc_check_digit(digits), f"7531{seed}86")

    async def command(self, *arguments: str, errors: int = asyncio.subprocess.STDOUT) -> bytes:
        """What a command of ours says, whether it fails or not; ``errors``: where standard error goes."""
        environment = {**self.environment, "GIFTCERT_STATE_DIR": str(self.folder)}
        return await _output("-m", "giftcert.cli", *arguments, environment=environment, errors=errors)


async def _output(
    *arguments: str, environment: Mapping[str, str], errors: int = asyncio.subprocess.STDOUT
) -> bytes:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=errors,
    )
    output, _ = await process.communicate()
    return output


async def _is_listed(client: Client, workflow_id: str) -> bool:
    return workflow_id in {run.id async for run in client.list_workflows()}


class Place(ABC):
    """Somewhere that secrets might leak to."""

    def __init__(self, remains: Remains, stack: AsyncExitStack) -> None:
        self.remains = remains
        self.stack = stack
        self.leaked: list[Text] = []
        """What a leak is made of where nothing lasts that it could be written to."""

    async def found(self, secrets: Secrets) -> list[tuple[str, set[str]]]:
        """Where secrets stand here, and in which forms."""
        texts = [text async for text in self.texts()]
        assert texts
        found = [(where, secrets.in_bytes(data)) for where, data in [*texts, *self.leaked]]
        return [(where, forms) for where, forms in found if forms]

    @abstractmethod
    def texts(self) -> AsyncIterator[Text]: ...

    @abstractmethod
    async def plant(self, leak: Planted) -> None: ...

    async def database(self) -> Database:
        return await self.stack.enter_async_context(Database.of(self.remains.settings, "test"))

    async def temporal(self) -> Client:
        return await connect(self.remains.settings)


class Logs(Place):
    """What the parts write, and what the demo shows."""

    async def texts(self) -> AsyncIterator[Text]:
        yield "shown", self.remains.shown.encode()
        for path in files_below(self.remains.folder / "logs"):
            yield path.name, path.read_bytes()

    async def plant(self, leak: Planted) -> None:
        with (self.remains.folder / "logs" / "worker.log").open("a") as log:
            log.write(f'{{"event": "disclosed", "code": "{leak.cvc}"}}\n')


class Crashes(Place):
    """What a process says that nothing was caught in, and a command that failed, whole trace and all."""

    async def texts(self) -> AsyncIterator[Text]:
        number = self.remains.planted(type(self)).number
        for arguments in (("quarantine", "show", f"{number[:4]} {number[4:]}"), ("trace", number)):
            said = await self.remains.command("--debug", *arguments)
            assert b"Traceback" in said
            yield " ".join(arguments[:1]), said

    async def plant(self, leak: Planted) -> None:
        assert await self.found(leak.secrets) == []
        crash = f"raise ValueError('no {leak.number}')"
        self.leaked.append(("a crash", await _output("-c", crash, environment=self.remains.environment)))


class Traces(Place):
    """The lives of certificates as commands tell them."""

    async def texts(self) -> AsyncIterator[Text]:
        database = await self.database()
        async with database.connection() as connection:
            latest = "SELECT certificate_id::text FROM disclosures ORDER BY disclosed_at DESC LIMIT 1"
            certificate_id = await connection.fetchval(latest)
        for arguments in (("trace", certificate_id), ("quarantine", "list", "--closed"), ("refunds", "list")):
            for form in ((), ("--json",)):
                yield " ".join(arguments), await self.remains.command(*arguments, *form)

    async def plant(self, leak: Planted) -> None:
        self.leaked.append(("a trace", f"captured, cvc {leak.cvc}".encode()))


class Metrics(Place):
    """Figures and their labels, and what the API answers when it refuses secrets."""

    async def texts(self) -> AsyncIterator[Text]:
        url = running_addresses(Settings(_env_file=None, state_dir=self.remains.folder)).api_url
        async with httpx.AsyncClient(base_url=url or "") as client:
            for path in ("/metrics", "/openapi.json", "/healthz"):
                yield path, (await client.get(path)).content

    async def plant(self, leak: Planted) -> None:
        registry = CollectorRegistry()
        Counter("giftcert_leaks", "Leaks", ["number"], registry=registry).labels(leak.number).inc()
        self.leaked.append(("a label", generate_latest(registry)))


class Topics(Place):
    """Keys, values and headers of every topic."""

    async def texts(self) -> AsyncIterator[Text]:
        consumer = AIOKafkaConsumer(**connection_options(self.remains.settings), auto_offset_reset="earliest")
        async with consumer:
            topics = [one for one in await consumer.topics() if not one.startswith("__")]
            assert len(topics) >= 4
            consumer.subscribe(topics)
            while not consumer.assignment():
                await consumer.getmany(timeout_ms=100)
            ends = await consumer.end_offsets(list(consumer.assignment()))
            await consumer.seek_to_beginning()
            while any([await consumer.position(one) < end for one, end in ends.items()]):
                for partition, records in (await consumer.getmany(timeout_ms=500)).items():
                    for one in records:
                        headers = [part for name, value in one.headers for part in (name.encode(), value)]
                        data = b"\n".join([one.key or b"", one.value or b"", *headers])
                        yield f"{partition.topic}-{partition.partition}/{one.offset}", data

    async def plant(self, leak: Planted) -> None:
        async with AIOKafkaProducer(**connection_options(self.remains.settings)) as producer:
            header = ("note", leak.in_base64.encode())
            await producer.send_and_wait(self.remains.settings.topic_stream, b"{}", headers=[header])


class Histories(Place):
    """Every event of every workflow: inputs, results, signals, failures, summaries."""

    async def texts(self) -> AsyncIterator[Text]:
        client = await self.temporal()
        async for run in client.list_workflows(page_size=1_000):
            history = await client.get_workflow_handle(run.id, run_id=run.run_id).fetch_history()
            yield run.id, b"\n".join(event.SerializeToString() for event in history.events)
            yield run.id, history.to_json().encode()

    async def plant(self, leak: Planted) -> None:
        client, name = await self.temporal(), f"leak-{uuid4()}"
        await client.start_workflow("Leak", {"cvc": leak.cvc}, id=name, task_queue="nobody")
        await until(lambda: _is_listed(client, name))


class SearchAttributes(Place):
    """What workflows are found by."""

    async def texts(self) -> AsyncIterator[Text]:
        client = await self.temporal()
        async for run in client.list_workflows(page_size=1_000):
            yield run.id, repr(run.typed_search_attributes).encode() + repr(await run.memo()).encode()

    async def plant(self, leak: Planted) -> None:
        client, name = await self.temporal(), f"leak-{uuid4()}"
        attributes = pairs(Visibility(order_id=leak.number))
        await client.start_workflow(
            "Leak", id=name, task_queue="nobody", search_attributes=attributes, memo={"cvc": leak.cvc}
        )
        await until(lambda: _is_listed(client, name))


class Tables(Place):
    """Every row of every table."""

    async def texts(self) -> AsyncIterator[Text]:
        async for text in texts_of_every_table(await self.database()):
            yield "a row", text

    async def plant(self, leak: Planted) -> None:
        database = await self.database()
        async with database.connection() as connection:
            statement = "INSERT INTO orders (order_id, aggregate) VALUES ('leak', $1)"
            await connection.execute(statement, b"\x81\xa6number\xb0" + leak.number.encode() + b"\xc0")


class Quarantine(Place):
    """What could not be applied."""

    async def texts(self) -> AsyncIterator[Text]:
        database = await self.database()
        async with database.connection() as connection:
            for row in await connection.fetch("SELECT q.*, q::text AS whole FROM quarantine AS q"):
                kept = [row["whole"].encode(), row["record_key"] or b"", row["record_value"] or b""]
                yield f"{row['topic']}/{row['record_offset']}", b"\n".join(kept)

    async def plant(self, leak: Planted) -> None:
        database = await self.database()
        async with database.connection() as connection:
            await connection.execute(
                """INSERT INTO quarantine (topic, partition, record_offset, fingerprint, reason, detail)
                    VALUES ('leaks', 0, 0, '', 'leak', $1)""",
                f"the card {leak.number[:4]} {leak.number[4:8]} {leak.number[8:12]} {leak.number[12:]}",
            )


class StateFolder(Place):
    """All files of all servers."""

    async def texts(self) -> AsyncIterator[Text]:
        yield "folder", str(self.remains.folder).encode()

    async def found(self, secrets: Secrets) -> list[tuple[str, set[str]]]:
        found = []
        for path in files_below(self.remains.folder):
            try:
                forms = secrets.in_file(path)
            except FileNotFoundError:  # servers make and remove files
                continue
            if forms:
                found.append((path.name, forms))
        return found

    async def plant(self, leak: Planted) -> None:
        (self.remains.folder / "core").write_bytes(
            b"\x7fELF\x00" + leak.number.encode().hex().encode() + b"\x00"
        )


PLACES: list[type[Place]] = [
    Logs,
    Crashes,
    Traces,
    Metrics,
    Topics,
    Histories,
    SearchAttributes,
    Tables,
    Quarantine,
    StateFolder,
]
