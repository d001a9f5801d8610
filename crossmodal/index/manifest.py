"""The birth certificate of an index: what it was built from, with which checkpoint, and what its files must be.

`manifest.json` names the one generation folder that counts; replacing that file is what publishes a build.
"""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from crossmodal._files import whole_file
from crossmodal.errors import IndexMismatchError, IndexStoreError
from crossmodal.inference.base import Encoder

__all__ = [
    "BUILDING", "MANIFEST", "SCHEMA", "SCHEMA_OF_BEFORE", "Manifest", "build_command", "check_encoder", "difference",
    "read_manifest", "write_manifest",
]  # fmt: skip

SCHEMA = 2
SCHEMA_OF_BEFORE = 1  # its rows were JSON lines; only a build reads it
MANIFEST = "manifest.json"
BUILDING = "building"  # holds the journals of a build under way


@dataclass(frozen=True)
class Manifest:
    """All facts about an index, as JSON values.

    schema: number of the form of the index's files.
    created: when it was built, as "2021-05-03T10:00:00Z" (UTC).
    generation: the folder that holds the files.
    checkpoint: name, fingerprint, path (None where unknown), and the run time if it rounds.
    preprocessing: all that shapes the encoder's input.
    dimension: D, the length of every vector.
    images: the pictures' folder, absolute ("path") and as seen from the index ("from_index").
    captions: path, sha256 (None for a folder) and format, or None for an index without.
    counts: images, captions, skipped.
    files: name -> bytes and sha256.
    """

    schema: int
    created: str
    generation: str
    checkpoint: dict[str, str | None]
    preprocessing: dict[str, Any]
    dimension: int
    images: dict[str, str]
    captions: dict[str, str | None] | None
    counts: dict[str, int]
    files: dict[str, dict[str, int | str]]

    @property
    def rounding(self) -> str:
        """The run time that made the vectors if it computes with fewer digits than were trained, else ""."""
        return str(self.checkpoint.get("runtime") or "")

    def root(self, index: Path) -> Path:
        """The pictures' folder: as seen from the index, so that both can be moved together; else where it was."""
        moved = index / self.images["from_index"]
        return moved if moved.is_dir() else Path(self.images["path"])


_TYPES: dict[str, type | tuple[type, ...]] = {
    "schema": int, "created": str, "generation": str, "checkpoint": dict, "preprocessing": dict, "dimension": int,
    "images": dict, "captions": (dict, type(None)), "counts": dict, "files": dict,
}  # fmt: skip
_KEYS = {
    "checkpoint": {"name", "fingerprint", "path"}, "images": {"path", "from_index"},
    "captions": {"path", "sha256", "format"}, "counts": {"images", "captions", "skipped"},
}  # fmt: skip
OPTIONAL = {"checkpoint": {"runtime"}}


def read_manifest(index: Path, of_before: bool = False) -> Manifest:
    """Read the manifest of an index directory.

    index: the index directory.
    of_before: also one that the next build brings up to date.

    Raises IndexStoreError if there is none, it is damaged, or it is of a schema this version does not read.
    """
    path = index / MANIFEST
    try:
        content = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise IndexStoreError(_why_absent(index)) from None
    except (OSError, ValueError) as error:
        raise IndexStoreError(f"{path} cannot be read ({error}): {_rebuild(index)}") from error
    schema = content.get("schema") if isinstance(content, dict) else None
    if schema not in (SCHEMA, SCHEMA_OF_BEFORE):
        raise IndexStoreError(f"{path} has schema {schema!r}, this version reads {SCHEMA}: {_rebuild(index)}")
    if not _is_whole(content):
        raise IndexStoreError(f"{path} is damaged (its entries are not those of schema {schema}): {_rebuild(index)}")
    manifest = Manifest(**content)
    if schema == SCHEMA_OF_BEFORE and not of_before:
        raise IndexStoreError(
            f"{index} was built by an earlier version: run `{build_command(manifest, index)}` once; it takes its "
            "vectors over, so that nothing is encoded again"
        )
    return manifest


def _is_whole(content: dict[str, Any]) -> bool:
    """Whether the entries are those of a manifest."""
    return (
        content.keys() == _TYPES.keys()
        and all(isinstance(content[name], kind) for name, kind in _TYPES.items())
        and all(
            set(content[name]) - OPTIONAL.get(name, set()) == keys
            for name, keys in _KEYS.items()
            if content[name] is not None
        )
        and all(isinstance(facts, dict) and set(facts) == {"bytes", "sha256"} for facts in content["files"].values())
    )


def _why_absent(index: Path) -> str:
    if (index / BUILDING).is_dir():
        return (
            f"the index {index} is not finished: run its `python -m crossmodal index …` again, which goes on from there"
        )
    return (
        f"there is no index at {index} (no {MANIFEST}): run `python -m crossmodal index --images DIR --index {index}`"
    )


def _rebuild(index: Path) -> str:
    return f"run `python -m crossmodal index --images DIR --index {index}` to rebuild it"


def write_manifest(index: Path, manifest: Manifest) -> None:
    """Publish a generation: the manifest is replaced in one step, after everything it names is on the disk."""
    with whole_file(index / MANIFEST, durable=True, alone=True) as staging:
        staging.write_text(json.dumps(asdict(manifest), indent=1) + "\n", "ascii", newline="\n")


def build_command(manifest: Manifest, index: Path) -> str:
    """The command that builds this index again."""
    parts = ["python", "-m", "crossmodal", "index", "--images", str(manifest.root(index))]
    if manifest.captions is not None:
        parts += ["--captions", str(manifest.captions["path"])]
    return shlex.join([*parts, "--index", str(index)])


def difference(manifest: Manifest, encoder: Encoder) -> str:
    """How an encoder differs from the one that an index was built with, in a sentence; "" if it does not."""
    built, given = str(manifest.checkpoint["fingerprint"]), encoder.fingerprint
    if built != given:
        return (
            f"index was built with checkpoint {built[:8]}… ({manifest.checkpoint['name']}), this is {given[:8]}… "
            f"({encoder.name})"
        )
    same = json.loads(json.dumps(encoder.preprocessing)) == manifest.preprocessing
    if not same or encoder.dimension != manifest.dimension:
        return (
            f"index was built with preprocessing {manifest.preprocessing} and dimension {manifest.dimension}, this is "
            f"{encoder.preprocessing} and {encoder.dimension}"
        )
    return ""


def check_encoder(manifest: Manifest, encoder: Encoder, index: Path) -> None:
    """Raise IndexMismatchError unless the index was built with just this encoder and its preprocessing."""
    different = difference(manifest, encoder)
    if different:
        raise IndexMismatchError(
            f"{different}: run `{build_command(manifest, index)} --checkpoint DIR`, or open it with the checkpoint it "
            "was built with"
        )
