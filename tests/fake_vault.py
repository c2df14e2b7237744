"""A stand-in for the transit engine of HashiCorp Vault, over HTTP on loopback: versions of one key, and a token."""

import json
import threading
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import tink
from tink import aead

aead.register()
TOKEN = "s.token"
PATH = "/v1/transit"


@dataclass
class FakeVault:
    """What the server knows, and what it was asked for."""

    address: str = ""
    versions: list[aead.Aead] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    answers: bool = True

    def __post_init__(self) -> None:
        self.rotate()

    @property
    def uri(self) -> str:
        """As GIFTCERT_MASTER_KEY names it."""
        return f"hcvault+http://{self.address}/transit/keys/giftcert"

    def rotate(self) -> None:
        """As ``vault write -f transit/keys/giftcert/rotate`` does."""
        handle = tink.new_keyset_handle(aead.aead_key_templates.AES256_GCM)
        self.versions.append(handle.primitive(aead.Aead))

    def carry_out(self, what: str, said: dict[str, str]) -> dict[str, str]:
        self.asked.append(what)
        data = b64decode(said["associated_data"])
        if what == "encrypt":
            sealed = self.versions[-1].encrypt(b64decode(said["plaintext"]), data)
            return {"ciphertext": f"vault:v{len(self.versions)}:{b64encode(sealed).decode()}"}
        _, version, sealed_text = said["ciphertext"].split(":")
        plain = self.versions[int(version[1:]) - 1].decrypt(b64decode(sealed_text), data)
        return {"plaintext": b64encode(plain).decode()}


@contextmanager
def fake_vault() -> Iterator[FakeVault]:
    """Serve until the context ends."""
    vault = FakeVault()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            what, _, name = self.path.removeprefix(f"{PATH}/").partition("/")
            if not vault.answers:
                self._reply(503, {"errors": ["Vault is sealed"]})
            elif self.headers.get("X-Vault-Token") != TOKEN:
                self._reply(403, {"errors": ["permission denied"]})
            elif name != "giftcert":
                self._reply(400, {"errors": ["encryption key not found"]})
            else:
                try:
                    self._reply(200, {"data": vault.carry_out(what, said)})
                except tink.TinkError:
                    self._reply(400, {"errors": ["cipher: message authentication failed"]})

        def _reply(self, status: int, body: dict[str, Any]) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        vault.address = f"127.0.0.1:{server.server_port}"
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        serving.start()
        try:
            yield vault
        finally:
            server.shutdown()
            serving.join()
