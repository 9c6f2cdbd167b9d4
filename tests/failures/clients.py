"""A program that uses a site with many clients at once, each of which has its own session.

Its arguments are the port, the number of clients, and the seconds. It prints a line when all
clients have a session and the site is warm, and at the end a line of JSON: the number of requests,
and the errors.
"""

import asyncio
import json
import sys
import time
from urllib.parse import urlencode

TOKEN = "a" * 32

# The share of the time after which the caches of each process are filled.
WARM = 0.4

# Every 20th client signs in, as checking a password is slow. Ten of them make both workers warm.
SIGN_IN_EVERY = 20

# Seconds for a response, on the slowest machine.
TIMEOUT = 60

# Writes for each check that the session is still this client's.
CHECK_EVERY = 3

# Visits of each client, however slow the machine.
MIN_VISITS = 2 * CHECK_EVERY


class WrongResponseError(Exception):
    """The response is not the expected one for this client."""


class Client:
    def __init__(self, port: int, number: int) -> None:
        self.port, self.number = port, number
        self.requests = 0
        self.errors: list[str] = []
        self.started = asyncio.Event()

    async def run(self, deadline: float) -> None:
        """Visit the site until the deadline. After an error, start with a new session."""
        while time.monotonic() < deadline:
            try:
                await self.visit(deadline)
            except (WrongResponseError, OSError, asyncio.IncompleteReadError) as error:
                self.errors.append(repr(error))
        # ``main`` waits for this, even if there were only errors.
        self.started.set()

    async def visit(self, deadline: float) -> None:
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.cookies = {"__Host-csrftoken": TOKEN}
        color = f"of-client-{self.number}"
        try:
            if self.number % SIGN_IN_EVERY == 0:
                await self.sign_in()
                await self.get("/auth/account/", "welcome ada")
            await self.post("/sessions/set-item/", f"color is set to {color}\n", value=color)
            self.started.set()
            visits = 0
            while time.monotonic() < deadline or visits < MIN_VISITS:
                visits += 1
                await self.post("/sessions/visits/", f"Visit number {visits}.\n")
                if visits % CHECK_EVERY == 0:
                    await self.get("/sessions/get-item/", f"color is {color}\n")
                if visits % CHECK_EVERY == 0 and self.number % SIGN_IN_EVERY == 0:
                    await self.get("/auth/account/", "welcome ada")
        finally:
            self.writer.close()

    async def sign_in(self) -> None:
        form = {"username": "ada", "password": "cookies"}
        response = await self.send("POST", "/auth/sign-in/", urlencode(form))
        if response[0] != 302:
            raise WrongResponseError("sign-in", *response)

    async def post(self, path: str, expected: str, **fields: str) -> None:
        self.check(expected, *await self.send("POST", path, urlencode(fields)))

    async def get(self, path: str, expected: str) -> None:
        self.check(expected, *await self.send("GET", path))

    def check(self, expected: str, status: int, text: str) -> None:
        if status != 200 or expected not in text:
            raise WrongResponseError(status, text[:200], expected)

    async def send(self, method: str, path: str, body: str = "") -> tuple[int, str]:
        """Return status and text. It is an error if the server closes the connection."""
        async with asyncio.timeout(TIMEOUT):
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
                self.store_cookie(value)
        return status, (await self.reader.readexactly(length)).decode()

    def store_cookie(self, line: str) -> None:
        name, _, value = line.strip().partition(";")[0].partition("=")
        if name != "__Host-csrftoken":
            self.cookies[name] = value


async def main(port: int, number: int, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    clients = [Client(port, each) for each in range(number)]
    tasks = [asyncio.create_task(client.run(deadline)) for client in clients]
    await asyncio.gather(*(client.started.wait() for client in clients))
    await asyncio.sleep(max(0, deadline - time.monotonic() - seconds * (1 - WARM)))
    print("warm", flush=True)  # noqa: T201
    await asyncio.gather(*tasks)
    errors = [each for client in clients for each in client.errors]
    requests = sum(client.requests for client in clients)
    print(json.dumps({"requests": requests, "errors": errors}), flush=True)  # noqa: T201


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
