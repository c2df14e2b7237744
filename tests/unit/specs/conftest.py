import os
from collections.abc import Callable

import pytest

from tests.unit.specs import mermaid, structure

MISSING = pytest.StashKey[str]()


@pytest.fixture(scope="session")
def read_diagram(request: pytest.FixtureRequest) -> Callable[[str], str]:
    """Read a diagram with Mermaid; without node with our own plain reading, which the summary then says."""
    try:
        mermaid.install()
    except mermaid.MermaidMissingError as missing:
        if os.environ.get("CI"):
            raise
        request.config.stash[MISSING] = str(missing)
        return structure.kind
    return mermaid.parse


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if missing := config.stash.get(MISSING, None):
        terminalreporter.section("Mermaid")
        terminalreporter.line(f"The diagrams were checked line by line, not by Mermaid itself: {missing}.")
