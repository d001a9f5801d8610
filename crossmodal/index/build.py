"""Checkpoint + pictures + captions → index directory; incremental, resumable, published in one step."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from itertools import compress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from crossmodal._memory import give_back_memory, sparing_memory
from crossmodal.datasets.records import Pairs, load_pairs
from crossmodal.errors import IndexMismatchError, IndexStoreError, InputError
from crossmodal.index.assembly import Assembly, Changes, Matches, assemble, changes_between, match_rows
from crossmodal.index.calibrate import calibrate
from crossmodal.index.caption_plan import CaptionPlan, plan_captions
from crossmodal.index.catalogue import Caption, Catalogue, Skipped, Stamp, caption_lines, scan, stamp_lines
from crossmodal.index.claim import LOCK, check_root, claim_folder, remember_root
from crossmodal.index.departures import check_departures, surely_gone
from crossmodal.index.embed import CAPTIONS_PER_UNIT, embed_captions, embed_pictures
from crossmodal.index.embedder import Embedder, Vectors, rest, rounding
from crossmodal.index.facts import UNKNOWN, Facts, add_unread
from crossmodal.index.manifest import BUILDING, MANIFEST, SCHEMA, Manifest, check_encoder, hash_file, write_manifest
from crossmodal.index.relevance import Relevance
from crossmodal.index.rows import Rows
from crossmodal.index.shelf import Shelf, remove_journals
from crossmodal.index.store import Index, open_index, remove_old_generations, write_generation
from crossmodal.index.vectors import vectors_by_key

__all__ = ["BuildReport", "Progress", "build_index"]

Given = tuple[Mapping[str, Vectors], Mapping[str, Vectors]]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a build is. stage: "pictures", "captions" or "writing". rate: items a second, 0 while unknown.

    note: while writing, what is built next for searching, and the memory and time it is expected to take.
    """

    stage: str
    done: int
    total: int
    skipped: int = 0
    rate: float = 0.0
    seconds_left: float = 0.0
    note: str = ""


@dataclass(frozen=True)
class BuildReport:
    """What a build did.

    indexed: pictures in the index now; of them embedded had to be encoded, reused had a vector already. added,
    changed, renamed, removed: pictures, compared with the former index. captions: in the index now. skipped: pictures
    left out. notes: what else a person should know, one sentence each. problems: what was wrong with the captions file,
    quoted, so only for those who may read it. seconds: wall clock of this run.
    """

    indexed: int
    reused: int
    added: int
    changed: int
    removed: int
    captions: int
    skipped: tuple[Skipped, ...]
    seconds: float
    renamed: int = 0
    embedded: int = 0
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def build_index(
    images: Path,
    captions: Path | None,
    encoder: Embedder,
    index: Path,
    progress: Callable[[Progress], None] | None = None,
    batch_size: int = 32,
    given: Given = ({}, {}),
    prune: bool = False,
) -> BuildReport:
    """Make the index directory answer for the pictures and captions as they are now.

    Only what is new or changed is embedded: a file is looked into when its size or time differs, and keeps its vector
    when its bytes are known, under whatever name. An index of another checkpoint is rebuilt. The former index
    stays usable until the new one is published in one step; a killed build is resumed by the next call. given: vectors
    (D,) of this encoder that are known already: of pictures by the SHA-256 of their bytes, of captions by their text.
    prune: let go of pictures that are no longer there, however many; without it, many at once or a whole folder are
    taken for a disk that is missing. A picture that is there but cannot be read now keeps what the former index has.

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
    """One run of `build_index`.

    former: the index that stands there, reusable: the same where its vectors may be used again; both from `run` on.
    changes: beside the former index, once every picture was looked at.
    """

    def __init__(
        self,
        pairs: Pairs,
        captions: Path | None,
        encoder: Embedder,
        index: Path,
        progress: Callable[[Progress], None],
        given: Given,
        prune: bool,
    ) -> None:
        self.captions = captions
        self.encoder = encoder
        self.index = index
        self.progress = progress
        self.given = given
        self.prune = prune
        self.root = pairs.root.resolve()
        self.format, self.missing, self.problems = pairs.format, pairs.missing, pairs.problems
        texts = {record.image: record.captions for record in pairs.records if record.captions}
        self.paths = sorted({*(record.image for record in pairs.records), *pairs.uncaptioned})
        said = (Caption(place, text) for place, path in enumerate(self.paths) for text in texts.get(path, ()))
        self.texts = caption_lines().pack(said)
        self.notes: list[str] = []
        self.former: Index | None = None
        self.reusable: Index | None = None
        self.changes = Changes(0, 0, 0, 0)

    def _open_former(self) -> Index | None:
        if not (self.index / MANIFEST).exists():
            return None
        try:
            return open_index(self.index, verify=True)
        except IndexStoreError as error:
            self.notes.append(f"the former index could not be read and was rebuilt: {error}")
            return None

    def _fits(self, former: Index | None) -> bool:
        """Whether the vectors of the former index may be used again."""
        if former is None:
            return False
        try:
            check_encoder(former.manifest, self.encoder, self.index)
        except IndexMismatchError as error:
            self.notes.append(f"rebuilt: {str(error).split(': run ')[0]}")
            return False
        if former.manifest.rounding != rounding(self.encoder):
            made, now = former.manifest.rounding or "an exact run time", rounding(self.encoder) or "an exact one"
            self.notes.append(f"rebuilt: its vectors were made by {made}, this is {now}, and an index mixes none")
            return False
        return True

    def run(self, started: float, batch_size: int) -> BuildReport:
        """Embed what is new, publish if anything differs, and tidy up."""
        self.former = self._open_former()
        check_root(self.index, self.former, self.root, self.paths)
        remember_root(self.index, self.root)
        self.reusable = self.former if self._fits(self.former) else None
        stamps = scan(self.root, self.paths)
        self.paths.clear()
        give_back_memory()
        matches = match_rows(stamps, self._former_catalogue())
        self._refuse_if_gone(stamps, matches)
        before, kept = self._kept(matches)
        plan = stamps if (kept < 0).all() else stamp_lines().pack(compress(stamps.each(), kept < 0))
        with closing(self._picture_shelf(plan, batch_size)) as images:
            tick = self._ticker("pictures", len(plan))
            embed_pictures(self.root, plan, self.encoder, images.known, images.journal, batch_size, tick)
            rows = assemble(stamps, kept, images.journal.outcomes(), self.reusable, self.texts, before)
            del stamps, plan
            self._compare(rows)
            self.texts = caption_lines().rows()
            give_back_memory()
            rows = replace(rows, facts=self._facts(rows))
            at_hand = self._captions_at_hand()
            said = plan_captions(rows.catalogue, at_hand)
            give_back_memory()
            about = json.dumps([CAPTIONS_PER_UNIT]).encode()
            shelf = Shelf(self.index / BUILDING, "captions", (about, said.texts.data), self.encoder, at_hand)
            with closing(shelf) as captions:
                tick = self._ticker("captions", len(said.texts), len(rows.catalogue.skipped))
                embed_captions(said.texts, self.encoder, captions.known, captions.journal, tick)
                generation = self._publish(rows, images, captions, said)
        remove_journals(self.index / BUILDING)
        remove_old_generations(self.index, keep=generation)
        return self._report(rows, time.monotonic() - started)

    def _former_catalogue(self) -> Catalogue:
        return Catalogue() if self.former is None else self.former.catalogue

    def _refuse_if_gone(self, stamps: Rows[Stamp], matches: Matches) -> None:
        """Before anything is embedded, refuse what would be refused in the end: see `check_departures`."""
        if self.prune:
            return
        new = (stamp for stamp, row in zip(stamps.each(), matches.rows, strict=True) if row < 0)
        lost, present = surely_gone(matches.gone, new), (stamp.path for stamp in stamps.each())
        check_departures(lost, len(self._former_catalogue().pictures), present, self.root, self.index)

    def _compare(self, rows: Assembly) -> None:
        """Note what is different from the former index, and refuse to lose many pictures."""
        former = self._former_catalogue()
        self.changes = changes_between(former, rows.catalogue)
        if not self.prune:
            present = (picture.stamp.path for picture in rows.catalogue.each_picture())
            check_departures(self.changes.lost, len(former.pictures), present, self.root, self.index)
        if rows.unread:
            count, first = len(rows.unread), rows.unread[0]
            self.notes.append(
                f"{count:,} picture{'s' * (count > 1)} could not be read now and stay{'s' * (count == 1)} in the index "
                f"as before: {first.path}{' the first' * (count > 1)}, {first.reason}"
            )

    def _kept(self, matches: Matches) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The reusable row of each path, and of each file that looks untouched; none where the folder is another."""
        if self.reusable is None or self.reusable.root.resolve() != self.root:
            matches.rows[:] = -1
        return matches.rows, np.where(matches.untouched, matches.rows, -1)

    def _picture_shelf(self, plan: Rows[Stamp], batch_size: int) -> Shelf:
        known = [self.given[0]]
        if self.reusable is not None:
            keys = (picture.sha256 for picture in self.reusable.catalogue.each_picture())
            known.insert(0, vectors_by_key(keys, self.reusable.image_vectors))
        about = json.dumps([str(self.root), batch_size]).encode()
        return Shelf(self.index / BUILDING, "pictures", (about, plan.data), self.encoder, known)

    def _captions_at_hand(self) -> list[Mapping[str, Vectors]]:
        """Vectors of captions by their text, those of the former index first."""
        if self.reusable is None:
            return [self.given[1]]
        keys = (caption.text for caption in self.reusable.catalogue.each_caption())
        return [vectors_by_key(keys, self.reusable.caption_vectors), self.given[1]]

    def _ticker(self, stage: str, total: int, skipped: int = 0) -> Callable[[int, int], None]:
        """What turns (done, skipped here) into a Progress; the rate counts only what this run did."""
        started, before = time.monotonic(), -1

        def tick(done: int, more: int) -> None:
            nonlocal before
            before = done if before < 0 else before
            rate = (done - before) / max(time.monotonic() - started, 1e-9)
            self.progress(Progress(stage, done, total, skipped + more, rate, (total - done) / rate if rate else 0.0))

        return tick

    def _facts(self, rows: Assembly) -> Rows[Facts]:
        """What each picture says of itself: read with it just now, or by a former build, else from its header."""
        unread = [row for row, facts in enumerate(rows.facts.each()) if facts == UNKNOWN]
        if self.reusable is not None and self.reusable.facts is None:
            count = len(unread)
            self.notes.append(f"the former index knew no sizes and dates: read from the headers of {count:,} pictures")
        tick = self._ticker("pictures", len(unread), len(rows.catalogue.skipped))
        return add_unread(self.root, rows.catalogue.pictures, rows.facts, unread, tick)

    def _publish(self, rows: Assembly, images: Shelf, captions: Shelf, said: CaptionPlan) -> str:
        """Write and publish the next generation, unless the former one says the same; returns the one that counts."""
        catalogue = rows.catalogue
        manifest = self._manifest(catalogue)
        former = self.reusable
        same = former is not None and former.catalogue == catalogue and _says_the_same(former.manifest, manifest)
        relevance = former.relevance if former is not None and same else None
        if former is not None and relevance is not None and rows.facts == former.facts and not former.lacking:
            return former.manifest.generation
        self.progress(Progress("writing", 0, 1, len(catalogue.skipped)))

        def fit(pictures: Vectors, sentences: Vectors) -> dict[str, Relevance]:
            return calibrate(catalogue, pictures, sentences, self.encoder) if relevance is None else relevance

        def tell(note: str) -> None:
            self.progress(Progress("writing", 0, 1, len(catalogue.skipped), note=note))

        texts = (caption.text for caption in catalogue.each_caption())
        starts = map(int, said.starts(captions.journal.outcomes()))
        rest(self.encoder)  # not where nothing is written: the next search would wait for its tower
        with sparing_memory():
            generation, files = write_generation(
                self.index,
                catalogue,
                rows.facts,
                self.encoder.dimension,
                images.gather(rows.wanted()),
                captions.gather(zip(texts, starts, strict=True)),
                fit,
                tell,
            )
        write_manifest(self.index, replace(manifest, generation=generation, files=files))
        self.progress(Progress("writing", 1, 1, len(catalogue.skipped)))
        return generation

    def _manifest(self, catalogue: Catalogue) -> Manifest:
        """The manifest of a generation that is not written yet."""
        captions: dict[str, str | None] | None = None
        if self.captions is not None:
            sha256 = hash_file(self.captions) if self.captions.is_file() else None
            captions = {"path": str(self.captions.resolve()), "sha256": sha256, "format": self.format}
        path = getattr(self.encoder, "path", None)
        return Manifest(
            schema=SCHEMA,
            created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            generation="",
            checkpoint={
                "name": self.encoder.name,
                "fingerprint": self.encoder.fingerprint,
                "path": None if path is None else str(path),
                **({"runtime": rounds} if (rounds := rounding(self.encoder)) else {}),
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

    def _report(self, rows: Assembly, seconds: float) -> BuildReport:
        catalogue = rows.catalogue
        changes = self.changes
        if self.missing:
            count, several = len(self.missing), len(self.missing) > 1
            words = f"{count:,} captioned pictures are" if several else "1 captioned picture is"
            self.notes.append(f"{words} not in the folder: see `python -m crossmodal validate`")
        if self.former is not None and self.former.catalogue.captions and self.captions is None:
            self.notes.append("the former index had captions; no captions file was given, so this one has none")
        return BuildReport(
            indexed=len(catalogue.pictures),
            embedded=rows.embedded,
            reused=len(catalogue.pictures) - rows.embedded,
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


def _says_the_same(former: Manifest, manifest: Manifest) -> bool:
    return former == replace(manifest, created=former.created, generation=former.generation, files=former.files)


def _seen_from(index: Path, root: Path) -> str:
    try:
        return Path(os.path.relpath(root, index)).as_posix()
    except ValueError:  # on another drive
        return str(root)
