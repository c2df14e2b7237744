"""What can be said of a Mermaid diagram without Mermaid: its lines, brackets, nodes and arrows."""

import re
from dataclasses import dataclass, field

_NODE = re.compile(r'^(?P<id>\w+)(?:[\[({/]+)"(?P<label>[^"]+)"[\])}/]+$')
_ARROW = re.compile(r'^(?P<tail>\w+) -->(?:\|"[^"]+"\|)? (?P<head>\w+)$')
_SUBGRAPH = re.compile(r'^subgraph (?P<id>\w+) \["(?P<label>[^"]+)"\]$')
_PARTICIPANT = re.compile(r"^(?:participant|actor) (?P<id>\w+)(?: as .+)?$")
_MESSAGE = re.compile(r"^(?P<tail>\w+)--?>>(?P<head>\w+): (?P<text>.+)$")
_NOTE = re.compile(r"^Note over (?P<first>\w+),(?P<last>\w+): .+$")
_DIRECTION = re.compile(r"^direction (?:TB|LR)$")
_TRANSITION = re.compile(r"^(?:\w+|\[\*\]) --> (?:\w+|\[\*\])(?: ?: .+)?$")


class StructureError(Exception):
    """A line that no diagram of ours would hold."""


@dataclass(slots=True)
class Flowchart:
    """The first line of each label by node id, the members of each subgraph, and the arrows between ids."""

    nodes: dict[str, str] = field(default_factory=dict)
    subgraphs: dict[str, set[str]] = field(default_factory=dict)
    arrows: set[tuple[str, str]] = field(default_factory=set)


def read_flowchart(diagram: str) -> Flowchart:
    """Read a flowchart written in our plain style: one node, arrow or subgraph a line.

    Raises:
        StructureError: a line is none of these, a subgraph stays open, or a node and the arrows do not meet.
    """
    chart = Flowchart()
    inside: list[str] = []
    for line in _body(diagram):
        if node := _NODE.match(line):
            chart.nodes[node["id"]] = node["label"].partition("<br/>")[0]
            for subgraph in inside:
                chart.subgraphs[subgraph].add(node["id"])
        elif arrow := _ARROW.match(line):
            chart.arrows.add((arrow["tail"], arrow["head"]))
        elif subgraph_line := _SUBGRAPH.match(line):
            inside.append(subgraph_line["id"])
            chart.subgraphs[subgraph_line["id"]] = set()
        elif line == "end" and inside:
            inside.pop()
        elif not _DIRECTION.match(line):
            raise StructureError(line)
    if inside:
        raise StructureError(f"open: {inside}")
    _check_ends(chart)
    return chart


def read_sequence(diagram: str) -> list[tuple[str, str, str]]:
    """Return who says what to whom, in order.

    Raises:
        StructureError: a line is no participant, message or note, or names nobody who takes part.
    """
    known: set[str] = set()
    messages: list[tuple[str, str, str]] = []
    for line in _body(diagram):
        if participant := _PARTICIPANT.match(line):
            known.add(participant["id"])
        elif message := _MESSAGE.match(line):
            messages.append((message["tail"], message["head"], message["text"]))
        elif not _NOTE.match(line) and line != "autonumber":
            raise StructureError(line)
    ends = {end for tail, head, _ in messages for end in (tail, head)}
    if unknown := ends ^ known:
        raise StructureError(f"nobody, or without a message: {unknown}")
    return messages


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
    elif header == "sequenceDiagram":
        read_sequence(diagram)
    else:
        raise StructureError(header)
    return header


def _check_ends(chart: Flowchart) -> None:
    ends = {end for arrow in chart.arrows for end in arrow}
    if unknown := ends - set(chart.nodes) - set(chart.subgraphs):
        raise StructureError(f"arrows to nowhere: {unknown}")
    reached = ends.union(*(members for name, members in chart.subgraphs.items() if name in ends))
    if lonely := set(chart.nodes) - reached:
        raise StructureError(f"without an arrow: {lonely}")


def _check_states(diagram: str) -> None:
    for line in _body(diagram):
        if " --> " in line and not _TRANSITION.match(line):
            raise StructureError(line)
    if diagram.count("{") != diagram.count("}"):
        raise StructureError("a composite state stays open")


def _body(diagram: str) -> list[str]:
    lines = [line.strip() for line in diagram.strip().splitlines()[1:]]
    return [line for line in lines if line and not line.startswith("%%")]
