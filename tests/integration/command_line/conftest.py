"""Runs commands as a person would, each in a process of its own."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import pytest
from command_runs import RunCommand
from office import Office, open_office
from warm_start import WarmStart

from giftcert.security.tokens import create_signing_keys
from tests.embedded_environment import ROOT, embedded_environment
from tests.processes import PATIENCE_SECONDS
from tests.state_folders import new_state_folder
from tests.tls_servers.certificates import Certificates, make_certificates


@pytest.fixture(scope="session")
def clean_environment() -> dict[str, str]:
    """Our environment with no settings of ours, and the project on Python's path."""
    environment = embedded_environment()
    path = [environment.get("PYTHONPATH"), str(ROOT)]
    return {
        **environment,
        "PYTHONPATH": os.pathsep.join(filter(None, path)),
        "GIFTCERT_CACHE_DIR": str(ROOT / ".build"),  # the jars of Kafka are fetched once
    }


@pytest.fixture(scope="session")
def warm_start(
    clean_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WarmStart]:
    started = WarmStart(clean_environment, tmp_path_factory.mktemp("commands"))
    yield started
    started.close()


@pytest.fixture
def giftcert(warm_start: WarmStart, tmp_path: Path) -> RunCommand:
    """Run a command in an empty folder, with no settings but those given, and variables of others."""

    def run(
        *arguments: str, variables: Mapping[str, str] = MappingProxyType({}), **settings: str
    ) -> "subprocess.CompletedProcess[str]":
        given = {**as_variables(settings), **variables}
        return warm_start.run(arguments, given, tmp_path, PATIENCE_SECONDS)

    return run


@pytest.fixture
def cold_giftcert(tmp_path: Path, clean_environment: dict[str, str]) -> RunCommand:
    """Run a command as `giftcert` does, but by an interpreter that has loaded nothing yet."""

    def run(*arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "giftcert.cli", *arguments],
            env={**clean_environment, **as_variables(settings)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )

    return run


def as_variables(settings: dict[str, str]) -> dict[str, str]:
    return {f"GIFTCERT_{name.upper()}": value for name, value in settings.items()}


@pytest.fixture
def own_keys(giftcert: RunCommand, tmp_path: Path) -> dict[str, str]:
    """Keys that are not those of an embedded stack, as settings."""
    keys = {"keyring": str(tmp_path / "keyring.json"), "jwt_jwks": str(tmp_path / "jwks.json")}
    create_signing_keys(tmp_path / "private.json", tmp_path / "jwks.json", embedded=False)
    assert giftcert("keys", "init", **keys).returncode == 0
    return keys


@pytest.fixture
async def office(
    fresh_database_url: str, tmp_path: Path, giftcert: RunCommand, own_keys: dict[str, str]
) -> AsyncIterator[Office]:
    async with open_office(fresh_database_url, tmp_path / "keys", giftcert, own_keys) as office:
        yield office


@pytest.fixture(scope="session")
def certificates() -> Certificates:
    return make_certificates(new_state_folder("certificates"))
