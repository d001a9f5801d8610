"""What people would say about a generated scene: five sentences, and the facts that each of them states.

A caption is built together with its `Facts`, so that `matches` can tell of which scenes it is true: of its own, and
hardly of any other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import permutations
from random import Random

from crossmodal.scenes.catalogue import KINDS, SETTINGS
from crossmodal.scenes.layout import Group, Scene, holds, pick, place_of

NUMBERS = ("", "a", "two", "three", "four", "five")
SIZE_WORDS = {"small": ("small", "little"), "large": ("big", "large")}
DIMINUTIVES = frozenset(("puppy/puppies", "kitten", "bunny/bunnies", "pony/ponies", "piglet", "bear cub", "duckling"))
VERBS = {
    "stand": ("stands", "stand", "standing"),
    "sit": ("sits", "sit", "sitting"),
    "fly": ("flies", "fly", "flying"),
    "swim": ("swims", "swim", "swimming"),
    "float": ("floats", "float", "floating"),
    "glide": ("glides", "glide", "gliding"),
    "park": ("is parked", "are parked", "parked"),
    "grow": ("grows", "grow", "growing"),
    "lie": ("lies", "lie", "lying"),
    "hang": ("hangs", "hang", "hanging"),
    "hover": ("hovers", "hover", "hovering"),
    "shine": ("shines", "shine", "shining"),
    "crawl": ("crawls", "crawl", "crawling"),
    "rest": ("rests", "rest", "resting"),
}
SKY_PHRASES = {
    "sunny": "on a sunny day|in the sunshine|in bright sunlight|under a blue sky",
    "cloudy": "on a cloudy day|under a cloudy sky|on an overcast day",
    "sunset": "at sunset|in the evening light|as the sun goes down|under a glowing evening sky",
    "night": "at night|in the moonlight|under a crescent moon|on a moonlit night",
    "rain": "in the rain|on a rainy day|while it is raining",
    "snow": "on a snowy day|while it is snowing|while snowflakes are falling|with snowflakes in the air",
    "rainbow": "under a rainbow|with a rainbow in the sky",
}
PLACE_PHRASES = {
    "left": ("on the left", "on the left side of the picture", "to the left"),
    "right": ("on the right", "on the right side of the picture", "to the right"),
    "middle": ("in the middle", "in the centre of the picture"),
}
RELATION_PHRASES = {
    "on": ("on", "on top of"),
    "under": ("under", "beneath", "below"),
    "front": ("in front of",),
    "behind": ("behind",),
    "between": ("between",),
    "above": ("above", "over"),
    "next": ("next to", "beside"),
    "left": ("to the left of", "left of"),
    "right": ("to the right of", "right of"),
}
SALIENT = ("on", "front", "behind", "between")


@dataclass(frozen=True, slots=True)
class Claim:
    """What a caption says about one group.

    kind: a key of `KINDS`.
    colour: of all its things.
    count: how many things it has.
    size: "small", "medium" or "large"; None where the caption says nothing of it.
    """

    kind: str
    colour: str
    count: int
    size: str | None = None


@dataclass(slots=True)
class Facts:
    """All that a caption states.

    claims: one a group that it names.
    setting: a key of `SETTINGS`, None where it names no place.
    sky: the time or weather that it names, if any.
    relations: (name, number of one claim, number of the other), such as ("above", 0, 1).
    places: (number of a claim, part of the picture that its group is in).
    """

    claims: list[Claim] = field(default_factory=list)
    setting: str | None = None
    sky: str | None = None
    relations: list[tuple[str, int, int]] = field(default_factory=list)
    places: list[tuple[int, str]] = field(default_factory=list)


def related(relation: str, first: Group, second: Group) -> bool:
    """Whether a relation, "behind" included, holds between two groups."""
    return holds("front", second, first) if relation == "behind" else holds(relation, first, second)


def matches(facts: Facts, scene: Scene) -> bool:
    """Whether everything a caption states is true of a scene."""
    if facts.setting not in (None, scene.setting) or facts.sky not in (None, scene.sky):
        return False
    return any(_fits(facts, groups) for groups in permutations(scene.groups, len(facts.claims)))


def _fits(facts: Facts, groups: Sequence[Group]) -> bool:
    return (
        all(
            (claim.kind, claim.colour, claim.count) == (group.kind, group.colour, group.count)
            and claim.size in (None, group.size)
            for claim, group in zip(facts.claims, groups, strict=True)
        )
        and all(related(name, groups[i], groups[k]) for name, i, k in facts.relations)
        and all(place_of(groups[i]) == place for i, place in facts.places)
    )


def captions_with_facts(scene: Scene) -> list[tuple[str, Facts]]:
    """Five captions of a scene, none twice, each with the facts it states."""
    rng = Random(scene.seed + 2)
    plans = _plans(scene, rng)
    found: dict[str, Facts] = {}
    misses = 0
    while len(found) < 5:
        plan = plans[(len(found) + misses // 4) % len(plans)]
        writer = Writer(scene, rng)
        text = plan(writer)
        sentence = "" if text is None else text[0].upper() + text[1:] + "."
        if sentence and sentence not in found:
            found[sentence] = writer.facts
        else:
            misses += 1
    return list(found.items())


Plan = Callable[["Writer"], "str | None"]


def _plans(scene: Scene, rng: Random) -> list[Plan]:
    if len(scene.groups) == 1:
        plans: list[Plan] = [_alone_full, _view, _there_is, _alone_placed, _alone_short]
    else:
        plans = [_story, _view, _there_is, _aside, _short]
        if len(scene.groups) == 3:
            plans[1 if rng.random() < 0.5 else 3] = _all_three
    if scene.sky:
        plans[2 if rng.random() < 0.5 else 3] = _opening
    return plans


class Writer:
    """Words for one caption of a scene; remembers the facts and the preposition it has used."""

    def __init__(self, scene: Scene, rng: Random) -> None:
        self.scene, self.rng, self.facts = scene, rng, Facts()
        self.preposition = "?"
        order = list(range(min(2, len(scene.groups))))
        if rng.random() < 0.4:
            order.reverse()
        self.groups = [scene.groups[i] for i in order] + list(scene.groups[2:])

    def thing(self, index: int, sized: float = 0.6, plain: bool = False) -> str:
        """ "a small red ball", "two dogs with …": a group with number, colour and perhaps its size."""
        group = self.groups[index]
        kind, rng = KINDS[group.kind], self.rng
        size = group.size if group.size != "medium" and rng.random() < sized else None
        nouns = [noun for noun in kind.nouns.split("|") if group.size != "large" or noun not in DIMINUTIVES]
        noun = pick(rng, nouns if rng.random() < 0.4 else nouns[:1])
        singular, _, plural = noun.partition("/")
        words = [] if size is None else [pick(rng, SIZE_WORDS[size])]
        colour = "ginger" if (group.kind, group.colour) == ("cat", "orange") and rng.random() < 0.5 else group.colour
        if not kind.part:
            words.append(colour)
        words.append(singular if group.count == 1 else plural or singular + "s")
        text = " ".join(words)
        if group.count == 1:
            text = f"{article(text)} {text}"
        else:
            text = f"{NUMBERS[group.count] if plain else _number(group.count, rng)} {text}"
        self.facts.claims.append(Claim(group.kind, group.colour, group.count, size))
        return text + (_part(kind.part, colour, group.count) if kind.part else "")

    def verb(self, index: int) -> str:
        """ "stands" or "stand"."""
        group = self.groups[index]
        return VERBS[KINDS[group.kind].verb][0 if group.count == 1 else 1]

    def doing(self, index: int) -> str:
        """ "standing"; may be empty."""
        return VERBS[KINDS[self.groups[index].kind].verb][2]

    def relation(self, first: int, second: int, brief: bool = True) -> str | None:
        """Words for a relation that holds between two groups already named; None if none does."""
        a, b = self.groups[first], self.groups[second]
        true = [name for name in RELATION_PHRASES if related(name, a, b)]
        if not true:
            return None
        salient = [name for name in true if name in SALIENT or (name == "under" and b.layer != "air")]
        name = pick(self.rng, salient or true)
        self.facts.relations.append((name, first, second))
        phrases = RELATION_PHRASES[name]
        if name == "under" and b.layer != "air":
            phrases = phrases[:2]
        elif name in ("left", "right") and not brief:
            phrases = phrases[:1]
        self.preposition = pick(self.rng, phrases)
        return self.preposition

    def where(self, *indices: int) -> str:
        """Words for the setting that fit where the named groups are."""
        setting = SETTINGS[self.scene.setting]
        layers = {self.groups[i].layer for i in indices}
        choice = setting.where
        if layers == {"ground"} and setting.grounded:
            choice += "|" + setting.grounded
        elif layers == {"air"}:
            choice = setting.over or choice
        elif layers == {"water"}:
            choice = setting.afloat
        self.facts.setting = self.scene.setting
        options = choice.split("|")
        return pick(self.rng, [words for words in options if not words.startswith(self.preposition)] or options)

    def sky(self, said: str = "", clause: bool = True) -> str:
        """Words for time of day or weather, with a space before; empty indoors."""
        if not self.scene.sky:
            return ""
        self.facts.sky = self.scene.sky
        covered = any(word in said for word in (" under ", " below ", " beneath ")) or self.scene.setting == "forest"
        options = SKY_PHRASES[self.scene.sky].split("|")
        fitting = [words for words in options if not (covered and ("under" in words or "sky" in words))]
        if not clause:
            fitting = [words for words in fitting if words.split()[0] in ("on", "in", "at", "under")]
        return " " + pick(self.rng, fitting or options)


def _number(count: int, rng: Random) -> str:
    return pick(rng, ("two", "two", "two", "a pair of", "a couple of")) if count == 2 else NUMBERS[count]


def article(words: str) -> str:
    """ "a" or "an", by the sound of the first word."""
    return "an" if words[0] in "aeiou" else "a"


def _part(part: str, colour: str, count: int) -> str:
    singular, _, plural = part.partition("/")
    if not plural:
        plural = singular + "s"
    if singular == plural:
        return f" with {colour} {plural}"
    return f" with {article(colour)} {colour} {singular}" if count == 1 else f" with {colour} {plural}"


def _join(*parts: str) -> str:
    return " ".join(part for part in parts if part)


def _story(w: Writer) -> str | None:
    a, b = w.thing(0), w.thing(1)
    relation = w.relation(0, 1, brief=False)
    if relation is None:
        return None
    text = _join(a, w.verb(0), relation, b)
    text = _join(text, w.where(0, 1)) if w.rng.random() < 0.8 else text
    return text + w.sky(text)


def _view(w: Writer) -> str:
    w.facts.setting = w.scene.setting
    noun = pick(w.rng, SETTINGS[w.scene.setting].nouns.split("|"))
    sky = w.sky(clause=False) if w.rng.random() < 0.7 else ""
    things = [w.thing(i, 0.4) for i in range(min(2, len(w.groups)))]
    return f"{noun}{sky} with {' and '.join(things)}"


def _there_is(w: Writer) -> str | None:
    a = w.thing(0, plain=True)
    start = f"there {'is' if w.groups[0].count == 1 else 'are'} {a}"
    if len(w.groups) == 1:
        return _join(start, w.where(0)) + w.sky()
    b = w.thing(1)
    relation = w.relation(0, 1)
    return None if relation is None else _join(start, relation, b, w.where(0, 1))


def _aside(w: Writer) -> str | None:
    places = [place_of(group) for group in w.groups[:2]]
    a, b = w.thing(0), w.thing(1)
    if places[0] and places[1] and places[0] != places[1]:
        w.facts.places += [(0, places[0]), (1, places[1])]
        left, right = (PLACE_PHRASES[place][0] for place in places if place)
        return f"{a} {left} and {b} {right}, {w.where(0, 1)}"
    relation = w.relation(1, 0)
    if relation is None:
        return None
    them = "it" if w.groups[0].count == 1 else "them"
    return _join(a, w.doing(0), w.where(0)) + f", with {b} {relation} {them}"


def _short(w: Writer) -> str:
    a, b = w.thing(0, 0.4), w.thing(1, 0.4)
    relation = w.relation(0, 1) if w.rng.random() < 0.5 else None
    return f"{a} {relation} {b}" if relation else f"{a} and {b} {w.where(0, 1)}"


def _opening(w: Writer) -> str | None:
    sky = w.sky().strip()
    a = w.thing(0)
    if len(w.groups) == 1:
        return f"{sky}, {_join(a, w.verb(0), w.where(0))}"
    b = w.thing(1)
    relation = w.relation(0, 1, brief=False)
    return None if relation is None else f"{sky}, {_join(a, w.verb(0), relation, b, w.where(0, 1))}"


def _all_three(w: Writer) -> str:
    a, b, c = (w.thing(i, 0.4) for i in range(3))
    return _join(f"{a}, {b} and {c}", w.where(0, 1, 2))


def _alone_full(w: Writer) -> str:
    return _join(w.thing(0, 1.0), w.verb(0), w.where(0)) + w.sky()


def _alone_placed(w: Writer) -> str:
    place = place_of(w.groups[0])
    a = w.thing(0, 1.0)
    if place is None:
        return _join(a, w.doing(0), w.where(0)) + w.sky()
    w.facts.places.append((0, place))
    return f"{_join(a, w.doing(0), w.where(0))}, {pick(w.rng, PLACE_PHRASES[place])}"


def _alone_short(w: Writer) -> str:
    return _join(w.thing(0, 1.0), w.where(0)) + (w.sky() if w.rng.random() < 0.5 else "")
