"""A real Home Assistant for tests, installed in a folder, on a port of this machine only.

    python tests/support/homeassistant.py FOLDER

installs it, unless it is there. Needs Python 3.13 besides that of the tests, a minute, and 500 MB.
"""

import json
import shutil
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from tests.support.mosquitto import free_port

__all__ = ["HomeAssistant", "homeassistant", "installed_in"]

PACKAGES: Final = (
    "homeassistant==2025.4.4",
    # What it would install when it is started: the requirements of the integrations below.
    "home-assistant-frontend==20250411.0",
    "paho-mqtt==2.1.0",
    "PyQRCode==1.2.1",
    "pyotp==2.8.0",
)

CONFIGURATION: Final = """
homeassistant:
  name: Test
  latitude: 48
  longitude: 11
  elevation: 0
  unit_system: metric
  time_zone: Europe/Berlin
http:
  server_host: 127.0.0.1
  server_port: {port}
api:
websocket_api:
config:
onboarding:
demo:
automation:
- trigger:
    platform: homeassistant
    event: start
  action:
    service: system_log.write
    data:
      level: warning
      message: {running}
- trigger:
    platform: state
    entity_id: light.office_rgbw_lights
    to: "off"
  action:
    service: switch.turn_off
    target:
      entity_id: switch.decorative_lights
script:
  evening:
    sequence:
    - service: light.turn_off
      target:
        entity_id: light.office_rgbw_lights
    - delay:
        seconds: 2
    - service: light.turn_off
      target:
        entity_id: light.entrance_color_white_lights
"""

RUNNING: Final = "this Home Assistant is running"
"""What it writes to its log when it has started."""

START_TIMEOUT: Final = 90.0
"""Seconds."""


class HomeAssistant:
    """An installation with a configuration of its own: the demo entities, and MQTT on request.

    Args:
        program: `hass` of the installation.
        folder: for its configuration and its log; must not exist.
    """

    def __init__(self, program: Path, folder: Path) -> None:
        self.port: Final = free_port()
        self.token: str = ""
        """An access token, which is valid for half an hour after the first start."""
        self._program = program
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None
        folder.mkdir()
        configuration = CONFIGURATION.format(port=self.port, running=RUNNING)
        (folder / "configuration.yaml").write_text(configuration)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and return when it has started."""
        self._process = subprocess.Popen(  # noqa: S603
            [str(self._program), "--config", str(self._folder), "--skip-pip", "--log-no-color"],
            stderr=subprocess.PIPE,
            text=True,
        )
        has_started = threading.Event()
        threading.Thread(target=self._read, args=(self._process, has_started), daemon=True).start()
        assert has_started.wait(START_TIMEOUT), f"it has not started, see {self._folder}"
        if not self.token:
            self.token = self._onboard()

    def stop(self) -> None:
        """End it as its user does; does nothing if it does not run."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            process.wait(START_TIMEOUT)

    def request(self, path: str, body: object = None) -> Any:
        """Send a request to its REST API, and return the answer."""
        return self._request(path, None if body is None else json.dumps(body).encode())

    def add_broker(self, port: int) -> None:
        """Connect it to an MQTT broker, as a user does on its page for integrations."""
        flows = "/api/config/config_entries/flow"
        flow = self.request(flows, {"handler": "mqtt"})
        done = self.request(f"{flows}/{flow['flow_id']}", {"broker": "127.0.0.1", "port": port})
        assert done["type"] == "create_entry", done

    def _read(self, process: subprocess.Popen[str], has_started: threading.Event) -> None:
        assert process.stderr is not None
        with (self._folder / "stderr.log").open("a") as log, process.stderr:
            for line in process.stderr:
                log.write(line)
                log.flush()
                if RUNNING in line:
                    has_started.set()

    def _onboard(self) -> str:
        """Create a user, and return an access token for it."""
        user = {"name": "t", "username": "t", "password": "t", "language": "en"}
        client = {"client_id": f"{self.url}/"}
        code = self.request("/api/onboarding/users", client | user)["auth_code"]
        form = client | {"grant_type": "authorization_code", "code": code}
        token: str = self._request("/auth/token", urlencode(form).encode())["access_token"]
        return token

    def _request(self, path: str, body: bytes | None) -> Any:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        is_form = path == "/auth/token"
        kind = "application/x-www-form-urlencoded" if is_form else "application/json"
        request = urllib.request.Request(  # noqa: S310 - it is on loopback
            self.url + path, body, headers | {"Content-Type": kind}
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{path}: {error}: {error.read().decode()}") from None


def installed_in(folder: Path) -> Path:
    """Return the program of the installation in a folder."""
    return folder / "bin" / "hass"


@contextmanager
def homeassistant(program: Path, folder: Path) -> Iterator[HomeAssistant]:
    """Run one; see `HomeAssistant`."""
    running = HomeAssistant(program, folder)
    try:
        running.start()
        yield running
    finally:
        running.stop()


def main(folder: Path) -> int:
    """Install it with uv, which is in the same folder as this Python."""
    if installed_in(folder).exists():
        return 0
    uv = Path(sys.executable).with_name("uv")
    found = [shutil.which("python3.13"), *Path.home().glob(".pyenv/versions/3.13.*/bin/python")]
    python = next((each for each in reversed(found) if each is not None), None)
    if python is None:
        print("Home Assistant needs Python 3.13, which is not installed", file=sys.stderr)
        return 1
    subprocess.run([uv, "venv", "--quiet", "--python", python, folder], check=True)  # noqa: S603
    python = folder / "bin" / "python"
    install = [uv, "pip", "install", "--quiet", "--python", python, *PACKAGES]
    return subprocess.run(install, check=False).returncode  # noqa: S603


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
