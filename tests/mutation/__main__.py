"""Say how many mutants of domain and lifecycle the tests kill, and name the survivors: ``make mutants``.

A mutant is the code with one small change, a survivor one that mypy accepts and with which all examples pass. mutmut
makes and tries them; it is run twice, because the domain needs no servers and the one transaction needs PostgreSQL.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests import run_guardian
from tests.shared_servers import POSTGRES_OF_MUTANTS, prepare_template, start_server

ROOT = Path(__file__).parents[2]
PARTS = ("domain", "lifecycle")
WANTED_PERCENT = 95
REFUSED_BY_TYPES = "caught by type check"
NOTICED = ("killed", "timeout", "segfault", REFUSED_BY_TYPES)
UNTRIED = ("not checked", "skipped")
MUTMUT = Path(sys.executable).with_name("mutmut")


def main(parts: list[str]) -> int:
    """Return 1 if the share of mutants of any part that were killed is under what is wanted, or not known."""
    return max(_try(part) for part in parts or PARTS)


def _try(part: str) -> int:
    folder = _folder(part)
    with _environment(part) as environment:
        subprocess.run([MUTMUT, "run"], cwd=folder, env=environment, check=False)
    command = [MUTMUT, "results", "--all", "true"]
    results = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout
    status = dict(line.strip().split(": ", 1) for line in results.splitlines())
    untried = sum(found in UNTRIED for found in status.values())
    if not status or untried:
        print(
            f"mutants: {untried or 'all'} of {part} could not be tried; mutmut says why above",
            file=sys.stderr,
        )
        return 1
    survivors = [name for name, found in status.items() if found not in NOTICED]
    print(*survivors, sep="\n")
    refused = [name for name, found in status.items() if found == REFUSED_BY_TYPES]
    total, by_types, left = (
        Counter(_module(name, part) for name in names) for names in (status, refused, survivors)
    )
    for module in sorted(total):
        _print_line(module, total[module], by_types[module], left[module])
    _print_line(f"all of {part}", total.total(), by_types.total(), left.total())
    return int(100 * left.total() > (100 - WANTED_PERCENT) * total.total())


def _folder(part: str) -> Path:
    """A folder in which mutmut finds the project as it is, and its own settings for this part."""
    folder = ROOT / "mutants" / part
    folder.mkdir(parents=True, exist_ok=True)
    named = {
        entry.name: entry for entry in ROOT.iterdir() if entry.name not in {"mutants", ".git", "setup.cfg"}
    }
    for name, entry in (named | {"setup.cfg": Path(__file__).with_name(f"{part}.cfg")}).items():
        link = folder / name
        if not link.is_symlink():
            link.symlink_to(entry)
    return folder


@contextmanager
def _environment(part: str) -> Iterator[dict[str, str]]:
    path = os.pathsep.join([str(MUTMUT.parent), os.environ["PATH"]])
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PATH": path}
    if part == "domain":
        yield environment
        return
    end_all = run_guardian.start()
    try:
        url = json.loads(start_server("postgres"))["database_owner_url"]
        prepare_template(url)
        yield environment | {POSTGRES_OF_MUTANTS: url}
    finally:
        end_all()


def _module(mutant: str, part: str) -> str:
    """Return the name of the mutated module within its part, such as ``order.refunds``."""
    return mutant.removeprefix(f"giftcert.{part}.").rpartition(".")[0]


def _print_line(name: str, total: int, by_types: int, left: int) -> None:
    by_examples = total - by_types - left
    print(f"| {name} | {total} | {by_types} | {by_examples} | {left} | {100 - 100 * left / total:.1f} % |")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
