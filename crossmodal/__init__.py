"""Crossmodal finds pictures with words and words with pictures."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crossmodal.search.query import Box, Indexed, Query, Term
    from crossmodal.search.searcher import Hit, Searcher, open_searcher

__all__ = ["Box", "Hit", "Indexed", "Query", "Searcher", "Term", "__version__", "open_searcher"]
__version__ = "0.1.0"
_ROOMS = {"query": ("Box", "Indexed", "Query", "Term"), "searcher": ("Hit", "Searcher", "open_searcher")}


def __getattr__(name: str) -> Any:
    """Import the public names on first use, so that `import crossmodal` itself costs nothing."""
    for room, names in _ROOMS.items():
        if name in names:
            return getattr(import_module(f"crossmodal.search.{room}"), name)
    raise AttributeError(f"module 'crossmodal' has no attribute {name!r}")
