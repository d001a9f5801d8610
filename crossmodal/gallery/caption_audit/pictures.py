"""Pictures that come up for everything, and pictures stored twice.

Shapes: N pictures, M captions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from crossmodal.datasets.records import match_names
from crossmodal.datasets.splits import read_split_lists
from crossmodal.errors import CaptionsError, InputError
from crossmodal.gallery.caption_audit.findings import EVIDENCE, Drawn, Duplicates, Hub
from crossmodal.gallery.caption_audit.surveying import SURVEYING, Survey
from crossmodal.gallery.near_duplicates import THRESHOLD, near_duplicates
from crossmodal.index import Index, exact_cosines

__all__ = ["duplicate_pictures", "hubs", "splits_of", "with_splits"]

FAR = 2.0  # standard deviations above the mean count of captions, from which a picture is a hub


def hubs(index: Index, survey: Survey, most: int | None = None) -> tuple[Hub, ...]:
    """The pictures found by far more captions of other pictures than the rest, the most found first.

    Counted is how many captions have a picture among their first ten (k-occurrence; in galleries of less than a hundred
    pictures among a tenth of them); a hub stands more than two spreads above the mean count. most: how many at most.

    Source: Radovanović, Nanopoulos and Ivanović 2010, section 2 (k-occurrences).
    """
    count = len(index.catalogue.pictures)
    places = min(SURVEYING.places, max(count // 10, 1))
    first = survey.best[:, :places]
    strange = first != survey.owner[:, None]
    found = np.bincount(first[strange], minlength=count)
    rows = np.argsort(-found, kind="stable")
    rows = rows[found[rows] > found.mean() + FAR * found.std()][:most]
    return tuple(_hub(index, survey, row, int(found[row]), float(found.mean()), places) for row in rows.tolist())


def _hub(index: Index, survey: Survey, row: int, occurrences: int, expected: float, places: int) -> Hub:
    captions, pictures = index.catalogue.captions, index.catalogue.pictures
    by, place = np.nonzero(survey.best[:, :places] == row)
    cosines = survey.best_cosine[by, place]
    strange = survey.owner[by] != row
    by, cosines = by[strange], cosines[strange]
    drawn = [(int(by[at]), float(cosines[at])) for at in np.lexsort((by, -cosines))[:EVIDENCE]]
    begin, end = index.caption_rows[row : row + 2].tolist()
    return Hub(
        path=pictures[row].stamp.path,
        captions=tuple(caption.text for caption in captions[begin:end]),
        occurrences=occurrences,
        expected=expected,
        places=places,
        drawn=tuple(
            Drawn(
                captions[caption].text,
                pictures[captions[caption].picture].stamp.path,
                cosine,
                int(survey.rank[caption]),
            )
            for caption, cosine in drawn
        ),
    )


def duplicate_pictures(
    index: Index, splits: Mapping[str, str] | None = None, threshold: float = THRESHOLD
) -> tuple[Duplicates, ...]:
    """Pictures stored more than once, those that stand in two splits first, then by the highest cosine.

    splits: path -> "train", "val" or "test", as of `splits_of`.
    threshold: as of `near_duplicates`, whose errors it raises.
    """
    pictures = index.catalogue.pictures
    found = []
    for rows in near_duplicates(index, threshold):
        paths = tuple(pictures[row].stamp.path for row in rows)
        cosines = exact_cosines(index.image_vectors[rows[0]], index.image_vectors, np.array(rows))
        same = tuple(pictures[row].sha256 == pictures[rows[0]].sha256 for row in rows)
        found.append(Duplicates(paths, tuple(cosines.tolist()), same, ("",) * len(paths)))
    return with_splits(found, splits or {})


def with_splits(found: Iterable[Duplicates], splits: Mapping[str, str]) -> tuple[Duplicates, ...]:
    """These groups with the splits of their pictures, those in two splits first, then by the highest cosine."""
    known = [replace(group, splits=tuple(splits.get(path, "") for path in group.paths)) for group in found]
    return tuple(sorted(known, key=lambda group: (not group.across, -max(group.cosines[1:]))))


def splits_of(index: Index, path: Path | None = None) -> dict[str, str]:
    """Picture path -> "train", "val" or "test", of the pictures that are in one.

    path: a folder of split lists, or a captions file that says splits. Left out, the captions file the index was built
    with is asked, and where it is gone or says none there are none.

    Raises CaptionsError if a path is given that says no splits; InputError if none of its names is in the index.
    """
    if path is None:
        recorded = (index.manifest.captions or {}).get("path")
        try:
            return _roles(index, Path(recorded)) if recorded and Path(recorded).is_file() else {}
        except CaptionsError:
            return {}
    roles = _roles(index, path)
    if not roles:
        raise InputError(
            f"no name in {path} is in the index {index.path}: give the lists of its pictures with --splits"
        )
    return roles


def _roles(index: Index, path: Path) -> dict[str, str]:
    paths = [picture.stamp.path for picture in index.catalogue.pictures]
    roles: dict[str, str] = {}
    for role, names in read_split_lists(path).items():
        for picture in match_names(names, paths).found.values():
            roles.setdefault(picture, role)
    return roles
