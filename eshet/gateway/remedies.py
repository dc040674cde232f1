"""The advice in refusals: how the user lets the server accept such requests."""

from dataclasses import dataclass

__all__ = ["Remedies"]


@dataclass(frozen=True)
class Remedies:
    """The ends of messages; by default, those of `eshet serve`.

    Args:
        to_read: how to make a token.
        to_act: how to make one that may act.
        tokens: how to let the server accept tokens.
        host: how to accept a host name.
        origin: how to accept pages of an origin.
        public: how to be reached by other machines.
    """

    to_read: str = "`eshet token FILE` makes one"
    to_act: str = "`eshet token FILE --act` makes one"
    tokens: str = "start the server with --http-tokens FILE"
    host: str = "start it with --http-host and that name"
    origin: str = "start the server with --http-origin and that origin"
    public: str = (
        "use TLS and tokens (--tls-cert, --tls-key, --http-tokens), or confirm that this is "
        "intended (--insecure)"
    )
