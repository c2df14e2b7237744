"""Where the parts of a running stack can be reached."""

import json
import os
import signal
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import SecretStr

from giftcert.embedded.errors import StackError
from giftcert.embedded.pid_files import PidFile
from giftcert.embedded.state_folder import StateFolder
from giftcert.settings import Settings


@dataclass(frozen=True, slots=True)
class Addresses:
    """The addresses of the three servers; None where a part is neither embedded here nor external."""

    database_url: str | None = None
    temporal_address: str | None = None
    temporal_ui_url: str | None = None
    kafka_bootstrap_servers: str | None = None
    kafka_in_memory: bool = False
    api_url: str | None = None

    def environment(self) -> Mapping[str, str]:
        """Return them as the environment variables that a person would set."""
        variables = {
            "GIFTCERT_DATABASE_URL": self.database_url,
            "GIFTCERT_TEMPORAL_ADDRESS": self.temporal_address,
            "GIFTCERT_TEMPORAL_UI_URL": self.temporal_ui_url,
            "GIFTCERT_KAFKA_BOOTSTRAP_SERVERS": self.kafka_bootstrap_servers,
        }
        return {name: value for name, value in variables.items() if value is not None}

    def save(self, path: Path) -> None:
        """Write them, with who holds the stack, where commands run beside it look; the owner alone reads it."""
        holder = PidFile.of("supervisor", os.getpid(), signal.SIGTERM)
        path.touch(mode=0o600)
        path.write_text(json.dumps({"holder": asdict(holder) if holder else None, "addresses": asdict(self)}))

    @classmethod
    def load(cls, path: Path) -> "Addresses":
        """Read what a stack wrote; all None when it does not run any more, though it could not say so."""
        try:
            content = json.loads(path.read_text())
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return cls()
        runs = content["holder"] is not None and PidFile(**content["holder"]).process() is not None
        return cls(**content["addresses"]) if runs else cls()


def running_addresses(settings: Settings) -> Addresses:
    """Return the addresses of the stack that runs on the state folder of these settings."""
    return Addresses.load(StateFolder(settings.state_dir).addresses)


SERVERS = ("database_url", "temporal_address", "kafka_bootstrap_servers")


def with_running_stack(settings: Settings, needed: Iterable[str] = SERVERS) -> Settings:
    """Fill addresses that are not set with those of the running embedded stack, so that commands find it.

    Raises:
        StackError: an address that is needed is not set and no stack runs on the state folder.
    """
    running = running_addresses(settings)
    url = running.database_url
    found: dict[str, object] = {
        "database_url": SecretStr(url) if url else None,
        "temporal_address": running.temporal_address,
        "kafka_bootstrap_servers": running.kafka_bootstrap_servers,
    }
    if settings.temporal_address is None and running.temporal_ui_url is not None:
        found["temporal_ui_url"] = running.temporal_ui_url
    unset = {
        name: value for name, value in found.items() if name not in SERVERS or getattr(settings, name) is None
    }
    filled = settings.model_copy(update=unset)
    for name in needed:
        if getattr(filled, name) is None:
            raise StackError(
                f"GIFTCERT_{name.upper()} is not set and no stack runs on {settings.state_dir}: "
                "start `giftcert up`, or set it"
            )
    return filled


def with_database(settings: Settings) -> tuple[Settings, str]:
    """Return the settings with the address of the database, and that address.

    Raises:
        StackError: as `with_running_stack`.
    """
    filled = with_running_stack(settings, ["database_url"])
    if filled.database_url is None:
        raise StackError("GIFTCERT_DATABASE_URL is not set")
    return filled, filled.database_url.get_secret_value()
