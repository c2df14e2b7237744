"""The keys that an embedded stack makes for itself at first start, good for this machine only."""

from dataclasses import dataclass
from pathlib import Path

from giftcert.security.keyring import Keyring
from giftcert.security.tokens import create_signing_keys
from giftcert.settings import Settings


@dataclass(frozen=True, slots=True)
class EmbeddedKeys:
    """Where the keys of the stack on a state folder are."""

    folder: Path

    @classmethod
    def of(cls, settings: Settings) -> "EmbeddedKeys":
        """Return the keys of the stack that these settings describe."""
        return cls(settings.state_dir.resolve() / "keys")

    @property
    def keyring(self) -> Path:
        """The keyring."""
        return self.folder / "keyring.json"

    @property
    def private_key(self) -> Path:
        """The key that signs tokens."""
        return self.folder / "token-key.json"

    @property
    def jwks(self) -> Path:
        """The public key that tokens are checked with."""
        return self.folder / "jwks.json"

    def ensure(self) -> bool:
        """Make what is missing; return whether anything was.

        Raises:
            KeyFileError: a file cannot be written.
        """
        made = False
        if not self.keyring.exists():
            Keyring.create(self.keyring, origin="embedded")
            made = True
        if not self.jwks.exists():
            self.private_key.unlink(missing_ok=True)  # half a pair, left by a crash
            create_signing_keys(self.private_key, self.jwks, embedded=True)
            made = True
        return made
