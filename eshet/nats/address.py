"""The URL of a cluster of NATS servers, and of the tree that it stores.

nats://[USER:PASSWORD@]HOST[:PORT][,HOST[:PORT]...][/PREFIX][?OPTION=VALUE[&...]]
"""

import re
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self
from urllib.parse import parse_qsl, unquote

from eshet.address import Address

__all__ = ["DEFAULT_PORT", "DEFAULT_PREFIX", "NatsAddress"]

DEFAULT_PORT: Final = 4222
DEFAULT_PREFIX: Final = "eshet"

# No part may contain @, so that a password is never taken for another part, and shown.
_URL: Final = re.compile(
    r"(?P<scheme>nats|tls)://(?:(?P<login>[^/?#@]*)@)?(?P<servers>[^/?#@]+)"
    r"(?:/(?P<prefix>[^/?#@]*))?(?:\?(?P<options>[^#@]*))?"
)
_LOGIN: Final = re.compile(r"^(\w+://)?.*@", re.DOTALL)
_PREFIX: Final = re.compile(r"[A-Za-z0-9_-]+")
_FILES: Final = ("credentials", "ca", "cert", "key")
_MAX_REPLICAS: Final = 5  # of JetStream


@dataclass(frozen=True)
class NatsAddress:
    """The NATS servers of a cluster, how to log in, and the name of the tree.

    Args:
        servers: those that are tried first; the others of their cluster are discovered.
        prefix: of the names of all buckets and subjects, so that several trees share a cluster.
        user: name; empty without a user.
        password: of the user; without a user, a token.
        credentials: a file with a JWT and a seed, as `nsc` generates it.
        is_encrypted: whether to refuse connections without TLS.
        ca: a file with the certificates to trust; None for those of the system.
        cert: a file with the certificate of this client.
        key: a file with its key; None if `cert` contains it.
        replicas: of each bucket; None for three where the cluster has as many servers, else one.
    """

    servers: tuple[Address, ...]
    prefix: str = DEFAULT_PREFIX
    user: str = ""
    password: str = field(default="", repr=False)
    credentials: Path | None = None
    is_encrypted: bool = False
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    replicas: int | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the address in a URL.

        Args:
            text: such as `nats://localhost`, `tls://user:password@nats1,nats2:4223/flat`, or
                `nats://nats1?credentials=home.creds&replicas=1`. The options `credentials`, `ca`,
                `cert` and `key` are names of files. Special characters are written as `%40`. One
                word before `@` is a token.

        Raises:
            ValueError: it is not such a URL; the message contains no secret.
        """
        match = _URL.fullmatch(text)
        if match is None:
            shown = _LOGIN.sub(r"\1***@", text)
            raise ValueError(
                f"{shown!r} is not the address of NATS servers: write nats://HOST or "
                "nats://USER:PASSWORD@HOST:PORT/PREFIX, with %40 for @ and %2F for /"
            )
        prefix = match["prefix"] or DEFAULT_PREFIX
        if _PREFIX.fullmatch(prefix) is None:
            raise ValueError(
                f"{prefix!r} can't be the prefix of a tree: write letters A-Z, digits, _ and -"
            )
        user, colon, password = (match["login"] or "").partition(":")
        options = _options(match["options"] or "")
        files = {name: Path(options[name]) for name in _FILES if name in options}
        return cls(
            servers=tuple(
                Address.parse(server, default_port=DEFAULT_PORT)
                for server in match["servers"].split(",")
            ),
            prefix=prefix,
            user=unquote(user) if colon else "",
            password=unquote(password if colon else user),
            is_encrypted=match["scheme"] == "tls" or "ca" in files or "cert" in files,
            replicas=_replicas(options["replicas"]) if "replicas" in options else None,
            **files,
        )

    def tls(self) -> ssl.SSLContext:
        """Return how to check the certificate of a server, and how to prove who this client is.

        Raises:
            OSError: one of the files can't be used.
        """
        file = self.ca
        try:
            context = ssl.create_default_context(cafile=self.ca)
            if self.cert is not None:
                file = self.key or self.cert
                context.load_cert_chain(self.cert, self.key)
        except OSError as error:
            raise OSError(f"{file} can't be used for TLS: {error.strerror or error}") from None
        return context

    def __str__(self) -> str:
        """Return the URL without secrets."""
        scheme = "tls" if self.is_encrypted else "nats"
        servers = ",".join(map(str, self.servers))
        return f"{scheme}://{servers}/{self.prefix}"


def _options(query: str) -> dict[str, str]:
    """Return the options of a URL.

    Raises:
        ValueError: one is unknown, or has no value.
    """
    try:
        options = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query)))
    except ValueError:
        raise ValueError(f"{query!r} are not options: write NAME=VALUE&NAME=VALUE") from None
    known = (*_FILES, "replicas")
    for name, value in options.items():
        if name not in known:
            raise ValueError(f"{name!r} is not an option of NATS: there are {', '.join(known)}")
        if not value:
            raise ValueError(f"{name}= needs a value")
    if "key" in options and "cert" not in options:
        raise ValueError("key= needs cert=")
    return options


def _replicas(text: str) -> int:
    """Return the number of replicas.

    Raises:
        ValueError: it is not one that JetStream supports.
    """
    if not (text.isdecimal() and 1 <= int(text) <= _MAX_REPLICAS):
        raise ValueError(f"replicas={text}: write 1 to {_MAX_REPLICAS}")
    return int(text)
