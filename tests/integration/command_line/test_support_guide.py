"""docs/support.md, followed: its link and columns, what it shows of each reason, and each command to its resolution.

With SCREENSHOTS set to a folder its pictures are taken; without, only those pages are opened that differ in kind.
"""

import asyncio
import os
import re
import shlex
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from chromium import open_chromium
from command_runs import RunCommand
from PIL import Image
from playwright.async_api import Browser, Locator, Page
from refund_stories import STORIES, Stories, open_stories

from giftcert.security.keyring import Keyring
from giftcert.security.tokens import create_signing_keys
from giftcert.settings import Settings
from giftcert.texts import LANGUAGES, Language, texts_in
from tests.conftest import ServerAddresses, new_database
from tests.embedded_environment import ROOT
from tests.integration.api.refund_desk import Sold
from tests.shared_servers import on

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]
GUIDE = (ROOT / "docs/support.md").read_text("utf-8")
PICTURES = os.environ.get("SCREENSHOTS")
SHOWN = list(STORIES) if PICTURES else ["certificateRedeemed"]
COLOURS = 32  # of a picture: enough for text, and it takes a fifth of the space
TAKEN_OUT = ("Status", "Run ID", "Type", "Start", "End")
PUT_IN = ("Product", "OrderId", "RefundState", "RefundReason", "RefundSince")
VIEW = "Refunds to decide"


@dataclass
class Support:
    """A person of support: a browser on the Web UI, and commands under keys of their own."""

    stories: Stories
    settings: Settings
    browser: Browser
    keys: dict[str, str]
    cases: dict[str, tuple[Sold, str]]  # by reason

    async def page(self, url: str, height: int) -> Page:
        page = await self.browser.new_page(viewport={"width": 1_800, "height": height})
        await page.goto(url)
        return page

    async def details(self, sold: Sold) -> tuple[Locator, str]:
        """Open a certificate as the guide says; return the panel of its details, and what it says."""
        page = await self.page(self.settings.workflow_url(sold.certificate_id), height=1_500)
        await page.get_by_test_id("user-metadata-tab").click()
        panel = page.locator("#user-metadata-current-details")
        await panel.content_frame.get_by_text("Request Cancellation").wait_for()
        text = await panel.content_frame.locator("body").inner_text()
        return panel, text.replace("\N{NO-BREAK SPACE}", " ")

    async def open_cases(self) -> dict[str, Any]:
        """The cases that wait for a person, by certificate."""
        listed = (await self.stories.api.as_role("support", "/refunds")).json()["items"]
        return {one["certificateId"]: one for one in listed}


@asynccontextmanager
async def open_support(
    database_url: str, temporal: dict[str, Any], folder: Path, language: Language = "en"
) -> AsyncIterator[Support]:
    keys = {"keyring": str(folder / "keyring.json"), "jwt_jwks": str(folder / "jwks.json")}
    Keyring.create(folder / "keyring.json")
    create_signing_keys(folder / "private.json", folder / "jwks.json", embedded=False)
    opened = open_stories(database_url, temporal, folder, keyring=keys["keyring"], language=language)
    async with open_chromium() as browser, opened as (stories, settings):
        yield Support(stories, settings, browser, keys, {})


@pytest.fixture(scope="module")
async def support(
    postgres_url: str, server: ServerAddresses, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Support]:
    url = await new_database(postgres_url)
    async with open_support(url, server("temporal"), tmp_path_factory.mktemp("support")) as support:
        published = await support.stories.tell_all()
        cases = await support.open_cases()
        support.cases = {
            reason: (sold, cases[sold.certificate_id]["refundCaseId"]) for reason, sold in published.items()
        }
        yield support
    await on(postgres_url, f'DROP DATABASE "{url.rpartition("/")[2]}" WITH (FORCE)')


async def test_the_link_opens_the_list_and_the_columns_are_chosen_as_the_guide_says(support: Support) -> None:
    await support.stories.until_waiting(await support.stories.short(), "amountMismatch")
    page = await support.page(f"{support.settings.refund_list_url}&savedQuery={quote(VIEW)}", height=760)
    rows = page.get_by_test_id("workflows-summary-configurable-table-row")
    await rows.first.wait_for()
    await page.get_by_test_id("workflows-summary-table-configuration-button").click()
    for name in TAKEN_OUT:
        await page.get_by_test_id(f"orderable-list-item-{name}-remove-button").click()
    await page.get_by_test_id(f"orderable-list-item-{PUT_IN[-1]}-add-button").scroll_into_view_if_needed()
    await keep(page, "columns")
    for name in PUT_IN:
        await page.get_by_test_id(f"orderable-list-item-{name}-add-button").click()
    await page.goto(support.settings.refund_list_url)
    await rows.first.wait_for()
    assert await page.get_by_text(VIEW).first.is_visible()
    cases, shown = await support.open_cases(), await rows.all_inner_texts()
    assert len(shown) == len(cases)
    for certificate_id, case in cases.items():
        [row] = [one for one in shown if certificate_id in one]
        for word in (case["orderId"], "pendingDetails", case["reason"], "GC-", "UTC"):
            assert word in row
    await keep(page, "list")
    await page.close()


@pytest.mark.parametrize("reason", STORIES)
async def test_a_case_of_each_reason_is_resolved_as_the_guide_says(
    support: Support, giftcert: RunCommand, reason: str
) -> None:
    sold, case = support.cases[reason]
    if reason in SHOWN:
        panel, text = await support.details(sold)
        assert f"Refund case {case} of order {sold.order_id} has waited for a decision since" in text
        assert f"giftcert refunds resolve {case} --approve" in text
        assert "The buttons of this page cannot harm the certificate" in text
        link = panel.content_frame.get_by_role("link", name="on this page")
        assert await link.get_attribute("href") == support.settings.refund_page(case)
        await keep(panel, reason)
        await panel.page.close()
    command, printed = resolution(reason)
    program, *arguments = shlex.split(command.replace("CASE", case))
    assert program == "giftcert"
    done = await asyncio.to_thread(giftcert, *arguments, "--by", "anna", **shell_of(support))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.replace(case, "CASE") == printed
    assert case not in {one["refundCaseId"] for one in (await support.open_cases()).values()}


@pytest.mark.skipif(PICTURES is None, reason="for the picture; the texts have tests of their own")
async def test_the_details_are_in_russian_where_that_is_set(
    fresh_database_url: str, server: ServerAddresses, tmp_path: Path
) -> None:
    async with open_support(fresh_database_url, server("temporal"), tmp_path, "ru") as support:
        sold = await support.stories.redeemed()
        await support.stories.until_waiting(sold, "certificateRedeemed")
        panel, text = await support.details(sold)
        assert "Покупателю вернули 5 000,00 RUB" in text
        assert "Кнопки этой страницы не могут навредить сертификату" in text
        await keep(panel, "certificateRedeemed-ru")


def test_every_reason_has_its_section_with_a_picture_and_pictures_are_small() -> None:
    pictures = sorted((ROOT / "docs/images/support").glob("*.png"))
    names = {picture.stem for picture in pictures}
    assert set(re.findall(r"\(images/support/(\S+)\.png\)", GUIDE)) == names
    assert set(STORIES) <= names
    assert [section for section in STORIES if f"\n### {section}\n" not in GUIDE] == []
    assert [picture.name for picture in pictures if picture.stat().st_size > 60_000] == []


def test_the_russian_guide_has_every_reason_and_every_button() -> None:
    russian = (ROOT / "docs/support.ru.md").read_text("utf-8")
    assert re.findall(r"^\| `(\w+)` \|", russian, re.MULTILINE) == list(STORIES)
    buttons = re.findall(r"- \*\*(.+?)\*\*", texts_in("ru")("buttons"))
    assert [one for one in buttons if f"\n| {one} |" not in russian] == []


def test_guide_and_details_speak_of_the_same_buttons() -> None:
    table = GUIDE.partition("| button |")[2]
    in_guide = re.findall(r"^\| ([A-Z][^|]+) \|", table, re.MULTILINE)
    for language in LANGUAGES:
        assert re.findall(r"- \*\*(.+?)\*\*", texts_in(language)("buttons")) == in_guide


def resolution(reason: str) -> tuple[str, str]:
    """The command of a reason's section, and what it prints."""
    section = GUIDE.partition(f"\n### {reason}\n")[2]
    found = re.search(r"```sh\n(.+?)\n```\n```\n(.+?\n)```", section)
    assert found is not None, reason
    return found[1], found[2]


def shell_of(support: Support) -> dict[str, str]:
    """The settings under which a command reaches the same service."""
    return {
        "database_url": support.settings.database_address,
        "temporal_address": str(support.settings.temporal_address),
        "temporal_namespace": support.settings.temporal_namespace,
        **support.keys,
    }


async def keep(shown: Page | Locator, name: str) -> None:
    """Take a picture for the guide, if they are being taken."""
    if PICTURES is not None:
        await asyncio.sleep(0.5)  # drawers slide, tables fade in
        save(await shown.screenshot(), Path(PICTURES) / f"{name}.png")


def save(picture: bytes, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.open(BytesIO(picture)).convert("RGB").quantize(COLOURS).save(path, optimize=True)
