"""Certificates as files (PEM): those of the company's CA, those of another one, and those whose time is over."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import trustme
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from giftcert.clock import utc_now

HOST, OTHER_NAME = "127.0.0.1", "localhost"
"""Servers listen at ``HOST``, for which their certificates are; by ``OTHER_NAME`` they can be reached as well."""
USER = "giftcert"
"""Whom the client's certificate names."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate with its chain, its key (PKCS 8), and both in one file."""

    certificate: Path
    key: Path
    both: Path


@dataclass(frozen=True, slots=True)
class Certificates:
    """``stranger`` is of a CA that no server trusts, ``expired`` of the company's."""

    ca: Path
    other_ca: Path
    server: Identity
    expired_server: Identity
    client: Identity
    stranger: Identity
    expired_client: Identity


def make_certificates(folder: Path) -> Certificates:
    """Make all of them in an empty folder; others than its owner may read them."""
    company, other = trustme.CA(), trustme.CA()
    yesterday = utc_now() - timedelta(days=1)
    long_ago = {"not_before": yesterday - timedelta(days=1), "not_after": yesterday}

    def saved(name: str, issued: trustme.LeafCert) -> Identity:
        identity = Identity(*(folder / f"{name}.{kind}" for kind in ("crt", "key", "pem")))
        chain = b"".join(one.bytes() for one in issued.cert_chain_pems)
        key = load_pem_private_key(issued.private_key_pem.bytes(), None)
        key_pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        for path, content in (
            (identity.certificate, chain),
            (identity.key, key_pem),
            (identity.both, key_pem + chain),
        ):
            path.write_bytes(content)
        return identity

    company.cert_pem.write_to_path(folder / "ca.pem")
    other.cert_pem.write_to_path(folder / "other-ca.pem")
    return Certificates(
        ca=folder / "ca.pem",
        other_ca=folder / "other-ca.pem",
        server=saved("server", company.issue_cert(HOST)),
        expired_server=saved("expired-server", company.issue_cert(HOST, **long_ago)),
        client=saved("client", company.issue_cert(f"{USER}.example", common_name=USER)),
        stranger=saved("stranger", other.issue_cert(f"{USER}.example", common_name=USER)),
        expired_client=saved(
            "expired-client", company.issue_cert(f"{USER}.example", common_name=USER, **long_ago)
        ),
    )
