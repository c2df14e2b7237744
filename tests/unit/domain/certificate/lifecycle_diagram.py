"""The lifecycle drawn from its matrix: arrows with their messages, notes of refused requests."""

import sys

from giftcert.domain.certificate.matrix import MATRIX, Answer
from giftcert.domain.certificate.state import ENDED, Status


def drawn() -> str:
    """Return a Mermaid state diagram."""
    arrows: dict[tuple[Status, Status], list[str]] = {}
    refused: dict[Status, list[str]] = {status: [] for status in Status}
    for (status, message), found in MATRIX.items():
        for target in found.to:
            arrows.setdefault((status, target), []).append(message.__name__)
        if found.answer is Answer.REFUSED:
            refused[status].append(message.__name__)
    lines = ["stateDiagram-v2", f"    [*] --> {Status.AVAILABLE.value}: pool"]
    for (status, target), names in sorted(arrows.items()):
        lines.append(f"    {status.value} --> {target.value}: {', '.join(names)}")
    lines += [f"    {status.value} --> [*]" for status in Status if status in ENDED]
    for status, names in refused.items():
        lines.append(f"    note right of {status.value}: refuses {', '.join(names)}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(drawn())
