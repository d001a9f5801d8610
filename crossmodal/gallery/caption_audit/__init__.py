"""What is wrong with a data set, from the model's own scores: captions, pictures and splits, with the evidence.

Everything is computed from the vectors of an opened index. `survey` does the work once; the checks read it.
"""

from __future__ import annotations

from crossmodal.gallery.caption_audit.captions import ambiguous_captions, belonging, wrong_captions
from crossmodal.gallery.caption_audit.findings import (
    AmbiguousCaption,
    Drawn,
    Duplicates,
    Finding,
    Fit,
    Hub,
    WrongCaption,
    as_csv,
)
from crossmodal.gallery.caption_audit.pictures import duplicate_pictures, hubs, splits_of, with_splits
from crossmodal.gallery.caption_audit.surveying import Survey, survey

__all__ = [
    "AmbiguousCaption", "Drawn", "Duplicates", "Finding", "Fit", "Hub", "Survey", "WrongCaption", "ambiguous_captions",
    "as_csv", "belonging", "duplicate_pictures", "hubs", "splits_of", "survey", "with_splits", "wrong_captions",
]  # fmt: skip
