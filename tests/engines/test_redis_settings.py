"""Wrong settings of a Redis cache, which ``manage.py check`` finds without a server."""

from typing import Any

import pytest
from django.core.checks import run_checks
from pytest_django import Settings

DJANGO_REDIS = "django_redis.cache.RedisCache"
DJANGOS = "django.core.cache.backends.redis.RedisCache"
CLUSTER = {"CONNECTION_FACTORY": "cookieproj.engines.caches.redis_cluster.ClusterConnectionFactory"}
TEXT = {"decode_responses": True}
URL = "redis://user:s3cret@127.0.0.1:1/0"
# django-redis keeps a pool for each URL.
OTHER_URL = "redis://user:s3cret@127.0.0.1:1/1"
URL_OF_TEXT = f"{URL}?decode_responses=True"
NO_URL = "redis://user:s3c/ret@127.0.0.1:1/0"

CACHES = [
    pytest.param(DJANGO_REDIS, URL_OF_TEXT, {}, "Remove decode_responses", id="django-redis, URL"),
    pytest.param(
        DJANGO_REDIS,
        URL,
        {"CONNECTION_POOL_KWARGS": TEXT},
        "Remove decode_responses",
        id="django-redis, options",
    ),
    pytest.param(DJANGOS, URL_OF_TEXT, {}, "Remove decode_responses", id="Django's, URL"),
    pytest.param(DJANGOS, URL, TEXT, "Remove decode_responses", id="Django's, options"),
    pytest.param(DJANGO_REDIS, URL_OF_TEXT, CLUSTER, "Remove decode_responses", id="cluster, URL"),
    pytest.param(
        DJANGO_REDIS,
        URL,
        CLUSTER | {"CONNECTION_POOL_KWARGS": TEXT},
        "Remove decode_responses",
        id="cluster, options",
    ),
    pytest.param(DJANGO_REDIS, NO_URL, {}, "percent-encoded", id="django-redis, no URL"),
    pytest.param(DJANGOS, NO_URL, {}, "percent-encoded", id="Django's, no URL"),
    pytest.param(DJANGO_REDIS, NO_URL, CLUSTER, "percent-encoded", id="cluster, no URL"),
    pytest.param(DJANGO_REDIS, OTHER_URL, {}, "", id="django-redis, correct"),
    pytest.param(DJANGOS, OTHER_URL, {}, "", id="Django's, correct"),
    pytest.param(DJANGO_REDIS, OTHER_URL, CLUSTER, "", id="cluster, correct"),
]


@pytest.mark.parametrize("name", ["cache", "cached_db"])
@pytest.mark.parametrize(("backend", "location", "options", "message"), CACHES)
def test_wrong_setting_is_reported_without_the_password(
    backend: str,
    location: str,
    options: dict[str, Any],
    message: str,
    name: str,
    settings: Settings,
) -> None:
    cache = {"BACKEND": backend, "LOCATION": location, "OPTIONS": options}
    settings.CACHES = {"default": settings.CACHES["default"], "sessions": cache}
    settings.SESSION_CACHE_ALIAS = "sessions"
    settings.SESSION_ENGINE = f"cookieproj.engines.{name}"
    messages = [found for found in run_checks() if found.id == "engines.E006"]
    assert bool(messages) == bool(message)
    for found in messages:
        assert message in found.msg
        assert "s3c" not in f"{found}"
