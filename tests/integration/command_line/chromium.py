"""A real Chromium for tests: Playwright's own if it was installed, else the machine's; without one they are skipped."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Browser, async_playwright

_ON_MACHINES = ("chromium", "chromium-browser", "google-chrome")
_MISSING = "no Chromium: `apt install chromium`, or `.venv/bin/playwright install chromium`, and try again"


@asynccontextmanager
async def open_chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        found = next(
            filter(None, map(shutil.which, (playwright.chromium.executable_path, *_ON_MACHINES))), None
        )
        if found is None:
            pytest.skip(_MISSING)
        # As root, as in a container, Chromium has no sandbox of its own; it opens only pages of this machine.
        browser = await playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        await browser.close()
