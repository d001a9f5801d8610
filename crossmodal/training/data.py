"""What a recipe is trained and judged on: photos, generated scenes or labelled pictures, decoded, by split.

Shapes: N pictures, S side in pixels.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from crossmodal.datasets.drawn_digits import drawn_digits
from crossmodal.datasets.labelled.pictures import LabelledPictures, labelled_set, load_labelled
from crossmodal.datasets.pixels import decode_pictures
from crossmodal.datasets.records import Record, load_pairs
from crossmodal.datasets.sources import Marked, Source, Words
from crossmodal.datasets.spellings import WITHHELD, WRITTEN_FORMS
from crossmodal.datasets.splits import split_records
from crossmodal.errors import InputError
from crossmodal.evaluation.retrieval import split_hash
from crossmodal.gallery.feedback.training_marks import TrainingMarks
from crossmodal.images.transforms import ImageTransform
from crossmodal.models.tokenizer import TextTokenizer
from crossmodal.progress import Bar
from crossmodal.recipes import Recipe
from crossmodal.recipes.base import SMOKE_DIGITS
from crossmodal.scenes.scene import write_scenes

SCENE_VALIDATION = 200
LABELLED_VALIDATION = 12  # every so many-th training picture is kept for validation
DRAWN_DIGITS = "drawn_digits"
Captions = tuple[tuple[Sequence[int], ...], ...]


@dataclass(frozen=True)
class SplitPictures:
    """One split of one origin, decoded.

    name: of the origin: "photos", "scenes" or a labelled set's name.
    pixels: uint8 (N, 3, S, S).
    records: N names and captions of pictures; of labelled ones none.
    labels: int64 (N,) of labelled ones, else None.
    words: (text, label, withheld) of all that labels are called.
    mirror: whether a mirrored picture is still what its words say: "left of" would be untrue of a scene, and a digit is
        none.
    marked: (query, rows of liked pictures, rows of disliked ones).
    """

    name: str
    pixels: NDArray[np.uint8]
    records: tuple[Record, ...] = ()
    labels: NDArray[np.int64] | None = None
    words: tuple[tuple[str, int, bool], ...] = ()
    mirror: bool = True
    marked: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...] = ()

    @property
    def texts(self) -> list[str]:
        """Every caption or word that may be trained on."""
        captions = [text for record in self.records for text in record.captions]
        return captions + [text for text, _, withheld in self.words if not withheld]

    @property
    def hash(self) -> str:
        """Names the exact pictures with their captions or labels."""
        if self.labels is None:
            return split_hash(self.records)
        return split_hash([Record(str(row), (str(label),)) for row, label in enumerate(self.labels)])

    def source(self, tokenizer: TextTokenizer, scene_share: float = 1.0, balanced: bool = False) -> Source:
        """These pictures with captions as token ids. scene_share: of generated scenes, the share drawn in an epoch."""
        if self.labels is None:
            captions: Captions = tuple(tuple(tokenizer.ids(record.captions)) for record in self.records)
            share = scene_share if self.name == "scenes" else 1.0
            ids = tokenizer.ids([text for text, _, _ in self.marked])
            marked = tuple(Marked(own, *rows) for own, (_, *rows) in zip(ids, self.marked, strict=True))
            return Source(self.name, self.pixels, captions, self.mirror, share, marked=marked)
        texts, owners, withheld = zip(*self.words, strict=True)
        words = Words(texts, tuple(tokenizer.ids(texts)), np.array(owners, np.int64), np.array(withheld, np.bool_))
        of_label = {int(label): words.of_label(int(label)) for label in np.unique(self.labels)}
        captions = tuple(of_label[int(label)] for label in self.labels)
        return Source(self.name, self.pixels, captions, self.mirror, labels=self.labels, words=words, balanced=balanced)


@dataclass(frozen=True)
class DataPaths:
    """Where a training's data lie; each is needed only by the recipes that read it.

    images: folder of photos.
    captions: their captions, in any format `validate` can read.
    splits: folder with lists of pictures.
    feedback: an index with marks, or an exported file of them.
    root: folder of labelled pictures.
    """

    images: Path | None = None
    captions: Path | None = None
    splits: Path | None = None
    feedback: Path | None = None
    root: Path | None = None


def read_splits(
    recipe: Recipe,
    paths: DataPaths,
    cache: Path,
    seed: int = 0,
    interpolation: str = "bicubic",
    download: bool = False,
    mirror: bool = False,
) -> dict[str, list[SplitPictures]]:
    """Decoded pictures for "train", "val" and "test", photos before scenes.

    cache: folder that decoded pictures and generated scenes are kept in.
    seed: of the split, where no lists say it.
    interpolation: as in `ImageTransform`.
    download, mirror: of labelled pictures, as `labelled_split` takes them.

    Raises InputError if the recipe needs data and none are named, DataError for files that cannot be read.
    """
    if paths.feedback is not None and (not recipe.photos or recipe.kind != "dual_encoder"):
        raise InputError(f"recipe {recipe.name} gives no vectors of captioned photos: --feedback means nothing to it")
    if recipe.labelled:
        return _labelled(recipe, paths.root, seed, download, mirror)
    decode = _Decoding(ImageTransform(size=recipe.image_size, interpolation=interpolation), cache)
    splits: dict[str, list[SplitPictures]] = {"train": [], "val": [], "test": []}
    if recipe.photos:
        for split, part in _photos(recipe.name, paths, seed, decode):
            splits[split].append(part)
    if recipe.scenes:
        for split, part in _scenes(recipe.scenes, decode):
            splits[split].append(part)
    for split in ("train", "val"):
        if not splits[split]:
            raise InputError(f"no picture with captions is in the {split} split: see --splits, or `validate`")
    return splits


@dataclass(frozen=True)
class _Decoding:
    """Decodes pictures as a transform says, once for all runs that share a cache."""

    transform: ImageTransform
    cache: Path

    def __call__(self, name: str, split: str, root: Path, records: Sequence[Record]) -> Iterator[SplitPictures]:
        """One part, of the pictures that have captions; none where no picture has."""
        captioned = tuple(record for record in records if record.captions)
        if captioned:
            with Bar(f"decoding {name}, {split}") as bar:
                decoded = decode_pictures(root, captioned, self.transform, self.cache, bar.update)
            _tell_skipped(decoded.skipped)
            yield SplitPictures(name, decoded.pixels, decoded.records, mirror=name != "scenes")


def _photos(recipe: str, paths: DataPaths, seed: int, decode: _Decoding) -> Iterator[tuple[str, SplitPictures]]:
    if paths.images is None or paths.captions is None:
        raise InputError(f"recipe {recipe} trains on photos: name them with --images DIR --captions FILE")
    pairs = load_pairs(paths.images, paths.captions)
    marks = None if paths.feedback is None else TrainingMarks(paths.feedback, paths.images)
    for split, records in split_records(pairs.records, paths.splits, seed).items():
        trained = marks if split == "train" else None
        liked = records if trained is None else trained.with_queries(records)
        for part in decode("photos", split, paths.images, liked):
            yield split, part if trained is None else replace(part, marked=trained.of(part.records))


def _scenes(count: int, decode: _Decoding) -> Iterator[tuple[str, SplitPictures]]:
    for split, number in (("train", count), ("val", min(SCENE_VALIDATION, count))):
        folder = decode.cache / f"scenes-{split}-{number}"
        with Bar(f"drawing scenes, {split}") as bar:
            captions = write_scenes(folder, number, seed=0, split=split, progress=bar.update)
        records = load_pairs(folder / "images", captions).records
        for part in decode("scenes", split, folder / "images", records):
            yield split, part


def labelled_split(
    name: str,
    root: Path | None,
    split: str,
    size: int,
    written_forms: bool,
    download: bool = False,
    mirror: bool = False,
) -> SplitPictures:
    """One split ("train" or "test") of a labelled set by name, with the words its labels go by.

    mirror: that mirrored pictures keep their labels, where the set does not say so itself.

    Raises InputError without a root, or where written forms are asked of other pictures than digits; DataError where
    the data cannot be read.
    """
    if name == DRAWN_DIGITS:
        pictures: LabelledPictures = drawn_digits(SMOKE_DIGITS, seed=0, split=split, size=size)
    elif root is None:
        raise InputError(f"the labelled pictures {name!r} need their folder: --root DIR, and --download to fetch them")
    else:
        pictures = load_labelled(name, root, split, size, download)
        mirror = mirror or labelled_set(name).mirror
    _tell_skipped(pictures.skipped)
    words = [(text, label, False) for label, text in enumerate(pictures.label_names)]
    if written_forms:
        if pictures.label_names != tuple("0123456789"):
            raise InputError(f"written forms are of the digits 0 to 9; {name} holds {', '.join(pictures.label_names)}")
        words = [(form, digit, form == WITHHELD[digit]) for digit, forms in WRITTEN_FORMS.items() for form in forms]
    return SplitPictures(name, pictures.pixels, labels=pictures.labels, words=tuple(words), mirror=mirror)


def _labelled(
    recipe: Recipe, root: Path | None, seed: int, download: bool, mirror: bool
) -> dict[str, list[SplitPictures]]:
    """The set's own test split, and every twelfth of its training pictures, drawn by the seed, to validate on."""
    arguments = (recipe.image_size, recipe.written_forms, download, mirror)
    everything = labelled_split(recipe.labelled, root, "train", *arguments)
    test = labelled_split(recipe.labelled, root, "test", *arguments)
    labels = everything.labels
    if labels is None:
        raise InputError(f"{recipe.labelled} has no labels")
    drawn = np.random.default_rng(seed).permutation(len(labels))
    kept = max(1, len(labels) // LABELLED_VALIDATION)
    rows = {"val": np.sort(drawn[:kept]), "train": np.sort(drawn[kept:])}
    parts = {
        split: replace(everything, pixels=everything.pixels[chosen], labels=labels[chosen])
        for split, chosen in rows.items()
    }
    return {"train": [parts["train"]], "val": [parts["val"]], "test": [test]}


def _tell_skipped(skipped: Sequence[tuple[str, str]]) -> None:
    for picture, reason in skipped:
        print(f"skipped {picture}: {reason}", file=sys.stderr)
