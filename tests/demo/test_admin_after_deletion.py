"""After deleting a session on its own page, staff return to the list with its filters."""

from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.sessions.backends.base import SessionBase

from cookieproj.engines import inspector
from demo.models import User
from tests.browsers import browser, key_of, row_of
from tests.conftest import on
from tests.families import SERVER_ENGINES

from .test_admin import SIGNED_IN, STORED, staff

FORM = {"post": "yes"}


@on(*SERVER_ENGINES)
@pytest.mark.parametrize("filters", ["", "engine=db"])
def test_deletion_redirects_to_filtered_list(
    filters: str, profile: str, store: type[SessionBase], admin: User, ada: User
) -> None:
    client, signed_in, stored = browser(admin), browser(ada), browser(ada)
    pages = {
        SIGNED_IN: row_of(signed_in).pk,
        STORED: inspector.encrypt(key_of(stored), inspector.KEY),
    }
    query = f"?{urlencode({'_changelist_filters': filters})}" if filters else ""
    for path, pk in pages.items():
        page = f"{path}{pk}/delete/{query}"
        list_url = f"{path}?{filters}" if filters else path
        for message in ("was deleted successfully", "exist. Perhaps it was deleted"):
            # The second request finds the session already deleted.
            response = client.post(page, FORM, follow=True)
            assert response.redirect_chain == [(list_url, 302)]
            assert message in response.text


@on("db")
@pytest.mark.parametrize("model", ["signedinsession", "storedsession"])
def test_deletion_without_view_permission_redirects_to_index(
    model: Any, profile: str, ada: User, admin: User
) -> None:
    client, visitor = staff(ada, f"delete_{model}"), browser(admin)
    pks = {
        "signedinsession": row_of(visitor).pk,
        "storedsession": inspector.encrypt(key_of(visitor), inspector.KEY),
    }
    lists = {"signedinsession": SIGNED_IN, "storedsession": STORED}
    response = client.post(f"{lists[model]}{pks[model]}/delete/", FORM)
    assert (response.status_code, response.headers["Location"]) == (302, "/admin/")
