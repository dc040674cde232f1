"""Lets a witness see what a client hears and says; see `eshet.client.witness`."""

from typing import Any

from eshet.client.client import Client
from eshet.client.witness import Witness

__all__ = ["let_see", "tell_skipped"]


def let_see(client: Client, witness: Witness) -> None:
    """Let somebody see what a client hears and says; called before the client is used.

    It then keeps track of causes.
    """
    client._registrations.witness = witness


def tell_skipped(client: Client, code: int, path: str, value: Any, why: str) -> None:
    """Tell who sees what a client says, if anybody does, that it does not say this.

    The arguments are those of `Witness.skips`.
    """
    witness = client._registrations.witness
    if witness is not None:
        witness.skips(code, path, value, why)
