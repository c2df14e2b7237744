"""The floor of a reservation: FastAPI around one bare ``SKIP LOCKED`` claim."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from fastapi import FastAPI

CLAIM = """
    UPDATE floor_pool SET taken = true WHERE id = (
        SELECT id FROM floor_pool WHERE NOT taken ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED
    ) RETURNING id
"""
FILL = """
    CREATE TABLE IF NOT EXISTS floor_pool (id bigint PRIMARY KEY, taken boolean NOT NULL DEFAULT false);
    CREATE INDEX IF NOT EXISTS floor_pool_free ON floor_pool (id) WHERE NOT taken;
    TRUNCATE floor_pool;
    INSERT INTO floor_pool (id) SELECT generate_series(1, {quantity});
"""


@asynccontextmanager
async def _connected(app: FastAPI) -> AsyncIterator[None]:
    async with asyncpg.create_pool(
        os.environ["GIFTCERT_DATABASE_URL"], min_size=16, max_size=16
    ) as app.state.pool:
        yield


app = FastAPI(lifespan=_connected)


@app.get("/claim")
async def claim() -> dict[str, int]:
    """Take the next row."""
    return {"id": await app.state.pool.fetchval(CLAIM)}
