"""Mermaid's own parser: one pinned package, fetched by npm into ``.build`` and run by node.

The package carries everything in one bundle, so none of its dependencies is installed.
"""

import base64
import hashlib
import shutil
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

VERSION = "11.17.2"
INTEGRITY = "sha512-V6K3C8EBdEsPFZXSKMJe6ppQOENxuHARr9GvHX4hh47lAbhMRD9qf4oEK7LoaRQxULMa80/qt5gHO73aCleBBg=="

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / ".build" / f"mermaid-{VERSION}"
BUNDLE = FOLDER / "package" / "dist" / "mermaid.esm.min.mjs"
SCRIPT = Path(__file__).with_name("parse_mermaid.mjs")


class MermaidMissingError(Exception):
    """Mermaid cannot run here; the message says what is missing."""


class DiagramError(Exception):
    """Mermaid does not read the diagram; the message is its own."""


def install() -> None:
    """Bring the pinned package into ``.build`` unless it is there.

    Raises:
        MermaidMissingError: node or npm is missing, npm cannot fetch, or what it fetched is something else.
    """
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            raise MermaidMissingError(f"{program} is not installed")
    if not BUNDLE.exists():
        FOLDER.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=FOLDER.parent) as workplace:
            _unpack(_fetch(Path(workplace)))


def parse(diagram: str) -> str:
    """Return Mermaid's name for the type of a diagram.

    Raises:
        DiagramError: Mermaid does not read it.
    """
    run = subprocess.run(
        ["node", SCRIPT, BUNDLE], input=diagram, capture_output=True, text=True, timeout=60, check=False
    )
    if run.returncode != 0:
        raise DiagramError(run.stderr.strip())
    return run.stdout.strip()


def _fetch(folder: Path) -> Path:
    command = ["npm", "pack", f"mermaid@{VERSION}", "--silent", "--pack-destination", str(folder)]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=90, check=False)
    archive = folder / f"mermaid-{VERSION}.tgz"
    if run.returncode != 0 or not archive.exists():
        raise MermaidMissingError(f"npm cannot fetch mermaid {VERSION}: {run.stderr.strip()}")
    digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if f"sha512-{digest}" != INTEGRITY:
        raise MermaidMissingError(f"npm fetched another mermaid {VERSION} than the pinned one")
    return archive


def _unpack(archive: Path) -> None:
    # Renamed into place at the end, so that a run that was cut short leaves no half of it.
    unpacked = archive.parent / "unpacked"
    unpacked.mkdir()
    subprocess.run(["tar", "-xzf", archive, "-C", unpacked], check=True, timeout=60)
    with suppress(OSError):  # another xdist worker was first
        unpacked.rename(FOLDER)
    if not BUNDLE.exists():
        raise MermaidMissingError(f"mermaid {VERSION} cannot be unpacked")
