"""Clients of a site, all at once, each with a session of its own; a process of their own.

Its arguments are the port, how many clients, and for how many seconds. It prints a line when
all are there and the site is warm, and at the end a line of JSON: how many requests there
were, and what was wrong with any of them.
"""

import asyncio
import json
import sys
import time
from urllib.parse import urlencode

TOKEN = "a" * 32

# The part of the time after which whatever a process makes once has been made.
WARM = 0.4

# One of so many signs in, as to check a password takes long; ten make both workers warm.
SIGNS_IN = 20

# Seconds for an answer, on a machine that is as slow as may be.
PATIENCE = 60

# So many writes to a look at whose session it is.
READS = 3

# Visits that each makes at the least, however slow the machine.
LEAST = 2 * READS


class WrongError(Exception):
    """Not the answer that is right for this client."""


class Client:
    def __init__(self, port: int, number: int) -> None:
        self.port, self.number = port, number
        self.requests = 0
        self.wrong: list[str] = []
        self.begun = asyncio.Event()

    async def stay(self, until: float) -> None:
        """After anything that is wrong it comes back as somebody new."""
        while time.monotonic() < until:
            try:
                await self.visit(until)
            except (WrongError, OSError, asyncio.IncompleteReadError) as error:
                self.wrong.append(repr(error))
        # If it never came that far, nobody waits for it.
        self.begun.set()

    async def visit(self, until: float) -> None:
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.cookies = {"__Host-csrftoken": TOKEN}
        color = f"of-client-{self.number}"
        try:
            if self.number % SIGNS_IN == 0:
                await self.sign_in()
                await self.get("/auth/account/", "welcome ada")
            await self.post("/sessions/set-item/", f"color is set to {color}\n", value=color)
            self.begun.set()
            visits = 0
            while time.monotonic() < until or visits < LEAST:
                visits += 1
                await self.post("/sessions/visits/", f"Visit number {visits}.\n")
                if visits % READS == 0:
                    await self.get("/sessions/get-item/", f"color is {color}\n")
                if visits % READS == 0 and self.number % SIGNS_IN == 0:
                    await self.get("/auth/account/", "welcome ada")
        finally:
            self.writer.close()

    async def sign_in(self) -> None:
        form = {"username": "ada", "password": "cookies"}
        answered = await self.ask("POST", "/auth/sign-in/", urlencode(form))
        if answered[0] != 302:
            raise WrongError("sign-in", *answered)

    async def post(self, path: str, right: str, **fields: str) -> None:
        self.check(right, *await self.ask("POST", path, urlencode(fields)))

    async def get(self, path: str, right: str) -> None:
        self.check(right, *await self.ask("GET", path))

    def check(self, right: str, status: int, text: str) -> None:
        if status != 200 or right not in text:
            raise WrongError(status, text[:200], right)

    async def ask(self, method: str, path: str, body: str = "") -> tuple[int, str]:
        """Status and text. On one connection: that the server closes it, or is silent, is wrong."""
        async with asyncio.timeout(PATIENCE):
            return await self.exchange(method, path, body)

    async def exchange(self, method: str, path: str, body: str) -> tuple[int, str]:
        headers = {
            "Host": f"127.0.0.1:{self.port}",
            "Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items()),
            "X-Forwarded-Proto": "https",
            "X-CSRFToken": TOKEN,
            "Referer": f"https://127.0.0.1:{self.port}/",
            "Content-Type": "application/x-www-form-urlencoded",
            "Content-Length": str(len(body)),
        }
        lines = [f"{method} {path} HTTP/1.1", *(": ".join(header) for header in headers.items())]
        self.writer.write("\r\n".join([*lines, "", body]).encode())
        self.requests += 1
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        status, length = int(head.split()[1]), 0
        for line in head.splitlines()[1:]:
            name, _, value = line.partition(": ")
            if name.lower() == "content-length":
                length = int(value)
            elif name.lower() == "set-cookie":
                self.keep(value)
        return status, (await self.reader.readexactly(length)).decode()

    def keep(self, line: str) -> None:
        name, _, value = line.strip().partition(";")[0].partition("=")
        if name != "__Host-csrftoken":
            self.cookies[name] = value


async def main(port: int, number: int, seconds: float) -> None:
    until = time.monotonic() + seconds
    clients = [Client(port, each) for each in range(number)]
    staying = [asyncio.create_task(client.stay(until)) for client in clients]
    await asyncio.gather(*(client.begun.wait() for client in clients))
    await asyncio.sleep(max(0, until - time.monotonic() - seconds * (1 - WARM)))
    print("warm", flush=True)  # noqa: T201
    await asyncio.gather(*staying)
    wrong = [each for client in clients for each in client.wrong]
    requests = sum(client.requests for client in clients)
    print(json.dumps({"requests": requests, "wrong": wrong}), flush=True)  # noqa: T201


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
