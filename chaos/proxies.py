"""Toxiproxy between the parts: connections are refused, fall silent, become slow or are reset.

``go install`` builds it once into ``.build/``; without Go the faults of the network are left out.
"""

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from chaos.ports import free_port

PACKAGE = "github.com/Shopify/toxiproxy/v2/cmd/server@v2.12.0"
_BINARY = Path(".build/toxiproxy/server")
_START_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Proxies:
    """A running Toxiproxy: ``ports`` has the port of each proxied part."""

    control: httpx.AsyncClient
    ports: dict[str, int] = field(default_factory=dict)

    async def add(self, part: str, upstream: str) -> int:
        """Put a proxy before a part's own address, host and port; return the proxy's port."""
        self.ports[part] = port = free_port()
        await self._post("/proxies", name=part, listen=f"127.0.0.1:{port}", upstream=upstream, enabled=True)
        return port

    async def refuse(self, part: str) -> None:
        """Close all connections to a part, and refuse new ones."""
        await self._post(f"/proxies/{part}", enabled=False)

    async def poison(self, part: str, kind: str, **attributes: int) -> None:
        """Add a toxic in both directions, as Toxiproxy names it: ``latency``, ``timeout``, ``reset_peer``."""
        for stream in ("upstream", "downstream"):
            await self._post(f"/proxies/{part}/toxics", type=kind, stream=stream, attributes=attributes)

    async def heal(self) -> None:
        """Let everything through again."""
        (await self.control.post("/reset")).raise_for_status()

    async def _post(self, path: str, **content: object) -> None:
        (await self.control.post(path, json=content)).raise_for_status()


def toxiproxy() -> Path | None:
    """Return the program, built if need be; ``None`` where it can be neither found nor built."""
    found = shutil.which("toxiproxy-server")
    if found:
        return Path(found)
    if not _BINARY.exists() and shutil.which("go"):
        print("building toxiproxy, this once: about a minute", flush=True)
        environment = {**os.environ, "GOBIN": str(_BINARY.parent.resolve())}
        with suppress(subprocess.SubprocessError):
            subprocess.run(["go", "install", PACKAGE], env=environment, check=True, capture_output=True)
    return _BINARY.resolve() if _BINARY.exists() else None


@asynccontextmanager
async def open_proxies(program: Path, upstreams: Mapping[str, str]) -> AsyncIterator[Proxies]:
    """Start a proxy of each part; ``upstreams`` are their own addresses."""
    control_port = free_port()
    command = (str(program), "-host", "127.0.0.1", "-port", str(control_port))
    silent = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(*command, stdout=silent, stderr=silent)
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{control_port}") as control:
            await _until_there(control)
            proxies = Proxies(control)
            for part, upstream in upstreams.items():
                await proxies.add(part, upstream)
            yield proxies
    finally:
        process.kill()
        await process.wait()


async def _until_there(control: httpx.AsyncClient) -> None:
    async with asyncio.timeout(_START_SECONDS):
        while True:
            with suppress(httpx.TransportError):
                await control.get("/version")
                return
            await asyncio.sleep(0.05)
