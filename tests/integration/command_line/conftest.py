"""Runs commands as a person would, each in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from command_runs import RunCommand

from giftcert.security.tokens import create_signing_keys
from tests.embedded_environment import ROOT, embedded_environment


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


@pytest.fixture
def giftcert(tmp_path: Path, clean_environment: dict[str, str]) -> RunCommand:
    """Run a command in an empty folder, with no settings but those given."""

    def run(*arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
        chosen = {f"GIFTCERT_{name.upper()}": value for name, value in settings.items()}
        return subprocess.run(
            [sys.executable, "-m", "giftcert.cli", *arguments],
            env={**clean_environment, **chosen},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


@pytest.fixture
def own_keys(giftcert: RunCommand, tmp_path: Path) -> dict[str, str]:
    """Keys that are not those of an embedded stack, as settings."""
    keys = {"keyring": str(tmp_path / "keyring.json"), "jwt_jwks": str(tmp_path / "jwks.json")}
    create_signing_keys(tmp_path / "private.json", tmp_path / "jwks.json", embedded=False)
    assert giftcert("keys", "init", **keys).returncode == 0
    return keys
