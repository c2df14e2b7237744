"""A desk whose persons use commands. Temporal and workers are away: nothing that they do needs them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

from command_runs import RunCommand

from tests.integration.api.api_client import NOWHERE, Stock, open_api, settings_for
from tests.integration.api.refund_desk import PRICE, Desk
from tests.integration.api.sales import open_stock, orders_of
from tests.waiting import until


@dataclass
class Office(Desk):
    """Runs commands on the database of a desk, under keys of its own; their shell knows no policy."""

    giftcert: RunCommand
    own_keys: dict[str, str]

    async def run(self, *arguments: str, **settings: str) -> "CompletedProcess[str]":
        chosen = {"database_url": self.api.settings.database_address, "temporal_address": NOWHERE, **settings}
        return await asyncio.to_thread(self.giftcert, *arguments, **chosen, **self.own_keys)

    async def rows(self, statement: str, **values: Any) -> list[dict[str, Any]]:
        return await self.stock.rows(statement, **values)


async def has_policy(stock: Stock) -> bool:
    """Whether the API has recorded its policy."""
    return await stock.rows("SELECT 1 FROM service_policy") != []


@asynccontextmanager
async def open_office(
    database_url: str, folder: Path, giftcert: RunCommand, own_keys: dict[str, str]
) -> AsyncIterator[Office]:
    """Open a desk where a till may spend directly, and a refund above the price takes two persons."""
    spending = {"direct_spend_channels": ("pos",), "direct_spend_cap": PRICE, "refund_four_eyes_over": PRICE}
    settings = settings_for(database_url, folder, keyring=own_keys["keyring"], **spending)
    async with open_stock(settings) as stock, open_api(settings) as api:
        await until(lambda: has_policy(stock))
        yield Office(api, stock, orders_of(stock), giftcert, own_keys)
