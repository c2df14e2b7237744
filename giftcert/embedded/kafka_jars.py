"""The real Kafka broker as jars, fetched once by Maven and kept."""

import asyncio
import fcntl
import hashlib
import re
import shutil
import subprocess
from pathlib import Path

from giftcert.embedded.errors import StackError

_POM = Path(__file__).with_name("pom.xml")
_OLDEST_JAVA = 17
_FETCH_SECONDS = 300


def why_not_real(cache: Path) -> str | None:
    """Return why the real broker cannot run on this machine, or None if it can.

    Maven is needed only until the jars are in the cache.
    """
    java = shutil.which("java")
    if java is None:
        return f"Java {_OLDEST_JAVA} or newer is not installed"
    version = _java_version(java)
    if version < _OLDEST_JAVA:
        return f"Java is version {version}, older than {_OLDEST_JAVA}"
    if not jar_folder(cache).exists() and shutil.which("mvn") is None:
        return "Maven is not installed"
    return None


def jar_folder(cache: Path) -> Path:
    """Return where the jars of this pom.xml are kept; it exists only when they are complete."""
    return cache.resolve() / f"kafka-{hashlib.sha256(_POM.read_bytes()).hexdigest()[:12]}"


async def fetch(cache: Path) -> Path:
    """Return the folder of jars, filled by Maven at first use.

    Raises:
        StackError: Maven failed.
    """
    folder = jar_folder(cache)
    if not folder.exists():
        await asyncio.to_thread(_fetch_once, folder)
    return folder


def _fetch_once(folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two stacks may start at once
        if not folder.exists():
            _run_maven(folder)


def _run_maven(folder: Path) -> None:
    partial = folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    command = [
        "mvn",
        "-q",
        "-B",
        "-f",
        str(_POM),
        "dependency:copy-dependencies",
        f"-DoutputDirectory={partial}",
    ]
    try:
        done = subprocess.run(  # noqa: S603 - a fixed command
            command, capture_output=True, text=True, timeout=_FETCH_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise StackError(f"Maven did not fetch Kafka within {_FETCH_SECONDS} s") from None
    if done.returncode != 0:
        reason = next((line for line in done.stdout.splitlines() if line.startswith("[ERROR]")), done.stderr)
        raise StackError(f"Maven could not fetch Kafka: {reason.strip()[:300]}")
    partial.rename(folder)


def _java_version(java: str) -> int:
    done = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)  # noqa: S603
    found = re.search(r'version "(\d+)', done.stderr + done.stdout)
    return int(found.group(1)) if found else 0
