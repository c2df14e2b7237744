"""Where the parts of a running stack can be reached."""

import json
import os
import signal
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import SecretStr

from giftcert.embedded.errors import StackError
from giftcert.embedded.guardian import PidFile
from giftcert.embedded.state_folder import StateFolder
from giftcert.settings import Settings

PARTS = {"postgres": "database_url", "temporal": "temporal_address", "kafka": "kafka_bootstrap_servers"}
"""Each server, and the setting whose address makes it external."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """The addresses of the three servers; None where a part is neither embedded here nor external."""

    database_url: str | None = None
    temporal_address: str | None = None
    temporal_ui_url: str | None = None
    kafka_bootstrap_servers: str | None = None
    kafka_in_memory: bool = False
    api_url: str | None = None

    @classmethod
    def external(cls, settings: Settings) -> "Addresses":
        """Return those that are set: of servers that are not ours to start."""
        url = settings.database_url
        return cls(
            database_url=url.get_secret_value() if url else None,
            temporal_address=settings.temporal_address,
            temporal_ui_url=settings.temporal_ui_url if settings.temporal_address else None,
            kafka_bootstrap_servers=settings.kafka_bootstrap_servers,
        )

    @property
    def servers(self) -> Mapping[str, str | None]:
        """The address of each server under the name of its setting."""
        addresses = (self.database_url, self.temporal_address, self.kafka_bootstrap_servers)
        return dict(zip(PARTS.values(), addresses, strict=True))

    def environment(self) -> Mapping[str, str]:
        """Return them as the environment variables that a person would set."""
        named = {**self.servers, "temporal_ui_url": self.temporal_ui_url}
        return {f"GIFTCERT_{name.upper()}": value for name, value in named.items() if value is not None}

    def save(self, path: Path) -> None:
        """Write them, with who holds the stack, where commands run beside it look; the owner alone reads it."""
        holder = PidFile.of("supervisor", os.getpid(), signal.SIGTERM)
        path.touch(mode=0o600)
        path.write_text(json.dumps({"holder": asdict(holder) if holder else None, "addresses": asdict(self)}))


def running_addresses(settings: Settings) -> Addresses:
    """Return the addresses of the stack that runs on the state folder of these settings.

    All are None when it does not run any more, though it could not say so.
    """
    try:
        content = json.loads(StateFolder(settings.state_dir).addresses.read_text())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return Addresses()
    runs = content["holder"] is not None and PidFile(**content["holder"]).process() is not None
    return Addresses(**content["addresses"]) if runs else Addresses()


def with_running_stack(settings: Settings, needed: Iterable[str] = tuple(PARTS.values())) -> Settings:
    """Fill addresses that are not set with those of the running embedded stack, so that commands find it.

    Raises:
        StackError: an address that is needed is not set and no stack runs on the state folder.
    """
    external, running = Addresses.external(settings).servers, running_addresses(settings)
    found: dict[str, object] = {
        name: SecretStr(value) if name == "database_url" else value
        for name, value in running.servers.items()
        if value is not None and external[name] is None
    }
    for name in needed:
        if external[name] is None and name not in found:
            raise StackError(
                f"GIFTCERT_{name.upper()} is not set and no stack runs on {settings.state_dir}: "
                "start `giftcert up`, or set it"
            )
    if "temporal_address" in found and running.temporal_ui_url is not None:
        found["temporal_ui_url"] = running.temporal_ui_url
    return settings.model_copy(update=found)
