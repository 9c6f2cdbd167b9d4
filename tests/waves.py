"""Waves of requests to the site over ASGI, and how many connections to PostgreSQL stay open.

    DATABASE_URL=postgres://…?application_name=waves python -m tests.waves MOST

Prints the answers that were not 200, and how many connections there are once there are no
more than MOST, or after half a minute.
"""

import asyncio
import sys
import time
from typing import Any

import psycopg
from asgiref import testing
from django.db import connection

from cookieproj.asgi import application

WAVES, WIDTH = 6, 25
OPEN = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'waves'"
SECONDS = 30

connect: Any = testing.ApplicationCommunicator


async def status() -> int:
    """Of a page that asks the database, each request in a thread of its own."""
    communicator = connect(
        application,
        {
            "type": "http",
            "method": "GET",
            "path": "/health/",
            "query_string": b"",
            "headers": [(b"host", b"localhost")],
        },
    )
    await communicator.send_input({"type": "http.request", "body": b""})
    start = await communicator.receive_output(timeout=60)
    await communicator.receive_output(timeout=60)
    await communicator.wait(timeout=60)
    return int(start["status"])


async def waves() -> list[int]:
    found = []
    for _ in range(WAVES):
        found += await asyncio.gather(*(status() for _ in range(WIDTH)))
    return found


def left_open(most: int) -> int:
    """Once the server has seen that they are closed."""
    parameters = connection.get_connection_params()
    address = {
        name: parameters[name] for name in ("dbname", "user", "host", "port") if name in parameters
    }
    bound = time.monotonic() + SECONDS
    with psycopg.connect(**address, autocommit=True) as asking:
        while True:
            row = asking.execute(OPEN).fetchone()
            number = int(row[0]) if row else 0
            if number <= most or time.monotonic() > bound:
                return number
            time.sleep(0.05)


if __name__ == "__main__":
    answers = asyncio.run(waves())
    print([each for each in answers if each != 200], left_open(int(sys.argv[1])))  # noqa: T201
