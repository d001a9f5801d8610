"""The recipes by name: what is trained on what, by which loss, in which phases, and what to expect of it.

Takes a name; gives a frozen `Recipe`.
Knows the names of models, and nothing that needs torch.
"""

from __future__ import annotations

from collections.abc import Callable

from crossmodal.errors import InputError
from crossmodal.recipes.arcface import arcface
from crossmodal.recipes.base import Phase, Recipe, smoke
from crossmodal.recipes.flickr8k import flickr8k
from crossmodal.recipes.flickr30k import flickr30k
from crossmodal.recipes.match import match
from crossmodal.recipes.mnist_labels import mnist_labels
from crossmodal.recipes.scenes import scenes
from crossmodal.recipes.starter import starter
from crossmodal.recipes.vsepp import vsepp

__all__ = ["RECIPES", "Phase", "Recipe", "recipe_named", "smoke"]

RECIPES: dict[str, Callable[[], Recipe]] = {
    "flickr30k": flickr30k,
    "flickr8k": flickr8k,
    "match": match,
    "mnist_labels": mnist_labels,
    "arcface": arcface,
    "vsepp": vsepp,
    "scenes": scenes,
    "starter": starter,
}


def recipe_named(name: str) -> Recipe:
    """The recipe of that name. Raises InputError for an unknown one, listing those there are."""
    if name not in RECIPES:
        raise InputError(f"no recipe {name!r}; there are: {', '.join(RECIPES)}")
    return RECIPES[name]()
