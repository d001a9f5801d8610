"""A map of a gallery: every picture a point of the plane, like beside like, in groups named by their captions.

A map is worked out once for a generation of an index and kept beside it, as INDEX/maps/GENERATION-METHOD.json; one
that is broken or was made of other pictures is worked out again.

Shapes: N pictures, D embedding, C groups.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossmodal._files import whole_file
from crossmodal.errors import InputError
from crossmodal.index import Index, Vectors

__all__ = [
    "METHODS", "Atlas", "best_method", "centres", "clusters", "group_names", "layout", "make_atlas",
    "read_atlas",
]  # fmt: skip

METHODS = ("umap", "pca")
MAPS = "maps"
SCHEMA = 1
NEIGHBOURS = 15  # UMAP's own default: between the fine grain of 5 and the broad one of 50
LEAST_FOR_UMAP = 50  # fewer points have no neighbourhoods to keep
WORD = r"[^\W_]+(?:['’-][^\W_]+)*"
STOP_WORDS = """
a about above across after against all along also am among an and another are around as at away back background be been
before behind being below beside between both but by can close did do does doing down during each either for foreground
from front get gets getting go goes going has have having he her here him his how i if in inside into is it its itself
just large like look looking looks made make makes many more most near next no not of off on one onto or other others
our out outside over past picture photo image several she side small so some someone something stand standing stands
such than that the their them then there these they this those three through to together top toward towards two under
up upon very was we wear wearing wears were what when where which while who whose with within without you your
"""


@dataclass(frozen=True)
class Grouping:
    """How pictures are put into groups.

    most: groups, as many as there are colours that people tell apart.
    pictures: how many a group has at least on average; smaller ones would say nothing of the gallery.
    dimensions: principal components that k-means works on. The rest is mostly noise, in which distances grow alike.
    shading: silhouette up to which groups shade into each other (Kaufman and Rousseeuw 1990, table 4: no substantial
        structure); the number of groups is then a matter of use, and more of them say more.
    enough: share of the best silhouette that the larger number must still have.
    judged: pictures of which a silhouette is taken, whose time grows with their square.
    """

    most: int = 12
    pictures: int = 5
    dimensions: int = 50
    shading: float = 0.25
    enough: float = 0.75
    judged: int = 3000


@dataclass(frozen=True)
class Naming:
    """What a name of a group is made of.

    words: at most; more do not fit on the map.
    rarest: of the frequency of a group's commonest word; a rarer word is of a few pictures and names nothing.
    longest: characters of a word, of which the rest is cut off.
    """

    words: int = 3
    rarest: float = 0.1
    longest: int = 24


GROUPING, NAMING = Grouping(), Naming()

Points = NDArray[np.float32]
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Atlas:
    """The map of a gallery of N pictures, in C groups.

    points: (N, 2) in [-1, 1], row i for picture i of the index.
    method: "umap" or "pca", the one that made them.
    labels: (N,) the group of each picture, 0 the largest.
    names: C texts, a word or three for each group.
    """

    points: Points
    method: str
    labels: Labels
    names: tuple[str, ...]


def best_method(count: int) -> str:
    """The method that suits so many pictures here: "umap", or "pca" where it is not installed or they are too few."""
    return "umap" if count >= LEAST_FOR_UMAP and find_spec("umap") is not None else "pca"


def layout(vectors: Vectors, method: str = "umap", seed: int = 0) -> tuple[Points, str]:
    """Points (N, 2) in [-1, 1] for unit vectors (N, D), and the method that made them.

    umap: by cosine, from exact neighbours, begun from the PCA so that both maps lie the same way round; it repeats to
        the bit.
    pca: also where umap cannot be imported, pictures are fewer than 50, or all are equal.

    Raises InputError if the method is unknown. Source: McInnes et al. 2018.
    """
    if method not in METHODS:
        raise InputError(f"method is one of {', '.join(METHODS)}, not {method!r}")
    flat = _fitted(_principal(vectors, 2))
    if method == "pca" or len(vectors) < LEAST_FOR_UMAP or not flat.any():
        return flat, "pca"
    try:
        return _fitted(_umap(vectors, 10 * flat, seed)), "umap"
    except ImportError:
        return flat, "pca"


def clusters(vectors: Vectors, seed: int = 0) -> Labels:
    """The group (N,) of each of N unit vectors (N, D), 0 the largest: k-means on their first 50 principal components.

    How many: 2 to 12, of 5 pictures on average, with the best silhouette. Where that is at most 0.25, groups shade into
    each other (Kaufman and Rousseeuw 1990, table 4) and the best would be but two: then the most, whose silhouette is
    still three quarters of it.
    """
    from sklearn.cluster import KMeans
    from sklearn.metrics import silhouette_score

    reduced = _principal(vectors, GROUPING.dimensions)
    different = len(np.unique(reduced.round(5), axis=0)) if len(reduced) else 0
    most = min(GROUPING.most, len(reduced) // GROUPING.pictures, different - 1)
    found: list[tuple[float, Labels]] = []
    for count in range(2, most + 1):
        labels = KMeans(count, n_init=3, random_state=seed).fit(reduced).labels_
        some = min(GROUPING.judged, len(reduced))
        found.append((float(silhouette_score(reduced, labels, sample_size=some, random_state=seed)), labels))
    if not found:
        return np.zeros(len(vectors), dtype=np.int64)
    best = max(score for score, _ in found)
    enough = best if best > GROUPING.shading else GROUPING.enough * best
    labels = next(labels for score, labels in reversed(found) if score >= enough)
    by_size = np.argsort(-np.bincount(labels), kind="stable")
    return np.argsort(by_size)[labels]


def group_names(labels: Labels, captions: Sequence[tuple[int, str]], paths: Sequence[str]) -> tuple[str, ...]:
    """A name for each group: the words that tell its captions from the others'; without captions, its usual folder.

    labels: (N,) the groups.
    captions: row of the picture and text.
    paths: N paths of the pictures, with "/".

    Words are ranked by class-based TF-IDF (Grootendorst 2022, section 3.3), each counted once a caption however long,
    with the term frequency under a root, which holds back the frequent ones. A word a tenth as frequent as the group's
    commonest names nothing, and of two forms of a word, such as "dog" and "dogs", a name has one.
    """
    count = int(labels.max()) + 1 if len(labels) else 0
    ranked = _ranked_words([text for _, text in captions], labels[[picture for picture, _ in captions]], count)
    folders = _usual_folders(labels, paths, count)
    names: list[str] = []
    for number in range(count):
        name = ", ".join(ranked[number]) or folders[number] or f"group {number + 1}"
        same = sum(other == name or other.startswith(f"{name} (") for other in names)
        names.append(f"{name} ({same + 1})" if same else name)
    return tuple(names)


def centres(atlas: Atlas) -> NDArray[np.float32]:
    """Where each group's name stands (C, 2): in the densest part of its points, moved up or down where two would meet.

    A name is taken to be a sixth of the map's width wide and a fourteenth of its height high.
    """
    found = np.zeros((len(atlas.names), 2), dtype=np.float32)
    for number in range(len(atlas.names)):
        points = atlas.points[atlas.labels == number]
        for spread in (1.0, 0.5, 0.25):
            middle = np.median(points, axis=0)
            distance = np.linalg.norm(points - middle, axis=1)
            nearer = points[distance <= np.quantile(distance, spread)]
            points = nearer if len(nearer) else points
        found[number] = np.median(points, axis=0)
    return _apart(found, np.ptp(atlas.points, axis=0) / (6, 14)) if len(found) else found


def make_atlas(index: Index, method: str = "umap", report: Callable[[str], None] = lambda _: None) -> Atlas:
    """The map of an index: the one kept beside it, or else worked out now and kept where the folder can be written.

    report: told in words what is being done. Raises InputError if the method is unknown.
    """
    kept = read_atlas(index, method)
    if kept is not None:
        return kept
    vectors = np.asarray(index.image_vectors)
    grouped = next((atlas for atlas in (read_atlas(index, other) for other in METHODS) if atlas), None)
    if grouped is None:
        report("Grouping the pictures")
        labels = clusters(vectors)
        paths = [picture.stamp.path for picture in index.catalogue.pictures]
        captions = [(caption.picture, caption.text) for caption in index.catalogue.captions]
        grouped = Atlas(np.zeros((len(labels), 2), np.float32), "", labels, group_names(labels, captions, paths))
    report("Laying out the map")
    points, used = layout(vectors, method)
    atlas = replace(grouped, points=points, method=used)
    with suppress(OSError):  # a folder that cannot be written costs the time of making the map again, and nothing else
        _keep(index, atlas)
    return atlas


def read_atlas(index: Index, method: str) -> Atlas | None:
    """The map kept beside an index; None where there is none, or one that is broken or of other pictures."""
    try:
        content = json.loads(_place(index, method).read_bytes())
        if content["made_of"] != _made_of(index) or content["method"] != method:
            return None
        points, labels = np.asarray(content["points"], np.float32), np.asarray(content["labels"], np.int64)
        names = tuple(content["names"])
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None
    count = len(index.catalogue.pictures)
    whole = points.shape == (count, 2) if count else not points.size
    fits = labels.shape == (count,) and all(isinstance(name, str) for name in names)
    if not (whole and fits and np.isfinite(points).all() and np.isin(labels, np.arange(len(names))).all()):
        return None
    return Atlas(points.reshape(count, 2), method, labels, names)


def _apart(places: NDArray[np.float32], size: NDArray[np.float64]) -> NDArray[np.float32]:
    """Places (C, 2) of names of one size (2,), pushed up and down until none stands on another."""
    for _ in range(50):
        order = np.argsort(places[:, 1], kind="stable")
        clashes = [
            (below, above)
            for at, below in enumerate(order)
            for above in order[at + 1 :]
            if (np.abs(places[above] - places[below]) < 0.99 * size).all()
        ]
        if not clashes:
            break
        for below, above in clashes:
            push = max(size[1] - float(places[above, 1] - places[below, 1]), 0) / 2
            places[below, 1] -= push
            places[above, 1] += push
    return places


def _place(index: Index, method: str) -> Path:
    return index.path / MAPS / f"{index.manifest.generation}-{method}.json"


def _made_of(index: Index) -> dict[str, Any]:
    return {"schema": SCHEMA, "generation": index.manifest.generation, "files": index.manifest.files}


def _keep(index: Index, atlas: Atlas) -> None:
    """Write a map in one step, and drop those of former generations."""
    place = _place(index, atlas.method)
    place.parent.mkdir(exist_ok=True)
    content = {
        "made_of": _made_of(index),
        "method": atlas.method,
        "names": atlas.names,
        "labels": atlas.labels.tolist(),
        "points": [[round(x, 4), round(y, 4)] for x, y in atlas.points.tolist()],
    }
    with whole_file(place) as staging:
        staging.write_text(json.dumps(content), encoding="ascii")
    for other in place.parent.glob("*.json"):
        if not other.name.startswith(f"{index.manifest.generation}-"):
            other.unlink(missing_ok=True)


def _principal(vectors: Vectors, dimensions: int) -> NDArray[np.float32]:
    """The first principal components (N, dimensions), 0 where there are fewer."""
    from sklearn.decomposition import PCA

    found = np.zeros((len(vectors), dimensions), dtype=np.float32)
    kept = min(dimensions, *vectors.shape)
    if len(vectors) > 1:
        solver = "covariance_eigh" if len(vectors) > vectors.shape[1] else "full"
        with np.errstate(all="ignore"):  # equal rows have no variance to share
            found[:, :kept] = PCA(kept, svd_solver=solver).fit_transform(vectors)
    return found


def _fitted(points: NDArray[np.float32]) -> Points:
    """Points (N, 2) moved and scaled, the same way in both directions, into [-1, 1]; 4 decimals, as they are kept."""
    if not len(points):
        return np.zeros((0, 2), dtype=np.float32)
    low, high = points.min(axis=0), points.max(axis=0)
    size = float((high - low).max()) / 2
    flat = np.zeros_like(points) if size < 1e-6 else (points - (low + high) / 2) / size
    return np.asarray(flat.round(4), dtype=np.float32)


def _umap(vectors: Vectors, start: Points, seed: int) -> NDArray[np.float32]:
    from sklearn.neighbors import NearestNeighbors

    with warnings.catch_warnings(), torch_threads_kept():
        warnings.simplefilter("ignore")  # of what it could do with TensorFlow, and of what exact neighbours rule out
        from umap import UMAP

        distances, rows = NearestNeighbors(n_neighbors=NEIGHBOURS, metric="cosine").fit(vectors).kneighbors(vectors)
        reducer = UMAP(
            metric="cosine",
            n_neighbors=NEIGHBOURS,
            init=start,
            precomputed_knn=(rows, distances.astype(np.float32), None),
            n_jobs=1,
            random_state=seed,
        )
        return np.asarray(reducer.fit_transform(vectors), dtype=np.float32)


@contextmanager
def torch_threads_kept() -> Iterator[None]:
    """Afterwards torch has as many threads as before: numba, when UMAP starts it, sets the count of both."""
    torch = sys.modules.get("torch")
    threads = torch.get_num_threads() if torch is not None else 0
    try:
        yield
    finally:
        if torch is not None:
            torch.set_num_threads(threads)


def _ranked_words(texts: Sequence[str], groups: Labels, count: int) -> list[list[str]]:
    """At most three words for each of so many groups; groups: (M,) the one of each of M texts."""
    from scipy.sparse import csr_matrix
    from sklearn.feature_extraction.text import CountVectorizer

    counter = CountVectorizer(token_pattern=WORD, stop_words=STOP_WORDS.split(), binary=True)
    try:
        seen = counter.fit_transform(texts)  # (M, words)
    except ValueError:  # no word in any of them
        return [[] for _ in range(count)]
    members = csr_matrix((np.ones(len(texts)), (groups, np.arange(len(texts)))), shape=(count, len(texts)))
    counts = (members @ seen).toarray()
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    scores = np.sqrt(share) * np.log1p(counts.sum() / count / counts.sum(axis=0))
    scores[share < NAMING.rarest * share.max(axis=1, keepdims=True)] = 0
    return [_distinct(counter.get_feature_names_out(), row) for row in scores]


def _distinct(words: Sequence[str], scores: NDArray[np.float64]) -> list[str]:
    """The three words of highest score above 0, no two of them forms of one."""
    chosen: list[str] = []
    for place in np.argsort(-scores, kind="stable").tolist():
        if scores[place] <= 0 or len(chosen) == NAMING.words:
            break
        if not any(_alike(words[place], other) for other in chosen):
            chosen.append(str(words[place]))
    return [word[: NAMING.longest] for word in chosen]


def _alike(first: str, second: str) -> bool:
    """Whether one word is the beginning of the other, as with a plural."""
    shorter, longer = sorted((first, second), key=len)
    return len(shorter) > 2 and longer.startswith(shorter)


def _usual_folders(labels: Labels, paths: Sequence[str], count: int) -> list[str]:
    """The most frequent folder of each group; empty where all pictures lie in one."""
    folders = [PurePosixPath(path).parent.name for path in paths]
    if len(set(folders)) < 2:
        return [""] * count
    counted: list[Counter[str]] = [Counter() for _ in range(count)]
    for label, folder in zip(labels.tolist(), folders, strict=True):
        counted[label][folder] += 1
    return [max(sorted(one), key=one.__getitem__, default="") for one in counted]
