"""A real broker that asks for TLS, a certificate or a password: who gets in, and what the others are told."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from command_runs import RunCommand
from confluent_kafka.admin import AdminClient  # type: ignore[attr-defined] # exported all the same

from giftcert.cli.connections import ServerUnusableError, check_kafka
from giftcert.kafka_connection import KafkaSettingsError, librdkafka_options
from giftcert.settings import Settings
from tests.state_folders import new_state_folder
from tests.tls_servers.certificates import HOST, OTHER_NAME, USER, Certificates
from tests.tls_servers.kafka import PASSWORD, tls_kafka

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]
Change = dict[str, Any]


@pytest.fixture(scope="module")
async def listeners(certificates: Certificates) -> AsyncIterator[Mapping[str, str]]:
    async with tls_kafka(new_state_folder("tls-kafka"), certificates) as addresses:
        yield addresses


@pytest.fixture
def by_certificate(listeners: Mapping[str, str], certificates: Certificates) -> Change:
    return {
        "kafka_bootstrap_servers": listeners["MUTUAL"],
        "kafka_security_protocol": "SSL",
        "kafka_ssl_cafile": certificates.ca,
        "kafka_ssl_certfile": certificates.client.certificate,
        "kafka_ssl_keyfile": certificates.client.key,
    }


@pytest.fixture
def by_password(listeners: Mapping[str, str], certificates: Certificates) -> Change:
    return {
        "kafka_bootstrap_servers": listeners["PASSWORD"],
        "kafka_security_protocol": "SASL_SSL",
        "kafka_sasl_username": USER,
        "kafka_sasl_password": PASSWORD,
        "kafka_ssl_cafile": certificates.ca,
    }


async def told(given: Change, **changes: Any) -> str:
    """Return what somebody is told who set these."""
    settings = Settings(_env_file=None, **{**given, **changes})
    with pytest.raises((ServerUnusableError, KafkaSettingsError)) as refused:
        await check_kafka(settings)
    said = str(refused.value)
    assert "\n" not in said
    assert PASSWORD not in said
    return said


async def test_a_certificate_or_a_password_over_tls_gets_in(
    by_certificate: Change, by_password: Change
) -> None:
    for given in (by_certificate, by_password):
        settings = Settings(_env_file=None, **given)
        await check_kafka(settings)
        assert AdminClient(librdkafka_options(settings)).list_topics(timeout=10).brokers


async def test_a_certificate_with_its_key_in_one_file_gets_in(
    by_certificate: Change, certificates: Certificates
) -> None:
    one_file = {"kafka_ssl_certfile": certificates.client.both, "kafka_ssl_keyfile": None}
    settings = Settings(_env_file=None, **{**by_certificate, **one_file})
    await check_kafka(settings)
    assert AdminClient(librdkafka_options(settings)).list_topics(timeout=10).brokers


async def test_a_broker_of_an_unknown_ca_is_not_trusted(
    by_certificate: Change, certificates: Certificates
) -> None:
    for other in (certificates.other_ca, None):  # None: the system's
        said = await told(by_certificate, kafka_ssl_cafile=other)
        assert (
            "(GIFTCERT_KAFKA_SSL_CAFILE): its certificate is not signed by a CA that is trusted here" in said
        )


async def test_a_broker_under_another_host_name_is_not_trusted(by_certificate: Change) -> None:
    elsewhere = by_certificate["kafka_bootstrap_servers"].replace(HOST, OTHER_NAME)
    said = await told(by_certificate, kafka_bootstrap_servers=elsewhere)
    assert "(GIFTCERT_KAFKA_BOOTSTRAP_SERVERS): its certificate is for another host name" in said
    assert OTHER_NAME in said


async def test_a_broker_whose_certificate_has_expired_is_not_trusted(
    by_password: Change, listeners: Mapping[str, str]
) -> None:
    expired = {"kafka_bootstrap_servers": listeners["EXPIRED"], "kafka_security_protocol": "SSL"}
    said = await told(by_password, **expired)
    assert "(GIFTCERT_KAFKA_BOOTSTRAP_SERVERS): its certificate has expired" in said


@pytest.mark.parametrize("whose", ["nobody", "stranger", "expired_client"])
async def test_who_shows_no_good_certificate_is_told_so(
    by_certificate: Change, certificates: Certificates, whose: str
) -> None:
    shown = None if whose == "nobody" else getattr(certificates, whose).both
    said = await told(by_certificate, kafka_ssl_certfile=shown, kafka_ssl_keyfile=None)
    assert (
        "(GIFTCERT_KAFKA_SSL_CERTFILE): it does not accept our client certificate, or that we have none"
        in said
    )


@pytest.mark.parametrize("wrong", [{"kafka_sasl_password": "guessed"}, {"kafka_sasl_username": "nobody"}])
async def test_a_wrong_user_or_password_is_told_by_the_names_of_the_settings(
    by_password: Change, wrong: Change
) -> None:
    said = await told(by_password, **wrong)
    assert "(GIFTCERT_KAFKA_SASL_USERNAME, GIFTCERT_KAFKA_SASL_PASSWORD): it does not accept" in said
    assert "guessed" not in said


async def test_a_mechanism_that_the_broker_does_not_have_is_told(by_password: Change) -> None:
    said = await told(by_password, kafka_sasl_mechanism="PLAIN")
    assert "(GIFTCERT_KAFKA_SASL_MECHANISM): it does not know this mechanism" in said


@pytest.mark.parametrize(
    ("listener", "protocol"),
    [
        ("MUTUAL", "PLAINTEXT"),  # plaintext against TLS
        ("PASSWORD", "SASL_PLAINTEXT"),
        ("PLAINTEXT", "SSL"),  # TLS against plaintext
        ("OPEN_PASSWORD", "SASL_SSL"),
        ("PASSWORD", "SSL"),  # a certificate where a password is wanted
        ("OPEN_PASSWORD", "PLAINTEXT"),
        ("PLAINTEXT", "SASL_PLAINTEXT"),  # a password where none is
    ],
)
async def test_another_protocol_than_the_listeners_is_told_by_the_name_of_its_setting(
    by_password: Change, listeners: Mapping[str, str], listener: str, protocol: str
) -> None:
    given = {"kafka_bootstrap_servers": listeners[listener], "kafka_security_protocol": protocol}
    assert "(GIFTCERT_KAFKA_SECURITY_PROTOCOL): it" in await told(by_password, **given)


async def test_the_next_broker_is_asked_where_the_first_does_not_answer(by_password: Change) -> None:
    brokers = f"{HOST}:1,{by_password['kafka_bootstrap_servers']}"
    await check_kafka(Settings(_env_file=None, **{**by_password, "kafka_bootstrap_servers": brokers}))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (
            {"kafka_ssl_cafile": Path("/nowhere")},
            "GIFTCERT_KAFKA_SSL_CAFILE: /nowhere cannot be used: No such file",
        ),
        (
            {"kafka_ssl_certfile": Path("/nowhere")},
            "GIFTCERT_KAFKA_SSL_KEYFILE: /nowhere cannot be used: No such",
        ),
        ({"kafka_ssl_certfile": Path("/dev/null")}, "GIFTCERT_KAFKA_SSL_KEYFILE: /dev/null cannot be used"),
    ],
)
async def test_settings_that_cannot_be_used_are_named(by_password: Change, wrong: Change, words: str) -> None:
    assert words in await told(by_password, **wrong)


def test_a_process_that_kafka_refuses_ends_with_one_line(
    giftcert: RunCommand,
    by_password: Change,
    own_keys: dict[str, str],
    fresh_database_url: str,
    temporal_address: str,
) -> None:
    wrong = {**by_password, "kafka_sasl_password": "guessed"}
    servers = {"database_url": fresh_database_url, "temporal_address": temporal_address}
    settings = {name: str(value) for name, value in {**wrong, **servers, **own_keys}.items()}
    for command in ("dispatch", "ingest"):
        done = giftcert(command, **settings)
        assert done.returncode == 1
        assert "GIFTCERT_KAFKA_SASL_PASSWORD" in done.stderr
        assert done.stderr.count("\n") == 1
