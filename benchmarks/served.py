"""A server in a process of its own, what memory that has, and what is alive in it."""

import asyncio
import ctypes
import gc
import multiprocessing
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import ClassVar, Final, NamedTuple

from benchmarks.wire import Address, serve_ours, server_process

__all__ = ["MOST_GROWTH", "NOISE", "Memory", "Served"]

MOST_GROWTH: Final = 1.1
NOISE: Final = 1.0
"""MiB."""


class Memory:
    """What the system says of the memory of a process, in MiB."""

    def __init__(self, pid: int) -> None:
        self._status = Path(f"/proc/{pid}/status")

    def _read(self, name: str) -> float:
        lines = self._status.read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024

    def now(self) -> float:
        return self._read("VmRSS")

    def most(self) -> float:
        return self._read("VmHWM")

    def forget_most(self) -> None:
        self._status.with_name("clear_refs").write_text("5")


class Alive(NamedTuple):
    """What is in use in a process."""

    objects: int
    blocks: int
    heap: float
    """MiB."""

    @classmethod
    def here(cls) -> "Alive":
        """Measure this process."""
        info = mallinfo2()
        heap = (info.uordblks + info.hblkhd) / 2**20
        return cls(len(gc.get_objects()), sys.getallocatedblocks(), heap)

    def more_than(self, before: "Alive") -> list[str]:
        """Return the names of what has grown by more than it may."""
        most = (
            before.objects * MOST_GROWTH,
            before.blocks * MOST_GROWTH,
            before.heap * MOST_GROWTH + NOISE,
        )
        return [name for name, now, may in zip(self._fields, self, most, strict=True) if now > may]

    def __str__(self) -> str:
        return f"{self.objects:,} objects, {self.blocks:,} blocks, {self.heap:.1f} MiB"


class MallInfo(ctypes.Structure):
    """What glibc says of its heap."""

    _fields_: ClassVar = [
        (name, ctypes.c_size_t)
        for name in (
            "arena",
            "ordblks",
            "smblks",
            "hblks",
            "hblkhd",
            "usmblks",
            "fsmblks",
            "uordblks",
            "fordblks",
            "keepcost",
        )
    ]


mallinfo2: Final = ctypes.CDLL(None).mallinfo2
mallinfo2.restype = MallInfo


class Served:
    """A server that runs in a process of its own, and can be asked what is alive there."""

    def __init__(self, address: Address, pid: int, questions: Pipe) -> None:
        self.address: Final = address
        self.memory: Final = Memory(pid)
        self._questions: Final = questions

    @classmethod
    @contextmanager
    def run(cls) -> Iterator["Served"]:
        ours, theirs = multiprocessing.Pipe()

        async def serve(ready: Pipe) -> None:
            def answer() -> None:
                theirs.recv()
                theirs.send(Alive.here())

            asyncio.get_running_loop().add_reader(theirs.fileno(), answer)
            await serve_ours(ready)

        with server_process(serve) as (address, pid):
            yield cls(address, pid, ours)

    def alive(self) -> Alive:
        self._questions.send(None)
        alive: Alive = self._questions.recv()
        return alive
