"""The repository itself: nothing of one machine, no address of an index, no secret, no dead link."""

import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PINS = ["requirements.txt", "requirements-dev.txt"]
README_FILES = {"README.md", "README.ru.md"}
SETUP_FILES = {".ci", ".env.example", ".gitignore", "Makefile", "docker-compose.yml", "pyproject.toml"}
PIN_FILES = {*PINS, *(f"requirements{part}.in" for part in ("", "-bi", "-dev", "-embedded"))}
FOLDERS = {
    *("activities", "api", "benchmarks", "chaos", "deploy", "docs"),
    *("giftcert", "kafka_ingest", "simulators", "specs", "tests", "worker.py", "workflows"),
}
PIN = re.compile(
    r"""
    [\w.-]+(\[[\w,-]+\])?==[\w.]+  # a package in one version
    ([ ];[ ][\w.'*<>=! ]+)?        # where it is needed
    ([ ]\\\n[ ]{4}--hash=sha256:[0-9a-f]{64})+
""",
    re.VERBOSE,
)
MACHINE_PATH = re.compile(r"(?<![\w.$}/~-])/(?:home|root|work|Users|tmp)/\w")
ODD_WORD = re.compile(
    r"\b(?:un)?told\b|\b(?:runs?|ran) out\b|\bh[eo]ld(?:s|ing)?(?: [\w,]+){0,7} against\b|\bstands? on\b",
    re.IGNORECASE,
)
"""Published, reported; expired; compared, checked; is on."""
READ_BY_PEOPLE = (".md", ".json", ".yaml", ".toml", ".py", ".sql")
"""Sources too: the command line shows their docstrings."""
SECRET = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY"
    r"|\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{20,}"  # a signed token
    r'|"(?:keyMaterialType|typeUrl)"\s*:'  # a key set of Tink in clear
    r'|"d"\s*:\s*"[\w-]{40,}"'  # the private part of a JWK
    r"|\bAKIA[0-9A-Z]{16}\b"
)


def tracked_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [path for path in paths if path.is_file()]


def hits(
    pattern: re.Pattern[str], endings: tuple[str, ...] = ("",), but: tuple[str, ...] = ()
) -> Iterator[str]:
    for path in tracked_files():
        name = str(path.relative_to(ROOT))
        if not name.endswith(endings) or name.startswith(but):
            continue
        text = path.read_text("utf-8", errors="replace")
        for found in pattern.finditer(text):
            yield f"{name}:{text.count(chr(10), 0, found.start()) + 1}: {found[0]}"


def test_the_top_level_is_the_one_in_the_readme() -> None:
    top = {path.relative_to(ROOT).parts[0] for path in tracked_files()}
    assert top <= FOLDERS | README_FILES | SETUP_FILES | PIN_FILES


def test_no_file_names_a_path_of_one_machine() -> None:
    assert list(hits(MACHINE_PATH)) == []


def test_no_file_holds_a_secret() -> None:
    assert list(hits(SECRET)) == []


@pytest.mark.parametrize("name", PINS)
def test_every_pin_has_a_hash_and_none_an_address(name: str) -> None:
    _, _, pins = (ROOT / name).read_text("utf-8").partition("make requirements\n")
    requirements = re.split(r"\n(?=\w)", pins.removesuffix("\n"))
    assert [one for one in requirements if not PIN.fullmatch(one)] == []


def test_both_readme_files_carry_the_same() -> None:
    english, russian = (skeleton(ROOT / name) for name in ("README.md", "README.ru.md"))
    assert english
    assert english == russian


def skeleton(document: Path) -> list[str]:
    """What does not depend on the language: headings by depth, list items, rows, commands, arrows, links."""
    text = re.sub(r"\]\(README(\.ru)?\.md\)", "", document.read_text("utf-8"))
    text = re.sub(r" +# .*", "", text)  # comments beside commands
    return re.findall(
        r"^#+|^- |^\d\. |^\| |^ +\w+ -->.*$|\]\([^)]+\)|^(?:make|curl|TOKEN).*$", text, re.MULTILINE
    )


def test_every_decision_stands_in_the_index() -> None:
    index = (ROOT / "docs/README.md").read_text("utf-8")
    decisions = [path.name for path in tracked_files() if path.parent.name == "adr"]
    assert decisions
    assert [name for name in decisions if f"(adr/{name})" not in index] == []


def test_no_two_files_of_tests_have_one_name() -> None:
    """pytest would import the first of them for both."""
    names = Counter(path.name for path in tracked_files() if path.name.startswith("test_"))
    assert [name for name, count in names.items() if count > 1] == []


def test_what_partners_and_people_read_has_the_words_of_the_field() -> None:
    assert list(hits(ODD_WORD, READ_BY_PEOPLE, but=("docs/names.md", "specs/released/", "tests/"))) == []


def test_links_between_documents_lead_somewhere() -> None:
    documents = [path for path in tracked_files() if path.suffix == ".md"]
    links = [
        (path, *link)
        for path in documents
        for link in re.findall(r"\]\(([^)#:]*)(?:#([^)]+))?\)", path.read_text("utf-8"))
    ]
    assert links
    dead = [(path.name, to) for path, to, _ in links if not (path.parent / to).exists()]
    assert dead == []
    targets = [(path.parent / to if to else path, anchor) for path, to, anchor in links if anchor]
    assert [(path.name, anchor) for path, anchor in targets if anchor not in anchors(path)] == []


def anchors(document: Path) -> set[str]:
    """The names that headings get in a link."""
    headings = re.findall(r"^#+ (.+)$", document.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings}
