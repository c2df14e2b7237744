"""Floors of the measurements over HTTP: FastAPI around one bare claim, and around one bare hold."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

FILL_POOL = """
    CREATE TABLE floor_pool (id bigint PRIMARY KEY, taken boolean NOT NULL DEFAULT false);
    CREATE INDEX floor_pool_free ON floor_pool (id) WHERE NOT taken;
    INSERT INTO floor_pool (id) SELECT generate_series(1, {quantity});
"""
CLAIM = """
    UPDATE floor_pool SET taken = true WHERE id = (
        SELECT id FROM floor_pool WHERE NOT taken ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED
    ) RETURNING id
"""
FILL_CARDS = """
    CREATE TABLE floor_cards (id bigint PRIMARY KEY, balance bigint NOT NULL);
    CREATE TABLE floor_holds (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, card bigint, amount bigint);
    INSERT INTO floor_cards SELECT number, 500000 FROM generate_series(1, {quantity}) AS number;
"""
TAKE = "UPDATE floor_cards SET balance = balance - $2 WHERE id = $1 AND balance >= $2"
HOLD = "INSERT INTO floor_holds (card, amount) VALUES ($1, $2) RETURNING id"


class Purchase(BaseModel):
    """What a card is to pay."""

    card: int
    amount: int


@asynccontextmanager
async def _connected(app: FastAPI) -> AsyncIterator[None]:
    async with asyncpg.create_pool(
        os.environ["GIFTCERT_DATABASE_URL"], min_size=16, max_size=16
    ) as app.state.pool:
        yield


app = FastAPI(lifespan=_connected)


@app.get("/claim")
async def claim() -> dict[str, int]:
    """Take the next row: one bare ``SKIP LOCKED`` claim."""
    return {"id": await app.state.pool.fetchval(CLAIM)}


@app.post("/redemptions", status_code=201)
async def redeem(purchase: Purchase) -> dict[str, int]:
    """Take an amount from a card's balance: one bare guarded UPDATE and an INSERT in one transaction."""
    async with app.state.pool.acquire() as connection, connection.transaction():
        if await connection.execute(TAKE, purchase.card, purchase.amount) != "UPDATE 1":
            raise HTTPException(409)
        return {"id": await connection.fetchval(HOLD, purchase.card, purchase.amount)}
