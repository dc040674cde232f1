"""What crowds, floods, garbage and deafness cost the server, and everybody else on it.

    python benchmarks/abuse.py [--full] [--only TEXT]

The server is a process of its own; its memory is what the system says of it. With --full there are
a million broken frames, a gibibyte for a listener that does not read, 10,000 clients and 100,000
nodes; else a tenth of each.

The second line of each row says what it cost another client, which works all the time: its longest
wait, and that as a ratio to its longest wait at rest.

The third line says how much memory the server had at its start, before the row, at most, and when
the clients of the row have gone and the server has rested for 4 seconds. That is MET or MISSED: at
most 10 % more than at the start, though a server has several rows, and 1 MiB for noise.

The fourth line says what is alive in the server before and after: objects that the garbage
collector knows, blocks of pymalloc, which allocates up to 512 bytes, and MiB in use of the C
library. A row fails, and the exit code is 1, if one of these is more than 10 %, and 1 MiB for the
tables of the event loop, over what it was before.

Arenas of pymalloc have 1 MiB and go back to the system only if they are empty, which memory after a
flood can't meet if one object in each is still in use. With PYTHONMALLOC=malloc in the environment
there are none: then a row fails also if the memory is MISSED.
"""

import argparse
import itertools
import os
import resource
import select
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.served import MOST_GROWTH, NOISE, Memory, Served
from benchmarks.wire import OK, Address, Raw
from eshet import codec
from eshet.messages import (
    ActionCall,
    EventEmit,
    EventListen,
    Get,
    HelloId,
    Message,
    Ping,
    StateChanged,
    StateObserve,
    StateRegister,
    pack,
)
from eshet.protocol.framing import FrameReader, frame
from tests.support.mutations import mutated_frames

REST: Final = 4.0
"""Seconds."""
TURNS_AT_REST: Final = 500
ARE_PAGES_RETURNED: Final = os.environ.get("PYTHONMALLOC") == "malloc"


class Worker:
    """A client that works while others do what they do, and measures how long it waits."""

    def __init__(self, address: Address) -> None:
        self._raw = Raw(address).hello("worker")
        self._raw.ask(StateRegister(1, "/work"), length=OK)
        self.begin()

    def begin(self) -> None:
        """Begin to measure."""
        self.longest = 0.0
        self.turns = 0

    def rest(self) -> None:
        """Measure how long it waits while nobody else does anything."""
        self.begin()
        for _ in range(TURNS_AT_REST):
            self.turn()
        self.at_rest = self.longest
        self.begin()

    def turn(self) -> None:
        started = time.perf_counter()
        self._raw.ask(StateChanged(2, "/work", b"\x07"), Ping(3), length=2 * OK)
        self.longest = max(self.longest, time.perf_counter() - started)
        self.turns += 1


class Clients:
    """The clients of one row, and what the row may look at."""

    def __init__(self, address: Address, worker: Worker, memory: Memory) -> None:
        self.address: Final = address
        self.worker: Final = worker
        self.memory: Final = memory
        self._sockets: list[socket.socket] = []

    def hello(self, name: str) -> Raw:
        raw = Raw(self.address).hello(name)
        self._sockets.append(raw.socket)
        return raw

    def connect(self, source: str = "127.0.0.1") -> socket.socket:
        made = socket.create_connection(self.address, source_address=(source, 0))
        self._sockets.append(made)
        return made

    def close(self) -> None:
        for each in self._sockets:
            each.close()


Row = Callable[[Clients, int], str]
"""Does what it is named for, so often or so much, and returns what to print."""


class Rows:
    """Runs rows, and checks what each has cost."""

    def __init__(self, only: str) -> None:
        self._only = only
        self.failed = False

    @contextmanager
    def server(self) -> Iterator[Callable[[Row, int], None]]:
        """Give a function that runs a row against one server."""
        with Served.run() as served:
            worker = Worker(served.address)
            with closing(Clients(served.address, worker, served.memory)) as clients:
                departure(clients, 1000)  # what the server keeps for good is there now
            _rest(worker)
            begin = served.memory.now()

            def run(row: Row, size: int) -> None:
                if self._only in row.__name__:
                    self._run(row, size, served, worker, begin)

            yield run

    def _run(self, row: Row, size: int, served: Served, worker: Worker, begin: float) -> None:
        memory = served.memory
        before, alive = memory.now(), served.alive()
        memory.forget_most()
        worker.rest()
        with closing(Clients(served.address, worker, memory)) as clients:
            result = row(clients, size)
        wait, ratio, most = worker.longest, worker.longest / worker.at_rest, memory.most()
        _rest(worker)
        after, alive_after = memory.now(), served.alive()
        is_met = after <= begin * MOST_GROWTH + NOISE
        leaked = alive_after.more_than(alive)
        self.failed |= bool(leaked) or (ARE_PAGES_RETURNED and not is_met)
        print(
            f"{result}\n"
            f"    longest wait of another: {wait * 1000:.1f} ms ({ratio:.1f} x that at rest)\n"
            f"    memory: {begin:.1f} MiB at the start, {before:.1f} before, {most:.1f} at most, "
            f"{after:.1f} after, {(after / begin - 1) * 100:+.0f} %: "
            f"{'MET' if is_met else 'MISSED'}\n"
            f"    alive: {alive} before, {alive_after} after"
            + "".join(f"; {name} FAILED" for name in leaked),
            flush=True,
        )


def _rest(worker: Worker) -> None:
    """Let the server rest, but for one client that works a little."""
    until = time.monotonic() + REST
    while time.monotonic() < until:
        worker.turn()
        time.sleep(0.05)


# --- rows -------------------------------------------------------------------------------------


def pipelined_gets(clients: Clients, size: int) -> str:
    owner, greedy = clients.hello("owner of much"), clients.hello("greedy")
    value = codec.pack("x" * 65_000)
    owner.ask(StateRegister(1, "/much"), StateChanged(2, "/much", value), length=2 * OK)
    get = frame(pack(Get(1, "/much")))
    received = pipeline(clients.worker, greedy, get, size // len(get))
    return f"{size / 1000:,.0f} kB of gets of a state of 65 kB: {received} MiB of answers"


def pipelined_pages(clients: Clients, size: int) -> str:
    owner, greedy = clients.hello("owner of many"), clients.hello("greedy")
    for first in range(0, 20_000, 500):
        register = [StateRegister(1, f"/many/n{n}") for n in range(first, first + 500)]
        owner.ask(*register, length=500 * OK)
    clients.worker.begin()
    ask = frame(pack(ActionCall(1, "/meta/tree", codec.pack([]))))
    received = pipeline(clients.worker, greedy, ask, size // len(ask))
    return (
        f"{size / 1000:,.0f} kB of calls of /meta/tree at 20,000 nodes: {received} MiB of answers"
    )


def pipeline(worker: Worker, greedy: Raw, asked: bytes, count: int) -> int:
    """Ask so often at once; read nothing for a while, and then all answers.

    Returns:
        How many MiB those are.
    """
    greedy.socket.sendall(asked * count)
    for _ in range(200):
        worker.turn()
    received, frames, reader = 0, 0, FrameReader()
    while frames < count:
        if select.select([greedy.socket], [], [], 0)[0]:
            data = greedy.socket.recv(1 << 18)
            received += len(data)
            frames += len(reader.feed(data))
        worker.turn()
    return received >> 20


def deep_paths(clients: Clients, count: int) -> str:
    deep = clients.hello("deep")
    answer = frame(b"\x06\x00\x01" + codec.pack("invalid_path"))
    for number in range(count):
        path = f"/n{number}" + "/a" * 2_040
        messages: list[Message] = [StateRegister(1, path), Get(1, path), StateObserve(1, path)]
        deep.ask(*messages, length=len(messages) * len(answer))
        clients.worker.turn()
    return f"{count:,} paths of 2,041 levels, registered, got and observed: each is refused"


def broken_frames(clients: Clients, count: int) -> str:
    frames = mutated_frames(seed=0)
    hello = frame(pack(HelloId(1, 0, codec.pack("fuzzer"))))
    sent, connections = 0, 0
    while sent < count:
        fuzzer = socket.create_connection(clients.address)
        connections += 1
        fuzzer.sendall(hello + b"".join(itertools.islice(frames, 20)))
        sent += 20
        fuzzer.close()
        clients.worker.turn()
    return f"{sent:,} broken frames over {connections:,} connections"


def deaf_listener(clients: Clients, size: int) -> str:
    deaf, healthy, emitter = (clients.hello(name) for name in ("deaf", "healthy", "emitter"))
    for listener in (deaf, healthy):
        listener.ask(EventListen(1, "/flood"), length=OK)
    emit = frame(pack(EventEmit(1, "/flood", codec.pack("x" * 60_000))))
    notified = len(emit) - 2
    count = size // len(emit)
    to_send, to_hear, replies = count * len(emit), count * notified, count * OK
    sent = heard = 0
    pending = memoryview(b"")
    healthy.socket.setblocking(False)
    emitter.socket.setblocking(False)
    started = time.perf_counter()
    while heard < to_hear:
        reading = [healthy.socket] + ([emitter.socket] if replies else [])
        writing = [emitter.socket] if sent < to_send else []
        readable, writable, _ = select.select(reading, writing, [], 10)
        if healthy.socket in readable:
            heard += len(healthy.socket.recv(1 << 18))
        if emitter.socket in readable:
            replies -= len(emitter.socket.recv(1 << 16))
        if writable:
            pending = pending or memoryview(emit)
            done = emitter.socket.send(pending)
            pending = pending[done:]
            sent += done
        clients.worker.turn()
    taken = time.perf_counter() - started
    return (
        f"{size / 2**20:,.0f} MiB of events: the healthy listener got all of it in {taken:.1f} s, "
        f"the deaf one {'was' if is_cut(deaf) else 'was NOT'} cut"
    )


def is_cut(deaf: Raw) -> bool:
    deaf.socket.settimeout(10)
    try:
        while deaf.socket.recv(1 << 20):
            pass
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    return True


def deaf_observer(clients: Clients, count: int) -> str:
    observer, owner = clients.hello("sleepy"), clients.hello("changing")
    owner.ask(StateRegister(1, "/changing"), length=OK)
    observer.ask(StateObserve(1, "/changing"), length=6)
    for first in range(0, count, 100):
        changes = [
            StateChanged(2, "/changing", codec.pack(number)) for number in range(first, first + 100)
        ]
        owner.ask(*changes, length=100 * OK)
        clients.worker.turn()
    observer.ask(Ping(2), length=0)
    received, last = 0, b""
    while not last.endswith(frame(b"\x05\x00\x02\xc0")):
        data = observer.socket.recv(1 << 18)
        received += len(data)
        last = (last + data)[-100:]
    value = frame(b"\x44/changing\x00" + codec.pack(count - 1))
    return (
        f"{count:,} changes unread: then it got {received / 1024:,.0f} KiB, and the last value "
        f"{'is' if value in last else 'is NOT'} the last"
    )


def crowd(clients: Clients, count: int) -> str:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit[1], limit[1]))
    owner = clients.hello("crowd owner")
    owner.ask(StateRegister(1, "/crowd"), length=OK)
    before = clients.memory.now()
    started = time.perf_counter()
    crowd = []
    for number in range(count):
        one = clients.connect(f"127.0.0.{2 + number % 200}")
        one.sendall(
            frame(pack(HelloId(1, 0, codec.pack(number)))) + frame(pack(StateObserve(1, "/crowd")))
        )
        crowd.append(one)
        if number % 10 == 0:
            clients.worker.turn()
    for one in crowd:
        read(one, 4 + 6)
    connected = time.perf_counter() - started
    each = (clients.memory.now() - before) * 1024 / count
    started = time.perf_counter()
    owner.ask(StateChanged(2, "/crowd", b"\x01"), length=OK)
    clients.worker.turn()
    for one in crowd:
        read(one, len(frame(b"\x44/crowd\x00\x01")))
    notified = time.perf_counter() - started
    return (
        f"{count:,} clients: connected in {connected:.1f} s, {each:.1f} KiB each; "
        f"all notified of a change in {notified:.2f} s"
    )


def read(client: socket.socket, length: int) -> None:
    while length > 0:
        length -= len(client.recv(length))


def departure(clients: Clients, count: int) -> str:
    before = clients.memory.now()
    owner, observer = clients.hello("leaving"), clients.hello("staying")
    for first in range(0, count, 500):
        some = range(first, first + 500)
        owner.ask(*[StateRegister(1, f"/d/n{n}") for n in some], length=500 * OK)
        owner.ask(*[StateChanged(1, f"/d/n{n}", b"\x01") for n in some], length=500 * OK)
        observer.ask(*[StateObserve(1, f"/d/n{n}") for n in some], length=500 * 7)
    each = (clients.memory.now() - before) * 1024 / count
    worker = clients.worker
    worker.turn()
    worker.begin()
    owner.socket.close()
    to_hear = sum(len(frame(f"\x45/d/n{n}\0".encode())) for n in range(count))
    started = time.perf_counter()
    observer.socket.setblocking(False)
    while to_hear > 0:
        worker.turn()
        if select.select([observer.socket], [], [], 0)[0]:
            to_hear -= len(observer.socket.recv(1 << 20))
    taken = time.perf_counter() - started
    return (
        f"{count:,} observed nodes ({each:.2f} KiB each), their owner gone: all notified in "
        f"{taken * 1000:.0f} ms"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--only", default="", help="run only rows with this in their name")
    options = parser.parse_args()
    part = 1 if options.full else 10
    socket.setdefaulttimeout(60)
    rows = Rows(options.only)
    with rows.server() as run:
        for count in (1_000, 10_000, 100_000 // part):
            run(departure, count)
    with rows.server() as run:
        run(crowd, 10_000 // part)
    with rows.server() as run:
        run(deaf_observer, 1_000_000 // part)
    with rows.server() as run:
        run(deaf_listener, 2**30 // part)
    with rows.server() as run:
        run(broken_frames, 1_000_000 // part)
    with rows.server() as run:
        run(pipelined_gets, 252_000)
        run(pipelined_pages, 18_000)
        run(deep_paths, 300)
    return 1 if rows.failed else 0


if __name__ == "__main__":
    sys.exit(main())
