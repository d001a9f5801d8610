"""👍 and 👎: kept beside the index, and what follows from them for the question they were given to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from crossmodal.app.state import query_form
from crossmodal.app.state.view import View
from crossmodal.errors import InputError
from crossmodal.search.query import Query

if TYPE_CHECKING:
    from crossmodal.gallery.feedback import Feedback
    from crossmodal.search.query import Term
    from crossmodal.search.searcher import Searcher

__all__ = ["Marks", "marks_of", "take_back", "toggle"]


@dataclass(frozen=True)
class Marks:
    """The marks of one question in one gallery.

    feedback: the marks of the gallery's index, where these are kept.
    key: what they are kept under.
    liked: paths still indexed.
    disliked: paths still indexed.
    """

    feedback: Feedback
    key: str
    liked: tuple[str, ...]
    disliked: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.liked or self.disliked)

    def of(self, path: str) -> int:
        """1, -1 or 0."""
        return 1 if path in self.liked else -1 if path in self.disliked else 0

    def terms(self) -> tuple[Term, ...]:
        """What they add to the question."""
        from crossmodal.gallery.feedback import rocchio_terms

        return rocchio_terms(self.liked, self.disliked)


def marks_of(searcher: Searcher, view: View) -> Marks | None:
    """The marks of a question; None where it cannot have any, since it holds a picture from outside the gallery."""
    from crossmodal.app.state.results import terms_of
    from crossmodal.gallery.feedback import query_key

    if any(part.upload for part in view.parts) or not view.asks:
        return None
    try:
        key = query_key(Query(terms_of(searcher, view)))
    except InputError:
        return None
    feedback = _feedback(str(searcher.index.path.resolve()))
    found = {path: mark for path, mark in feedback.marks(key).items() if path in searcher.index.row_of}
    liked, disliked = (tuple(path for path, mark in found.items() if mark == wanted) for wanted in (1, -1))
    return Marks(feedback, key, liked, disliked)


def toggle(searcher: Searcher, path: str, mark: int) -> None:
    """Mark a picture as an answer to what is asked now; the same mark once more takes it back."""
    marks = marks_of(searcher, query_form.current())
    if marks is not None:
        marks.feedback.mark(marks.key, path, 0 if marks.of(path) == mark else mark)


def take_back(marks: Marks) -> None:
    """Forget the marks of a question."""
    for path in (*marks.liked, *marks.disliked):
        marks.feedback.mark(marks.key, path, 0)


@st.cache_resource(max_entries=4, show_spinner=False)
def _feedback(index: str) -> Feedback:
    from crossmodal.gallery.feedback import open_feedback

    return open_feedback(index)
