"""What a kind of hostile module is, and which records of the log name it."""

import textwrap
from pathlib import Path
from typing import Any, Final, NamedTuple

__all__ = ["Kind", "Record", "module_of", "naming"]

Record = dict[str, Any]

_HEAD: Final = """
import asyncio, ctypes, logging, os, re, shutil, signal, sys, threading, time
from eshet import yarp
from eshet_rules import keep, rule

class Own(BaseException):
    pass

ERRORS = [
    ValueError, RecursionError, MemoryError, SystemExit, KeyboardInterrupt, GeneratorExit,
    StopIteration, asyncio.CancelledError, Own,
]
POKE = "/soak/poke/{name}"
ACT = {act}

def nested(value, depth):
    for _ in range(depth):
        value = (value,)
    return value
"""

_RULE: Final = """
@rule
async def bad(client, scope, log):
    poked = await yarp.event_listen(POKE)
"""


class Kind(NamedTuple):
    """A kind of hostile module.

    Args:
        name: of the module.
        body: of its rule; of the module itself if it is at its top.
        named_by: the log's events of which one is to name it after each act; none if what it does
            is no failure, and costs nobody anything.
        saves: how often it is saved in each act, each time as another version.
        pokes: how many events follow.
        least: how many records are to name it in each act.
        at_top: whether the body is the module's.
        once: whether it is named once in the life of the runner, and not in each act.
    """

    name: str
    body: str
    named_by: tuple[str, ...] = ()
    saves: int = 1
    pokes: int = 1
    least: int = 1
    at_top: bool = False
    once: bool = False

    def text(self, act: int) -> str:
        """Return the module's source for an act of this number."""
        body = textwrap.dedent(self.body)
        if not self.at_top:
            body = _RULE + textwrap.indent(body, "    ")
        return _HEAD.format(name=self.name, act=act) + body + "\n"


def naming(kind: Kind, records: list[Record]) -> list[Record]:
    """Return the records that blame a module for what it is to be blamed for."""
    return [
        record
        for record in records
        if module_of(record) == kind.name
        and any(event in record["event"] for event in kind.named_by)
    ]


def module_of(record: Record) -> str:
    """Return the module that a record is about; an empty text if about none."""
    file = Path(record.get("file") or "").stem
    return str(record.get("rule") or record.get("module") or file).partition(".")[0]
