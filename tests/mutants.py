"""Say how many mutants of the domain the tests have killed, and name the survivors: ``python -m tests.mutants``.

A mutant is the domain with one small change, a survivor one with which all examples pass. ``mutmut run`` makes and
tries them. A mutant whose tests do not end in time was noticed as well as one whose tests fail.
"""

import subprocess
import sys
from collections import Counter
from pathlib import Path

WANTED_PERCENT = 90
NOTICED = ("killed", "timeout", "segfault", "caught by type check")
UNTRIED = ("not checked", "skipped")


def main() -> int:
    """Return 1 if the share of mutants that were killed is under what is wanted, or not known."""
    status = dict(line.strip().split(": ", 1) for line in results().splitlines())
    untried = sum(found in UNTRIED for found in status.values())
    if not status or untried:
        print(
            f"mutants: {untried or 'all'} have not been tried yet; make mutants tries them", file=sys.stderr
        )
        return 1
    survivors = [name for name, found in status.items() if found not in NOTICED]
    print(*survivors, sep="\n")
    killed, total = Counter(map(module_of, status)), Counter(map(module_of, status))
    killed.subtract(map(module_of, survivors))
    for module in sorted(total):
        print_line(module, killed[module], total[module])
    print_line("domain", killed.total(), total.total())
    return int(100 * killed.total() < WANTED_PERCENT * total.total())


def results() -> str:
    """Return what mutmut knows, a line for each mutant."""
    command = [Path(sys.executable).with_name("mutmut"), "results", "--all", "true"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def module_of(mutant: str) -> str:
    """Return the name of the mutated module, such as ``refunds``."""
    return mutant.removeprefix("giftcert.domain.").partition(".")[0]


def print_line(name: str, killed: int, total: int) -> None:
    """Print one line of the table."""
    print(f"| {name:<14} | {killed:>5} of {total:<5} | {100 * killed / total:5.1f} % |")


if __name__ == "__main__":
    sys.exit(main())
