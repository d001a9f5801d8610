"""Long work in the background, one job a key, watched by as many browser sessions as come."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["JOBS", "Job", "Jobs", "Report", "Step"]


@dataclass(frozen=True)
class Step:
    """How far a job is.

    words: a few, for what is done now.
    done: items so far.
    total: items in all; 0 while it is unknown.
    skipped: items so far.
    rate: items a second; 0 while it is unknown.
    seconds_left: until all are done; 0 while it is unknown.
    """

    words: str
    done: int = 0
    total: int = 0
    skipped: int = 0
    rate: float = 0.0
    seconds_left: float = 0.0

    @property
    def share(self) -> float:
        """Done of total in [0, 1]; 0 while the total is unknown."""
        return min(max(self.done / self.total, 0.0), 1.0) if self.total else 0.0


Report = Callable[[Step], None]


class Job:
    """One piece of work in a daemon thread; its step, result and error may be read at any time.

    about: what it works on, where its key does not say it.
    """

    def __init__(self, work: Callable[[Report], Any], about: str = "") -> None:
        self.about = about
        self.step = Step("Starting")
        self.result: Any = None
        self.error: BaseException | None = None
        self.started = time.monotonic()
        self._work = work
        self._finished = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def finished(self) -> bool:
        """Whether the work has ended, well or badly."""
        return self._finished.is_set()

    def wait(self, seconds: float) -> bool:
        """Wait at most this many seconds for the end; True when it came."""
        return self._finished.wait(seconds)

    def _run(self) -> None:
        try:
            self.result = self._work(self._report)
        except BaseException as error:  # kept whatever it is: the page shows it, a thread has nobody to raise to
            self.error = error
        finally:
            self._finished.set()

    def _report(self, step: Step) -> None:
        self.step = step


class Jobs:
    """The jobs of this process by key; starting a key that runs already gives the running job."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: dict[str, Job] = {}

    def start(self, key: str, work: Callable[[Report], Any], about: str = "") -> Job:
        """The running job of this key, or a new one that does the work."""
        with self._lock:
            job = self._jobs.get(key)
            if job is None or job.finished:
                job = self._jobs[key] = Job(work, about)
            return job

    def get(self, key: str) -> Job | None:
        """The last job of this key, running or finished; None where there was none."""
        with self._lock:
            return self._jobs.get(key)

    def forget(self, key: str) -> None:
        """Drop a finished job, once its end has been shown."""
        with self._lock:
            job = self._jobs.get(key)
            if job is not None and job.finished:
                del self._jobs[key]


JOBS = Jobs()
