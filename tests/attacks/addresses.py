"""Every path of the site, from its URL conf, so that new ones are attacked as well."""

import re
from collections.abc import Iterator
from typing import Any

from django.contrib.contenttypes.models import ContentType
from django.core import signing
from django.urls import get_resolver

from cookieproj.devices.models import SignedInSession
from cookieproj.engines import inspector
from demo.attacks import ATTEMPTS
from demo.constants import IN_PATH_SALT
from demo.models import User
from demo.recipes import RECIPES

# The pages that list the models of one app of the admin.
APPS = re.compile(r"\^\(\?P<app_label>[\w|]+\)/\$")

PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>")


def routes(patterns: Any = None, prefix: str = "") -> Iterator[str]:
    for pattern in patterns or get_resolver().url_patterns:
        route = prefix + str(pattern.pattern)
        if hasattr(pattern, "url_patterns"):
            yield from routes(pattern.url_patterns, route)
        else:
            yield route


def site_paths(user: User, session_key: str) -> list[str]:
    """Return every path, with values of that user and session for its parameters."""
    row = SignedInSession.objects.filter(user=user).latest("signed_in_at")
    objects = {
        "admin/auth/group": "1",
        "admin/demo/user": str(user.pk),
        "admin/cookieproj_devices/signedinsession": str(row.pk),
        "admin/cookieproj_engines/storedsession": inspector.encrypt(session_key, inspector.KEY),
    }
    values = {
        "group": "sessions",
        "name": "set-item",
        "token": signing.dumps(session_key, salt=IN_PATH_SALT),
        "pk": str(row.pk),
        "id": str(user.pk),
        "content_type_id": str(ContentType.objects.get_for_model(User).pk),
    }

    def fill(route: str) -> str:
        start = "/".join(route.split("/")[:3])
        parameters = {**values, "object_id": objects.get(start, str(user.pk))}
        if route.startswith("break/"):
            parameters["name"] = next(iter(ATTEMPTS))
        # Two routes are regular expressions: the list of an app, and the catch-all.
        path = APPS.sub("cookieproj_devices/", route).replace("(?P<url>.*)$", "else")
        return "/" + PARAMETER.sub(lambda match: parameters[match[1]], path)

    paths = list(map(fill, routes()))
    assert len(paths) > len(RECIPES)
    assert not any(set(path) & set("<>()^$") for path in paths)
    return paths
