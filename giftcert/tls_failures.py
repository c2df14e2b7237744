"""What a failed TLS handshake says about how a connection is set up."""

import ssl
from enum import StrEnum

# OpenSSL's X509_V_ERR_*, of which Python has the numbers alone.
_OUT_OF_DATE = {9, 10}
_OTHER_NAME = {62, 64}


class TlsFault(StrEnum):
    """What is wrong, said of the server."""

    UNKNOWN_CA = "its certificate is not signed by a CA that is trusted here"
    OTHER_NAME = "its certificate is for another host name"
    OUT_OF_DATE = "its certificate has expired or is not valid yet"
    CLIENT_CERTIFICATE = "it does not accept our client certificate, or that we have none"
    NO_TLS = "it does not speak TLS"


def tls_fault(error: BaseException | None) -> TlsFault | None:
    """Return what TLS says is wrong, where an error or what caused it comes from there."""
    match error:
        case None:
            return None
        case ssl.SSLCertVerificationError(verify_code=code):
            if code in _OUT_OF_DATE:
                return TlsFault.OUT_OF_DATE
            return TlsFault.OTHER_NAME if code in _OTHER_NAME else TlsFault.UNKNOWN_CA
        case ssl.SSLError():  # the server sends an alert for nothing else that is ours to mend
            return TlsFault.CLIENT_CERTIFICATE if "ALERT" in (error.reason or "") else TlsFault.NO_TLS
        case _:
            return tls_fault(error.__cause__)
