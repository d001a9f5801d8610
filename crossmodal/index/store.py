"""The index directory: open the generation that counts, or write the next one beside it.

    manifest.json            names the generation and vouches for its files
    generation-000001/       catalogue.sqlite   pictures, captions, what was skipped
                             images.npy  captions.npy   their vectors
                             words.sqlite  relevance.json
                             {images,captions,means}.{faiss,moments.npy}, each where its set is large
    building/                the journal of a build under way; gone when it is done
    .crossmodal-index        our mark, left before anything else is written
    .lock                    held while a build runs

Shapes: N pictures, M captions, D embedding.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from crossmodal._files import hash_file, sealed_hash, sync_folder
from crossmodal._memory import give_back_memory
from crossmodal.errors import IndexStoreError
from crossmodal.index.ann.files import SEARCH_FILES, SearchFiles, rows_to_fetch, write_search_files
from crossmodal.index.ann.nearest import Nearest
from crossmodal.index.calibration.background import Background
from crossmodal.index.calibration.examples import RELEVANCE, caption_means, read_relevance, write_relevance
from crossmodal.index.calibration.relevance import Relevance
from crossmodal.index.catalogue.full_text import WORDS, FullText, write_words
from crossmodal.index.catalogue.rows import CATALOGUE, Catalogue, days_of, read_catalogue
from crossmodal.index.catalogue.schema1 import read_rows
from crossmodal.index.catalogue.words import CaptionWords
from crossmodal.index.manifest import MANIFEST, SCHEMA, Manifest, build_command, read_manifest
from crossmodal.index.vectors import CAPTION_VECTORS, IMAGE_VECTORS, MeanRows, RowSource, read_vectors, write_vectors
from crossmodal.inference.base import Vectors

__all__ = ["Index", "generations", "open_index", "remove_old_generations", "write_generation"]

GENERATION = "generation-"
FILES = {CATALOGUE, IMAGE_VECTORS, CAPTION_VECTORS, WORDS, RELEVANCE}  # of every generation; a large one has more


class Index:
    """An opened index; it stays readable while a build replaces it on the disk.

    path: its folder.
    manifest: what it was built from.
    catalogue: its pictures (N) and captions (M).
    image_vectors: (N, D), row i for catalogue.pictures[i].
    caption_vectors: (M, D), row i for catalogue.captions[i].
    relevance: how to turn cosines into probabilities, by direction, where they could be fitted.
    """

    def __init__(
        self,
        path: Path,
        manifest: Manifest,
        catalogue: Catalogue,
        images: Vectors,
        captions: Vectors,
        relevance: dict[str, Relevance] | None = None,
    ) -> None:
        self.path = path
        self.manifest = manifest
        self.catalogue = catalogue
        self.image_vectors = images
        self.caption_vectors = captions
        self.relevance = relevance or {}

    @property
    def root(self) -> Path:
        """The folder that the catalogue's paths start from."""
        return self.manifest.root(self.path)

    @cached_property
    def row_of(self) -> dict[str, int]:
        """Picture path -> row."""
        return {picture.stamp.path: row for row, picture in enumerate(self.catalogue.pictures)}

    @cached_property
    def caption_rows(self) -> NDArray[np.int64]:
        """(N + 1,): the captions of picture i are the rows caption_rows[i] up to caption_rows[i + 1]."""
        return self.catalogue.spans()

    @cached_property
    def caption_means(self) -> Vectors:
        """(N, D): the mean of each picture's caption vectors, 0 where there is none."""
        return caption_means(self.caption_vectors, self._owners, len(self.catalogue.pictures))

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        """(N, 2): width and height of each picture in pixels, 0 where unknown."""
        sizes = [(picture.facts.width, picture.facts.height) for picture in self.catalogue.each_picture()]
        return np.array(sizes, dtype=np.int64).reshape(-1, 2)

    @cached_property
    def days(self) -> NDArray[np.datetime64]:
        """(N,): the day each picture was taken by its camera's clock, else its file last changed; NaT where neither."""
        return days_of(self.catalogue.each_picture())

    @cached_property
    def _caption_words(self) -> CaptionWords:
        return CaptionWords(caption.text for caption in self.catalogue.captions)

    def captioned_with(self, words: str) -> NDArray[np.bool_]:
        """(N,): which pictures have one caption in which each of the words begins a word."""
        mask = np.zeros(len(self.catalogue.pictures), dtype=np.bool_)
        mask[self._owners[self._caption_words.holding(words)]] = True
        return mask

    @cached_property
    def full_text(self) -> FullText:
        """What finds pictures by words in their captions and names."""
        return FullText(self.path / self.manifest.generation / WORDS, self.catalogue)

    @cached_property
    def _owners(self) -> NDArray[np.int64]:
        return self.catalogue.owners()

    @property
    def lacking(self) -> set[str]:
        """Files for searching quickly that an index of this size should have and this one has not, or not readable."""
        return self._stored.lacking

    @cached_property
    def mean_rows(self) -> MeanRows:
        """The mean of each captioned picture's caption vectors, as rows that can be searched."""
        return MeanRows(self._rows(self.caption_vectors, CAPTION_VECTORS), self.caption_rows)

    @cached_property
    def nearest_images(self) -> Nearest:
        """Search among pictures."""
        return Nearest(self._rows(self.image_vectors, IMAGE_VECTORS), self._stored.proposer("images"))

    @cached_property
    def nearest_captions(self) -> Nearest:
        """Search among captions."""
        return Nearest(self._rows(self.caption_vectors, CAPTION_VECTORS), self._stored.proposer("captions"))

    @cached_property
    def nearest_means(self) -> Nearest:
        """Search among captioned pictures by their captions' mean; its rows are those of mean_rows."""
        return Nearest(self.mean_rows, self._stored.proposer("means"), unit=False)

    @cached_property
    def image_background(self) -> Background:
        """What a query for pictures is judged beside."""
        return Background(self.image_vectors, self.nearest_images, self._stored.moments("images"))

    @cached_property
    def caption_background(self) -> Background:
        """What a query for captions is judged beside."""
        return Background(self.caption_vectors, self.nearest_captions, self._stored.moments("captions"))

    @cached_property
    def mean_background(self) -> Background:
        """What a query is judged beside among captioned pictures; those without captions count as its mean."""
        absent = len(self.catalogue.pictures) - len(self.mean_rows.pictures)
        return Background(self.mean_rows, self.nearest_means, self._stored.moments("means"), absent)

    @cached_property
    def _stored(self) -> SearchFiles:
        return SearchFiles(self.path / self.manifest.generation, self._sets, set(self.manifest.files))

    def _rows(self, vectors: Vectors, name: str) -> RowSource:
        return rows_to_fetch(vectors, self.path / self.manifest.generation / name)

    @property
    def _sets(self) -> dict[str, RowSource]:
        return {"images": self.image_vectors, "captions": self.caption_vectors, "means": self.mean_rows}


def open_index(path: Path | str, verify: bool = False, of_before: bool = False) -> Index:
    """Open an index directory and check every file against its manifest.

    verify: read every byte again, also of files that are untouched since they were last read; see `crossmodal._files`.
    of_before: open one of an earlier version, too, as far as a build needs it to take it over.

    Raises IndexStoreError if there is none or a file is missing, cut short or altered.
    """
    path = Path(path)
    manifest = read_manifest(path, of_before)
    while True:
        try:
            return _open(path, manifest, hash_file if verify else sealed_hash)
        except IndexStoreError as error:
            published = read_manifest(path, of_before)
            if published == manifest:
                raise IndexStoreError(f"{error}: run `{build_command(manifest, path)}` to build it again") from error
            manifest = published  # a build was published while we read


def _open(path: Path, manifest: Manifest, hashed: Callable[[Path], str]) -> Index:
    folder = path / manifest.generation
    current = manifest.schema == SCHEMA
    if folder.parent != path or (current and set(manifest.files) - SEARCH_FILES != FILES):
        raise IndexStoreError(f"{path / MANIFEST} names other files than an index has")
    for name, about in manifest.files.items():
        file = folder / name
        if not file.is_file():
            raise IndexStoreError(f"{file} is missing")
        try:
            size, digest = file.stat().st_size, hashed(file)
        except OSError as error:  # perhaps removed just now, by a build that has published the next generation
            raise IndexStoreError(f"{file} cannot be read: {error}") from error
        if size != about["bytes"]:
            raise IndexStoreError(f"{file} has {size:,} bytes, not {about['bytes']:,}")
        if digest != about["sha256"]:
            raise IndexStoreError(f"{file} was altered (its SHA-256 is not the manifest's)")
    catalogue = read_catalogue(folder / CATALOGUE) if current else read_rows(folder)
    images = read_vectors(folder / IMAGE_VECTORS, len(catalogue.pictures), manifest.dimension)
    captions = read_vectors(folder / CAPTION_VECTORS, len(catalogue.captions), manifest.dimension)
    return Index(path, manifest, catalogue, images, captions, read_relevance(folder / RELEVANCE) if current else None)


def write_generation(
    path: Path,
    written: Path,
    dimension: int,
    images: Iterable[Vectors],
    captions: Iterable[Vectors],
    calibrate: Callable[[Vectors, Vectors], dict[str, Relevance]],
    tell: Callable[[str], None] = lambda _: None,
) -> tuple[str, dict[str, dict[str, int | str]]]:
    """Write a generation folder to the disk, without publishing it; returns its name and the facts on its files.

    path: the index directory.
    written: the catalogue's file, which is copied into the folder.
    dimension: D.
    images: blocks (n, D) in the order of the catalogue.
    captions: blocks (n, D) in the order of the catalogue.
    calibrate: makes probabilities of all their vectors (N, D) and (M, D).
    tell: gets a sentence on each search structure beforehand.
    """
    last = max((old.name for old in generations(path)), default=f"{GENERATION}0")
    folder = path / f"{GENERATION}{int(last.removeprefix(GENERATION)) + 1:06d}"
    folder.mkdir()
    shutil.copyfile(written, folder / CATALOGUE)
    catalogue = read_catalogue(folder / CATALOGUE)
    write_words(folder / WORDS, catalogue)
    write_vectors(folder / IMAGE_VECTORS, images, len(catalogue.pictures), dimension)
    write_vectors(folder / CAPTION_VECTORS, captions, len(catalogue.captions), dimension)
    give_back_memory()
    vectors = (
        read_vectors(folder / IMAGE_VECTORS, len(catalogue.pictures), dimension),
        read_vectors(folder / CAPTION_VECTORS, len(catalogue.captions), dimension),
    )
    means = MeanRows(vectors[1], catalogue.spans())
    sets: dict[str, RowSource] = {"images": vectors[0], "captions": vectors[1], "means": means}
    searching = write_search_files(folder, sets, tell)
    give_back_memory()
    write_relevance(folder / RELEVANCE, calibrate(*vectors))  # last, as it may wake the text tower
    files: dict[str, dict[str, int | str]] = {}
    for name in sorted({*FILES, *searching}):
        with open(folder / name, "rb+") as file:
            os.fsync(file.fileno())
        files[name] = {"bytes": (folder / name).stat().st_size, "sha256": hash_file(folder / name)}
    sync_folder(folder)
    sync_folder(path)
    return folder.name, files


def generations(path: Path) -> list[Path]:
    """The generation folders of an index, which have numbers of six digits; other folders are not ours."""
    found = path.glob(f"{GENERATION}{'[0-9]' * 6}")
    return sorted(folder for folder in found if folder.is_dir())


def remove_old_generations(path: Path, keep: str) -> None:
    """Remove every generation but one; what the system will not let go yet is left for the next build."""
    for folder in generations(path):
        if folder.name != keep:
            shutil.rmtree(folder, ignore_errors=True)
