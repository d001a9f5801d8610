"""A progress bar that follows a background job."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from crossmodal.app.state.jobs import Job, Step
from crossmodal.app.widgets.theme import plain_markdown

__all__ = ["in_words", "watch"]

EVERY = 1.5  # seconds; each look takes the interpreter from the work it looks at


def watch(job: Job, below: Callable[[], None] = lambda: None) -> None:
    """Draw the job's progress, again and again; the whole page is drawn once more when it ends or its work changes.

    below: draws what is to be seen of the work so far.
    """
    words = job.step.words

    @st.fragment(run_every=EVERY)
    def follow() -> None:
        if job.finished or job.step.words != words:
            _redraw()
        st.progress(job.step.share, text=plain_markdown(in_words(job.step)))
        below()

    if job.finished:  # since the page looked: without another run it would wait for ever
        _redraw()
    follow()


def _redraw() -> None:
    """Run the page once more, by the view it has: the browser may not have heard yet of an address put there since."""
    st.session_state.drawn_again = True
    st.rerun()


def in_words(step: Step) -> str:
    """One line: what is done, how far it is, how fast it goes and how long it takes yet."""
    parts = [step.words]
    if step.total > 1:
        parts.append(f"{step.done:,} of {step.total:,}")
    if step.skipped:
        parts.append(f"{step.skipped:,} skipped")
    if step.rate:
        parts.append(f"{step.rate:,.0f} a second")
    if step.done and step.seconds_left > 0:
        parts.append(_duration(step.seconds_left) + " left")
    return " · ".join(parts)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
