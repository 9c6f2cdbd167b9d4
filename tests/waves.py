"""Sends waves of requests to the site over ASGI, and counts open connections to PostgreSQL.

    DATABASE_URL=postgres://…?application_name=waves python -m tests.waves MOST

Prints the statuses other than 200, and the number of open connections: as soon as it is at most
MOST, or after half a minute.
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
    """The status of a page that queries the database. Each request has its own thread."""
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
    statuses = []
    for _ in range(WAVES):
        statuses += await asyncio.gather(*(status() for _ in range(WIDTH)))
    return statuses


def open_connections(most: int) -> int:
    """Wait until at most that many are open. The server notices closed ones with a delay."""
    parameters = connection.get_connection_params()
    address = {
        name: parameters[name] for name in ("dbname", "user", "host", "port") if name in parameters
    }
    deadline = time.monotonic() + SECONDS
    with psycopg.connect(**address, autocommit=True) as administrator:
        while True:
            row = administrator.execute(OPEN).fetchone()
            number = int(row[0]) if row else 0
            if number <= most or time.monotonic() > deadline:
                return number
            time.sleep(0.05)


if __name__ == "__main__":
    statuses = asyncio.run(waves())
    print([each for each in statuses if each != 200], open_connections(int(sys.argv[1])))  # noqa: T201
