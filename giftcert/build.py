"""The build: which code a process runs, as Temporal routes by it and `giftcert deploy` shows it."""

import os
import subprocess
from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path

from giftcert import VERSION

PRODUCT = ("activities", "api", "giftcert", "kafka_ingest", "worker.py", "workflows")
"""What the image holds; a simulator or a test makes no other build."""
_ROOT = Path(__file__).resolve().parents[1]
_COMMIT_LENGTH, _DIGEST_LENGTH = 12, 8


def build_id() -> str:
    """Return version, commit where it is known, and a digest of the code, such as ``0.1.0-1a2b3c4d5e6f-9f8e7d6c``.

    Two builds of one commit differ where their code does. ``GIFTCERT_BUILD_ID`` says it instead, and the image's
    ``GIFTCERT_COMMIT`` the commit, as no image holds the history.
    """
    return os.environ.get("GIFTCERT_BUILD_ID") or _of_code()


@cache
def _of_code() -> str:
    return "-".join(filter(None, (VERSION, _commit(), code_digest(_ROOT))))


def code_digest(root: Path) -> str:
    """Return a short digest of all files below a folder that the product is made of."""
    digest = sha256()
    for path in sorted(_files(root)):
        digest.update(f"{path.relative_to(root)}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:_DIGEST_LENGTH]


def _files(root: Path) -> list[Path]:
    found = (root / name for name in PRODUCT)
    files = [one for top in found for one in ([top] if top.is_file() else top.rglob("*")) if one.is_file()]
    return [one for one in files if "__pycache__" not in one.parts]


def _commit() -> str:
    commit = os.environ.get("GIFTCERT_COMMIT", "")
    if not commit and (_ROOT / ".git").exists():
        command = ["git", "-C", str(_ROOT), "rev-parse", "HEAD"]
        with suppress(OSError, subprocess.SubprocessError):
            done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=5)  # noqa: S603
            commit = done.stdout.strip()
    return commit[:_COMMIT_LENGTH]
