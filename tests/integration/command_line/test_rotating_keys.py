"""`giftcert keys rotate|status|destroy` on a real database: what they say, and what the stream hears of who and why."""

import json
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from command_runs import RunCommand

from giftcert.domain.products import Product
from giftcert.storage.database import Database
from giftcert.storage.products import ProductRepository
from tests.fake_vault import TOKEN, fake_vault

pytestmark = pytest.mark.integration
ACTS = (
    "SELECT payload FROM events WHERE event_type = 'audit.operatorActed' AND payload ->> 'what' LIKE 'keys %'"
)


@pytest.fixture
def settings(fresh_database_url: str, own_keys: dict[str, str]) -> dict[str, str]:
    return {"database_url": fresh_database_url, **own_keys}


def shown(giftcert: RunCommand, *arguments: str, **settings: Any) -> dict[str, Any]:
    done = giftcert("keys", *arguments, "--json", **settings)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


async def fill(giftcert: RunCommand, url: str, **settings: Any) -> None:
    async with Database(url) as database, database.transaction() as connection:
        await ProductRepository(connection).put([Product("GC", "RUB", nominal=500_000)])
    filled = giftcert("pool", "generate", "--product", "GC", "--count", "700", **settings)
    assert filled.returncode == 0, filled.stderr


async def test_keys_are_rotated_shown_and_destroyed_and_the_stream_hears_who_and_why(
    giftcert: RunCommand, settings: dict[str, str], fresh_database_url: str
) -> None:
    await fill(giftcert, fresh_database_url, **settings)
    [before] = shown(giftcert, "status", **settings)["dataKeys"]
    assert (before["state"], before["rows"]) == ("seals", 700)
    assert shown(giftcert, "rotate", "--reason", "once a year", "--by", "olga", **settings) == {
        "resealed": 700,
        "runsLeft": 0,
    }
    status = shown(giftcert, "status", **settings)
    after = {key["state"]: key for key in status["dataKeys"]}
    assert after["retired"] == before | {
        "state": "retired",
        "rows": 0,
        "wrappedBy": after["seals"]["wrappedBy"],
    }
    assert (after["seals"]["rows"], len(status["masterKey"]["versions"])) == (700, 2)
    destroyed = shown(giftcert, "destroy", "--reason", "nobody has it", "--by", "igor", **settings)
    assert destroyed["destroyed"][0] == f"data key {before['id']}"
    assert len(destroyed["destroyed"]) == 2  # and the first version of the master key
    assert giftcert("pool", "generate", "--product", "GC", "--count", "1", **settings).returncode == 0
    connection = await asyncpg.connect(fresh_database_url)
    published = [json.loads(row[0]) for row in await connection.fetch(ACTS)]
    await connection.close()
    assert sorted((one["who"], one["what"]) for one in published) == [
        ("igor", "keys destroy, 1 data key and 1 version of the master key: nobody has it"),
        ("olga", "keys rotate: once a year"),
    ]


def test_a_rotation_has_a_reason(giftcert: RunCommand, settings: dict[str, str]) -> None:
    for command in ("rotate", "destroy"):
        done = giftcert("keys", command, **settings)
        assert done.returncode != 0
        assert "--reason" in done.stderr


async def test_a_kms_rotates_its_own_key_and_all_keys_are_wrapped_by_it(
    giftcert: RunCommand, fresh_database_url: str, own_keys: dict[str, str], tmp_path: Path
) -> None:
    vault_token = {"VAULT_TOKEN": TOKEN}
    with fake_vault() as vault:
        settings = {"database_url": fresh_database_url, **own_keys, "master_key": vault.uri}
        settings |= {"keyring": str(tmp_path / "wrapped.json"), "variables": vault_token}
        shown(giftcert, "init", **settings)
        await fill(giftcert, fresh_database_url, **settings)
        vault.rotate()
        shown(giftcert, "rotate", "--reason", "once a year", **settings)
        status = shown(giftcert, "status", **settings)
        assert {key["wrappedBy"] for key in status["dataKeys"]} == {"v2"}
        vault.answers = False
        done = giftcert("keys", "status", **settings)
        assert done.returncode == 1
        assert "Vault at http://127.0.0.1" in done.stderr
        assert "answers 503" in done.stderr
        assert done.stderr.count("\n") == 1
