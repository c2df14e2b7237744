"""Keys that an embedded stack made for itself are for this machine: nothing that others reach runs on them."""

import ipaddress

from giftcert.embedded.addresses import Addresses, running_addresses
from giftcert.embedded.errors import StackError
from giftcert.security import keyring_of, token_verifier_of
from giftcert.settings import Settings


def refuse_embedded_keys(settings: Settings) -> None:
    """Refuse to go on where keys of an embedded stack would serve anything but this machine.

    An address of the stack that runs on the state folder is no external one.

    Raises:
        StackError: keys of an embedded stack meet an external address or an API that others can reach.
        KeyFileError: a key file that is set cannot be read.
    """
    exposed = _exposed_by(settings)
    if exposed is None:
        return
    for setting, embedded in (
        ("GIFTCERT_KEYRING", settings.keyring is None or keyring_of(settings).origin == "embedded"),
        ("GIFTCERT_JWT_JWKS", settings.jwt_jwks is None or token_verifier_of(settings).trusts_embedded_keys),
    ):
        if embedded:
            raise StackError(
                f"{exposed}: set {setting} to keys of your own, those of the embedded stack are not for it"
            )


def _exposed_by(settings: Settings) -> str | None:
    if not _is_loopback(settings.api_host):
        return f"GIFTCERT_API_HOST={settings.api_host} can be reached by others"
    running = running_addresses(settings).servers
    for name, address in Addresses.external(settings).servers.items():
        if address not in {None, running[name]}:
            return f"GIFTCERT_{name.upper()} is external"
    return None


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
