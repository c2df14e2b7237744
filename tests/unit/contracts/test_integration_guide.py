"""The integration guide and the code say the same: neither names what the other lacks."""

import ast
import json
import re
import sys
from pathlib import Path

import pytest

from giftcert.contracts.acquirer_payments import AcquirerPayments
from giftcert.contracts.clients import decode_client
from giftcert.contracts.payments import decode_payment
from giftcert.setting_types import rate_of
from giftcert.settings import Settings
from specs.generator.__main__ import CONTRACT_VERSION
from specs.generator.event_schemas import catalogue
from specs.generator.guide_pages import PAGES as MADE
from tests.cli_commands import cli_commands
from tests.embedded_environment import ROOT
from tests.unit.contracts.topic_records import raw

GUIDE = ROOT / "docs" / "integration"
PAGES = sorted(GUIDE.glob("*.md"))
CLIENTS = sorted((GUIDE / "clients").glob("*.py"))
DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *PAGES, ROOT / "deploy" / "README.md"]
ELSEWHERE = {"GIFTCERT_BUILD_ID"}
"""Read by the worker's build before there are settings."""
_EVENT = re.compile(r"\b(?:issue|notification|redemption|refund|audit|alert|error)\.[a-z][A-Za-z]*\b")
_CALL = re.compile(r"\b(GET|POST|DELETE) (/[^\s`?]*)")


def first_cells(page: str) -> list[str]:
    """The first cell of each row of a page's tables, where it is a word of the contract."""
    return re.findall(r"^\| `([A-Za-z.-]+)` \|", (GUIDE / page).read_text(), re.MULTILINE)


def test_every_event_type_of_the_code_is_explained_once_and_no_other() -> None:
    assert sorted(first_cells("events.md")) == [kind.event_type for kind in catalogue()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_page_names_an_event_that_the_code_cannot_tell(page: Path) -> None:
    named = set(_EVENT.findall(page.read_text()))
    assert named <= {kind.event_type for kind in catalogue()}


def test_every_setting_that_documents_name_exists() -> None:
    known = {f"GIFTCERT_{name.upper()}" for name in Settings.model_fields}
    for document in DOCUMENTS:
        named = set(re.findall(r"\bGIFTCERT_[A-Z_]*[A-Z]\b", document.read_text()))
        assert named <= known | ELSEWHERE, document


def test_the_limits_that_the_guide_names_are_those_of_the_settings() -> None:
    settings, text = Settings(_env_file=None), " ".join((GUIDE / "README.md").read_text().split())
    for said in (
        f"{settings.reservation_cap:,} unordered reservations",
        f"it gets {rate_of(settings.disclosures_per_caller).count:,} CVCs a minute",
        f"is answered {rate_of(settings.disclosures_per_certificate).count} times an hour",
        (
            f"{rate_of(settings.wrong_cvcs_per_certificate).count} a day lock a number for "
            f"{settings.verification_lock.seconds // 60} minutes"
        ),
        f"has {rate_of(settings.wrong_cvcs_per_end_user).count} an hour",
    ):
        assert said in text, said


def test_every_command_that_documents_name_exists_and_every_command_is_named() -> None:
    whole = {tuple(name.split()) for name in cli_commands()}
    groups = {one[0] for one in whole if len(one) == 2}
    known = whole | {(group,) for group in groups}
    text = "\n".join(document.read_text() for document in DOCUMENTS)
    in_code = {
        (name, inner) if name in groups and inner else (name,)
        for quoted in re.findall(r"`([^`\n]+)`|(?:^|\$\()((?:\.venv/bin/)?giftcert .+)$", text, re.MULTILINE)
        for name, inner in re.findall(r"^(?:\.venv/bin/)?giftcert ([a-z]+)(?: ([a-z]+))?", "".join(quoted))
    }
    assert in_code <= known
    unnamed = {one[0] for one in known} - {one[0] for one in in_code}
    assert unnamed == set()


def test_every_call_that_documents_name_exists_and_every_call_is_named() -> None:
    paths = json.loads((ROOT / "specs" / "openapi.json").read_text())["paths"]
    known = {(method.upper(), _plain(path)) for path, calls in paths.items() for method in calls}
    text = "\n".join(document.read_text() for document in DOCUMENTS)
    named = {(method, _plain(path)) for method, path in _CALL.findall(text)}
    assert named <= known | {("GET", "/problems/*")}
    public = {one for one in known if one[1] not in {"/livez", "/healthz", "/readyz", "/metrics"}}
    assert public - named == set()


def _plain(path: str) -> str:
    """A path whatever its parameters are called."""
    return re.sub(r"\{[^}]*\}|<[^>]*>", "*", path).rstrip(".,;:")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_of_the_guide_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
        assert target.startswith("https://") or (page.parent / target).exists(), target


def test_every_client_has_its_page_and_every_page_of_a_partner_its_client() -> None:
    linked = {name for page in PAGES for name in re.findall(r"\(clients/([a-z_]+\.py)\)", page.read_text())}
    assert linked == {client.name for client in CLIENTS} - {"partner.py"}


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_a_client_uses_plain_libraries_and_nothing_of_the_service(client: Path) -> None:
    tree = ast.parse(client.read_text())
    imported = {
        name.partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module] if isinstance(node, ast.ImportFrom) else [one.name for one in node.names])
        if name
    }
    assert imported <= sys.stdlib_module_names | {"httpx", "confluent_kafka", "partner"}


def json_blocks(page: str) -> list[object]:
    blocks = re.findall(r"```json\n(.*?)```", (GUIDE / page).read_text(), re.DOTALL)
    return [json.loads(block) for block in blocks]


def test_the_two_formats_that_the_guide_shows_are_one_message() -> None:
    ours, theirs = json_blocks("formats.md")
    assert decode_payment(raw(ours)) == AcquirerPayments({1: "im"})(raw(theirs))


def test_the_client_that_the_guide_shows_is_read() -> None:
    [shown] = json_blocks("crm.md")
    assert decode_client(b"C-77", raw(shown), None).client_id == "C-77"  # type: ignore[arg-type]


@pytest.mark.parametrize("page", MADE)
def test_every_reason_and_every_problem_is_explained_as_in_the_code_and_no_other(page: str) -> None:
    assert (GUIDE / page).read_text() == MADE[page](), "run: python -m specs.generator.guide_pages"


def test_the_changelog_begins_with_the_version_of_the_contracts() -> None:
    versions = re.findall(r"^## (\S+)", (GUIDE / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert versions[0] == CONTRACT_VERSION
