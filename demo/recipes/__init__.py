"""Every recipe, by group, in the order in which to learn them."""

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _

from . import (
    auth,
    cookies,
    expiry,
    in_path,
    in_scripts,
    leaving,
    lifecycle,
    limits,
    messages,
    other_sites,
    payment,
    prefixes,
    reading,
    sessions,
    signed,
    streaming,
)
from .recipe import Recipe, recipes_of


@dataclass(frozen=True)
class Group:
    title: Any
    recipes: list[Recipe]


GROUPS = [
    Group(_("Set a cookie"), recipes_of(cookies)),
    Group(_("Read and delete cookies"), recipes_of(reading)),
    Group(_("Signed cookies"), recipes_of(signed)),
    Group(_("Prefixes of names"), recipes_of(prefixes)),
    Group(_("Limits of the cookie jar"), recipes_of(limits)),
    Group(_("Cookies and scripts"), recipes_of(in_scripts)),
    Group(_("Other sites"), recipes_of(other_sites)),
    Group(_("Data in a session"), recipes_of(sessions)),
    Group(_("Messages for the next page"), recipes_of(messages)),
    Group(_("When a session expires"), recipes_of(expiry)),
    Group(_("How a session begins and ends"), recipes_of(lifecycle)),
    Group(_("Streaming responses"), recipes_of(streaming)),
    Group(_("Back from a payment page"), recipes_of(payment)),
    Group(_("A session without cookies"), recipes_of(in_path)),
    Group(_("Signing in"), recipes_of(auth)),
    Group(_("What stays after signing out"), recipes_of(leaving)),
]
RECIPES = {recipe.route: recipe for group in GROUPS for recipe in group.recipes}
