"""Crossmodal finds pictures with words and words with pictures.

import crossmodal

crossmodal.build_index("photos", captions="captions.csv", out="indexes/photos")
for hit in crossmodal.open_index("indexes/photos").search("two dogs run on a beach", k=10):
    print(hit.rank, hit.score, hit.path)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crossmodal import errors
    from crossmodal.api import (
        Box,
        BuildReport,
        Encoder,
        Hit,
        Indexed,
        Progress,
        Query,
        Searcher,
        SearchResult,
        Term,
        build_index,
        evaluate,
        explain,
        load_model,
        open_index,
        train,
    )
    from crossmodal.evaluation.retrieval import Report
    from crossmodal.inference.explain import Explanation
    from crossmodal.training.config import TrainConfig
    from crossmodal.training.run import TrainingResult

__all__ = [
    "Box", "BuildReport", "Encoder", "Explanation", "Hit", "Indexed", "Progress", "Query", "Report", "SearchResult",
    "Searcher", "Term", "TrainConfig", "TrainingResult", "__version__", "build_index", "errors", "evaluate", "explain",
    "load_model", "open_index", "train",
]  # fmt: skip
__version__ = "0.1.0"
_HOMES = {
    "Explanation": "inference.explain",
    "Report": "evaluation.retrieval",
    "TrainConfig": "training.config",
    "TrainingResult": "training.run",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that `import crossmodal` itself costs nothing."""
    if name not in __all__:
        raise AttributeError(f"module 'crossmodal' has no attribute {name!r}")
    if name == "errors":
        return import_module("crossmodal.errors")
    return getattr(import_module(f"crossmodal.{_HOMES.get(name, 'api')}"), name)
