"""One line on stderr that says how far long work is, how fast, and how long it will take still: tqdm, one way.

Import it where the work begins: tqdm costs a short command a tenth of a second.
"""

from __future__ import annotations

import sys
import threading
from types import TracebackType

from tqdm import tqdm

REDRAW_SECONDS = 0.5
LOG_SECONDS = 30.0
TERMINAL = "{desc} {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt}{postfix}  {rate_noinv_fmt}  {remaining} left"
LOG = "{desc} {n_fmt}/{total_fmt}{postfix}  {rate_noinv_fmt}  {remaining} left"


class Bar:
    """A progress line: redrawn in place on a terminal, a plain line now and then where stderr is a file.

    title: what is done, until `show` names something else.
    unit: what is counted, in the plural.
    """

    def __init__(self, title: str = "", unit: str = "pictures") -> None:
        self.title = title
        self.unit = unit
        self._line: _Line | None = None

    def __enter__(self) -> Bar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def update(self, done: int, total: int, note: str = "") -> None:
        """Show done of total and a note; cheap to call for every item. The rate is of what came since the first call.

        A line begins again where done is less than it was.
        """
        line = self._line
        if line is None or done < line.n:
            self.close()
            self._line = _Line.on_stderr(self.title, self.unit, done, total, note)
            return
        line.total = total
        line.set_postfix_str(note, refresh=False)
        line.update(done - line.n)

    def show(self, title: str, done: int, total: int, note: str = "") -> None:
        """As `update`, of work with several stages: each title begins a line of its own."""
        if title != self.title:
            self.close()
            self.title = title
        self.update(done, total, note)

    def hide(self) -> None:
        """Take the line off the terminal until the next update, so that something else can be printed."""
        if self._line is not None:
            self._line.clear()

    def close(self) -> None:
        """Take the line off the terminal; the next update begins another."""
        if self._line is not None:
            self._line.close()
            self._line = None


class _Line(tqdm):  # type: ignore[misc]  # tqdm has no types of its own
    """tqdm without the thread and the lock between processes that it would start: one process draws one line."""

    monitor_interval = 0
    _lock = threading.RLock()

    @classmethod
    def on_stderr(cls, title: str, unit: str, done: int, total: int, note: str) -> _Line:
        """A line that first shows after a while, since a rate from the first moment would mean nothing."""
        terminal = sys.stderr.isatty()
        seconds = REDRAW_SECONDS if terminal else LOG_SECONDS
        return cls(
            desc=title,
            unit=f" {unit}",
            initial=done,
            total=total,
            postfix=note,
            file=sys.stderr if terminal else _Log(),
            bar_format=TERMINAL if terminal else LOG,
            dynamic_ncols=terminal,
            leave=False,
            mininterval=seconds,
            delay=seconds,
            miniters=1,
        )


class _Log:
    """Where stderr is a file: each redrawing is a line, and what would blank a terminal's line is nothing."""

    def write(self, text: str) -> None:
        if text.strip():
            print(text.strip(), file=sys.stderr)

    def flush(self) -> None:
        sys.stderr.flush()
