"""An application on a database of its own, the callers of its tests, and certificates for them."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from api.main import create_app
from api.services import open_services
from giftcert.domain.products import Product
from giftcert.security.data_keys import Purpose
from giftcert.security.keys import EmbeddedKeys, keyring_of
from giftcert.security.tokens import Caller, issue_token
from giftcert.settings import Settings
from giftcert.storage.data_keys import Seals
from giftcert.storage.database import Database
from giftcert.storage.pool import PoolRepository
from giftcert.storage.products import ProductRepository
from tests.named_values import Statements

NOWHERE = "127.0.0.1:1"
"""Nobody listens here: Temporal is away."""
FIXED = Product("GC-5000", "RUB", nominal=500_000)
OPEN = Product("GC-OPEN", "RUB", least_nominal=50_000, greatest_nominal=1_000_000)


def settings_for(database_url: str, folder: Path, **others: Any) -> Settings:
    """Settings with keys in a folder, and nothing but the database reachable."""
    values: dict[str, Any] = {
        "database_url": database_url,
        "state_dir": folder,
        "temporal_address": NOWHERE,
        "kafka_bootstrap_servers": NOWHERE,
        "query_timeout": timedelta(milliseconds=300),
    }
    settings = Settings(_env_file=None, **(values | others))
    EmbeddedKeys.of(settings).ensure()
    return settings


@dataclass
class Api:
    """The application as its callers see it."""

    client: httpx.AsyncClient
    settings: Settings

    def headers(
        self,
        role: str = "channel",
        subject: str = "shop",
        channels: Iterable[str] = ("im", "pos"),
        key: str | None = None,
        roles: Iterable[str] | None = None,
        private_key: Path | None = None,
    ) -> dict[str, str]:
        token = issue_token(
            private_key or EmbeddedKeys.of(self.settings).private_key,
            Caller(subject, frozenset({role} if roles is None else roles), frozenset(channels)),
            issuer=self.settings.jwt_issuer,
            audience=self.settings.jwt_audience,
            now=datetime.now(UTC),
            lifetime=timedelta(hours=1),
        )
        return {"Authorization": f"Bearer {token}"} | ({"Idempotency-Key": key} if key else {})

    async def next(self, key: str | None = None, **query: str) -> httpx.Response:
        """Reserve one certificate as the channel ``im`` of the shop."""
        wanted = {"channel": "im", "product": "GC-5000"} | query
        return await self.client.get("/certificates/next", params=wanted, headers=self.headers(key=key))

    async def reserve(self, key: str | None = None, **body: Any) -> httpx.Response:
        """Reserve several certificates as the channel ``im`` of the shop."""
        wanted = {"channel": "im", "product": "GC-5000", "quantity": 1} | body
        return await self.client.post("/reservations", json=wanted, headers=self.headers(key=key))

    async def verify(self, subject: str = "till", end_user: str | None = None, **body: str) -> httpx.Response:
        """Check number and CVC as a till of the channel ``pos``."""
        headers = self.headers(subject=subject) | ({"Giftcert-End-User": end_user} if end_user else {})
        return await self.client.post("/certificates/verify", json={"channel": "pos"} | body, headers=headers)

    async def as_role(self, role: str, path: str, **query: Any) -> httpx.Response:
        """Ask with the token of a role."""
        return await self.client.get(path, params=query or None, headers=self.headers(role, subject=role))


@asynccontextmanager
async def open_api(settings: Settings) -> AsyncIterator[Api]:
    """Run an application within this process."""
    app = create_app(settings)
    async with open_services(settings) as app.state.services:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            yield Api(client, settings)


@dataclass
class Stock(Statements):
    """Fills the pool and looks into the tables."""

    database: Database
    settings: Settings

    async def fill(self, quantity: int, product: Product = FIXED) -> None:
        async with self.database.transaction() as connection:
            await ProductRepository(connection).put([FIXED, OPEN, product])
            if quantity:
                pool = PoolRepository(connection)
                await pool.generate(product, quantity, keyring_of(self.settings), datetime.now(UTC))

    async def events(self, certificate_id: str | None = None) -> list[dict[str, Any]]:
        condition = "certificate_id = :id" if certificate_id else "certificate_id IS NULL"
        values = {"id": certificate_id} if certificate_id else {}
        order = "sequence, recorded_at, event_id"
        return await self.rows(f"SELECT * FROM events WHERE {condition} ORDER BY {order}", **values)  # noqa: S608

    async def credentials(self, certificate_id: str) -> dict[str, str]:
        """Number and CVC as their holder knows them."""
        [row] = await self.rows(
            "SELECT * FROM certificate_secrets WHERE certificate_id = :id", id=certificate_id
        )
        seals, owner = Seals(self.database, keyring_of(self.settings)), row["certificate_id"].bytes
        number = await seals.open(row["number_sealed"], Purpose.NUMBER, owner)
        cvc = await seals.open(row["cvc_sealed"], Purpose.CVC, owner)
        return {"number": number.decode(), "cvc": cvc.decode()}

    async def names(self, certificate_id: str, order_id: str, line_id: str = "1") -> None:
        """Have an order name a certificate on its first line, as far as a search sees it."""
        await self.run("INSERT INTO orders (order_id, aggregate) VALUES (:id, '')", id=order_id)
        await self.run(
            """INSERT INTO order_lines (order_id, line_key, line_id, standing, named_certificates)
                VALUES (:id, 1, :line_id, '{}', ARRAY[CAST(:certificate_id AS uuid)])""",
            id=order_id,
            line_id=line_id,
            certificate_id=certificate_id,
        )
