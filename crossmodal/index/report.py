"""What a build tells: how far it is, and what it did."""

from __future__ import annotations

from dataclasses import dataclass

from crossmodal.index.catalogue.rows import Skipped

__all__ = ["BuildReport", "Note", "Progress"]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a build is.

    stage: "pictures", "captions" or "writing".
    done: items of the stage.
    total: of all that are to be done.
    skipped: pictures left out so far.
    rate: items a second, 0 while unknown.
    seconds_left: expected, 0 while unknown.
    note: while writing, what is built next for searching, and the memory and time it is expected to take.
    """

    stage: str
    done: int
    total: int
    skipped: int = 0
    rate: float = 0.0
    seconds_left: float = 0.0
    note: str = ""


@dataclass(frozen=True, slots=True)
class Note:
    """What a person should know of a build.

    kind: "rebuilt", "damaged", "unread", "missing" or "uncaptioned".
    text: the same in a sentence.
    """

    kind: str
    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class BuildReport:
    """What a build did.

    indexed: pictures in the index now.
    reused: of them, had a vector already.
    added: pictures that the former index had not.
    changed: pictures whose bytes are others than in the former index.
    removed: pictures of the former index that are gone.
    captions: in the index now.
    skipped: pictures left out, and why.
    seconds: wall clock of this run.
    renamed: pictures under another path than before.
    embedded: pictures that had to be encoded.
    notes: what else a person should know.
    problems: what was wrong with the captions file, quoted, so only for those who may read it.
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
    notes: tuple[Note, ...] = ()
    problems: tuple[str, ...] = ()
