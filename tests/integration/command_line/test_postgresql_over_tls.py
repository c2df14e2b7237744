"""A real PostgreSQL that asks for TLS, a certificate or a password: who gets in, and what the others are told."""

from collections.abc import AsyncIterator, Mapping

import asyncpg
import pytest
from command_runs import RunCommand

from giftcert.cli.connections import ServerUnusableError, check_database
from giftcert.settings import Settings
from giftcert.storage.database import Database
from tests.state_folders import new_state_folder
from tests.tls_servers.certificates import HOST, OTHER_NAME, Certificates, Identity
from tests.tls_servers.postgres import PASSWORD, tls_postgres

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
async def databases(certificates: Certificates) -> AsyncIterator[Mapping[str, str]]:
    async with tls_postgres(new_state_folder("tls"), certificates, certificates.server) as addresses:
        yield addresses


@pytest.fixture(scope="module")
async def expired(certificates: Certificates) -> AsyncIterator[Mapping[str, str]]:
    async with tls_postgres(new_state_folder("tls"), certificates, certificates.expired_server) as addresses:
        yield addresses


def over_tls(address: str, certificates: Certificates, who: Identity | None = None) -> str:
    words = f"?sslmode=verify-full&sslrootcert={certificates.ca}"
    return address + words + (f"&sslcert={who.certificate}&sslkey={who.key}" if who else "")


async def told(address: str) -> str:
    with pytest.raises(ServerUnusableError) as refused:
        await check_database(Settings(_env_file=None, database_url=address))
    said = str(refused.value)
    assert "\n" not in said
    assert PASSWORD not in said
    return said


async def test_the_service_gets_in_by_password_or_certificate_over_tls(
    databases: Mapping[str, str], certificates: Certificates
) -> None:
    for address in (
        over_tls(databases["by_password"], certificates),
        over_tls(databases["by_certificate"], certificates, certificates.client),
    ):
        settings = Settings(_env_file=None, database_url=address)
        async with Database.of(settings, "test") as database, database.connection() as connection:
            assert await connection.fetchval("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")


async def test_tables_are_made_over_tls(
    databases: Mapping[str, str], certificates: Certificates, giftcert: RunCommand
) -> None:
    address = over_tls(databases["by_certificate"], certificates, certificates.client)
    assert giftcert("migrate", database_url=address).returncode == 0
    connection = await asyncpg.connect(address)
    assert await connection.fetchval("SELECT count(*) FROM certificates") == 0
    await connection.close()


async def test_a_server_of_an_unknown_ca_is_not_trusted(
    databases: Mapping[str, str], certificates: Certificates
) -> None:
    address = f"{databases['by_password']}?sslmode=verify-full&sslrootcert={certificates.other_ca}"
    said = await told(address)
    assert (
        "(GIFTCERT_DATABASE_URL, sslrootcert): its certificate is not signed by a CA that is trusted" in said
    )


async def test_a_server_under_another_host_name_is_not_trusted(
    databases: Mapping[str, str], certificates: Certificates
) -> None:
    said = await told(over_tls(databases["by_password"].replace(HOST, OTHER_NAME), certificates))
    assert "(GIFTCERT_DATABASE_URL, the host): its certificate is for another host name" in said


async def test_a_server_whose_certificate_has_expired_is_not_trusted(
    expired: Mapping[str, str], certificates: Certificates
) -> None:
    said = await told(over_tls(expired["by_password"], certificates))
    assert "(GIFTCERT_DATABASE_URL, the host): its certificate has expired" in said


async def test_who_shows_no_certificate_is_told_so(
    databases: Mapping[str, str], certificates: Certificates
) -> None:
    said = await told(over_tls(databases["by_certificate"], certificates))
    assert "(GIFTCERT_DATABASE_URL): connection requires a valid client certificate" in said


@pytest.mark.parametrize("whose", ["stranger", "expired_client"])
async def test_who_shows_a_bad_certificate_is_told_so(
    databases: Mapping[str, str], certificates: Certificates, whose: str
) -> None:
    said = await told(over_tls(databases["by_certificate"], certificates, getattr(certificates, whose)))
    assert "(GIFTCERT_DATABASE_URL, sslcert): it " in said
    assert "it does not accept our client certificate" in said


async def test_a_wrong_password_is_told(databases: Mapping[str, str], certificates: Certificates) -> None:
    said = await told(over_tls(databases["by_password"].replace(PASSWORD, "guessed"), certificates))
    assert "(GIFTCERT_DATABASE_URL): password authentication failed" in said
    assert "guessed" not in said


async def test_plaintext_against_tls_is_told(databases: Mapping[str, str]) -> None:
    said = await told(f"{databases['by_password']}?sslmode=disable")
    assert "(GIFTCERT_DATABASE_URL): no pg_hba.conf entry" in said
    assert "no encryption" in said


async def test_tls_against_plaintext_is_told(postgres_url: str, certificates: Certificates) -> None:
    said = await told(over_tls(postgres_url, certificates))
    assert "(GIFTCERT_DATABASE_URL, sslmode): it does not speak TLS" in said


@pytest.mark.parametrize(
    "words", ["sslmode=verify-full&sslrootcert=/nowhere", "sslmode=require&sslcert=/nowhere&sslkey=/nowhere"]
)
async def test_a_file_that_cannot_be_read_is_told(databases: Mapping[str, str], words: str) -> None:
    said = await told(f"{databases['by_password']}?{words}")
    assert "(GIFTCERT_DATABASE_URL): a file of sslrootcert, sslcert or sslkey cannot be read" in said


def test_a_process_that_postgresql_refuses_ends_with_one_line(
    giftcert: RunCommand,
    databases: Mapping[str, str],
    own_keys: dict[str, str],
    temporal_address: str,
    kafka: str,
) -> None:
    servers = {"temporal_address": temporal_address, "kafka_bootstrap_servers": kafka}
    plain = f"{databases['by_password']}?sslmode=disable"
    for command in ("api", "worker"):
        done = giftcert(command, database_url=plain, **servers, **own_keys)
        assert done.returncode == 1
        assert "GIFTCERT_DATABASE_URL" in done.stderr
        assert done.stderr.count("\n") == 1
