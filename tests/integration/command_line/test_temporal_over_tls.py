"""A real Temporal behind TLS, set up by its own environment configuration: who gets in, and what others are told."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from command_runs import RunCommand
from temporalio.client import Client

from giftcert.cli.connections import ServerUnusableError, check_temporal
from giftcert.embedded.addresses import with_running_stack
from giftcert.settings import Settings
from giftcert.temporal.client import TemporalSettingsError, connect, temporal_configuration
from tests.tls_servers.certificates import HOST, OTHER_NAME, Certificates, Identity
from tests.tls_servers.proxy import tls_proxy

pytestmark = pytest.mark.integration


@pytest.fixture
async def address(temporal_address: str, certificates: Certificates) -> AsyncIterator[str]:
    """A frontend that asks for a client's certificate."""
    async with tls_proxy(temporal_address, certificates.server, client_ca=certificates.ca) as listening:
        yield listening


class Configuration:
    """Temporal's own variables."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch

    def trust(self, ca: Path) -> None:
        self.set(TEMPORAL_TLS="true", TEMPORAL_TLS_SERVER_CA_CERT_PATH=ca)

    def show(self, who: Identity) -> None:
        self.set(TEMPORAL_TLS_CLIENT_CERT_PATH=who.certificate, TEMPORAL_TLS_CLIENT_KEY_PATH=who.key)

    def set(self, **variables: object) -> None:
        for name, value in variables.items():
            self._monkeypatch.setenv(name, str(value))


@pytest.fixture
def configuration(monkeypatch: pytest.MonkeyPatch, certificates: Certificates) -> Configuration:
    """By default one that gets in."""
    made = Configuration(monkeypatch)
    made.trust(certificates.ca)
    made.show(certificates.client)
    return made


async def told(address: str) -> str:
    with pytest.raises((ServerUnusableError, TemporalSettingsError)) as refused:
        await check_temporal(Settings(_env_file=None, temporal_address=address))
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.mark.usefixtures("configuration")
async def test_a_certificate_gets_in(address: str) -> None:
    client = await connect(Settings(_env_file=None, temporal_address=address))
    assert (await client.count_workflows('WorkflowId = "nothing"')).count == 0


async def test_a_profile_of_a_file_gets_in(
    address: str, certificates: Certificates, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tls = f'server_ca_cert_path = "{certificates.ca}"\n'
    tls += f'client_cert_path = "{certificates.client.certificate}"\nclient_key_path = "{certificates.client.key}"\n'
    profile = tmp_path / "temporal.toml"
    profile.write_text(f'[profile.prod]\nnamespace = "default"\n[profile.prod.tls]\n{tls}')
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(profile))
    monkeypatch.setenv("TEMPORAL_PROFILE", "prod")
    await check_temporal(Settings(_env_file=None, temporal_address=address))


async def test_a_server_of_an_unknown_ca_is_not_trusted(
    address: str, configuration: Configuration, certificates: Certificates
) -> None:
    configuration.trust(certificates.other_ca)
    assert "(TEMPORAL_TLS_SERVER_CA_CERT_PATH): its certificate is not signed by a CA" in await told(address)


@pytest.mark.usefixtures("configuration")
async def test_a_server_under_another_host_name_is_not_trusted(address: str) -> None:
    said = await told(address.replace(HOST, OTHER_NAME))
    assert "(TEMPORAL_TLS_SERVER_NAME): its certificate is for another host name" in said


async def test_another_host_name_is_good_where_the_configuration_says_which(
    address: str, configuration: Configuration
) -> None:
    configuration.set(TEMPORAL_TLS_SERVER_NAME=HOST)
    await check_temporal(Settings(_env_file=None, temporal_address=address.replace(HOST, OTHER_NAME)))


@pytest.mark.usefixtures("configuration")
async def test_a_server_whose_certificate_has_expired_is_not_trusted(
    temporal_address: str, certificates: Certificates
) -> None:
    async with tls_proxy(temporal_address, certificates.expired_server) as expired:
        assert "(GIFTCERT_TEMPORAL_ADDRESS): its certificate has expired" in await told(expired)


@pytest.mark.parametrize("whose", ["stranger", "expired_client"])
async def test_who_shows_a_bad_certificate_is_told_so(
    address: str, configuration: Configuration, certificates: Certificates, whose: str
) -> None:
    configuration.show(getattr(certificates, whose))
    assert "(TEMPORAL_TLS_CLIENT_CERT_PATH): it ends the connection" in await told(address)


async def test_who_shows_no_certificate_is_told_so(
    address: str, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    Configuration(monkeypatch).trust(certificates.ca)
    assert "(TEMPORAL_TLS_CLIENT_CERT_PATH): it ends the connection" in await told(address)


async def test_a_key_of_another_certificate_is_told(
    address: str, configuration: Configuration, certificates: Certificates
) -> None:
    configuration.set(TEMPORAL_TLS_CLIENT_KEY_PATH=certificates.stranger.key)
    assert "(TEMPORAL_TLS_CLIENT_KEY_PATH): it is not the key of" in await told(address)


async def test_plaintext_against_tls_is_told(address: str) -> None:
    assert "(TEMPORAL_TLS): it ends the connection, as where it wants TLS" in await told(address)


@pytest.mark.usefixtures("configuration")
async def test_tls_against_plaintext_is_told(temporal_address: str) -> None:
    assert "(TEMPORAL_TLS): it does not speak TLS" in await told(temporal_address)


async def test_a_configuration_that_cannot_be_used_is_told_in_one_line(
    address: str, configuration: Configuration, tmp_path: Path
) -> None:
    configuration.set(TEMPORAL_TLS_CLIENT_CERT_PATH="/nowhere")
    assert "/nowhere cannot be read: No such file" in await told(address)
    (tmp_path / "temporal.toml").write_text("[profile.default\n")
    configuration.set(TEMPORAL_CONFIG_FILE=tmp_path / "temporal.toml")
    assert "TEMPORAL_CONFIG_FILE or another of Temporal's own variables" in await told(address)


async def test_namespace_key_and_headers_are_those_of_temporals_own_configuration(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    Configuration(monkeypatch).set(
        TEMPORAL_NAMESPACE="gifts", TEMPORAL_API_KEY="cloud-key", TEMPORAL_GRPC_META_WHO="giftcert"
    )
    asked: dict[str, Any] = {}

    async def remember(address: str, **options: Any) -> None:
        asked.update(options, address=address)

    monkeypatch.setattr(Client, "connect", remember)
    external = Settings(_env_file=None, state_dir=tmp_path, temporal_address="temporal:7233")
    await connect(with_running_stack(external, ["temporal_address"]))
    assert asked["address"] == "temporal:7233"
    assert asked["namespace"] == "gifts"
    assert asked["api_key"] == "cloud-key"
    assert asked["tls"] is True  # a key is never sent in clear
    assert asked["rpc_metadata"] == {"who": "giftcert"}
    named = external.model_copy(update={"temporal_namespace": "ours"})
    assert with_running_stack(named, ["temporal_address"]).temporal_namespace == "ours"


def test_the_embedded_server_is_not_sent_what_is_meant_for_another(configuration: Configuration) -> None:
    configuration.set(TEMPORAL_API_KEY="cloud-key")
    assert temporal_configuration(Settings(_env_file=None, temporal_envconfig=False)) == {}


def test_a_process_that_temporal_refuses_ends_with_one_line(
    giftcert: RunCommand,
    temporal_address: str,
    fresh_database_url: str,
    kafka: str,
    own_keys: dict[str, str],
) -> None:
    servers = {"database_url": fresh_database_url, "kafka_bootstrap_servers": kafka}
    variables = {"TEMPORAL_TLS": "true"}
    for command in ("worker", "ingest"):
        done = giftcert(
            command, temporal_address=temporal_address, **servers, **own_keys, variables=variables
        )
        assert done.returncode == 1
        assert "(TEMPORAL_TLS): it does not speak TLS" in done.stderr
        assert done.stderr.count("\n") == 1
