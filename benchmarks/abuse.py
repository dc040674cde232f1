"""What crowds, floods, garbage and deafness cost the server, and everybody else on it.

    python benchmarks/abuse.py [--full]

The server is a process of its own; its memory is what the system says of it. With --full there are
a million broken frames, a gibibyte for a listener that does not read, 10,000 clients and 100,000
nodes; else a tenth of each.
"""

import argparse
import itertools
import resource
import select
import socket
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.wire import OK, Address, Raw, serve_ours, server_process
from eshet import codec
from eshet.messages import (
    EventEmit,
    EventListen,
    HelloId,
    Ping,
    StateChanged,
    StateObserve,
    StateRegister,
    pack,
)
from eshet.protocol.framing import frame
from tests.support.mutations import mutated_frames


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


class Worker:
    """A client that works while others do what they do, and measures how long it waits."""

    def __init__(self, address: Address) -> None:
        self._raw = Raw(address).hello("worker")
        self._raw.ask(StateRegister(1, "/work"), length=OK)
        self.longest = 0.0
        self.turns = 0

    def turn(self) -> None:
        started = time.perf_counter()
        self._raw.ask(StateChanged(2, "/work", b"\x07"), Ping(3), length=2 * OK)
        self.longest = max(self.longest, time.perf_counter() - started)
        self.turns += 1


def broken_frames(address: Address, memory: Memory, count: int) -> None:
    worker = Worker(address)
    frames = mutated_frames(seed=0)
    hello = frame(pack(HelloId(1, 0, codec.pack("fuzzer"))))
    before, sent, connections = memory.now(), 0, 0
    while sent < count:
        fuzzer = socket.create_connection(address)
        connections += 1
        fuzzer.sendall(hello + b"".join(itertools.islice(frames, 20)))
        sent += 20
        fuzzer.close()
        worker.turn()
    print(
        f"{sent:,} broken frames over {connections:,} connections: the worker did {worker.turns:,} "
        f"turns and waited {worker.longest * 1000:.0f} ms at most; memory grew by "
        f"{memory.now() - before:.1f} MiB"
    )


def deaf_listener(address: Address, memory: Memory, size: int) -> None:
    deaf, healthy, emitter = (Raw(address).hello(name) for name in ("deaf", "healthy", "emitter"))
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
    taken = time.perf_counter() - started
    deaf.socket.settimeout(10)
    left = 0
    try:
        while data := deaf.socket.recv(1 << 20):
            left += len(data)
        cut = "was cut"
    except ConnectionError:
        cut = "was cut"
    except TimeoutError:
        cut = "was NOT cut"
    print(
        f"{size / 2**20:,.0f} MiB of events: the healthy listener got all of it in {taken:.1f} s, "
        f"the deaf one {cut}; the server had {memory.most():.0f} MiB at most"
    )


def deaf_observer(address: Address, count: int) -> None:
    observer, owner = Raw(address).hello("sleepy"), Raw(address).hello("changing")
    owner.ask(StateRegister(1, "/changing"), length=OK)
    observer.ask(StateObserve(1, "/changing"), length=6)
    for first in range(0, count, 100):
        changes = [
            frame(pack(StateChanged(2, "/changing", codec.pack(n))))
            for n in range(first, first + 100)
        ]
        owner.ask_raw(b"".join(changes), 100 * OK)
    observer.ask(Ping(2), length=0)
    received, last = 0, b""
    while not last.endswith(frame(b"\x05\x00\x02\xc0")):
        data = observer.socket.recv(1 << 18)
        received += len(data)
        last = (last + data)[-100:]
    value = frame(b"\x44/changing\x00" + codec.pack(count - 1))
    print(
        f"{count:,} changes unread: then it got {received / 1024:,.0f} KiB, and the last value "
        f"{'is' if value in last else 'is NOT'} the last"
    )


def crowd(address: Address, memory: Memory, count: int) -> None:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit[1], limit[1]))
    owner = Raw(address).hello("crowd owner")
    owner.ask(StateRegister(1, "/crowd"), length=OK)
    before = memory.now()
    started = time.perf_counter()
    clients = []
    for number in range(count):
        client = socket.socket()
        client.bind((f"127.0.0.{2 + number % 200}", 0))
        client.connect(address)
        client.sendall(
            frame(pack(HelloId(1, 0, codec.pack(number)))) + frame(pack(StateObserve(1, "/crowd")))
        )
        clients.append(client)
    for client in clients:
        read(client, 4 + 6)
    connected = time.perf_counter() - started
    each = (memory.now() - before) * 1024 / count
    started = time.perf_counter()
    owner.ask(StateChanged(2, "/crowd", b"\x01"), length=OK)
    for client in clients:
        read(client, len(frame(b"\x44/crowd\x00\x01")))
    told = time.perf_counter() - started
    for client in clients:
        client.close()
    print(
        f"{count:,} clients: connected in {connected:.1f} s, {each:.1f} KiB each; "
        f"one change told to all in {told:.2f} s"
    )


def read(client: socket.socket, length: int) -> None:
    while length > 0:
        length -= len(client.recv(length))


def departure(address: Address, memory: Memory, counts: list[int]) -> None:
    for count in counts:
        before = memory.now()
        owner, observer = Raw(address).hello("leaving"), Raw(address).hello("staying")
        for first in range(0, count, 500):
            some = range(first, first + 500)
            register = [frame(pack(StateRegister(1, f"/d/n{n}"))) for n in some]
            change = [frame(pack(StateChanged(1, f"/d/n{n}", b"\x01"))) for n in some]
            owner.ask_raw(b"".join(register + change), 1000 * OK)
            observe = [frame(pack(StateObserve(1, f"/d/n{n}"))) for n in some]
            observer.ask_raw(b"".join(observe), 500 * 7)
        each = (memory.now() - before) * 1024 / count
        worker = Worker(address)
        worker.turn()
        worker.longest = 0
        owner.socket.close()
        told = sum(len(frame(f"\x45/d/n{n}\0".encode())) for n in range(count))
        started = time.perf_counter()
        observer.socket.setblocking(False)
        while told > 0:
            worker.turn()
            if select.select([observer.socket], [], [], 0)[0]:
                told -= len(observer.socket.recv(1 << 20))
        taken = time.perf_counter() - started
        observer.socket.close()
        print(
            f"{count:,} observed nodes ({each:.2f} KiB each), their owner gone: all told in "
            f"{taken * 1000:.0f} ms, a worker waited {worker.longest * 1000:.1f} ms at most"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true")
    part = 1 if parser.parse_args().full else 10
    socket.setdefaulttimeout(60)
    with server_process(serve_ours) as (address, pid):
        memory = Memory(pid)
        print(f"the server begins with {memory.now():.0f} MiB")
        departure(address, memory, [1_000, 10_000, 100_000 // part])
    with server_process(serve_ours) as (address, pid):
        crowd(address, Memory(pid), 10_000 // part)
        deaf_observer(address, 1_000_000 // part)
    with server_process(serve_ours) as (address, pid):
        deaf_listener(address, Memory(pid), 2**30 // part)
    with server_process(serve_ours) as (address, pid):
        broken_frames(address, Memory(pid), 1_000_000 // part)


if __name__ == "__main__":
    main()
