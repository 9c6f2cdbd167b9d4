"""The page that asks for the password, as a browser without scripts sees it."""

from html.parser import HTMLParser
from typing import Any

from django.test import Client

from cookieproj.devices.kept_post import PASSWORD_FIELD


class Inputs(HTMLParser):
    """Collects the inputs of a page's password form, by name."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: dict[str, dict[str, str | None]] = {}
        self.feed(html.partition('<form method="post" enctype="multipart/form-data"')[2])

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if tag == "input" and (name := attributes.get("name")):
            self.found[name] = attributes


def inputs(page: Any) -> dict[str, dict[str, str | None]]:
    return Inputs(page.content.decode()).found


def asks(page: Any) -> bool:
    """Whether the response is the page that asks for the password."""
    return PASSWORD_FIELD in inputs(page)


def answer(client: Client, page: Any, password: str = "cookies", **more: Any) -> Any:
    """Send the page's form to the page's own URL, and return the response."""
    fields = {name: attributes.get("value") or "" for name, attributes in inputs(page).items()}
    request = page.wsgi_request
    return client.post(request.get_full_path(), fields | {PASSWORD_FIELD: password} | more)
