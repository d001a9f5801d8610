"""A candidate is taken into use, or given up; what was before can be had back.

INDEX/teaching.json: the candidate that waits, and the checkpoints the index had before, the last one last.
"""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from crossmodal._files import write_document
from crossmodal.errors import CheckpointError, ImageError, IndexStoreError, InputError, MissingPicturesError
from crossmodal.finetune.heads import maps_between
from crossmodal.finetune.split import Progress
from crossmodal.images.decode import load_image
from crossmodal.index import (
    BuildReport,
    Index,
    Vectors,
    build_command,
    build_index,
    open_index,
    read_manifest,
)
from crossmodal.index import Progress as BuildProgress
from crossmodal.inference.base import Encoder
from crossmodal.models.checkpoint_files import fingerprint, read_config
from crossmodal.search.searcher import recorded_checkpoint

__all__ = [
    "Pending",
    "accept",
    "discard",
    "pending",
    "remember_candidate",
    "switch_checkpoint",
    "undo",
    "vectors_under",
]

STATE = "teaching.json"
PROBES, ALIKE = 4, 0.9999  # pictures and captions encoded to see that mapped vectors are right; least cosine
STAGES = {"pictures": "Looking at the pictures", "captions": "Looking at the captions", "writing": "Writing the index"}


@dataclass(frozen=True)
class Former:
    """A checkpoint that an index had before.

    path: its directory.
    name: what people call it.
    fingerprint: hex digest of its files.
    """

    path: str
    name: str
    fingerprint: str


@dataclass(frozen=True)
class Pending:
    """What waits for an answer.

    candidate: the checkpoint that waits to be accepted, if any.
    former: those that the index had before, the last one last.
    """

    candidate: Path | None = None
    former: tuple[Former, ...] = ()


def pending(index: Path | str) -> Pending:
    """What waits for an answer. Raises IndexStoreError if there is no index, or its teaching.json is damaged."""
    manifest, path = read_manifest(Path(index)), Path(index) / STATE
    try:
        content = json.loads(path.read_bytes())
        candidate = None if content["candidate"] is None else Path(content["candidate"])
        former = tuple(Former(**{name: str(values[name]) for name in values}) for values in content["former"])
    except FileNotFoundError:
        return Pending()
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise IndexStoreError(f"{path} is damaged ({error!r}): remove it; the index itself is whole") from error
    current = str(manifest.checkpoint["fingerprint"])
    there = candidate if candidate is not None and candidate.is_dir() else None
    return Pending(there, tuple(entry for entry in former if entry.fingerprint != current))


def _write(index: Path, state: Pending) -> None:
    candidate = None if state.candidate is None else str(state.candidate)
    write_document(index / STATE, {"candidate": candidate, "former": [asdict(entry) for entry in state.former]})


def remember_candidate(index: Path, candidate: Path) -> None:
    """Let a candidate wait; an earlier one stays on the disk."""
    _write(index, replace(pending(index), candidate=candidate.resolve()))


def accept(index: Path | str, progress: Progress | None = None) -> BuildReport:
    """Build the index with the candidate, and remember the checkpoint it had.

    Raises InputError if none waits or it was taught from another checkpoint; as `switch_checkpoint`.
    """
    path, state = Path(index), pending(index)
    if state.candidate is None:
        raise InputError(f"no taught checkpoint waits for {path}: run `python -m crossmodal teach --index {path}`")
    manifest = read_manifest(path)
    current = str(manifest.checkpoint["fingerprint"])
    if not _taught_from(state.candidate).endswith(current):
        raise InputError(
            f"{state.candidate} was taught from another checkpoint than {path} has now ({current[:8]}…): "
            f"run `python -m crossmodal teach --index {path}` again"
        )
    before = recorded_checkpoint(manifest, path).resolve()
    entry = Former(str(before), str(manifest.checkpoint["name"]), current)
    _write(path, replace(state, former=(*state.former, entry)))  # first, so that a killed build can be undone too
    report = switch_checkpoint(path, state.candidate, progress)
    _write(path, Pending(None, (*state.former, entry)))
    return report


def undo(index: Path | str, progress: Progress | None = None) -> tuple[str, BuildReport]:
    """Build the index with the checkpoint it had before the last `accept`; its name, and what was built.

    Raises InputError if there was none; CheckpointError if it is gone or has changed; as `switch_checkpoint`.
    """
    path, state = Path(index), pending(index)
    if not state.former:
        raise InputError(f"{path} has no former checkpoint to go back to: nothing was accepted")
    last = state.former[-1]
    if fingerprint(Path(last.path)) != last.fingerprint:
        raise CheckpointError(
            f"{last.path} is no longer the checkpoint that {path} had ({last.fingerprint[:8]}…): "
            "restore it, or build the index with another, `python -m crossmodal index … --checkpoint DIR`"
        )
    report = switch_checkpoint(path, Path(last.path), progress)
    _write(path, replace(state, former=state.former[:-1]))
    return last.name, report


def discard(index: Path | str) -> Path:
    """Remove the candidate that waits; returns where it was. Raises InputError if none waits."""
    path, state = Path(index), pending(index)
    if state.candidate is None:
        raise InputError(f"no taught checkpoint waits for {path}: there is nothing to discard")
    _write(path, replace(state, candidate=None))
    if _taught_from(state.candidate) and fingerprint(state.candidate) != read_manifest(path).checkpoint["fingerprint"]:
        shutil.rmtree(state.candidate)
    return state.candidate


def _taught_from(candidate: Path) -> str:
    """Name and fingerprint of the checkpoint a candidate was taught from; empty where it was not."""
    about = read_config(candidate).get("about")
    return str(about.get("taught from", "")) if isinstance(about, dict) else ""


def switch_checkpoint(index: Path, checkpoint: Path, progress: Progress | None = None) -> BuildReport:
    """Build an index with another checkpoint; where only the heads differ, its vectors are mapped, not encoded again.

    Raises as `build_index`, and CheckpointError if the checkpoint cannot be loaded.
    """
    from crossmodal.inference.encoder import open_encoder

    tell = progress or (lambda *_: None)
    tell("Opening the model", 0, 1)
    opened, encoder = open_index(index), open_encoder(checkpoint)
    vectors = vectors_under(opened, checkpoint, encoder)
    given: tuple[Mapping[str, Vectors], Mapping[str, Vectors]] = ({}, {})
    if vectors is not None:
        pictures = [picture.sha256 for picture in opened.catalogue.pictures]
        captions = [caption.text for caption in opened.catalogue.captions]
        given = dict(zip(pictures, vectors[0], strict=True)), dict(zip(captions, vectors[1], strict=True))
    manifest = opened.manifest
    captions_file = None if manifest.captions is None else Path(str(manifest.captions["path"]))

    def built(step: BuildProgress) -> None:
        tell(STAGES.get(step.stage, step.stage), step.done, step.total)

    try:
        report = build_index(manifest.root(index), captions_file, encoder, index, built, given=given)
    except MissingPicturesError as error:
        before = shlex.quote(str(recorded_checkpoint(manifest, index)))
        command = f"{build_command(manifest, index)} --checkpoint {before} --prune"
        raise MissingPicturesError(f"{error}: `{command}`, and then this") from error
    return replace(report, notes=tuple(note for note in report.notes if note.kind != "rebuilt"))


def vectors_under(index: Index, checkpoint: Path, encoder: Encoder) -> tuple[Vectors, Vectors] | None:
    """The index's vectors (N, D) and (M, D) as another checkpoint gives them; None where they must be encoded.

    That is where more than the heads differs, the former checkpoint is gone, or a few pictures and captions that are
    encoded to make sure come out otherwise.
    """
    former = recorded_checkpoint(index.manifest, index.path)
    try:
        maps = maps_between(former, checkpoint)
        found = [fingerprint(former), fingerprint(checkpoint)]
    except CheckpointError:
        return None
    if found != [index.manifest.checkpoint["fingerprint"], encoder.fingerprint]:
        return None  # one was replaced: its heads are not those that made the vectors
    if maps is None or not len(index.image_vectors):
        return None
    images = maps.images(index.image_vectors)
    captions = maps.texts(index.caption_vectors) if len(index.caption_vectors) else np.asarray(index.caption_vectors)
    rows = np.unique(np.linspace(0, len(images) - 1, PROBES).astype(int))
    try:
        seen = encoder.encode_images(
            [load_image(index.root / index.catalogue.pictures[row].stamp.path) for row in rows]
        )
    except ImageError:
        return None
    alike = [(seen * images[rows]).sum(1)]
    if len(captions):
        spoken = np.unique(np.linspace(0, len(captions) - 1, PROBES).astype(int))
        read = encoder.encode_texts([index.catalogue.captions[row].text for row in spoken])
        alike.append((read * captions[spoken]).sum(1))
    return (images, captions) if float(np.concatenate(alike).min()) >= ALIKE else None
