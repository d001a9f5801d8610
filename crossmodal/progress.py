"""One line on stderr that says how far long work is, how fast, and how long it will take still."""

from __future__ import annotations

import sys
import time
from types import TracebackType

REDRAW_SECONDS = 0.5
LOG_SECONDS = 30.0


class Bar:
    """A progress line: redrawn in place on a terminal, a plain line now and then where stderr is a file."""

    def __init__(self, title: str, unit: str = "pictures") -> None:
        self.title = title
        self.unit = unit
        self._started = time.monotonic()
        self._shown = self._started  # a rate from the first moment would mean nothing
        self._drawn = False

    def __enter__(self) -> Bar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clear()

    def update(self, done: int, total: int) -> None:
        """Show done of total with the rate since the bar was made, or was last at 0; cheap to call for every item."""
        if not done:
            self._started = time.monotonic()
        passed = time.monotonic() - self._started
        rate = done / passed if passed > 0 else 0.0
        left = (total - done) / rate if rate else 0.0
        self.line(f"{self.title} {done}/{total}", rate, self.unit, left)

    def line(self, text: str, rate: float, unit: str, seconds_left: float) -> None:
        """Show a text with a rate in units a second and the time left in seconds."""
        now, terminal = time.monotonic(), sys.stderr.isatty()
        if now - self._shown < (REDRAW_SECONDS if terminal else LOG_SECONDS):
            return
        self._shown = now
        shown = f"{text}  {rate:.0f} {unit}/s  {clock(seconds_left)} left"
        print(f"\r\x1b[K{shown}" if terminal else shown, end="" if terminal else "\n", file=sys.stderr, flush=True)
        self._drawn = terminal

    def clear(self) -> None:
        """Take the line off the terminal."""
        if self._drawn:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
            self._drawn = False


def clock(seconds: float) -> str:
    """Seconds as minutes and seconds, or hours and minutes.

    >>> clock(75), clock(7260)
    ('1:15', '2 h 01 min')
    """
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 60}:{whole % 60:02d}"
