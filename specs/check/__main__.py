"""``python -m specs.check [NAME...]``: check the specifications as partners use them; all checks, or those named.

A check whose tools are not on this machine, or cannot be fetched, is left out, with one line that says what it needs.
``--release`` keeps the specifications as they are now as those that later ones are compared with, if all is well.
"""

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.stack import GIFTCERT, running_stack, token_of
from specs.check.tools import GO, JAVA, MAVEN, NODE, NPM, CheckError, Tool, UnreachableError, fetch, run
from specs.check.topics import as_openapi

HERE = Path(__file__).parent
SPECS = HERE.parent
ROOT = SPECS.parent
RELEASED = SPECS / "released" / "1"
BUILD = ROOT / ".build" / "specs"
_NODE, _GO, _OASDIFF, _JAVA = HERE / "node", HERE / "go", HERE / "oasdiff", HERE / "java"
_GENERATED = _NODE / "generated"


@dataclass(frozen=True, slots=True)
class Check:
    """One check: what it is called, what it needs, and what it does; it returns what it found to be well."""

    name: str
    needs: tuple[Tool, ...]
    work: Callable[[], str]


def check_contract() -> str:
    """Compare the files with the code, each example against its schema and its decoder."""
    tests = ("tests/unit/contracts/test_specifications.py", "tests/unit/api/test_openapi.py")
    printed = run([sys.executable, "-m", "pytest", "-q", *tests], ROOT)
    return printed.splitlines()[-1].strip("= ")


def check_breaking() -> str:
    """Name what breaks partners, against the specifications that were released last."""
    if not RELEASED.exists():
        return "nothing was released yet"
    BUILD.mkdir(parents=True, exist_ok=True)
    fetch("Go modules", ["go", "mod", "download"], _OASDIFF)
    found = [*breaking_changes(RELEASED / "openapi.json", SPECS / "openapi.json")]
    topics = []
    for name, folder in (("released", RELEASED), ("now", SPECS)):
        topics.append(BUILD / f"topics-{name}.json")
        topics[-1].write_text(json.dumps(as_openapi(folder)), encoding="utf-8")
    found += breaking_changes(*topics)
    if found:
        raise CheckError("\n".join(found))
    return f"nothing breaks against {RELEASED.relative_to(ROOT)}"


def breaking_changes(before: Path, after: Path) -> list[str]:
    """Return a line for each change between two OpenAPI documents that breaks a client."""
    command = ("go", "tool", "oasdiff", "breaking", before.resolve(), after.resolve(), "--format", "json")
    changes = json.loads(run(command, _OASDIFF) or "[]")
    return [
        f"{one.get('operation', '')} {one.get('path', '')}: {one['text']} [{one['id']}]" for one in changes
    ]


def check_openapi() -> str:
    """Lint the OpenAPI document with Redocly's strictest rules."""
    _install()
    redocly = _NODE / "node_modules" / ".bin" / "redocly"
    quiet = {**os.environ, "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true", "REDOCLY_TELEMETRY": "off"}
    run([redocly, "lint", "--config", _NODE / "redocly.yaml", SPECS / "openapi.json"], ROOT, quiet)
    return "no finding of Redocly's recommended-strict"


def check_asyncapi() -> str:
    """Validate the AsyncAPI document and its examples with AsyncAPI's own parser."""
    _install()
    return run(["node", _NODE / "asyncapi.mjs", SPECS / "asyncapi.yaml"], ROOT)


def check_schemas() -> str:
    """Compile the JSON Schemas with Ajv, strictly, and check the examples by them."""
    _install()
    return run(["node", _NODE / "schemas.mjs", SPECS / "schemas"], ROOT)


def check_typescript() -> str:
    """Generate types of API and messages, and compile a client that uses them."""
    _install()
    shutil.rmtree(_GENERATED, ignore_errors=True)
    made = run(["node", _NODE / "generate.mjs", SPECS, _GENERATED], ROOT)
    run([_NODE / "node_modules" / ".bin" / "tsc", "--project", _NODE], ROOT)
    return f"{made} generated, compiled with a client"


def check_sale() -> str:
    """Drive a sale with the TypeScript client, against a stack that is started for it."""
    check_typescript()
    with running_stack(pool=0) as stack:
        fill = [*GIFTCERT, "pool", "generate", "--product", "GC-5000", "--count", "10"]
        run(fill, ROOT, stack.environment)
        tokens = {f"{role.upper()}_TOKEN": token_of(stack.environment, role) for role in ("channel", "crm")}
        where = {**os.environ, "API": stack.api_url, "KAFKA": stack.kafka, **tokens}
        printed = run(["node", _GENERATED / "build" / "sale.js"], ROOT, where)
    return f"{len(printed.splitlines())} steps from reservation to refund"


def check_go() -> str:
    """Generate a Go client, compile it, and have it read answers of a later version."""
    (_GO / "client").mkdir(exist_ok=True)
    fetch("Go modules", ["go", "mod", "download"], _GO)
    run(["go", "tool", "oapi-codegen", "-config", "oapi-codegen.yaml", SPECS / "openapi.json"], _GO)
    run(["go", "vet", "./..."], _GO)
    run(["go", "test", "./..."], _GO)
    return "generated, compiled, reads answers of a later version"


def check_java() -> str:
    """Generate a Java client, compile it, and have it read answers of a later version."""
    run(["mvn", "--quiet", "--batch-mode", "compile", "exec:java"], _JAVA)
    return "generated, compiled, reads answers of a later version"


def _install() -> None:
    """Install what the lock file pins, once for each lock file."""
    installed, wanted = _NODE / "node_modules" / ".package-lock.json", _NODE / "package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < wanted.stat().st_mtime:
        fetch("npm packages", ["npm", "ci", "--ignore-scripts"], _NODE)
        installed.touch()


CHECKS = (
    Check("contract", (), check_contract),
    Check("breaking", (GO,), check_breaking),
    Check("openapi", (NODE, NPM), check_openapi),
    Check("asyncapi", (NODE, NPM), check_asyncapi),
    Check("schemas", (NODE, NPM), check_schemas),
    Check("typescript", (NODE, NPM), check_typescript),
    Check("sale", (NODE, NPM), check_sale),
    Check("go", (GO,), check_go),
    Check("java", (JAVA, MAVEN), check_java),
)


def outcome_of(check: Check) -> tuple[bool, str]:
    """Return whether a check found nothing wrong, and the line or lines that say so."""
    missing = [tool.missing for tool in check.needs if tool.missing]
    if missing:
        return True, f"{check.name:<11} not checked: needs {' and '.join(filter(None, missing))}"
    began = time.monotonic()
    try:
        well = check.work()
    except UnreachableError as error:
        return True, f"{check.name:<11} not checked: needs {error}"
    except CheckError as error:
        return False, f"{check.name:<11} failed\n{error}"
    return True, f"{check.name:<11} ok ({time.monotonic() - began:.0f} s): {well}"


def release() -> None:
    """Keep the specifications as they are: what comes later is compared with them."""
    shutil.rmtree(RELEASED, ignore_errors=True)
    (RELEASED / "schemas").mkdir(parents=True)
    for name in ("openapi.json", "asyncapi.yaml"):
        shutil.copy(SPECS / name, RELEASED / name)
    for schema in (SPECS / "schemas").glob("*.json"):
        shutil.copy(schema, RELEASED / "schemas" / schema.name)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the checks; 1 if one of them failed."""
    parser = argparse.ArgumentParser(prog="make check-specs", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(check.name for check in CHECKS))
    parser.add_argument(
        "--release", action="store_true", help="keep the specifications as those released last"
    )
    options = parser.parse_args(arguments)
    unknown = set(options.names) - {check.name for check in CHECKS}
    if unknown:
        parser.error(
            f"there is no check {min(unknown)}; there are {', '.join(check.name for check in CHECKS)}"
        )
    is_well = True
    for check in CHECKS:
        if not options.names or check.name in options.names:
            is_fine, said = outcome_of(check)
            sys.stdout.write(f"{said}\n")
            sys.stdout.flush()
            is_well = is_well and is_fine
    if is_well and options.release:
        release()
    return 0 if is_well else 1


if __name__ == "__main__":
    sys.exit(main())
