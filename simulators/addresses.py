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
    async def found(cls, environment: Mapping[str, str] = os.environ) -> "Addresses":
        """Return the addresses that are set; what is not is asked of the stack that runs here, whatever its ports.

        Raises:
            CommandError: no stack runs here.
        """
        api_url = environment.get("SIMULATORS_API_URL")
        brokers = environment.get("SIMULATORS_KAFKA_BOOTSTRAP_SERVERS")
        if api_url is None or brokers is None:
            running = msgspec.json.decode(await run_giftcert("addresses", "--json"), type=dict[str, str])
            api_url, brokers = api_url or running["api"], brokers or running["kafka"]
        return cls(
            api_url=api_url,
            bootstrap_servers=brokers,
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
        said = (complaint.strip() or output.strip()).decode(errors="replace").rpartition("\n")[2]
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
