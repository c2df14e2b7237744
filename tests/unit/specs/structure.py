"""What can be said of a Mermaid diagram without Mermaid: its lines, brackets, nodes and arrows."""

import re
from dataclasses import dataclass

_NODE = re.compile(r'^(?P<id>\w+)(?:[\[({/]+)"(?P<label>[^"]+)"[\])}/]+$')
_ARROW = re.compile(r'^(?P<tail>\w+) (?:-->|<-->)(?:\|"[^"]+"\|)? (?P<head>\w+)$')
_SUBGRAPH = re.compile(r'^subgraph (?P<id>\w+) \["(?P<label>[^"]+)"\]$')
_TRANSITION = re.compile(r"^(?:\w+|\[\*\]) --> (?:\w+|\[\*\])(?: ?: .+)?$")


class StructureError(Exception):
    """A line that no diagram of ours would hold."""


@dataclass(frozen=True, slots=True)
class Flowchart:
    """The labels by node id, and the arrows as pairs of node ids."""

    nodes: dict[str, str]
    arrows: frozenset[tuple[str, str]]


def read_flowchart(diagram: str) -> Flowchart:
    """Read a flowchart written in our plain style: one node, arrow or subgraph a line.

    Raises:
        StructureError: a line is none of these, a subgraph stays open, or an arrow has an unknown end.
    """
    nodes: dict[str, str] = {}
    arrows: set[tuple[str, str]] = set()
    depth = 0
    for line in _body(diagram):
        if node := _NODE.match(line):
            nodes[node["id"]] = node["label"].partition("<br/>")[0]
        elif arrow := _ARROW.match(line):
            arrows.add((arrow["tail"], arrow["head"]))
        elif _SUBGRAPH.match(line) or line == "end":
            depth += -1 if line == "end" else 1
        else:
            raise StructureError(line)
    ends = {end for arrow in arrows for end in arrow}
    if depth or ends != set(nodes):
        raise StructureError(f"open subgraphs: {depth}; nodes and arrows disagree on {ends ^ set(nodes)}")
    return Flowchart(nodes, frozenset(arrows))


def kind(diagram: str) -> str:
    """Return the type that the first line names, for a diagram whose lines make sense.

    Raises:
        StructureError: a line does not.
    """
    header = diagram.lstrip().split(maxsplit=1)[0]
    if header == "flowchart":
        read_flowchart(diagram)
    elif header == "stateDiagram-v2":
        _check_states(diagram)
    else:
        raise StructureError(header)
    return header


def _check_states(diagram: str) -> None:
    for line in _body(diagram):
        if " --> " in line and not _TRANSITION.match(line):
            raise StructureError(line)
    if diagram.count("{") != diagram.count("}"):
        raise StructureError("a composite state stays open")


def _body(diagram: str) -> list[str]:
    lines = [line.strip() for line in diagram.strip().splitlines()[1:]]
    return [line for line in lines if line and not line.startswith("%%")]
