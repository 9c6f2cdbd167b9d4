"""Browsers that use a site all the time, while something happens to it."""

import re
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import requests

from tests.sites import Browser

# Seconds: longer than any request may take, and than anything here is waited for.
TOO_LONG = 60

# Seconds between two turns of a visitor: the machine has other things to do.
PAUSE = 0.01


@dataclass(frozen=True)
class Answer:
    status: int  # 0 for none at all
    right: bool
    began: float
    ended: float

    @property
    def took(self) -> float:
        return self.ended - self.began


class Visitor:
    """Ada, signed in, in a browser of her own; what she writes is a number that grows."""

    def __init__(self, site: str) -> None:
        self.browser = Browser(site)
        page = self.browser.submit(
            "/auth/sign-in/", "/auth/sign-in/", username="ada", password="cookies"
        )
        assert "welcome ada" in page.text, page.text
        self.browser.headers["X-CSRFToken"] = self.browser.cookies["csrftoken"]
        self.answers: list[Answer] = []
        self.tried = self.kept = self.turns = 0

    def turn(self) -> None:
        self.tried += 1
        written = f"color is set to {self.tried}\n"
        if self.ask("POST", "/sessions/set-item/", written, key="color", value=str(self.tried)):
            self.kept = self.tried
        self.ask("GET", "/auth/account/", "welcome ada")
        self.turns += 1

    def ask(self, method: str, path: str, expected: str, **fields: str) -> bool:
        """Whether that was in the answer."""
        began = time.monotonic()
        try:
            response = self.browser.request(
                method, f"{self.browser.site}{path}", data=fields, timeout=TOO_LONG
            )
        except requests.RequestException:
            status, right = 0, False
        else:
            status = response.status_code
            right = status == 200 and expected in response.text
        self.answers.append(Answer(status, right, began, time.monotonic()))
        return right

    def is_signed_in(self) -> bool:
        return "welcome ada" in self.browser.open("/auth/account/").text

    def sign_out(self) -> None:
        self.browser.submit("/auth/account/", "/auth/sign-out/")

    def has_last_write(self) -> bool:
        """One that was not answered may be there or not."""
        text = self.browser.open("/sessions/get-item/?key=color").text
        found = re.fullmatch(r"color is (\d+)\n", text)
        return found is not None and self.kept <= int(found[1]) <= self.tried


class Crowd:
    """Visitors, each of the site at one of those addresses."""

    def __init__(self, sites: Sequence[str]) -> None:
        with ThreadPoolExecutor(len(sites)) as pool:
            self.visitors = list(pool.map(Visitor, sites))

    @contextmanager
    def busy(self) -> Iterator[None]:
        """All of them take turns, each in a thread of its own, until the block ends."""
        stop = threading.Event()

        def use(visitor: Visitor) -> None:
            while not stop.wait(PAUSE):
                visitor.turn()

        with ThreadPoolExecutor(len(self.visitors)) as pool:
            used = [pool.submit(use, visitor) for visitor in self.visitors]
            try:
                yield
            finally:
                stop.set()
        for each in used:
            each.result()

    def take(self, turns: int) -> None:
        """Wait until each has taken so many turns more."""
        ends = [visitor.turns + turns for visitor in self.visitors]
        bound = time.monotonic() + TOO_LONG
        while any(v.turns < end for v, end in zip(self.visitors, ends, strict=True)):
            assert time.monotonic() < bound, "they are not answered"
            time.sleep(0.01)

    @property
    def answers(self) -> list[Answer]:
        return [answer for visitor in self.visitors for answer in visitor.answers]

    def failed(
        self, began: float = 0, ended: float = 0, meanwhile: Collection[int] = ()
    ) -> list[Answer]:
        """What was not answered rightly; one of those statuses is fine between those moments."""
        return [
            answer
            for answer in self.answers
            if not answer.right
            and not (answer.status in meanwhile and began < answer.ended and answer.began < ended)
        ]

    def signed_out(self) -> int:
        """How many of them."""
        return sum(not visitor.is_signed_in() for visitor in self.visitors)

    def lost(self) -> int:
        """How many are not signed in any more, or have lost their last write."""
        return sum(not (v.is_signed_in() and v.has_last_write()) for v in self.visitors)
