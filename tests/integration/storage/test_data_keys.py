"""Data keys wrapped by a KMS: made once, unwrapped once, and what happens while it is away."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from giftcert.security.data_keys import Purpose, SealError
from giftcert.security.key_files import KeyFileError
from giftcert.security.keyring import Keyring
from giftcert.security.vault import KmsUnavailableError
from giftcert.storage.data_keys import DataKeyRepository, Seals
from giftcert.storage.pool import PoolRepository
from giftcert.storage.products import ProductRepository
from tests.fake_vault import TOKEN, FakeVault, fake_vault
from tests.integration.storage.pool_rows import GIFT, Tables

pytestmark = pytest.mark.integration
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
OWNER = b"All_Payments:0:0"


@pytest.fixture
def vault(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeVault]:
    monkeypatch.setenv("VAULT_TOKEN", TOKEN)
    with fake_vault() as served:
        yield served


@pytest.fixture
def keyring(vault: FakeVault, tmp_path: Path) -> Keyring:
    return Keyring.create(tmp_path / "keyring.json", master_key=vault.uri)


async def sealed_input(tables: Tables, keyring: Keyring, at: datetime = NOON) -> bytes:
    async with tables.database.transaction() as connection:
        key = await DataKeyRepository(connection, keyring).for_inputs(at)
        return key.seal(b"original", Purpose.ORIGINAL, OWNER)


async def fill(tables: Tables, keyring: Keyring, quantity: int) -> list[bytes]:
    async with tables.database.transaction() as connection:
        await ProductRepository(connection).put([GIFT])
        await PoolRepository(connection).generate(GIFT, quantity, keyring, NOON)
    return [row["cvc_sealed"] for row in await tables.rows("SELECT cvc_sealed FROM certificate_secrets")]


async def test_a_batch_has_a_key_of_its_own_and_the_kms_is_asked_once_per_key(
    tables: Tables, vault: FakeVault, keyring: Keyring
) -> None:
    for _ in range(2):
        await fill(tables, keyring, 20)
    process = Keyring.load(keyring.path, vault.uri)
    vault.asked.clear()
    rows = await tables.rows("SELECT * FROM certificate_secrets")
    seals = Seals(tables.database, process)
    opened = [
        await asyncio.gather(
            *(seals.open(row[f"{one}_sealed"], Purpose(one), row["certificate_id"].bytes) for row in rows)
        )
        for one in ("number", "cvc")
    ]
    assert len({*opened[0]}) == 40
    assert vault.asked == ["decrypt", "decrypt"]


async def test_swapped_columns_and_rows_do_not_open(tables: Tables, keyring: Keyring) -> None:
    await fill(tables, keyring, 2)
    first, second = await tables.rows("SELECT * FROM certificate_secrets")
    seals, owner = Seals(tables.database, keyring), first["certificate_id"].bytes
    for swapped in (first["number_sealed"], second["cvc_sealed"]):
        with pytest.raises(SealError):
            await seals.open(swapped, Purpose.CVC, owner)


async def test_all_inputs_of_a_month_are_sealed_by_one_key_whoever_comes_first(
    tables: Tables, keyring: Keyring, vault: FakeVault
) -> None:
    others = [Keyring.load(keyring.path, vault.uri) for _ in range(4)]
    await asyncio.gather(*(sealed_input(tables, one) for one in (*others, keyring)))
    await sealed_input(tables, keyring, NOON + timedelta(days=8))
    scopes = await tables.rows("SELECT scope FROM data_keys ORDER BY 1")
    assert [row["scope"] for row in scopes] == ["inputs 2026-11", "inputs 2026-12"]


async def test_a_kms_that_is_away_stops_no_ingest_that_has_its_key(
    tables: Tables, keyring: Keyring, vault: FakeVault
) -> None:
    vault.answers = False
    with pytest.raises(KmsUnavailableError, match="answers 503"):
        await sealed_input(tables, keyring)
    vault.answers = True
    await sealed_input(tables, keyring)
    vault.answers = False
    sealed = await sealed_input(tables, keyring)
    assert await Seals(tables.database, keyring).open(sealed, Purpose.ORIGINAL, OWNER) == b"original"


async def test_what_was_unwrapped_opens_while_the_kms_is_away(
    tables: Tables, keyring: Keyring, vault: FakeVault
) -> None:
    sealed = await sealed_input(tables, keyring)
    process = Keyring.load(keyring.path, vault.uri)
    seals = Seals(tables.database, process)
    await seals.unwrap_all()
    vault.answers = False
    assert await seals.open(sealed, Purpose.ORIGINAL, OWNER) == b"original"
    with pytest.raises(KmsUnavailableError):
        Keyring.load(keyring.path, vault.uri)


@pytest.mark.parametrize(
    ("token", "path", "said"),
    [
        ("wrong", "", "answers 403"),
        (TOKEN, "other", "wraps no key"),
    ],
)
def test_a_kms_that_refuses_says_so_in_one_line(
    vault: FakeVault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, token: str, path: str, said: str
) -> None:
    monkeypatch.setenv("VAULT_TOKEN", token)
    with pytest.raises(KmsUnavailableError, match=said) as refused:
        Keyring.create(tmp_path / "keyring.json", master_key=vault.uri + path)
    assert "\n" not in str(refused.value)
    assert token not in str(refused.value)


def test_a_keyring_of_another_key_in_the_kms_is_refused(keyring: Keyring) -> None:
    with fake_vault() as other, pytest.raises(KeyFileError, match="is not the master key"):
        Keyring.load(keyring.path, other.uri)


def test_a_kms_that_nobody_serves_is_named(keyring: Keyring) -> None:
    with pytest.raises(KmsUnavailableError, match=r"127\.0\.0\.1:1/v1/transit does not answer: .*[Cc]onnect"):
        Keyring.load(keyring.path, "hcvault+http://127.0.0.1:1/transit/keys/giftcert")
