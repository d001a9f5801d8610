"""Crossmodal finds pictures with words and words with pictures.

    import crossmodal

    crossmodal.build_index("photos", captions="captions.csv", out="indexes/photos")
    for hit in crossmodal.open_index("indexes/photos").search("two dogs run on a beach", k=10):
        print(hit.rank, hit.score, hit.path)

Importing it costs nothing: each part is imported when it is first used.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from PIL.Image import Image

    from crossmodal import errors
    from crossmodal.evaluation.retrieval import Report
    from crossmodal.index import BuildReport, Progress
    from crossmodal.inference.base import Encoder
    from crossmodal.inference.explain import Explanation
    from crossmodal.search.query import Box, Indexed, Query, Term
    from crossmodal.search.searcher import Hit, Searcher, SearchResult
    from crossmodal.training.config import TrainConfig
    from crossmodal.training.run import TrainingResult

__all__ = [
    "Box", "BuildReport", "Encoder", "Explanation", "Hit", "Indexed", "Progress", "Query", "Report", "SearchResult",
    "Searcher", "Term", "TrainConfig", "TrainingResult", "__version__", "build_index", "errors", "evaluate", "explain",
    "load_model", "open_index", "train",
]  # fmt: skip
__version__ = "0.1.0"

AnyPath: TypeAlias = str | PathLike[str]
Model: TypeAlias = "Encoder | AnyPath"
_HOMES = {  # of what is defined elsewhere
    "errors": ("errors",),
    "evaluation.retrieval": ("Report",),
    "index": ("BuildReport", "Progress"),
    "inference.base": ("Encoder",),
    "inference.explain": ("Explanation",),
    "search.query": ("Box", "Indexed", "Query", "Term"),
    "search.searcher": ("Hit", "SearchResult", "Searcher"),
    "training.config": ("TrainConfig",),
    "training.run": ("TrainingResult",),
}


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            module = import_module(f"crossmodal.{home}")
            return module if home == name else getattr(module, name)
    raise AttributeError(f"module 'crossmodal' has no attribute {name!r}")


def load_model(model: AnyPath = "starter", runtime: str = "auto") -> Encoder:
    """Open a checkpoint, which encodes pictures and sentences; no network is touched.

    model: its folder, or the name of one that lies in model-checkpoints.
    runtime: "torch", "onnx-fp32", "openvino-bf16" or "onnx-int8"; "auto" takes the best that is present.

    Raises CheckpointError if there is none or it cannot be loaded; NotIndexableError if it judges pairs and gives no
    vectors; InputError for a runtime that is unknown or absent.

    >>> model = load_model("starter")
    >>> model.encode_texts(["a red boat", "two dogs"]).shape
    (2, 1024)
    """
    from crossmodal.inference.encoder import open_encoder

    return open_encoder(_folder(model), runtime)


def build_index(
    images: AnyPath,
    captions: AnyPath | None = None,
    model: Model = "starter",
    out: AnyPath | None = None,
    *,
    progress: Callable[[Progress], None] | None = None,
    prune: bool = False,
) -> BuildReport:
    """Make a folder of pictures searchable. Run it again when something has changed: only that is embedded.

    images: the folder. captions: their captions in any known format; without them words still find pictures.
    model: what `load_model` gave or takes.
    out: folder of the index, indexes/NAME_OF_THE_IMAGES_FOLDER unless given.
    progress: told how far it is.
    prune: let go of pictures that can no longer be found, however many.

    Raises DataError, CaptionsError and InputError for what cannot be read; IndexStoreError if `out` is something else
    or busy; MissingPicturesError if many pictures are gone, unless prune.

    >>> report = build_index("photos", captions="captions.csv", out="indexes/photos")
    >>> report.indexed, report.captions
    (4, 20)
    """
    from crossmodal.index import build_index as build
    from crossmodal.index.claim import default_index

    folder = Path(images)
    index = default_index(folder) if out is None else Path(out)
    return build(folder, None if captions is None else Path(captions), _encoder(model), index, progress, prune=prune)


def open_index(index: AnyPath, model: Model | None = None) -> Searcher:
    """Open an index to search it, with the checkpoint it was built with.

    model: that checkpoint, where the index does not find it itself.

    Raises IndexStoreError if there is no usable index; CheckpointError if the checkpoint is not found;
    IndexMismatchError if it is another one than the index was built with.

    >>> result = open_index("indexes/photos").search("a red car", k=3)
    >>> len(result), result.total, result.hits[0].rank
    (3, 4, 1)
    """
    from crossmodal.index import open_index as opened
    from crossmodal.search.searcher import Searcher, open_searcher

    if model is None or isinstance(model, str | PathLike):
        return open_searcher(Path(index), None if model is None else _folder(model))
    return Searcher(opened(Path(index)), model)


def train(config: TrainConfig, say: Callable[[str], None] = print) -> TrainingResult:
    """Train a recipe to its end, saving as it goes, and judge the best checkpoint.

    say: told a line an epoch.

    Raises InputError for what cannot be trained, DataError for data that cannot be read, TrainingError for a folder
    that holds another run or a loss that is no longer finite.

    >>> run = train(TrainConfig(recipe="scenes", smoke=True, out="runs/smoke"), say=lambda line: None)
    >>> run.best.as_posix(), sorted(run.reports)
    ('runs/smoke/best', ['scenes val'])
    """
    from crossmodal.training.run import train as trained

    return trained(config, say)


def evaluate(model: Model, images: AnyPath, captions: AnyPath, split: AnyPath | None = None) -> Report:
    """Recall both ways on captioned pictures, with protocol and bootstrap intervals.

    split: a list of the pictures to use, all with captions unless given.

    Raises DataError, CaptionsError and InputError for what cannot be read or judged.

    >>> report = evaluate("starter", "photos", "captions.csv")
    >>> report.protocol["pictures"], 0 <= report.rsum <= 600
    (4, True)
    """
    from crossmodal.datasets.records import load_pairs
    from crossmodal.datasets.splits import listed_records
    from crossmodal.evaluation.retrieval import embed_records
    from crossmodal.evaluation.retrieval import evaluate as judged

    encoder = _encoder(model)
    pairs = load_pairs(Path(images), Path(captions))
    chosen = None if split is None else Path(split)
    records = listed_records(pairs.records, chosen)
    name = "all pictures with captions" if chosen is None else chosen.name
    about = {"checkpoint": f"{encoder.name} {encoder.fingerprint[:12]}"}
    return judged(embed_records(encoder, pairs.root, records), records, name, **about)


def explain(model: Model, image: Image | AnyPath, text: str) -> Explanation:
    """Which words and which places make up the cosine of a picture and a sentence.

    Raises ImageError if the picture cannot be decoded, InputError for a sentence without words.

    >>> why = explain("starter", "photos/scene-test-00001.jpg", "a red car")
    >>> why.exact and bool(abs(why.matrix.sum() + why.bias - why.score) < 1e-5)
    True
    """
    from crossmodal.images.decode import load_image
    from crossmodal.inference.explain import explain as explained

    picture = load_image(Path(image)) if isinstance(image, str | PathLike) else image
    return explained(_encoder(model), picture, text)


def _encoder(model: Model) -> Encoder:
    return load_model(model) if isinstance(model, str | PathLike) else model


def _folder(model: AnyPath) -> Path:
    """Where a checkpoint lies. Raises CheckpointError, naming those there are, for a name that is none."""
    from crossmodal._files import CHECKPOINTS
    from crossmodal.errors import CheckpointError

    path = Path(model)
    named = CHECKPOINTS / path
    if path.is_dir() or not named.is_dir():
        if not path.exists() and len(path.parts) == 1:
            there = ", ".join(sorted(folder.name for folder in CHECKPOINTS.glob("*/") if folder.is_dir())) or "none"
            raise CheckpointError(f"no checkpoint is called {str(model)!r}: give a folder, or a name of {there}")
        return path
    return named
