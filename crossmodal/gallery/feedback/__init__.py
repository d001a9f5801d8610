"""Thumbs up and down: kept beside the index, turned into a better query, and into a test set."""

from __future__ import annotations

from crossmodal.gallery.feedback.marks import (
    BETA,
    FEEDBACK,
    GAMMA,
    Feedback,
    Mark,
    open_feedback,
    query_key,
    query_of,
    rocchio_terms,
)
from crossmodal.gallery.feedback.personal import (
    Asked,
    PersonalTest,
    personal_csv,
    personal_test,
    read_marks,
    write_personal_test,
)

__all__ = [
    "BETA", "FEEDBACK", "GAMMA", "Asked", "Feedback", "Mark", "PersonalTest", "open_feedback", "personal_csv",
    "personal_test", "query_key", "query_of", "read_marks", "rocchio_terms", "write_personal_test",
]  # fmt: skip
