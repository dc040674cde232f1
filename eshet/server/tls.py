"""The encryption of a server, from files in PEM format."""

import ssl
from pathlib import Path

__all__ = ["server_tls"]


def server_tls(cert: Path, key: Path | None, client_ca: Path | None) -> ssl.SSLContext:
    """Return the encryption of a server.

    Args:
        cert: its certificate, with its chain.
        key: its key; None if the file of the certificate contains it.
        client_ca: only clients with a certificate of this CA may connect; None for all clients.

    Raises:
        ValueError: one of the files can't be used.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(cert, key)
        if client_ca is not None:
            context.load_verify_locations(client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ssl.SSLError) as error:
        raise ValueError(f"the TLS files can't be used: {error}") from None
    return context
