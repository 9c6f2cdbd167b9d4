"""Browsers that use a site continuously while something happens to it."""

import re
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import requests

from tests.sites import Browser

# Seconds. No request takes longer, and no wait does.
TIMEOUT = 60

# Seconds between two turns of a visitor, which leave time for the site.
PAUSE = 0.01


@dataclass(frozen=True)
class Answer:
    status: int  # 0 if there was no response
    is_correct: bool
    started: float
    ended: float

    @property
    def duration(self) -> float:
        return self.ended - self.started


class Visitor:
    """A browser in which Ada is signed in. In each turn she stores the next number."""

    def __init__(self, site: str) -> None:
        self.browser = Browser(site)
        page = self.browser.submit(
            "/auth/sign-in/", "/auth/sign-in/", username="ada", password="cookies"
        )
        assert "welcome ada" in page.text, page.text
        self.browser.headers["X-CSRFToken"] = self.browser.cookies["csrftoken"]
        self.answers: list[Answer] = []
        self.sent = self.confirmed = self.turns = 0

    def turn(self) -> None:
        self.sent += 1
        expected = f"color is set to {self.sent}\n"
        if self.send("POST", "/sessions/set-item/", expected, key="color", value=str(self.sent)):
            self.confirmed = self.sent
        self.send("GET", "/auth/account/", "welcome ada")
        self.turns += 1

    def send(self, method: str, path: str, expected: str, **fields: str) -> bool:
        """Send a request, and return whether the response contains ``expected``."""
        started = time.monotonic()
        try:
            response = self.browser.request(
                method, f"{self.browser.site}{path}", data=fields, timeout=TIMEOUT
            )
        except requests.RequestException:
            status, is_correct = 0, False
        else:
            status = response.status_code
            is_correct = status == 200 and expected in response.text
        self.answers.append(Answer(status, is_correct, started, time.monotonic()))
        return is_correct

    def is_signed_in(self) -> bool:
        return "welcome ada" in self.browser.open("/auth/account/").text

    def sign_out(self) -> None:
        self.browser.submit("/auth/account/", "/auth/sign-out/")

    def has_last_write(self) -> bool:
        """Whether the last confirmed write is stored, or a later one."""
        text = self.browser.open("/sessions/get-item/?key=color").text
        match = re.fullmatch(r"color is (\d+)\n", text)
        return match is not None and self.confirmed <= int(match[1]) <= self.sent


class Crowd:
    """Visitors, one of each of these URLs."""

    def __init__(self, sites: Sequence[str]) -> None:
        with ThreadPoolExecutor(len(sites)) as pool:
            self.visitors = list(pool.map(Visitor, sites))

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Let all visitors use the site at once until the block ends."""
        stop = threading.Event()

        def use(visitor: Visitor) -> None:
            while not stop.wait(PAUSE):
                visitor.turn()

        with ThreadPoolExecutor(len(self.visitors)) as pool:
            uses = [pool.submit(use, visitor) for visitor in self.visitors]
            try:
                yield
            finally:
                stop.set()
        for each in uses:
            each.result()

    def wait_for_turns(self, turns: int) -> None:
        """Wait until each visitor has had so many further turns."""
        ends = [visitor.turns + turns for visitor in self.visitors]
        deadline = time.monotonic() + TIMEOUT
        while any(v.turns < end for v, end in zip(self.visitors, ends, strict=True)):
            assert time.monotonic() < deadline, "the site does not respond"
            time.sleep(0.01)

    @property
    def answers(self) -> list[Answer]:
        return [answer for visitor in self.visitors for answer in visitor.answers]

    def failed(
        self, started: float = 0, ended: float = 0, allowed: Collection[int] = ()
    ) -> list[Answer]:
        """The wrong answers. The allowed statuses are not wrong between these two times."""
        return [
            answer
            for answer in self.answers
            if not answer.is_correct
            and not (answer.status in allowed and started < answer.ended and answer.started < ended)
        ]

    def signed_out(self) -> int:
        """The number of visitors who are no longer signed in."""
        return sum(not visitor.is_signed_in() for visitor in self.visitors)

    def lost(self) -> int:
        """The number of visitors who are no longer signed in or have lost their last write."""
        return sum(not (v.is_signed_in() and v.has_last_write()) for v in self.visitors)
