"""`make run-mqtt`, without make: the example rules with simulated devices on a real broker."""

import importlib.util
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.mosquitto import PATH, free_port
from tests.support.processes import environment, line, running

RUN = Path(__file__).parents[2] / "rules_mqtt" / "run.py"

WITHOUT_MOSQUITTO = f"""
import runpy, shutil
shutil.which = lambda *_, **__: None
runpy.run_path({str(RUN)!r}, run_name="__main__")
"""


@pytest.mark.parametrize("broker", ["mosquitto", "amqtt"])
def test_a_rule_switches_a_lamp_over_mqtt(broker: str) -> None:
    if broker == "mosquitto" and shutil.which("mosquitto", path=PATH) is None:
        pytest.skip("mosquitto is not installed")
    if broker == "amqtt" and importlib.util.find_spec("amqtt") is None:
        pytest.skip("amqtt is not installed: uv sync --inexact --group broker")
    program = [str(RUN)] if broker == "mosquitto" else ["-c", WITHOUT_MOSQUITTO]
    with running("eshet", "serve", "--listen", "127.0.0.1:0") as serving:
        server = line(serving).removeprefix("listening on ")
        house = subprocess.Popen(  # noqa: S603
            [sys.executable, *program, "--port", str(free_port())],
            env=environment(server),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        with (
            house,
            running("eshet", "observe", "/house/living_room/heater", server=server) as heater,
            running("eshet", "observe", "/house/thermostat/target", server=server) as target,
        ):
            try:
                while line(target) == "unknown":
                    pass
                while line(heater) != "true":  # it is 20.5 °C, and the target is 21 °C
                    pass
                house.send_signal(signal.SIGTERM)
                while line(heater) != "unknown":
                    pass
                # It has ended when nobody has its standard error open, also no broker.
                assert house.stderr is not None
                house.stderr.read()
                assert house.wait(10) == 0
            finally:
                house.kill()


def test_a_missing_broker_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = importlib.util.spec_from_file_location("run_mqtt", RUN)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr("sys.argv", ["run.py"])
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert module.main() == 1
    assert "sudo apt install mosquitto" in capsys.readouterr().err
