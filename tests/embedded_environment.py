"""The environment of programs that tests start."""

import os
from pathlib import Path

ROOT = Path(__file__).parents[1]
FREE_PORTS = dict.fromkeys(
    (f"GIFTCERT_{part}_PORT" for part in ("POSTGRES", "TEMPORAL", "TEMPORAL_UI", "KAFKA", "API")), "0"
)
"""The usual ports are for the stack that a developer may run beside the tests."""


def embedded_environment() -> dict[str, str]:
    """Return our environment without settings that a developer may have made, and any free ports for stacks."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("GIFTCERT_")}
    return ours | FREE_PORTS
