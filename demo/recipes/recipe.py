"""What a recipe is: a small view with one idea, and what its page needs to know of it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, wraps
from typing import Any

from django.forms import Form
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache

from demo.view_source import source_of

View = Callable[..., Any]

READS = ("GET", "HEAD")
READS_OR_SETS_A_COOKIE = ("GET", "HEAD", "POST")
CHANGES = ("POST",)


class TextResponse(HttpResponse):
    """Plain text, so that nothing a visitor typed is ever taken for HTML.

    What UTF-8 cannot hold, half a character of UTF-16, is there as an escape.
    """

    def __init__(self, content: str, **kwargs: Any) -> None:
        encoded = f"{content}\n".encode(errors="backslashreplace")
        super().__init__(encoded, content_type="text/plain; charset=utf-8", **kwargs)


@dataclass(frozen=True)
class Recipe:
    view: View
    title: Any
    about: Any
    form: type[Form]
    methods: tuple[str, ...]
    asks: type[Form] | None
    helpers: tuple[View, ...]

    @cached_property
    def group(self) -> str:
        return self.view.__module__.rpartition(".")[2].replace("_", "-")

    @cached_property
    def name(self) -> str:
        return self.view.__name__.replace("_", "-")

    @property
    def route(self) -> str:
        """Path below the site's root, and the name of its URL."""
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

    @property
    def controls(self) -> Form:
        """What the recipe's page offers to run it with."""
        return (self.asks or self.form)()

    @cached_property
    def source(self) -> str:
        """The running view's own source, and its helpers', less the line that makes it a recipe."""
        return source_of(self.view, *self.helpers)

    def bind(self, request: HttpRequest) -> Form:
        """The form over what was sent; a field that was not sent keeps its first value."""
        sent = request.POST if request.method == "POST" else request.GET
        unbound = self.form()
        first = {
            name: unbound.get_initial_for_field(field, name)
            for name, field in unbound.fields.items()
        }
        return self.form(
            {name: value for name, value in first.items() if value is not None} | sent.dict()
        )

    @cached_property
    def served(self) -> View:
        """The view as the site serves it: the method checked, what was sent validated."""

        @never_cache
        @wraps(self.view)
        def served(request: HttpRequest) -> HttpResponse:
            if request.method not in self.methods:
                # Whoever came by a link finds the button there.
                is_look = request.method in READS
                return redirect(self.page_url) if is_look else not_allowed(request, self.methods)
            form = self.bind(request)
            if not form.is_valid():
                return TextResponse(messages(form), status=400)
            response: HttpResponse = self.view(request, **form.cleaned_data)
            patch_vary_headers(response, ["Cookie"])
            return response

        return served


def not_allowed(request: HttpRequest, methods: tuple[str, ...]) -> HttpResponse:
    message = _("This recipe takes %(methods)s, not %(method)s.") % {
        "methods": _(" or ").join(methods),
        "method": request.method,
    }
    return HttpResponseNotAllowed(methods, f"{message}\n", content_type="text/plain; charset=utf-8")


def messages(form: Form) -> str:
    return "\n".join(
        f"{field}: {message}" for field, errors in form.errors.items() for message in errors
    )


_registry: list[Recipe] = []


def recipe(
    title: Any,
    about: Any,
    *,
    form: type[Form] = Form,
    methods: tuple[str, ...] = READS,
    asks: type[Form] | None = None,
    helpers: tuple[View, ...] = (),
) -> Callable[[View], View]:
    """Register a view as a recipe; must be its outermost decorator.

    The view gets the form's cleaned data as keyword arguments. ``asks`` is a form for the
    recipe's page whose fields the view reads by itself; ``helpers`` are functions whose source
    is shown below the view's.
    """

    def register(view: View) -> View:
        made = Recipe(view, title, about, form, methods, asks, helpers)
        _registry.append(made)
        return made.served

    return register


def recipes_of(module: Any) -> list[Recipe]:
    return [made for made in _registry if made.view.__module__ == module.__name__]
