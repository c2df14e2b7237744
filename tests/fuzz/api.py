"""Requests made from the API's own document, right ones and wrong ones, as every role and without any.

No answer may be a failure of ours or one that the document does not name, and nobody gets what its roles do not allow.
"""

import asyncio
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import schemathesis
from hypothesis import HealthCheck, given, seed
from hypothesis import settings as examples
from hypothesis.strategies import booleans, one_of
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api.main import serve
from giftcert.domain.products import Product
from giftcert.security.keys import keyring_of
from giftcert.security.tokens import Role
from giftcert.settings import Settings
from giftcert.storage.database import Database
from giftcert.storage.migrate import migrate
from giftcert.storage.pool import PoolRepository
from giftcert.storage.products import ProductRepository
from tests.processes import free_port

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
CALLERS = [*Role, None]


@dataclass
class Fuzz:
    """Asks an API that runs, and counts what it answered."""

    url: str
    headers: Mapping[str, Mapping[str, str]]
    """Of each role."""
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)

    def ask_everything(self, each: int, begin: int = 0) -> None:
        """Ask each call as every caller, so many times."""
        schema = schemathesis.openapi.from_url(f"{self.url}/openapi.json")
        for result in schema.get_all_operations():
            operation = result.ok()
            for number, caller in enumerate(CALLERS):
                self._ask(operation, caller, each, begin + number)

    def _ask(self, operation: Any, caller: str | None, each: int, begin: int) -> None:
        roles = {role for one in operation.definition.raw.get("security", []) for role in one["bearer"]}
        cases = one_of(
            operation.as_strategy(generation_mode=GenerationMode.POSITIVE),
            operation.as_strategy(generation_mode=GenerationMode.NEGATIVE),
        )

        @seed(begin)
        @given(case=cases, in_the_shop=booleans())
        @examples(max_examples=each, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        def answered(case: Any, in_the_shop: bool) -> None:
            if in_the_shop:
                shop(case)
            headers = {"Authorization": ""} if caller is None else self.headers[caller]
            response = case.call_and_validate(headers=headers, checks=CHECKS)
            self.answers[caller or "nobody", response.status_code] += 1
            if roles and caller not in roles:
                refusals = {401} if caller is None else {401, 403}  # some wrong requests leave the token out
                assert response.status_code in refusals, response.text

        answered()


def shop(case: Any) -> None:
    """Name a channel and a product that are there, else hardly any request would get through."""
    for part in (case.query, case.body):
        if isinstance(part, dict) and "channel" in part:
            part |= {"channel": "im", "product": "GC-5000"}


@contextmanager
def served_api(settings: Settings) -> Iterator[str]:
    """Serve the API in a thread of its own; yields its address."""
    port = free_port()
    loop = asyncio.new_event_loop()
    serving = loop.create_task(serve(settings.model_copy(update={"api_port": port})))
    thread = threading.Thread(target=_run, args=(loop, serving))
    thread.start()
    try:
        url = f"http://127.0.0.1:{port}"
        while thread.is_alive():
            with suppress(httpx.TransportError):
                if httpx.get(f"{url}/healthz").status_code == 200:
                    break
            time.sleep(0.05)
        yield url
    finally:
        loop.call_soon_threadsafe(serving.cancel)
        thread.join()


def _run(loop: asyncio.AbstractEventLoop, serving: "asyncio.Task[None]") -> None:
    with suppress(asyncio.CancelledError):
        loop.run_until_complete(serving)
    loop.close()


async def _fill(settings: Settings) -> None:
    database = Database(settings.database_address)
    async with database.transaction() as connection:
        product = Product("GC-5000", "RUB", nominal=500_000)
        await ProductRepository(connection).put([product])
        await PoolRepository(connection).generate(product, 10_000, keyring_of(settings), datetime.now(UTC))
    await database.close()


def main(seconds: float) -> int:
    """Ask a new API for so long, and print how often each caller got which answer."""
    from benchmarks.measurement import new_folder, servers  # noqa: PLC0415 - starts a PostgreSQL
    from tests.integration.api.api_client import Api, settings_for  # noqa: PLC0415

    with (
        new_folder() as folder,
        servers(folder, "postgres") as addresses,
        tempfile.TemporaryDirectory() as keys,
    ):
        migrate(addresses["database_owner_url"])
        settings = settings_for(addresses["database_url"], Path(keys), access_log=False)
        asyncio.run(_fill(settings))
        caller = Api(httpx.AsyncClient(), settings)
        # Each refusal is a line of the access log, whatever the settings.
        with Path(os.devnull).open("w") as nowhere, redirect_stderr(nowhere), served_api(settings) as url:
            fuzz = Fuzz(url, {role: caller.headers(role, subject=f"fuzz-{role}") for role in Role})
            end, begin = time.monotonic() + seconds, 0
            while time.monotonic() < end:
                fuzz.ask_everything(25, begin)
                begin += len(CALLERS)
                print(f"{fuzz.answers.total():,} requests", flush=True)
    for (who, status), count in sorted(fuzz.answers.items()):
        print(f"{who:8} {status} {count:7,}")
    print(f"{fuzz.answers.total():,} requests; none failed, and none was answered to whom it is not for")
    return 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 60))
