"""Messages that one request leaves for the next page: django.contrib.messages."""

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import get_random_string
from django.utils.text import Truncator
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from .recipe import CHANGES, Subject, TextResponse, recipe

WORKS_ON = Subject.MESSAGES

# Characters of a shown message.
LONGEST_SHOWN = 60


class MessageForm(forms.Form):
    text = forms.CharField(label=_("Message"), max_length=100, initial="Saved")


@recipe(
    "messages.success",
    _(
        "The message waits until a page shows it. Django's default MESSAGE_STORAGE keeps it in a "
        "signed cookie, messages, and needs no session."
    ),
    form=MessageForm,
    methods=CHANGES,
)
def success(request: HttpRequest, text: str) -> HttpResponse:
    messages.success(request, text)
    return TextResponse(gettext("The message waits for the next page."))


@recipe(
    _("A message that is too long for the cookie"),
    _(
        "The default storage puts at most 2,048 bytes into its cookie. What does not fit goes into "
        "the session, and the cookie says that there is more."
    ),
    methods=CHANGES,
)
def too_long(request: HttpRequest) -> HttpResponse:
    # Random, because the storage compresses.
    messages.success(request, get_random_string(2200))
    return TextResponse(gettext("The message waits for the next page."))


@recipe(
    "get_messages",
    _(
        "Shows what waits. Each message is shown once: iterating over them marks them as read, and "
        "the response deletes them where they were stored. If all of them were in the session, the "
        "cookie that says so stays until the browser closes."
    ),
    methods=CHANGES,
)
def get_messages(request: HttpRequest) -> HttpResponse:
    texts = [
        Truncator(f"{message.level_tag}: {message}").chars(LONGEST_SHOWN)
        for message in messages.get_messages(request)
    ]
    return TextResponse("\n".join(texts) or gettext("No message waits."))
