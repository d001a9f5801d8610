"""Exports that nobody asked for: each checkpoint's towers once, in fp32, by a process of their own.

What lies in the checkpoint's folder for it:

.exporting.lock          held while its towers are exported, by hand or by themselves
.exporting.json          what came of the last export by itself that did not end well
.exporting.log           what that process said; removed when all went well
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

from crossmodal._files import PROJECT, write_document
from crossmodal.errors import CheckpointError
from crossmodal.inference.backends.export_files import NEEDED, find_export
from crossmodal.inference.backends.towers import RUNTIME_VARIABLE
from crossmodal.models.checkpoint_files import abilities, checkpoint_name, fingerprint

__all__ = [
    "AUTO_EXPORT_VARIABLE",
    "LOCK",
    "LOG",
    "RECORD",
    "Attempts",
    "export_first",
    "export_in_background",
    "export_lock",
    "may_export",
    "read_attempts",
    "sole_attempt",
]

AUTO_EXPORT_VARIABLE = "CROSSMODAL_AUTO_EXPORT"  # "0" turns all of this off
LOCK, RECORD, LOG = ".exporting.lock", ".exporting.json", ".exporting.log"
MOST_BEGUN = 3  # exports of the same weights that were killed, for want of memory perhaps, before it is left at that
NICENESS = 10  # a tenth of a core that others want, too: with less it never ends on a busy machine

_STARTING = threading.Lock()
_started: set[tuple[str, str]] = set()  # checkpoint and fingerprint, by this process


@dataclass(frozen=True)
class Attempts:
    """Exports of a checkpoint that did not end well.

    fingerprint: of the weights.
    begun: how many began.
    reason: why the last one cannot succeed; "" if it was killed.
    """

    fingerprint: str = ""
    begun: int = 0
    reason: str = ""

    def tire(self, fingerprint: str) -> bool:
        """Whether it is of no use to try these weights again."""
        return self.fingerprint == fingerprint and bool(self.reason or self.begun >= MOST_BEGUN)


def may_export(checkpoint: Path) -> bool:
    """Whether a checkpoint's towers are to be exported by themselves.

    They are where nothing is exported from these weights yet, the folder can be written to and the packages are there;
    unless it was tried in vain, or CROSSMODAL_AUTO_EXPORT is 0, or CROSSMODAL_RUNTIME says what is to run them.
    """
    if os.environ.get(AUTO_EXPORT_VARIABLE) == "0" or os.environ.get(RUNTIME_VARIABLE):
        return False
    if not all(map(find_spec, NEEDED)) or not os.access(checkpoint, os.W_OK):
        return False
    try:
        digest = fingerprint(checkpoint)
        return (
            "vectors" in abilities(checkpoint)
            and find_export(checkpoint, digest) is None
            and not read_attempts(checkpoint).tire(digest)
        )
    except CheckpointError:  # whoever opens it says what is wrong with it
        return False


def export_in_background(checkpoint: Path | None) -> subprocess.Popen[bytes] | None:
    """Begin to export a checkpoint's towers in a process of low priority, which outlives this one, and say so.

    checkpoint: None for that of an encoder which has no folder. Returns the process, or None where none is started: by
    this process a second time, while another one exports, and where `may_export` says no.
    """
    if checkpoint is None or not may_export(checkpoint):
        return None
    key = str(checkpoint.resolve()), fingerprint(checkpoint)
    with _STARTING:
        if key in _started or _is_exporting(checkpoint):
            return None
        process = _start(checkpoint, detached=True)
        if process is None:
            return None
        _started.add(key)
    print(
        f"exporting the towers of {checkpoint_name(checkpoint)} in the background: in about half a minute questions "
        f"need no torch ({AUTO_EXPORT_VARIABLE}=0 turns this off)",
        file=sys.stderr,
    )
    return process


def export_first(checkpoint: Path) -> None:
    """Export and wait for the end, whatever comes of it. Does nothing while another process exports."""
    process = None if _is_exporting(checkpoint) else _start(checkpoint, detached=False)
    if process is not None:
        process.wait()


@contextmanager
def export_lock(checkpoint: Path, wait: Callable[[], None] | None = None) -> Iterator[None]:
    """The right to export a checkpoint, which one process at a time has; this thread may take it again within.

    wait: told before waiting for another one's end; without it, none is waited for.

    Raises TimeoutError if another process has it, OSError if the folder cannot be written to.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(checkpoint / LOCK, is_singleton=True)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        if wait is None:
            raise
        wait()
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def sole_attempt(checkpoint: Path) -> Iterator[bool]:
    """An export by itself, of which one runs at a time: whether to export within. What fails is not tried again.

    One that is killed or meets a full disk may be tried again, but not for ever; one that is interrupted, as if it had
    never begun.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(export_lock(checkpoint))
        except TimeoutError:
            yield False
            return
        if not may_export(checkpoint):
            yield False
            return
        former, digest = read_attempts(checkpoint), fingerprint(checkpoint)
        begun = 1 + (former.begun if former.fingerprint == digest else 0)
        _write(checkpoint, Attempts(digest, begun))
        try:
            yield True
        except KeyboardInterrupt:
            _write(checkpoint, former)
            raise
        except OSError:
            raise
        except Exception as error:
            _write(checkpoint, Attempts(digest, begun, f"{type(error).__name__}: {error}"))
            raise
        for name in (RECORD, LOG):
            (checkpoint / name).unlink(missing_ok=True)


def read_attempts(checkpoint: Path) -> Attempts:
    """Which exports of a checkpoint did not end well; none where the record is absent or damaged."""
    try:
        return Attempts(**json.loads((checkpoint / RECORD).read_bytes()))
    except (OSError, ValueError, TypeError):
        return Attempts()


def _write(checkpoint: Path, attempts: Attempts) -> None:
    write_document(checkpoint / RECORD, asdict(attempts))


def _is_exporting(checkpoint: Path) -> bool:
    """Whether another process exports a checkpoint; where that cannot be told, too."""
    try:
        with export_lock(checkpoint):
            return False
    except OSError:
        return True


def _start(checkpoint: Path, detached: bool) -> subprocess.Popen[bytes] | None:
    """Start `export --unasked`; None where that is refused. detached: it outlives us, and lets others pass."""
    command = [sys.executable, "-m", "crossmodal", "export", "--unasked", "--checkpoint", str(checkpoint.resolve())]
    try:
        with open(checkpoint / LOG, "wb") as log:
            process = subprocess.Popen(
                command, cwd=PROJECT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=detached
            )
    except OSError:
        return None
    if detached:
        with suppress(OSError, AttributeError):  # it has ended already, or the system has no such thing
            os.setpriority(os.PRIO_PROCESS, process.pid, NICENESS)
            # Linux shares the cores among sessions first, and this one is new
            Path(f"/proc/{process.pid}/autogroup").write_text(str(NICENESS), "ascii")
        threading.Thread(target=process.wait, daemon=True).start()  # so that it is not kept as a zombie
    return process
