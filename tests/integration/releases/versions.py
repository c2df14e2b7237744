"""Versions of the service as its image would hold them: copies of the product, some of them changed, each a process."""

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from giftcert.build import PRODUCT, build_id, code_digest
from tests.embedded_environment import ROOT, embedded_environment
from tests.processes import PATIENCE_SECONDS

LOOK = "            self._seen = seen = await self._advance(start.certificate_id)\n"
PAUSE = "await workflow.sleep(timedelta(milliseconds=1))\n"
CHANGED_WORKFLOW = f'            if workflow.patched("pause"):\n                {PAUSE}{LOOK}'
CHANGED_RULE = ("decision.now + decision.product.validity", "decision.now + 2 * decision.product.validity")
WORKFLOW, RULE = "workflows/certificate.py", "giftcert/domain/certificate/validity.py"


@dataclass(frozen=True)
class Version:
    """A copy of the product, and the settings by which it reaches its servers."""

    folder: Path
    settings: Mapping[str, str]

    @property
    def build(self) -> str:
        """Its build id: a copy holds no history, so that its code alone makes it."""
        version, _, _ = build_id().partition("-")
        return f"{version}-{code_digest(self.folder)}"

    def run(self, *arguments: str, expect: int = 0) -> Any:
        """Run a command of this version and return what it printed as JSON."""
        done = subprocess.run(
            self._command(*arguments, "--json"),
            cwd=self.folder,
            env=self._environment({}),
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        assert done.returncode == expect, f"{arguments}: {done.stdout}{done.stderr}"
        return json.loads(done.stdout or "null")

    @contextmanager
    def worker(self, **settings: str) -> Iterator[None]:
        """Run a worker of this version."""
        log = self.folder / "worker.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                self._command("worker"),
                cwd=self.folder,
                env=self._environment(settings),
                stdout=output,
                stderr=output,
            )
        try:
            yield
            assert process.poll() is None, log.read_text()[-2_000:]
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(PATIENCE_SECONDS)
            finally:
                process.kill()

    def _command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "giftcert.cli", *arguments]

    def _environment(self, settings: Mapping[str, str]) -> dict[str, str]:
        return {**embedded_environment(), **self.settings, **settings, "PYTHONPATH": str(self.folder)}


def copy_of_product(folder: Path, settings: Mapping[str, str], **changes: tuple[str, str]) -> Version:
    """Copy the product and replace a text in some of its files: ``WORKFLOW=(before, after)``."""
    for name in PRODUCT:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    for name, (before, after) in changes.items():
        path = folder / {"workflow": WORKFLOW, "rule": RULE}[name]
        text = path.read_text()
        assert text.count(before) == 1, f"{path} has changed: {before}"
        path.write_text(text.replace(before, after))
    return Version(folder, settings)
