"""After staff have ended a session on its own page they are back in the list, as it was."""

from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.sessions.backends.base import SessionBase

from cookieproj.engines import inspector
from demo.models import User
from tests.browsers import browser, key_of, row_of
from tests.conftest import on

from .test_admin import SIGNED_IN, STORED, staff

FORM = {"post": "yes"}


@on("db", "cache", "file", "cached_db")
@pytest.mark.parametrize("filters", ["", "engine=db"])
def test_back_in_the_list(
    filters: str, profile: str, store: type[SessionBase], admin: User, ada: User
) -> None:
    client, other, third = browser(admin), browser(ada), browser(ada)
    pages = {
        SIGNED_IN: row_of(other).pk,
        STORED: inspector.encrypt(key_of(third), inspector.KEY),
    }
    query = f"?{urlencode({'_changelist_filters': filters})}" if filters else ""
    for path, pk in pages.items():
        page = f"{path}{pk}/delete/{query}"
        back = f"{path}?{filters}" if filters else path
        for said in ("was deleted successfully", "exist. Perhaps it was deleted"):
            # A second click is one on what has gone by then.
            answer = client.post(page, FORM, follow=True)
            assert answer.redirect_chain == [(back, 302)]
            assert said in answer.text


@on("db")
@pytest.mark.parametrize("what", ["signedinsession", "storedsession"])
def test_who_may_not_see_the_list_is_not_led_there(
    what: Any, profile: str, ada: User, admin: User
) -> None:
    client, other = staff(ada, f"delete_{what}"), browser(admin)
    pks = {
        "signedinsession": row_of(other).pk,
        "storedsession": inspector.encrypt(key_of(other), inspector.KEY),
    }
    lists = {"signedinsession": SIGNED_IN, "storedsession": STORED}
    answer = client.post(f"{lists[what]}{pks[what]}/delete/", FORM)
    assert (answer.status_code, answer.headers["Location"]) == (302, "/admin/")
