from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.specs import mermaid, structure

DIAGRAMS = sorted((mermaid.ROOT / "specs" / "diagrams").glob("*.mmd"))
MERMAIDS_NAMES = {
    "flowchart": "flowchart-v2",
    "sequenceDiagram": "sequence",
    "stateDiagram-v2": "stateDiagram",
}


@pytest.mark.parametrize("path", DIAGRAMS, ids=lambda path: path.stem)
def test_mermaid_reads_every_diagram(path: Path, read_diagram: Callable[[str], str]) -> None:
    kind = structure.kind(path.read_text("utf-8"))
    assert read_diagram(path.read_text("utf-8")) in {kind, MERMAIDS_NAMES[kind]}


@pytest.mark.parametrize(
    "broken",
    [
        "flowchart LR\n  store -->\n",
        'flowchart LR\n  a["open] --> b\n',
        "sequenceDiagram\n  actor a\n  a-->b says\n",
        "none",
    ],
)
def test_a_broken_diagram_is_refused(broken: str, read_diagram: Callable[[str], str]) -> None:
    with pytest.raises((mermaid.DiagramError, structure.StructureError)):
        read_diagram(broken)
    with pytest.raises(structure.StructureError):
        structure.kind(broken)
