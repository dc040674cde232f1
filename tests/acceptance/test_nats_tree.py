"""A tree that servers, commands and runners share through NATS, with real processes."""

import json
import signal
import subprocess
import sys
import urllib.request

import pytest
from click.testing import CliRunner

from eshet import Disconnected, ErrorValue, Unknown
from eshet.cli import main as eshet
from eshet.sync_client import SyncClient
from eshet_rules.cli import main as rules
from tests.support.nats import nats_server
from tests.support.processes import command, environment, line, running
from tests.support.rules import Folder
from tests.support.runner import runner

PASSWORD = "s3cr3t"  # noqa: S105
SERVE = ("eshet", "serve", "--listen", "127.0.0.1:0", "--nats")

LEVEL = """
import sys
from eshet import yarp
from eshet_rules import rule

@rule
async def level(client):
    await yarp.state_register("/level", yarp.Value(1), settable=True)
    await client.action_register("/modules", lambda: sorted(sys.modules))
"""


@pytest.fixture(scope="module")
def nats(tmp_path_factory):
    """A nats-server that runs as long as the tests of this module, and wants a password."""
    login = f'authorization: {{user: house, password: "{PASSWORD}"}}'
    with nats_server(tmp_path_factory.mktemp("nats"), lines=[login]) as server:
        yield server


@pytest.fixture
def url(nats, request):
    """The address of a tree of its own."""
    return f"nats://house:{PASSWORD}@127.0.0.1:{nats.port}/{request.node.name.partition('[')[0]}"


@pytest.fixture
def folder(tmp_path):
    folder = Folder(tmp_path / "rules")
    folder.write("hall.py", LEVEL)
    return folder


def serve(url, *options, **kwargs):
    return running(*SERVE, url, *options, **kwargs)


def shown(url):
    """Return an address as it may be shown."""
    return "nats://" + url.partition("@")[2]


def address_of(process):
    return line(process).removeprefix("listening on ")


def page_at(url):
    with urllib.request.urlopen(url, timeout=20) as answer:  # noqa: S310 - loopback
        return answer.read().decode()


def in_python(code, *arguments, cwd=None, **variables):
    """Run code in an interpreter of its own."""
    return subprocess.run(  # noqa: S603
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        env=environment("") | variables,
        cwd=cwd,
    )


# --- eshet ----------------------------------------------------------------------------------------


def test_servers_share_a_tree_with_each_other_and_with_commands(url):
    with serve(url) as one, serve(url) as two:
        places = {line(one), line(two)}
        assert f"joined {shown(url)} as 1 of 2 servers" in places
        assert all(place.startswith(f"joined {shown(url)} as ") for place in places)
        here, there = address_of(one), address_of(two)
        with (
            running("eshet", "publish", "/hall/light", "1", server=here),
            running("eshet", "observe", "/hall/light", server=url) as observer,
        ):
            while (seen := line(observer)) != "1":
                assert seen == "unknown"
            assert command("eshet", "set", "/hall/light", "2", server=there).returncode == 0
            assert line(observer) == "2"
            assert command("eshet", "get", "/hall/light", server=url).stdout == "2\n"
            listed = command("eshet", "--server", url, "ls", "-r", "/hall").stdout
            assert listed.split() == ["state", "/hall/light"]
        assert command("eshet", "get", "/hall/light", server=url).returncode == 1


def test_the_only_server_of_a_tree_says_so(url):
    with serve(url) as process:
        assert line(process) == f"joined {shown(url)} as its only server"


def test_paths_of_a_tree_are_completed(url):
    with serve(url) as process:
        line(process)
        with running("eshet", "publish", "/hall/light", "1", server=address_of(process)) as it:
            while command("eshet", "get", "/hall/light", server=url).returncode:
                assert it.poll() is None
            variables = {"_ESHET_COMPLETE": "bash_complete", "COMP_CWORD": "2"}
            code = "from eshet.cli import main; main(prog_name='eshet')"
            offered = in_python(code, **variables, COMP_WORDS="eshet get /ha", ESHET_SERVER=url)
            assert offered.stdout == "plain,/hall/light\n"


def test_the_gateway_of_a_server_serves_the_shared_tree(url):
    with (
        serve(url, "--http", "127.0.0.1:0") as process,
        running("eshet", "publish", "/level", "5", server=url) as publishing,
    ):
        line(process)
        line(process)
        gateway = line(process).removeprefix("gateway on ")
        while command("eshet", "get", "/level", server=url).returncode:
            assert publishing.poll() is None
        assert json.loads(page_at(f"{gateway}/get/level")) == 5


def test_a_client_without_a_loop_uses_the_tree(url):
    with SyncClient(server=url) as one, SyncClient(server=url) as two:
        was_set = []
        one.state_register("/level", was_set.append).changed(7)
        assert two.get("/level") == 7
        two.set("/level", 8)
        assert was_set == [8]
        assert PASSWORD not in repr(one)


def test_clients_are_disconnected_while_their_server_is_cut_off(tmp_path):
    with nats_server(tmp_path / "nats") as nats, serve(f"{nats.url}/home") as process:
        line(process)
        address = address_of(process)
        with SyncClient(server=address) as one, SyncClient(server=address) as two:
            one.state_register("/level").changed(1)
            values = two.state_observe_queue("/level")
            assert values.get(timeout=20) == 1
            nats.kill()
            assert values.get(timeout=20) is Unknown
            while two.connected:
                pass
            with pytest.raises(Disconnected):
                two.get("/level")
            for refused in (["eshet", "ls"], ["eshet-rules", "list"]):
                ran = command(*refused, server=address)
                assert (ran.returncode, ran.stdout) == (1, "")
                assert "has no clients while it is cut off from NATS" in ran.stderr
            nats.start()
            assert values.get(timeout=40) == 1


def test_a_value_beyond_a_message_of_eshet_is_carried(url):
    long = "x" * 100_000
    with SyncClient(server=url) as one:
        one.state_register("/long").changed(long)
        assert command("eshet", "get", "/long", server=url).stdout == f'"{long}"\n'


# --- eshet bridge nats ----------------------------------------------------------------------------


def test_a_bridge_joins_a_server_and_a_tree_and_shows_no_password(url, tmp_path):
    log = tmp_path / "log"
    with running("eshet", "serve", "--listen", "127.0.0.1:0") as server, log.open("w") as stderr:
        address = address_of(server)
        options = ("--except", "/secret", "--name", "flat")
        with (
            SyncClient(server=address) as house,
            SyncClient(server=url) as flat,
            running("eshet", "bridge", "nats", url, *options, server=address, stderr=stderr) as it,
        ):
            house.state_register("/hall/light").changed(1)
            house.state_register("/secret/code").changed(1234)
            flat.action_register("/add", lambda one, two: one + two)
            lights = flat.state_observe_queue("/hall/light")
            while lights.get(timeout=20) != 1:
                pass
            while "/add" not in {path for path, *_ in house.action_call("/meta/tree")["nodes"]}:
                assert it.poll() is None
            assert house.action_call("/add", 1, 2) == 3
            assert house.get("/nats/flat/online") is True
            second = command("eshet", "bridge", "nats", url, *options, server=address)
            assert second.returncode == 1
            assert "another bridge flat is on this server" in second.stderr
            assert house.action_call("/add", 1, 2) == 3
            with pytest.raises(ErrorValue, match="path_not_found"):
                flat.get("/secret/code")
            it.send_signal(signal.SIGTERM)
            assert it.wait(20) == 0
            while lights.get(timeout=20) is not Unknown:
                pass
    assert f"connected to {shown(url)}" in log.read_text()
    assert log.read_text().endswith("stopped\n")
    assert PASSWORD not in log.read_text()


def test_a_bridge_waits_for_both_sides_and_goes_on_after_an_outage_of_nats(tmp_path):
    log = tmp_path / "log"
    with nats_server(tmp_path / "nats") as nats, log.open("w") as stderr:
        nats.kill()
        tree = f"{nats.url}/home"
        with running("eshet", "serve", "--listen", "127.0.0.1:0") as server:
            address = address_of(server)
            with (
                SyncClient(server=address) as house,
                running("eshet", "bridge", "nats", tree, server=address, stderr=stderr),
            ):
                house.state_register("/light").changed(1)
                while "can't connect: Connection refused" not in log.read_text():
                    pass
                nats.start()
                with SyncClient(server=tree) as flat:
                    flat.state_register("/flat").changed(2)
                    house_values = house.state_observe_queue("/flat")
                    flat_values = flat.state_observe_queue("/light")
                    for values, value in ((house_values, 2), (flat_values, 1)):
                        while values.get(timeout=20) != value:
                            pass
                    nats.kill()
                    for values in (house_values, flat_values):
                        assert values.get(timeout=20) is Unknown
                    nats.start()
                    for values, value in ((house_values, 2), (flat_values, 1)):
                        while values.get(timeout=20) != value:
                            pass


def test_a_bridge_between_a_tree_and_a_server_in_it_is_refused(url):
    with serve(url) as server:
        line(server)
        joined = address_of(server)
        for address, name in ((joined, joined), (url, shown(url))):
            ran = command("eshet", "bridge", "nats", url, server=address)
            assert ran.returncode == 1
            said = ran.stderr.splitlines()[-1]
            assert said.startswith(f"eshet: {name} is in the tree {shown(url)} already")
            assert "name a server outside of it" in said


# --- errors ---------------------------------------------------------------------------------------

NOWHERE = f"nats://house:{PASSWORD}@127.0.0.1:1/home"


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ([*SERVE, NOWHERE], 1, "eshet: can't join nats://127.0.0.1:1/home: Connection refused\n"),
        (
            ["eshet", "--server", NOWHERE, "get", "/a"],
            1,
            "eshet: can't connect to nats://127.0.0.1:1/home: Connection refused. Name yours with "
            "--server or ESHET_SERVER\n",
        ),
        (
            ["eshet-rules", "list", "--server", NOWHERE],
            1,
            "eshet-rules: can't connect to nats://127.0.0.1:1/home: Connection refused; name your "
            "server with --server ADDRESS or ESHET_SERVER\n",
        ),
    ],
)
def test_a_tree_that_is_out_of_reach_is_one_line(arguments, code, says):
    ran = command(*arguments)
    assert (ran.returncode, ran.stdout, ran.stderr) == (code, "", says)


def test_a_wrong_password_is_one_line_without_it(nats):
    ran = command(*SERVE, f"nats://house:wr0ng@127.0.0.1:{nats.port}/home")
    assert ran.returncode == 1
    [said] = ran.stderr.splitlines()
    assert said.startswith(f"eshet: can't join nats://127.0.0.1:{nats.port}/home: ")
    assert "does not accept the user, password" in said
    assert "wr0ng" not in said


@pytest.mark.parametrize(
    "wrong",
    [
        f"nats://house:{PASSWORD}@ho st",
        f"nats://{PASSWORD}@ho st",
        f"nats:/house:{PASSWORD}@host",
        f"tls:{PASSWORD}@host",
        f"nats://house:{PASSWORD}@host/a.b",
        f"nats://house:{PASSWORD}@host?user=a",
        f"house:{PASSWORD}@host",
        f"http://house:{PASSWORD}@host",
    ],
)
def test_no_error_of_an_address_shows_its_password(wrong, folder):
    folder.write("eshet-rules.toml", f'[server]\naddress = "{wrong}"\n')
    for program, arguments in (
        (eshet, ["--server", wrong, "ls"]),
        (eshet, ["serve", "--nats", wrong]),
        (eshet, ["bridge", "nats", wrong]),
        (rules, ["list", "--server", wrong]),
        (rules, ["check", "--against", wrong]),
        (rules, ["run", "--once", str(folder.path)]),
    ):
        result = CliRunner().invoke(program, arguments)
        assert result.exit_code == 2, arguments
        assert result.stderr
        assert PASSWORD not in result.output, arguments


def test_a_mistake_of_syntax_beside_an_address_does_not_show_its_password(folder):
    folder.write("eshet-rules.toml", f"[server]\naddress = nats://{PASSWORD}@host\n")
    ran = command("eshet-rules", "run", "--once", str(folder.path))
    assert ran.returncode == 2
    assert PASSWORD not in ran.stderr


# --- eshet-rules ----------------------------------------------------------------------------------


def test_a_runner_uses_a_tree_and_shows_its_password_nowhere(url, folder, tmp_path):
    state = tmp_path / "state"
    folder.write("eshet-rules.toml", f'[server]\naddress = "{url}"\n')
    options = ("--state-dir", str(state), "--web", "127.0.0.1:0", "--verbose")
    with runner(folder, "", *options) as house:
        assert house.wait_for("server.named")["address"] == shown(url)
        page = house.wait_for("page.served")["url"]
        assert command("eshet", "set", "/level", "7", server=url).returncode == 0
        assert command("eshet", "get", "/level", server=url).stdout == "7\n"
        said = [
            command("eshet-rules", *arguments, server=url)
            for arguments in (["list"], ["list", "--json"], ["why", "/level"], ["reload"])
        ]
        assert [each.returncode for each in said] == [0, 0, 0, 0]
        overview = page_at(f"{page}/api/1/overview")
        assert json.loads(overview)["runner"]["server"] == shown(url)
        assert house.stop() == 0
    kept = [file.read_bytes() for file in state.rglob("*") if file.is_file()]
    audited = command("eshet-rules", "audit", str(folder.path), "--state-dir", str(state)).stdout
    assert shown(url) in audited
    assert PASSWORD not in "".join(
        [
            json.dumps(house.records),
            overview,
            audited,
            *(each.stdout + each.stderr for each in said),
        ]
    )
    assert not any(PASSWORD.encode() in content for content in kept)


def test_all_modules_of_a_runner_share_one_server(url, folder):
    folder.write("cellar.py", LEVEL.replace("/level", "/cellar/level").replace("/mod", "/cellar/m"))
    with runner(folder, url, "--no-state") as house:
        house.wait_for("runner.started")
        with serve(url) as other:
            assert line(other) == f"joined {shown(url)} as 1 of 2 servers"


def test_a_runner_waits_for_a_tree_that_is_out_of_reach_at_its_start(folder, tmp_path):
    with nats_server(tmp_path / "nats") as nats:
        nats.kill()
        with runner(folder, f"{nats.url}/home", "--no-state") as house:
            unreachable = house.wait_for("server.nats_unreachable")
            assert unreachable["address"] == f"{nats.url}/home"
            assert unreachable["error"] == "Connection refused"
            nats.start()
            house.wait_for("runner.started")
            assert command("eshet", "get", "/level", server=f"{nats.url}/home").stdout == "1\n"


def test_once_does_not_wait(folder):
    ran = command("eshet-rules", "run", str(folder.path), "--once", "--no-state", server=NOWHERE)
    assert ran.returncode == 1
    assert "can't connect to nats://127.0.0.1:1/home: Connection refused" in ran.stderr
    assert PASSWORD not in ran.stdout + ran.stderr


def test_rules_are_checked_against_a_tree(url, folder):
    folder.write(
        "porch.py",
        """
        from eshet import yarp

        async def main():
            await yarp.set_value("/lamp", yarp.Value(1))
        """,
    )
    checked = ("eshet-rules", "check", str(folder.path), "--against", url)
    assert "/lamp" in command(*checked).stdout
    with SyncClient(server=url) as house:
        house.state_register("/lamp", print)
        assert "/lamp" not in command(*checked).stdout


def test_a_shadow_receives_the_inputs_of_a_tree(url, folder):
    with SyncClient(server=url) as house:
        house.state_register("/level")
        with runner(folder, url, "--no-state", "--shadow") as shadow:
            assert shadow.wait_for("shadow.started")["address"] == shown(url)
            shadow.wait_for("runner.started")
            assert shadow.stop() == 0


# --- without nats-py ------------------------------------------------------------------------------

WITHOUT = "import sys; sys.modules['nats'] = None; sys.argv = sys.argv[1:]\n"
NEEDED = "pip install 'eshet-rules[nats]'\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["eshet", "--server", "nats://house", "ls"], "eshet: nats://house:4222/eshet needs"),
        (["eshet", "serve", "--nats", "nats://house"], "eshet: --nats needs"),
        (["eshet", "bridge", "nats", "nats://h"], "eshet: nats://h:4222/eshet needs"),
        (["eshet-rules", "list", "--server", "nats://h"], "eshet-rules: nats://h:4222/eshet needs"),
        (["eshet-rules", "run", "--server", "nats://h"], "eshet-rules: nats://h:4222/eshet needs"),
    ],
)
def test_without_the_library_one_line_names_the_extra(arguments, says, folder):
    module = arguments[0].replace("-", "_")
    ran = in_python(f"{WITHOUT}from {module}.cli import main; main()", *arguments, cwd=folder.path)
    assert ran.returncode == 1
    assert (ran.stdout, ran.stderr) == ("", f"{says} the library nats-py: {NEEDED}")


def test_without_the_library_a_client_says_so():
    code = f"{WITHOUT}from eshet import Client\nClient(server='nats://house')"
    ran = in_python(code)
    assert ran.stderr.endswith(
        f"EshetError: nats://house:4222/eshet needs the library nats-py: {NEEDED}"
    )


def nats_modules(names):
    return [name for name in names if name.split(".")[0] == "nats" or name == "eshet.nats.joined"]


@pytest.mark.parametrize("module", ["eshet", "eshet.cli", "eshet.sync_client", "eshet_rules.cli"])
def test_an_import_does_not_import_the_library(module):
    names = in_python(f"import sys, {module}; print(*sys.modules)").stdout.split()
    assert module in names
    assert nats_modules(names) == []


def test_a_server_and_a_runner_without_nats_do_not_import_the_library(folder):
    code = (
        "import atexit, sys\n"
        "atexit.register(lambda: print(*sys.modules))\n"
        "from eshet.cli import main; main(['serve', '--listen', '127.0.0.1:0'])"
    )
    with running("python", "-c", code) as process:
        address = line(process).removeprefix("listening on ")
        with runner(folder, address, "--no-state", "--web", "127.0.0.1:0") as house:
            house.wait_for("page.served")
            names = json.loads(command("eshet", "call", "/modules", server=address).stdout)
        process.send_signal(signal.SIGINT)
        modules = line(process).split()
    assert "eshet.server.server" in modules
    assert nats_modules(modules) == []
    assert "eshet_rules.runner.runner" in names
    assert nats_modules(names) == []
