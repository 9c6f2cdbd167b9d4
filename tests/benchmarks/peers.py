"""Other packages for sessions, each in an application that serves the same requests.

The packages are in requirements.txt in this folder. Each has its default settings, except for the
store.
"""

import asyncio
import json
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any
from wsgiref.types import WSGIApplication

import flask
import psycopg
from cachelib import FileSystemCache
from flask_session import Session
from flask_sqlalchemy import SQLAlchemy
from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starsessions import SessionMiddleware, load_session
from starsessions.stores.redis import RedisStore

from cookieproj.engines.benchmark.views import PAYLOAD

# The requests that all of them serve.
KINDS = ("plain", "read", "write")

# Seconds until a session expires.
AGE = 14 * 24 * 60 * 60


def flask_application(**config: Any) -> flask.Flask:
    """Flask with its own session, which is a signed cookie."""
    app = flask.Flask("peer")
    app.config.update(SECRET_KEY=secrets.token_hex(), **config)

    def begin() -> str:
        flask.session.update(flask.request.environ[PAYLOAD], visits=0)
        return ""

    def plain() -> str:
        return ""

    def read() -> str:
        return str(flask.session["visits"])

    def write() -> str:
        flask.session["visits"] += 1
        return ""

    for view in (begin, plain, read, write):
        app.add_url_rule(f"/{view.__name__}", view_func=view)
    return app


def flask_session_on_redis(url: str) -> flask.Flask:
    app = flask_application(SESSION_TYPE="redis", SESSION_REDIS=Redis.from_url(url))
    Session(app)
    return app


def flask_session_on_files(folder: Path) -> flask.Flask:
    # 0 is no limit of the number of files.
    cache = FileSystemCache(str(folder), threshold=0)
    app = flask_application(SESSION_TYPE="cachelib", SESSION_CACHELIB=cache)
    Session(app)
    return app


@contextmanager
def flask_session_on_sqlalchemy(url: str) -> Iterator[flask.Flask]:
    driver = url.replace("postgresql:", "postgresql+psycopg:")
    app = flask_application(SQLALCHEMY_DATABASE_URI=driver)
    database = SQLAlchemy(app)
    app.config.update(SESSION_TYPE="sqlalchemy", SESSION_SQLALCHEMY=database)
    Session(app)
    try:
        yield app
    finally:
        with app.app_context():
            database.engine.dispose()


@contextmanager
def starsessions_on_redis(url: str) -> Iterator[WSGIApplication]:
    async def begin(request: Request) -> Response:
        await load_session(request)
        request.session.update(request.scope[PAYLOAD], visits=0)
        return Response()

    async def plain(_request: Request) -> Response:
        return Response()

    async def read(request: Request) -> Response:
        await load_session(request)
        return Response(str(request.session["visits"]))

    async def write(request: Request) -> Response:
        await load_session(request)
        request.session["visits"] += 1
        return Response()

    client = AsyncRedis.from_url(url)
    store = RedisStore(connection=client)
    middleware = Middleware(SessionMiddleware, store=store, lifetime=AGE, cookie_https_only=False)
    views = (begin, plain, read, write)
    app = Starlette(
        routes=[Route(f"/{view.__name__}", view) for view in views], middleware=[middleware]
    )
    with asyncio.Runner() as runner:
        try:
            yield as_wsgi(app, runner)
        finally:
            runner.run(client.aclose())


def as_wsgi(app: Any, runner: asyncio.Runner) -> WSGIApplication:
    """Serve an ASGI application as a WSGI one, one request at a time on its event loop."""

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": environ["REQUEST_METHOD"],
            "scheme": "http",
            "path": environ["PATH_INFO"],
            "raw_path": environ["PATH_INFO"].encode(),
            "root_path": "",
            "query_string": b"",
            "headers": [(b"cookie", environ["HTTP_COOKIE"].encode())],
            "server": ("localhost", 80),
            "client": ("localhost", 1),
            PAYLOAD: environ[PAYLOAD],
        }
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        runner.run(app(scope, receive, send))
        start, *bodies = sent
        status = HTTPStatus(start["status"])
        headers = [(name.decode(), value.decode()) for name, value in start["headers"]]
        start_response(f"{status.value} {status.phrase}", headers)
        return [message.get("body", b"") for message in bodies]

    return application


def bare(get: Callable[[str], bytes], put: Callable[[str, bytes], object]) -> WSGIApplication:
    """Only the store, with JSON under one key: no framework, no signature, no expiry."""

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        kind = environ["PATH_INFO"].removeprefix("/")
        key = environ["HTTP_COOKIE"].removeprefix("key=") or secrets.token_hex(16)
        body = b""
        match kind:
            case "begin":
                put(key, json.dumps({**environ[PAYLOAD], "visits": 0}).encode())
            case "read":
                body = str(json.loads(get(key))["visits"]).encode()
            case "write":
                data = json.loads(get(key))
                data["visits"] += 1
                put(key, json.dumps(data).encode())
        start_response("200 OK", [("Set-Cookie", f"key={key}; Path=/")])
        return [body]

    return application


def bare_redis(url: str) -> WSGIApplication:
    client: Any = Redis.from_url(url)
    return bare(client.get, lambda key, text: client.set(key, text, ex=AGE))


@contextmanager
def bare_psycopg(url: str) -> Iterator[WSGIApplication]:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE bare (key text PRIMARY KEY, data bytea)")
        insert = "INSERT INTO bare VALUES (%s, %s) ON CONFLICT (key) DO UPDATE SET data = %s"

        def get(key: str) -> bytes:
            row: Any = connection.execute("SELECT data FROM bare WHERE key = %s", [key]).fetchone()
            return bytes(row[0])

        yield bare(get, lambda key, text: connection.execute(insert, [key, text, text]))
