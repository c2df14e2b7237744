"""Where the service is, and the tokens with which to come in."""

import asyncio
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec


@dataclass(frozen=True, slots=True)
class Addresses:
    """The public doors of the service: its API and its topics."""

    api_url: str
    bootstrap_servers: str
    orders_topic: str
    payments_topic: str
    stream_topic: str

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Addresses":
        """Read the addresses; what is not set is the service's own default."""
        host = environment.get("GIFTCERT_API_HOST", "127.0.0.1")
        port = environment.get("GIFTCERT_API_PORT", "8080")
        brokers = environment.get("GIFTCERT_KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9092")
        return cls(
            api_url=environment.get("SIMULATORS_API_URL", f"http://{host}:{port}"),
            bootstrap_servers=environment.get("SIMULATORS_KAFKA_BOOTSTRAP_SERVERS", brokers),
            orders_topic=environment.get("GIFTCERT_TOPIC_ORDERS", "All_SalesOrder"),
            payments_topic=environment.get("GIFTCERT_TOPIC_PAYMENTS", "All_Payments"),
            stream_topic=environment.get("GIFTCERT_TOPIC_STREAM", "GiftCertificates.Stream"),
        )


class CommandError(Exception):
    """The service's command line refused; the message is what it said."""


async def run_giftcert(*arguments: str) -> bytes:
    """Run one command of the service as an operator would and return what it printed.

    Raises:
        CommandError: it ended non-zero.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "giftcert.cli", *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, complaint = await process.communicate()
    if process.returncode != 0:
        said = complaint.decode(errors="replace").strip() or output.decode(errors="replace").strip()
        raise CommandError(f"giftcert {' '.join(arguments)} ended with {process.returncode}: {said}")
    return output


async def token_for(role: str, environment: Mapping[str, str] = os.environ) -> str:
    """Return a bearer token of a role: from the environment, else made by ``giftcert token``.

    Raises:
        CommandError: the service makes no tokens, because its keys are not the embedded ones.
    """
    given = environment.get(f"SIMULATORS_TOKEN_{role.upper()}")
    if given:
        return given
    answer = await run_giftcert("token", "--role", role, "--json")
    return str(msgspec.json.decode(answer)["token"])
