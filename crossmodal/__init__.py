"""Crossmodal finds pictures with words and words with pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crossmodal.search import Hit, Searcher, open_searcher

__all__ = ["Hit", "Searcher", "__version__", "open_searcher"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import the search names on first use, so that `import crossmodal` itself costs nothing."""
    if name in {"Hit", "Searcher", "open_searcher"}:
        from crossmodal import search

        return getattr(search, name)
    raise AttributeError(f"module 'crossmodal' has no attribute {name!r}")
