"""Does "this picture + words" find what has both, and "this picture − thing" what lacks the thing?

    python -m benchmarks.composed --images Images --captions captions.txt --split Flickr_8k.devImages.txt

Generated scenes: a picture that is not in the gallery is asked with another time of day, another place, its thing in
another colour or one thing more, or with one of its things taken away; what a scene shows is known exactly. Photos of a
split: the same with things, places and colours that their captions name (THEMES). A hit is right if it has what was
asked for and keeps what was not to change; precision is counted among the first ten hits, or as many as could be right.

Shapes: Q queries, N pictures of a gallery, D embedding.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from crossmodal.datasets.records import Record, load_pairs
from crossmodal.datasets.splits import listed_records
from crossmodal.errors import CrossmodalError, InputError
from crossmodal.images.decode import load_image
from crossmodal.inference.base import Encoder
from crossmodal.inference.encoder import open_encoder
from crossmodal.models.checkpoint_files import STARTER
from crossmodal.progress import Bar
from crossmodal.scenes.captions import SKY_PHRASES
from crossmodal.scenes.catalogue import KINDS, SETTINGS, Setting
from crossmodal.scenes.scene import Scene, describe_scene, draw_scene, make_scenes
from crossmodal.search.ranking import balanced

if TYPE_CHECKING:
    from PIL.Image import Image

Floats = NDArray[np.float64]
Vectors = NDArray[np.float32]
FIRST = 10
FEWEST_RIGHT = 5  # in the gallery, for a query to count
SAMPLES = 2000
T = TypeVar("T")
CHUNK = 50
TASKS = (
    *("scene + time", "scene + place", "scene + colour", "scene + thing", "scene − thing"),
    *("photo + theme", "photo − theme"),
)
THEMES = {
    "a dog": "dog dogs puppy",
    "a man": "man men",
    "a woman": "woman women lady",
    "a boy": "boy boys",
    "a girl": "girl girls",
    "a child": "child children kid kids toddler baby",
    "in the snow": "snow snowy",
    "in the water": "water lake river ocean pool sea",
    "on the beach": "beach sand",
    "on the street": "street road sidewalk city",
    "on the grass": "grass grassy field lawn",
    "with a ball": "ball soccer football basketball baseball tennis",
    "on a bike": "bike bicycle bikes bicycles biker cyclist motorcycle",
    "in the mountains": "mountain mountains cliff rock rocks",
    "jumping in the air": "jump jumps jumping leaps leaping",
    "wearing red": "red",
    "wearing yellow": "yellow",
    "a crowd of people": "crowd people group",
    "on a skateboard": "skateboard skateboarder skateboarding skateboards",
}  # words of a query → words of captions that mean the same


@dataclass(frozen=True)
class Case:
    """One query. picture: its row among those asked with. asked, kept: (N,), which pictures have it and keep the rest.

    itself: the picture's row in the gallery, -1 if it is not there.
    """

    task: str
    picture: int
    words: str
    asked: NDArray[np.bool_]
    kept: NDArray[np.bool_]
    itself: int = -1

    @property
    def sign(self) -> int:
        """1 if the words are added, -1 if they are taken away."""
        return -1 if "−" in self.task else 1

    @property
    def right(self) -> NDArray[np.bool_]:
        """(N,)."""
        return np.asarray(self.asked & self.kept & (np.arange(len(self.asked)) != self.itself))


@dataclass(frozen=True)
class Trial:
    """cases: Q. pictures, words: (Q, D). gallery: (N, D). means: (2, D), of the gallery's pictures and captions."""

    cases: Sequence[Case]
    pictures: Vectors
    words: Vectors
    gallery: Vectors
    means: Vectors


def facts_of(scene: Scene) -> set[str]:
    """All that is true of a scene, one word each."""
    things = {fact for group in scene.groups for fact in (group.kind, f"{group.kind}:{group.colour}")}
    return {scene.setting, f"sky:{scene.sky}", *things}


def scene_cases(scenes: Sequence[Scene], gallery: Sequence[Scene], rng: Random) -> Iterator[Case]:
    """One query of each task for each scene, where the gallery can answer it."""
    facts = [facts_of(scene) for scene in gallery]

    def have(fact: str) -> NDArray[np.bool_]:
        return np.array([fact in known for known in facts])

    for row, scene in enumerate(scenes):
        group, place = scene.groups[0], SETTINGS[scene.setting]
        shown = {group.kind for group in scene.groups}
        skies = [sky for sky in place.skies.split() if sky != scene.sky]
        places = [name for name, other in SETTINGS.items() if name != scene.setting and group.kind in kinds_of(other)]
        colours = [colour for colour in KINDS[group.kind].colours.split() if colour != group.colour]
        things = [kind for kind in kinds_of(place) if kind not in shown]
        if skies:
            sky = rng.choice(skies)
            yield Case("scene + time", row, SKY_PHRASES[sky].split("|")[0], have(f"sky:{sky}"), have(scene.setting))
        if places:
            name = rng.choice(places)
            yield Case("scene + place", row, SETTINGS[name].where.split("|")[0], have(name), have(group.kind))
        if colours:
            colour = rng.choice(colours)
            yield Case("scene + colour", row, colour, have(f"{group.kind}:{colour}"), have(group.kind))
        if things:
            kind = rng.choice(things)
            yield Case("scene + thing", row, noun(kind), have(kind), have(scene.setting))
        if len(scene.groups) > 1:
            kind = rng.choice(scene.groups).kind
            yield Case("scene − thing", row, noun(kind), ~have(kind), have(scene.setting))


def kinds_of(setting: Setting) -> list[str]:
    """The kinds of things that a setting can show."""
    return [kind for kinds in setting.layers.values() for kind in kinds.split()]


def noun(kind: str) -> str:
    """A kind as words: "a dog"."""
    word = re.split(r"[|/]", KINDS[kind].nouns)[0]
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"


def photo_cases(records: Sequence[Record], rng: Random) -> Iterator[Case]:
    """Queries for each photo: a theme that most of its captions name is kept, another added or taken away."""
    spoken = [[set(re.findall("[a-z]+", caption.lower())) for caption in record.captions] for record in records]
    themes = [set(words.split()) for words in THEMES.values()]
    counts = np.array([[sum(bool(words & theme) for words in captions) for theme in themes] for captions in spoken])
    names = list(THEMES)
    for row, said in enumerate(counts):
        own, other = np.flatnonzero(said >= 3).tolist(), np.flatnonzero(said == 0).tolist()
        if not own:
            continue
        kept = rng.choice(own)
        added = rng.choice(other)
        yield Case("photo + theme", row, names[added], counts[:, added] >= 2, counts[:, kept] >= 2, row)
        if len(own) > 1:
            gone = rng.choice([theme for theme in own if theme != kept])
            yield Case("photo − theme", row, names[gone], counts[:, gone] == 0, counts[:, kept] >= 2, row)


def trial(encoder: Encoder, cases: Iterator[Case], pictures: Vectors, gallery: Vectors, captions: list[str]) -> Trial:
    """The cases that can be judged, with their vectors."""
    kept = [case for case in cases if case.right.sum() >= FEWEST_RIGHT]
    if not kept:
        raise InputError("nothing to measure: no query has five right answers, give more pictures")
    known = sorted({case.words for case in kept})
    vectors = dict(zip(known, encoder.encode_texts(known), strict=True))
    means = np.stack([gallery.mean(0), encoder.encode_texts(captions).mean(0)])
    rows = [case.picture for case in kept]
    return Trial(kept, pictures[rows], np.stack([vectors[case.words] for case in kept]), gallery, means)


Method = Callable[[Vectors, Vectors, int, Trial], Floats]  # picture (D,), words (D,), sign → query (D,)


def plain(weight: float) -> Method:
    """The sum of unit vectors."""
    return lambda picture, words, sign, _: np.asarray(picture + sign * weight * words, dtype=np.float64)


def centred(picture: Vectors, words: Vectors, sign: int, trial: Trial) -> Floats:
    """Each less the mean of its kind, pictures or sentences."""
    return np.asarray((picture - trial.means[0]) + sign * (words - trial.means[1]), dtype=np.float64)


def by_best_ten(picture: Vectors, words: Vectors, sign: int, trial: Trial) -> Floats:
    """Each by the mean of its ten best cosines."""
    units = np.stack([picture, words])
    best = np.sort(units @ trial.gallery.T, axis=1)[:, -FIRST:].mean(1)
    return np.asarray(np.array([1.0, sign]) / best @ units, dtype=np.float64)


def by_spread(minus: float) -> Method:
    """Each by the spread of its cosines, with another weight for what is taken away."""

    def method(picture: Vectors, words: Vectors, sign: int, trial: Trial) -> Floats:
        units = np.stack([picture, words])
        spread = (units @ trial.gallery.T).std(1)
        return np.asarray(np.array([1.0, sign * (1.0 if sign > 0 else minus)]) / spread @ units)

    return method


def as_searched(picture: Vectors, words: Vectors, sign: int, trial: Trial) -> Floats:
    """What is added by its spread, what is taken away as it is."""
    units = np.stack([picture, words])
    return np.asarray(balanced(np.array([1.0, sign]), units, trial.gallery) @ units)


METHODS: dict[str, Method] = {
    "the picture alone": plain(0.0),
    "the words alone": lambda _picture, words, sign, _: np.asarray(sign * words, dtype=np.float64),
    "plain sum": plain(1.0),
    "tried: words × 1.5": plain(1.5),
    "tried: centred by modality": centred,
    "tried: by the mean of the ten best": by_best_ten,
    "tried: by spread": by_spread(1.0),
    "tried: by spread, minus × 0.75": by_spread(0.75),
    "tried: by spread, minus × 0.5": by_spread(0.5),
    "the search: + by spread, − as it is": as_searched,
}
SEARCH, PLAIN = list(METHODS)[-1], "plain sum"


def judge(trial: Trial, method: Method) -> Floats:
    """(Q, 2): share of the first ten that is right, and that has not what was asked for (what should be gone)."""
    triples = zip(trial.pictures, trial.words, trial.cases, strict=True)
    queries = np.stack([method(picture, words, case.sign, trial) for picture, words, case in triples])
    scores = queries.astype(np.float32) @ trial.gallery.T
    found = np.empty((len(trial.cases), 2))
    for row, case in enumerate(trial.cases):
        scores[row, case.itself if case.itself >= 0 else []] = -np.inf
        best = np.argsort(-scores[row], kind="stable")[:FIRST]
        most = min(FIRST, int(case.right.sum()))
        found[row] = case.right[best[:most]].mean(), (~case.asked[best]).mean()
    return found


def table(trials: Sequence[Trial], seed: int) -> str:
    """A row a method, a column a task; then the difference of the search to the plain sum, query by query."""
    found = {name: np.concatenate([judge(trial, method) for trial in trials]) for name, method in METHODS.items()}
    tasks = np.array([case.task for trial in trials for case in trial.cases])
    columns = [(task, kind) for task in TASKS if task in tasks for kind in ((0, 1) if "−" in task else (0,))]
    heads = [f"{task}: unwanted left" if kind else task for task, kind in columns]
    lines = ["| asked with | " + " | ".join(heads) + " |", "|---" * (1 + len(heads)) + "|"]
    for name, values in found.items():
        cells = [f"{100 * values[tasks == task, kind].mean():.1f}" for task, kind in columns]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    rng = np.random.default_rng(seed)
    gains = [interval((found[SEARCH] - found[PLAIN])[tasks == task, kind], rng) for task, kind in columns]
    counts = [f"{(tasks == task).sum()}" for task, _ in columns]
    return "\n".join([*lines, f"| search − plain sum | {' | '.join(gains)} |", f"| queries | {' | '.join(counts)} |"])


def interval(values: Floats, rng: np.random.Generator) -> str:
    """Mean with its 95 % bootstrap over queries."""
    means = values[rng.integers(len(values), size=(SAMPLES, len(values)))].mean(1)
    low, high = np.percentile(100 * means, (2.5, 97.5))
    return f"{100 * values.mean():+.1f} ({low:+.1f} to {high:+.1f})"


def encode(encoder: Encoder, pictures: Sequence[T], opened: Callable[[T], Image], what: str) -> Vectors:
    """Pictures opened and encoded a few at a time, (n, D)."""
    blocks = []
    with Bar(what) as bar:
        for start in range(0, len(pictures), CHUNK):
            blocks.append(encoder.encode_images([opened(each) for each in pictures[start : start + CHUNK]]))
            bar.update(min(start + CHUNK, len(pictures)), len(pictures))
    return np.concatenate(blocks)


def scene_trial(encoder: Encoder, count: int, asked: int, seed: int) -> Trial:
    """Scenes of unseen combinations: a gallery of the split "test", asked with pictures of "val"."""
    gallery, scenes = make_scenes(count, seed, "test"), make_scenes(asked, seed, "val")
    vectors = encode(encoder, gallery, draw_scene, "scenes")
    queries = encode(encoder, scenes, draw_scene, "scenes to ask with")
    captions = [describe_scene(scene)[0] for scene in gallery]
    return trial(encoder, scene_cases(scenes, gallery, Random(seed)), queries, vectors, captions)


def photo_trial(encoder: Encoder, options: argparse.Namespace) -> Trial:
    """Photos of a split, each asked with among all others."""
    pairs = load_pairs(options.images, options.captions)
    records = [record for record in listed_records(pairs.records, options.split) if record.captions]
    vectors = encode(encoder, records, lambda record: load_image(pairs.root / record.image), "photos")
    captions = [record.captions[0] for record in records]
    return trial(encoder, photo_cases(records, Random(options.seed)), vectors, vectors, captions)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, default=STARTER, metavar="DIR", help="default: the starter")
    parser.add_argument("--images", type=Path, metavar="DIR", help="photos; left out, scenes alone are asked")
    parser.add_argument("--captions", type=Path, metavar="FILE")
    parser.add_argument("--split", type=Path, metavar="FILE", help="list of pictures to use; default: all")
    parser.add_argument("--scenes", type=int, default=2000, metavar="N", help="in the gallery (default 2000)")
    parser.add_argument("--queries", type=int, default=400, metavar="N", help="scenes to ask with (default 400)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of scenes, queries and bootstrap")
    options = parser.parse_args(arguments)
    try:
        if (options.images is None) != (options.captions is None):
            raise InputError("give both --images and --captions, or neither")
        encoder = open_encoder(options.checkpoint)
        trials = [scene_trial(encoder, options.scenes, options.queries, options.seed)]
        trials += [] if options.images is None else [photo_trial(encoder, options)]
    except CrossmodalError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    sizes = " and ".join(f"{len(trial.gallery):,}" for trial in trials)
    print(f"{encoder.name} {encoder.fingerprint[:12]}, galleries of {sizes} pictures, seed {options.seed}; per cent\n")
    print(table(trials, options.seed))
    return 0


if __name__ == "__main__":
    sys.exit(main())
