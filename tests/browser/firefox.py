"""Firefox, driven by WebDriver BiDi: Playwright drives only a Firefox of its own."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

PROGRAMS = ["firefox-esr", "firefox"]

# Firefox finds no other host, and sends no requests of its own.
PREFERENCES = {
    "app.normandy.enabled": False,
    "browser.safebrowsing.update.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "extensions.getAddons.cache.enabled": False,
    "extensions.systemAddon.update.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "network.dns.localDomains": "plain.test,other.test,example.test,shop.example.test",
    "services.settings.server": "data:,",
    "toolkit.telemetry.enabled": False,
}

# The longest wait for an answer, a page or a start, and the time between two looks.
SECONDS = 60
POLL_INTERVAL = 0.02


class Firefox:
    """One tab of a Firefox."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._last_id = 0
        self.send("session.new", capabilities={"alwaysMatch": {"acceptInsecureCerts": True}})
        (tab,) = self.send("browsingContext.getTree")["contexts"]
        self._tab = tab["context"]

    def send(self, method: str, **parameters: Any) -> Any:
        """Send a command of WebDriver BiDi, and return its result."""
        self._last_id += 1
        command = {"id": self._last_id, "method": method, "params": parameters}
        self._connection.send(json.dumps(command))
        while True:
            message = json.loads(self._connection.recv(timeout=SECONDS))
            if message.get("id") == self._last_id:
                if message["type"] == "error":
                    raise RuntimeError(f"{method}: {message['error']}: {message['message']}")
                return message["result"]

    def goto(self, url: str) -> None:
        self.send("browsingContext.navigate", context=self._tab, url=url, wait="complete")

    def go_back(self) -> None:
        self.send("browsingContext.traverseHistory", context=self._tab, delta=-1)

    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression of JavaScript that is a text, a number or a boolean."""
        target = {"context": self._tab}
        outcome = self.send(
            "script.evaluate", expression=expression, target=target, awaitPromise=True
        )
        if outcome["type"] == "exception":
            raise RuntimeError(outcome["exceptionDetails"]["text"])
        return outcome["result"].get("value")

    def text(self) -> str:
        return str(self.evaluate("document.body.innerText")).strip()

    def wait_for(self, expression: str) -> None:
        """Wait until the expression is true, also on a page that the tab is about to show."""
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            # An error: the page was replaced meanwhile.
            with suppress(RuntimeError):
                if self.evaluate(expression) is True:
                    return
            time.sleep(POLL_INTERVAL)
        pytest.fail(f"not true after {SECONDS} seconds: {expression}")

    def jar(self) -> dict[str, Any]:
        """Return the cookies by name, as BiDi has them."""
        cookies = self.send("storage.getCookies")["cookies"]
        return {cookie["name"]: cookie | {"value": cookie["value"]["value"]} for cookie in cookies}

    def clear_cookies(self) -> None:
        self.send("storage.deleteCookies")


@contextmanager
def launched(profile: Path) -> Iterator[Firefox]:
    """Start a Firefox without windows, or skip the test without Firefox."""
    path = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if path is None:
        reason = "no Firefox here: the system's package firefox-esr"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    preferences = [
        f"user_pref({name!r}, {json.dumps(value)});" for name, value in PREFERENCES.items()
    ]
    (profile / "user.js").write_text("\n".join(preferences))
    command = [path, "--headless", "--no-remote", "--profile", str(profile)]
    with subprocess.Popen(
        [*command, "--remote-debugging-port=0"],
        env={"PATH": os.environ["PATH"], "HOME": str(profile)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            with connect(f"ws://127.0.0.1:{port_of(profile)}/session", proxy=None) as connection:
                yield Firefox(connection)
        finally:
            process.terminate()


def port_of(profile: Path) -> int:
    """Return the port of WebDriver BiDi, which Firefox writes into its profile."""
    file = profile / "WebDriverBiDiServer.json"
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        with suppress(FileNotFoundError, json.JSONDecodeError):
            port: int = json.loads(file.read_text())["ws_port"]
            return port
        time.sleep(POLL_INTERVAL)
    pytest.fail(f"Firefox does not listen after {SECONDS} seconds")
