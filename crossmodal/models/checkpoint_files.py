"""The files of a checkpoint directory, as far as they can be read and written without torch."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from crossmodal._files import (
    CHECKPOINTS,
    has_settled,
    is_being_replaced,
    sealed_hash,
    status_of,
    whole_directory,
)
from crossmodal.errors import CheckpointError

T = TypeVar("T")
SCHEMA = 1
ABILITIES = ("vectors", "words", "labels", "pairs", "decoding")
FINGERPRINTED = ("model.safetensors", "config.json", "tokenizer.json")
STARTER = CHECKPOINTS / "starter"
DOCUMENTS = ("README.md", "metrics.json", "history.json")  # what else a checkpoint may hold
RUN_PARTS = ("best", "last")  # what a training calls its checkpoints; the folder above has the name that tells
TRIES, PAUSE = 5, 0.05  # times a checkpoint is read that is replaced meanwhile, and seconds between


def read_config(path: Path) -> dict[str, Any]:
    """The config.json of a checkpoint. Raises CheckpointError if it is absent, broken or of an unknown schema."""
    if not path.is_dir():
        raise CheckpointError(
            f"no checkpoint at {path}: train one with `python -m crossmodal train --recipe flickr8k …` "
            "or name another with --checkpoint DIR"
        )
    try:
        config = json.loads((path / "config.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} is no checkpoint: cannot read its config.json", str(error)) from error
    if not isinstance(config, dict) or config.get("schema") != SCHEMA:
        found = config.get("schema") if isinstance(config, dict) else type(config).__name__
        raise CheckpointError(
            f"{path} is not of schema {SCHEMA}, which this version reads: train or download it again",
            f"its schema is {found!r}",
        )
    return config


def abilities(path: Path) -> frozenset[str]:
    """What a checkpoint can do, from its config alone; a subset of ABILITIES. Raises CheckpointError.

    "vectors": pictures become vectors, so it can be indexed. "words": so does any sentence. "labels": only the names of
    its classes do. "pairs": it scores a picture with a sentence. "decoding": it draws what a vector looks like.
    """
    config = read_config(path)
    if config.get("kind") == "pair_scorer":
        return frozenset({"pairs"})
    found = {"vectors", "labels" if config.get("labels") else "words"}
    return frozenset(found | ({"decoding"} if config.get("decoder") else set()))


def checkpoint_name(path: Path) -> str:
    """What a checkpoint is called: its folder's name, with that of the folder above for "best" and "last" of a run.

    >>> checkpoint_name(Path("runs/arcface/best"))
    'arcface/best'
    """
    folder = path.resolve()
    return f"{folder.parent.name}/{folder.name}" if folder.name in RUN_PARTS else folder.name


def fingerprint(path: Path) -> str:
    """SHA-256 over the files that decide a vector: weights, config and tokeniser.

    Raises CheckpointError if one of them is absent.
    """
    read_config(path)
    digest = hashlib.sha256()
    for name in FINGERPRINTED:
        try:
            digest.update(name.encode() + bytes.fromhex(sealed_hash(path / name)))
        except OSError as error:
            raise CheckpointError(f"{path} is no whole checkpoint: {error}") from error
    return digest.hexdigest()


def read_whole(path: Path, read: Callable[[Callable[[], str]], T]) -> tuple[T, str]:
    """What `read` makes of a checkpoint, and the fingerprint of just the files it read.

    Where a training replaces them meanwhile, they are read again. read: is given what gives the fingerprint, should it
    need that.

    Raises CheckpointError if they are replaced each time, or a file is absent; else what `read` raises.
    """

    def once() -> tuple[T, str] | None:
        """What was read with its fingerprint; None where a file was replaced meanwhile."""
        digest = cache(lambda: fingerprint(path))
        statuses = [status for status in map(_status, files) if status is not None]
        settled = all(has_settled(status, time.time_ns()) for status in statuses)
        if not settled:  # the times of such files may miss a change: their bytes are compared
            with suppress(CheckpointError):
                digest()
        found = read(digest)
        return (found, digest()) if settled or fingerprint(path) == digest() else None

    files = [path / name for name in FINGERPRINTED]
    return read_steadily(path, files, once)


def read_steadily(path: Path, files: Sequence[Path], read: Callable[[], T | None]) -> T:
    """What `read` gives while none of the files it reads is changed or replaced; read again where one was.

    path: what the files belong to, for the message.
    read: gives None where it saw a change itself.

    Raises CheckpointError if they change each time; else what `read` raises.
    """
    for attempt in range(TRIES):
        before = [_status(file) for file in files]
        try:
            found = read()
        except (CheckpointError, OSError):
            still = [_status(file) for file in files] == before and not is_being_replaced(path)
            if still or attempt == TRIES - 1:
                raise
        else:
            if found is not None and [_status(file) for file in files] == before:
                return found
        time.sleep(PAUSE)
    raise CheckpointError(
        f"{path} was replaced each of the {TRIES} times it was read: wait until what writes it has ended, then run "
        "this again"
    )


def _status(file: Path) -> list[int] | None:
    try:
        return status_of(file)
    except OSError:
        return None


def check_replaceable(path: Path) -> None:
    """Raise CheckpointError if there is anything at a path that is neither a checkpoint nor an empty folder."""
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    with suppress(CheckpointError):
        if read_config(path).keys() >= {"dimension", "image", "text"}:
            return
    raise CheckpointError(
        f"{path} holds something else than a checkpoint, so it is not replaced: name another folder with --out DIR, or "
        "move it away"
    )


def copy_checkpoint(path: Path, to: Path) -> None:
    """Copy a checkpoint's own files, not its exports, to another folder, replacing a checkpoint there in one step.

    Raises CheckpointError if the folder holds anything else, or a file is absent or cannot be written.
    """
    check_replaceable(to)
    read_config(path)
    try:
        with whole_directory(to) as staging:
            for name in (*FINGERPRINTED, *DOCUMENTS):
                if (path / name).exists() or name in FINGERPRINTED:
                    shutil.copyfile(path / name, staging / name)
    except OSError as error:
        raise CheckpointError(f"cannot copy {path} to {to}: {error}") from error
