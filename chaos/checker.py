"""Whether reservations and redemptions are linearizable, certificate by certificate: Porcupine says.

Its model of a certificate is ``linearizability/main.go``, built once into ``.build/``; that takes Go.
"""

import json
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from chaos.history import Operation

_SOURCE = Path(__file__).parent / "linearizability"
_PROGRAM = Path(".build/linearizability/check")


class CheckerMissingError(Exception):
    """The checker cannot be built; the message says what it takes."""


def violations(operations: Iterable[Operation], nominal: int) -> list[str]:
    """Return a line for each certificate whose operations no order explains; ``nominal`` is what each is issued with.

    Raises:
        CheckerMissingError: Go is missing, or Porcupine could not be fetched.
    """
    lines = "\n".join(json.dumps(_line(one)) for one in operations)
    done = subprocess.run([_built(), str(nominal)], input=lines, capture_output=True, text=True, check=False)
    if done.returncode not in {0, 1}:
        raise CheckerMissingError(f"the checker failed: {done.stderr.strip()[-200:]}")
    print(done.stderr.strip(), flush=True)
    return done.stdout.splitlines()


def _line(one: Operation) -> dict[str, object]:
    return {
        "certificate": one.certificate_id,
        "kind": one.kind,
        "subject": one.subject,
        "called": one.called,
        "answered": one.answered,
        "amount": one.amount,
        "held": one.held,
    }


def _built() -> Path:
    """Return the program, built anew where its source is newer."""
    program = _PROGRAM.resolve()
    newest = max(path.stat().st_mtime for path in _SOURCE.iterdir())
    if program.exists() and program.stat().st_mtime > newest:
        return program
    if shutil.which("go") is None:
        raise CheckerMissingError("linearizability is not checked: it takes Go")
    command = ["go", "build", "-o", str(program), "."]
    done = subprocess.run(command, cwd=_SOURCE, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CheckerMissingError(f"linearizability is not checked: {done.stderr.strip()[-200:]}")
    return program
