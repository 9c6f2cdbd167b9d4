"""A recipe: a small view that shows one idea, with what its page needs."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from functools import cached_property, wraps
from importlib import import_module
from typing import Any

from django.forms import Field, Form
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache

from demo.view_source import source_of

from .form_errors import error_messages

View = Callable[..., Any]

READS = ("GET", "HEAD")
READS_OR_SETS_A_COOKIE = ("GET", "HEAD", "POST")
CHANGES = ("POST",)


class Subject(Enum):
    """What a recipe works on: the four questions on its page are about this.

    ``COOKIE_WITH_OWN_KEY`` is for one that signs with a key of its own in place of SECRET_KEY.
    ``ENDED_SESSION`` and ``DELETED_SIGN_IN_COOKIE`` are for a recipe that ends what it works on.
    ``LEFT_SESSION`` is for one after which only the browser has lost the session. ``NOTHING`` is
    for one that has neither a session nor one cookie to describe; its page has the running
    session's.
    """

    PLAIN_COOKIE = auto()
    SIGNED_COOKIE = auto()
    COOKIE_WITH_OWN_KEY = auto()
    SIGN_IN_COOKIE = auto()
    DELETED_SIGN_IN_COOKIE = auto()
    SESSION = auto()
    ENDED_SESSION = auto()
    LEFT_SESSION = auto()
    SESSION_IN_ADDRESS = auto()
    MESSAGES = auto()
    ORDER_COOKIE = auto()
    NOTHING = auto()


class TextResponse(HttpResponse):
    """Plain text, so that a browser never interprets a visitor's input as HTML.

    A lone surrogate, which UTF-8 cannot encode, is written as an escape.
    """

    def __init__(self, content: str, **kwargs: Any) -> None:
        encoded = f"{content}\n".encode(errors="backslashreplace")
        super().__init__(encoded, content_type="text/plain; charset=utf-8", **kwargs)


class SharedFields(dict[str, Field]):
    """The fields of a form class, which its forms share.

    Django copies every field for every form, in case one is changed. No recipe changes any.
    """

    def __deepcopy__(self, memo: object) -> dict[str, Field]:
        return dict(self)


@dataclass(frozen=True)
class Recipe:
    """A recipe; see ``recipe`` for its fields."""

    view: View
    title: Any
    about: Any
    form: type[Form]
    methods: tuple[str, ...]
    asks: type[Form] | None
    helpers: tuple[View, ...]
    works_on: Subject | str | None = None

    @cached_property
    def subject(self) -> Subject:
        """What it works on; by default what its module says in WORKS_ON, or a plain cookie."""
        module = import_module(self.view.__module__)
        default: Subject = getattr(module, "WORKS_ON", Subject.PLAIN_COOKIE)
        return Subject.PLAIN_COOKIE if isinstance(self.works_on, str) else self.works_on or default

    @cached_property
    def group(self) -> str:
        return self.view.__module__.rpartition(".")[2].replace("_", "-")

    @cached_property
    def name(self) -> str:
        return self.view.__name__.replace("_", "-")

    @property
    def route(self) -> str:
        """The recipe's path below the site's root, and its URL name."""
        return f"{self.group}/{self.name}"

    @property
    def url(self) -> str:
        return reverse(f"demo:{self.route}")

    @property
    def page_url(self) -> str:
        return reverse("demo:recipe", args=[self.group, self.name])

    @property
    def form_method(self) -> str:
        return "get" if "GET" in self.methods and not self.asks else "post"

    def controls(self, request: HttpRequest) -> Form:
        """Return the form on the recipe's page, with the values in its address if all are valid."""
        if self.form_method == "get" and request.GET:
            form = self.bind(request)
            if form.is_valid():
                return form
        return (self.asks or self.form)()

    @cached_property
    def source(self) -> str:
        """The source of the running view and its helpers, without the decorator ``recipe``."""
        return source_of(self.view, *self.helpers)

    def bind(self, request: HttpRequest) -> Form:
        """Return the form with the request's data. A missing field gets its initial value."""
        data = request.POST if request.method == "POST" else request.GET
        return self.form(initial_values(self.form) | data.dict())

    @cached_property
    def served(self) -> View:
        """The view as the site serves it: it checks the method and validates the form first."""

        @never_cache
        @wraps(self.view)
        def served(request: HttpRequest) -> HttpResponse:
            if request.method not in self.methods:
                # A link to a recipe that takes only POST leads to its page, which has the button.
                is_read = request.method in READS
                return redirect(self.page_url) if is_read else not_allowed(request, self.methods)
            form = self.bind(request)
            if not form.is_valid():
                return TextResponse(error_messages(form), status=400)
            response: HttpResponse = self.view(request, **form.cleaned_data)
            patch_vary_headers(response, ["Cookie"])
            return response

        return served


def initial_values(form: type[Form]) -> dict[str, Any]:
    """Return the initial values of the form's fields that have one."""
    values = {
        name: field.initial() if callable(field.initial) else field.initial
        for name, field in form.base_fields.items()
    }
    return {name: value for name, value in values.items() if value is not None}


def not_allowed(request: HttpRequest, methods: tuple[str, ...]) -> HttpResponse:
    message = _("This recipe accepts %(methods)s, not %(method)s.") % {
        "methods": _(" or ").join(methods),
        "method": request.method,
    }
    return HttpResponseNotAllowed(methods, f"{message}\n", content_type="text/plain; charset=utf-8")


_registry: list[Recipe] = []


def recipe(
    title: Any,
    about: Any,
    *,
    form: type[Form] = Form,
    methods: tuple[str, ...] = READS,
    asks: type[Form] | None = None,
    helpers: tuple[View, ...] = (),
    works_on: Subject | str | None = None,
) -> Callable[[View], View]:
    """Register a view as a recipe. This must be its outermost decorator.

    ``form`` validates the request, and its cleaned data are the view's keyword arguments. It must
    not change its fields.
    ``asks`` is a form for the recipe's page whose fields the view reads itself. ``helpers`` are
    functions whose source the page shows below the view's. ``works_on`` is what the four questions
    are about, if that differs from WORKS_ON of the recipe's module. A route stands for the plain
    cookie that the recipe of this route sets.
    """

    if form.base_fields:
        form.base_fields = SharedFields(form.base_fields)

    def register(view: View) -> View:
        registered = Recipe(view, title, about, form, methods, asks, helpers, works_on)
        _registry.append(registered)
        return registered.served

    return register


def recipes_of(module: Any) -> list[Recipe]:
    """Return the recipes of a module, in the order of their definition."""
    return [recipe for recipe in _registry if recipe.view.__module__ == module.__name__]
