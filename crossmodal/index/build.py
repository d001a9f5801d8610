"""Checkpoint + pictures + captions → index directory, in four steps: scan, plan, embed, publish.

    scan      the folder's files and the captions, as they are now, into building/scanned.sqlite
    plan      which files are new, changed or gone beside the former index (crossmodal.index.plan)
    embed     what has no vector yet, unit by unit, into the journal (crossmodal.index.embed, …journal)
    publish   the next generation beside the former one, then the manifest in one step (crossmodal.index.store)

A build that is killed leaves the former index whole, and the next call goes on from the journal.

Shapes: D embedding.
"""

from __future__ import annotations

import json
import os
import time
from collections import ChainMap
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from crossmodal._files import hash_file
from crossmodal._memory import give_back_memory, sparing_memory
from crossmodal.datasets.records import Pairs, load_pairs
from crossmodal.errors import IndexStoreError, InputError
from crossmodal.index.calibration.examples import calibrate
from crossmodal.index.calibration.relevance import Relevance
from crossmodal.index.catalogue.rows import (
    CATALOGUE,
    Caption,
    Catalogue,
    Picture,
    Skipped,
    read_catalogue,
    write_catalogue,
)
from crossmodal.index.claim import LOCK, check_root, claim_folder, remember_root
from crossmodal.index.departures import check_departures, surely_gone
from crossmodal.index.embed import CAPTIONS_PER_UNIT, embed_captions, embed_pictures
from crossmodal.index.journal import Journal, remove_journal
from crossmodal.index.manifest import BUILDING, MANIFEST, SCHEMA, Manifest, difference, write_manifest
from crossmodal.index.plan import Changes, Plan, Row, caption_order, changes_between, plan_pictures, rows_of
from crossmodal.index.report import BuildReport, Note, Progress
from crossmodal.index.scan import Chosen, Scan, paths_of, scan
from crossmodal.index.store import Index, open_index, remove_old_generations, write_generation
from crossmodal.index.vectors import vectors_by_key
from crossmodal.inference.base import Encoder, Vectors

__all__ = ["build_index"]

Given = tuple[Mapping[str, Vectors], Mapping[str, Vectors]]


def build_index(
    images: Path,
    captions: Path | None,
    encoder: Encoder,
    index: Path,
    progress: Callable[[Progress], None] | None = None,
    batch_size: int = 32,
    given: Given = ({}, {}),
    prune: bool = False,
) -> BuildReport:
    """Make the index directory answer for the pictures and captions as they are now.

    Only what is new or changed is embedded: a file is looked into when its size or time differs, and keeps its vector
    when its bytes are known, under whatever name. An index of another checkpoint is rebuilt. The former index
    stays usable until the new one is published in one step; a killed build is resumed by the next call. A picture that
    is there but cannot be read now keeps what the former index has.

    images: the pictures' folder.
    captions: a captions file, or a folder of same-named .txt files; None for pictures alone.
    encoder: what embeds.
    index: the index directory, made where it is absent.
    progress: told how far the build is.
    batch_size: pictures of a unit, which are encoded at once; at least 1.
    given: vectors (D,) of this encoder that are known already: of pictures by the SHA-256 of their bytes, of captions
        by their text.
    prune: let go of pictures that are no longer there, however many; without it, many at once or a whole folder are
        taken for a disk that is missing.

    Raises InputError, DataError or CaptionsError as `load_pairs` does; InputError if batch_size < 1; IndexStoreError
    if index is something else than an index, one of other pictures, another build holds it, or the disk refuses;
    MissingPicturesError if many pictures are gone, unless prune; CheckpointError if the encoder gives no usable
    vectors.
    """
    started = time.monotonic()
    if batch_size < 1:
        raise InputError(f"batch_size must be at least 1, not {batch_size}")
    try:
        pairs = load_pairs(images, captions)
        build = _Build(pairs, captions, encoder, index, progress or (lambda _: None), given, prune)
        del pairs  # it is let go once it is scanned
        claim_folder(index, build.root)
        with _locked(index):
            return build.run(started, batch_size)
    except OSError as error:
        raise IndexStoreError(f"cannot build {index}: {error}; the former index is untouched, run again") from error


@contextmanager
def _locked(index: Path) -> Iterator[None]:
    from filelock import FileLock, Timeout

    try:
        with FileLock(index / LOCK, timeout=0):
            yield
    except Timeout:
        raise IndexStoreError(f"another build is writing {index}: wait for its end, or give another --index") from None


class _Build:
    """One run of `build_index`. Each of its steps is named after what it leaves.

    former: the index that stands there, opened by `run`.
    reusable: the former index where its vectors may be used again.
    embedded: pictures that needed a vector, of this run or of one that was killed.
    """

    def __init__(
        self,
        pairs: Pairs,
        captions: Path | None,
        encoder: Encoder,
        index: Path,
        progress: Callable[[Progress], None],
        given: Given,
        prune: bool,
    ) -> None:
        self.captions, self.encoder, self.index, self.prune = captions, encoder, index, prune
        self.progress, self.given = progress, given
        self.pairs: Pairs | None = pairs
        self.root = pairs.root.resolve()
        self.format, self.missing, self.problems = pairs.format, len(pairs.missing), pairs.problems
        self.folder = index.absolute() / BUILDING  # the working folder may change while another thread builds
        self.notes: list[Note] = []
        self.former: Index | None = None
        self.reusable: Index | None = None
        self.embedded = 0

    def run(self, started: float, batch_size: int) -> BuildReport:
        """Scan, plan, embed what is new, publish if anything differs, and tidy up."""
        self.former = self._former()
        with closing(self._scanned()) as scanned:
            self.reusable = self._reusable()
            plan = self._plan(scanned)
            with closing(self._journal()) as journal:
                pictures = self._embed_pictures(scanned, plan, journal, batch_size)
                catalogue = self._catalogue(scanned, plan, journal)
                changes = self._changes(catalogue)
                captions = self._embed_captions(catalogue, journal)
                generation = self._publish(catalogue, journal, pictures, captions)
        with suppress(OSError):  # where an open file cannot be removed, the next build does
            (self.folder / CATALOGUE).unlink(missing_ok=True)
        remove_journal(self.folder)
        remove_old_generations(self.index, keep=generation)
        return self._report(catalogue, changes, time.monotonic() - started)

    def _former(self) -> Index | None:
        if not (self.index / MANIFEST).exists():
            return None
        try:
            return open_index(self.index, verify=True, of_before=True)
        except IndexStoreError as error:
            self._note("damaged", f"the former index could not be read and was rebuilt: {error}")
            return None

    def _scanned(self) -> Scan:
        """The folder and the captions as they are now; they are read from the disk from here on."""
        pairs, self.pairs = self.pairs, None
        assert pairs is not None
        check_root(self.index, self.former, self.root, paths_of(pairs))
        remember_root(self.index, self.root)
        return scan(self.root, pairs, self.folder)

    def _reusable(self) -> Index | None:
        """The former index, if its vectors may be used again."""
        if self.former is None:
            return None
        other = difference(self.former.manifest, self.encoder)
        made, now = self.former.manifest.rounding, self.encoder.rounds
        if not other and made != now:
            made, now = made or "an exact run time", now or "an exact one"
            other = f"its vectors were made by {made}, this is {now}, and an index mixes none"
        if other:
            self._note("rebuilt", f"rebuilt: {other}")
        return None if other else self.former

    def _plan(self, scanned: Scan) -> Plan:
        """What is to be read; refused where too much would leave the index, before anything is embedded."""
        former = Catalogue() if self.former is None else self.former.catalogue
        plan = plan_pictures(scanned.stamps.each(), former)
        if not self.prune:
            new = (stamp for stamp, row in zip(scanned.stamps.each(), plan.rows, strict=True) if row < 0)
            lost, present = surely_gone(plan.gone, new), (stamp.path for stamp in scanned.stamps.each())
            check_departures(lost, len(former.pictures), present, self.root, self.index)
        if self.reusable is None or self.reusable.root.resolve() != self.root:
            plan.rows[:], plan.kept[:] = -1, False
        return plan

    def _journal(self) -> Journal:
        settings = {"fingerprint": self.encoder.fingerprint, "preprocessing": self.encoder.preprocessing}
        return Journal(self.folder, {**settings, "runtime": self.encoder.rounds}, self.encoder.dimension)

    def _at_hand(self, kind: str) -> list[Mapping[str, Vectors]]:
        """Vectors of "picture"s or "caption"s that no build has to make, those of the former index first."""
        given = self.given[kind == "caption"]
        if self.reusable is None:
            return [given]
        catalogue, vectors = self.reusable.catalogue, self.reusable.image_vectors
        keys = (picture.sha256 for picture in catalogue.each_picture())
        if kind == "caption":
            keys, vectors = (caption.text for caption in catalogue.each_caption()), self.reusable.caption_vectors
        return [vectors_by_key(keys, vectors), given]

    def _embed_pictures(self, scanned: Scan, plan: Plan, journal: Journal, batch_size: int) -> Mapping[str, Vectors]:
        """Returns the vectors known before by the SHA-256 of their pictures; the others are in the journal."""
        todo = Chosen(scanned.stamps, np.flatnonzero(~plan.kept))
        about = (f"{stamp.path!r} {stamp.size} {stamp.modified_ns}\n".encode() for stamp in todo)
        journal.begin("picture", chain([f"{self.root} {batch_size}\n".encode("utf-8", "replace")], about))
        known = _either(*self._at_hand("picture"), journal.earlier("picture"))
        embed_pictures(self.root, todo, self.encoder, known, journal, batch_size, self._ticker("pictures", len(todo)))
        return known

    def _catalogue(self, scanned: Scan, plan: Plan, journal: Journal) -> Catalogue:
        """What the next generation holds, written beside the journal."""
        former = () if self.reusable is None else self.reusable.catalogue.pictures
        row_of, unread = np.full(len(scanned.stamps), -1, dtype=np.int64), list[Skipped]()
        found = rows_of(scanned.stamps.each(), plan, former, journal.outcome)
        placed = ((int(row_of[each.picture]), each.text) for each in scanned.captions.each())
        said = (Caption(row, text) for row, text in placed if row >= 0)
        write_catalogue(self.folder / CATALOGUE, self._noted(found, row_of, unread), said)
        if unread:
            count, first = len(unread), unread[0]
            self._note(
                "unread",
                f"{count:,} picture{'s' * (count > 1)} could not be read now and stay{'s' * (count == 1)} in the index "
                f"as before: {first.path}{' the first' * (count > 1)}, {first.reason}",
            )
        give_back_memory()
        return read_catalogue(self.folder / CATALOGUE)

    def _noted(
        self, rows: Iterable[Row], row_of: NDArray[np.int64], unread: list[Skipped]
    ) -> Iterator[Picture | Skipped]:
        """The rows as they are written, while it is noted where each file's is, and which could not be read now."""
        count = 0
        for place, each in enumerate(rows):
            self.embedded += each.embedded
            if isinstance(each.row, Picture):
                row_of[place], count = count, count + 1
                unread += [Skipped(each.row.stamp.path, each.unread)] if each.unread else []
            yield each.row

    def _changes(self, catalogue: Catalogue) -> Changes:
        """What differs from the former index; refused where many pictures would be lost."""
        former = Catalogue() if self.former is None else self.former.catalogue
        changes = changes_between(former, catalogue)
        if not self.prune:
            present = (picture.stamp.path for picture in catalogue.each_picture())
            check_departures(changes.lost, len(former.pictures), present, self.root, self.index)
        return changes

    def _embed_captions(self, catalogue: Catalogue, journal: Journal) -> Mapping[str, Vectors]:
        """Returns the vectors that were known before by their texts; the others are in the journal."""
        at_hand = self._at_hand("caption")
        order = caption_order((caption.text for caption in catalogue.each_caption()), _either(*at_hand))
        give_back_memory()
        todo = Chosen(catalogue.captions, order)
        journal.begin("caption", (f"{CAPTIONS_PER_UNIT} {caption.text!r}\n".encode() for caption in todo))
        known = _either(*at_hand, journal.earlier("caption"))
        tick = self._ticker("captions", len(todo), len(catalogue.skipped))
        embed_captions(todo, self.encoder, known, journal, tick)
        return known

    def _ticker(self, stage: str, total: int, skipped: int = 0) -> Callable[[int, int], None]:
        """What turns (done, skipped here) into a Progress; the rate counts only what this run did."""
        started, before = time.monotonic(), -1

        def tick(done: int, more: int) -> None:
            nonlocal before
            before = done if before < 0 else before
            rate = (done - before) / max(time.monotonic() - started, 1e-9)
            self.progress(Progress(stage, done, total, skipped + more, rate, (total - done) / rate if rate else 0.0))

        return tick

    def _publish(
        self, catalogue: Catalogue, journal: Journal, known: Mapping[str, Vectors], said: Mapping[str, Vectors]
    ) -> str:
        """Write and publish the next generation, unless the former one says the same; returns the one that counts."""
        manifest, former = self._manifest(catalogue), self.reusable
        same = former is not None and former.catalogue == catalogue and _says_the_same(former.manifest, manifest)
        relevance = former.relevance if former is not None and same else None
        if former is not None and same and not former.lacking:
            return former.manifest.generation
        skipped = len(catalogue.skipped)
        self.progress(Progress("writing", 0, 1, skipped))

        def fit(pictures: Vectors, sentences: Vectors) -> dict[str, Relevance]:
            return calibrate(catalogue, pictures, sentences, self.encoder) if relevance is None else relevance

        def tell(note: str) -> None:
            self.progress(Progress("writing", 0, 1, skipped, note=note))

        keys = (picture.sha256 for picture in catalogue.each_picture())
        texts = (caption.text for caption in catalogue.each_caption())
        self.encoder.rest()  # not where nothing is written: the next search would wait for its tower
        with sparing_memory():
            generation, files = write_generation(
                self.index,
                self.folder / CATALOGUE,
                self.encoder.dimension,
                journal.gather("picture", keys, known),
                journal.gather("caption", texts, said),
                fit,
                tell,
            )
        write_manifest(self.index, replace(manifest, generation=generation, files=files))
        self.progress(Progress("writing", 1, 1, skipped))
        return generation

    def _note(self, kind: str, text: str) -> None:
        self.notes.append(Note(kind, text))

    def _manifest(self, catalogue: Catalogue) -> Manifest:
        """The manifest of a generation that is not written yet."""
        captions: dict[str, str | None] | None = None
        if self.captions is not None:
            sha256 = hash_file(self.captions) if self.captions.is_file() else None
            captions = {"path": str(self.captions.resolve()), "sha256": sha256, "format": self.format}
        path = self.encoder.path
        return Manifest(
            schema=SCHEMA,
            created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            generation="",
            checkpoint={
                "name": self.encoder.name,
                "fingerprint": self.encoder.fingerprint,
                "path": None if path is None else str(path),
                **({"runtime": rounds} if (rounds := self.encoder.rounds) else {}),
            },
            preprocessing=json.loads(json.dumps(self.encoder.preprocessing)),
            dimension=self.encoder.dimension,
            images={"path": str(self.root), "from_index": _seen_from(self.index.resolve(), self.root)},
            captions=captions,
            counts={
                "images": len(catalogue.pictures),
                "captions": len(catalogue.captions),
                "skipped": len(catalogue.skipped),
            },
            files={},
        )

    def _report(self, catalogue: Catalogue, changes: Changes, seconds: float) -> BuildReport:
        if self.missing:
            words = f"{self.missing:,} captioned pictures are" if self.missing > 1 else "1 captioned picture is"
            self._note("missing", f"{words} not in the folder: see `python -m crossmodal validate`")
        if self.former is not None and self.former.catalogue.captions and self.captions is None:
            self._note("uncaptioned", "the former index had captions; no captions file was given, so this one has none")
        return BuildReport(
            indexed=len(catalogue.pictures),
            embedded=self.embedded,
            reused=len(catalogue.pictures) - self.embedded,
            added=changes.added,
            changed=changes.changed,
            renamed=changes.renamed,
            removed=changes.removed,
            captions=len(catalogue.captions),
            skipped=catalogue.skipped,
            seconds=seconds,
            notes=tuple(self.notes),
            problems=self.problems,
        )


def _either(*sources: Mapping[str, Vectors]) -> Mapping[str, Vectors]:
    """All of them as one, the first that holds a key counts."""
    return ChainMap(*cast(Any, sources))  # it only ever writes into the first, and nobody writes here


def _says_the_same(former: Manifest, manifest: Manifest) -> bool:
    return former == replace(manifest, created=former.created, generation=former.generation, files=former.files)


def _seen_from(index: Path, root: Path) -> str:
    try:
        return Path(os.path.relpath(root, index)).as_posix()
    except ValueError:  # on another drive
        return str(root)
