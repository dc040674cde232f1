"""The security headers of every answer."""

from collections.abc import Mapping, MutableMapping
from types import MappingProxyType
from typing import Final

__all__ = ["SECURITY_HEADERS", "add_security_headers"]

SECURITY_HEADERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; "
        "form-action 'self'; object-src 'none'",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Server": "eshet",  # without the versions of aiohttp and Python
    }
)
"""The headers that no answer may change."""


def add_security_headers(headers: MutableMapping[str, str]) -> None:
    """Set the security headers of an answer, which may only choose its own `Cache-Control`."""
    for name, value in SECURITY_HEADERS.items():
        headers[name] = value
    headers.setdefault("Cache-Control", "no-store")
