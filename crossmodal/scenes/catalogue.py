"""What generated scenes are made of: the kinds of things, the settings, and which thing may stand where."""

from __future__ import annotations

from typing import NamedTuple

BRIGHT = "red orange yellow green blue purple pink"
PAINTED = BRIGHT + " white black"
FUR = "brown black white grey"


class Kind(NamedTuple):
    """One kind of thing that can be drawn.

    nouns: words for it, each "singular" or "singular/plural", with "|" between them.
    height: of a medium one, as a share of the frame's.
    aspect: width / height.
    colours: what it may be, with blanks between them.
    verb: how it is placed, a key of the captions' verbs.
    most: the largest count of a group.
    part: what carries the colour ("scarf"), empty if all of it does.
    """

    nouns: str
    height: float
    aspect: float
    colours: str
    verb: str
    most: int = 3
    part: str = ""


KINDS: dict[str, Kind] = {
    "dog": Kind("dog|puppy/puppies", 0.23, 1.15, FUR + " orange", "stand"),
    "cat": Kind("cat|kitten", 0.23, 0.75, FUR + " orange", "sit", 4),
    "rabbit": Kind("rabbit|bunny/bunnies", 0.21, 0.8, FUR, "sit", 4),
    "horse": Kind("horse|pony/ponies", 0.31, 1.2, FUR, "stand"),
    "cow": Kind("cow", 0.27, 1.3, "white brown black", "stand"),
    "sheep": Kind("sheep/sheep", 0.23, 1.18, "white black grey brown", "stand"),
    "pig": Kind("pig|piglet", 0.2, 1.26, "pink black brown", "stand"),
    "hen": Kind("hen|chicken", 0.18, 1.0, "white brown black orange", "stand", 4),
    "fox": Kind("fox/foxes", 0.24, 0.88, "orange grey brown", "sit"),
    "bear": Kind("bear|bear cub", 0.29, 0.9, "brown black white grey", "sit"),
    "penguin": Kind("penguin", 0.24, 0.72, BRIGHT, "stand", 4, "scarf/scarves"),
    "duck": Kind("duck|duckling", 0.13, 1.2, "yellow white brown", "swim", 4),
    "swan": Kind("swan", 0.19, 1.14, "white black", "swim"),
    "bird": Kind("bird", 0.13, 1.3, BRIGHT + " white black brown", "fly", 4),
    "butterfly": Kind("butterfly/butterflies", 0.14, 1.1, BRIGHT + " white", "fly", 4),
    "owl": Kind("owl", 0.2, 0.72, "brown grey white orange", "sit"),
    "camel": Kind("camel", 0.31, 1.28, "brown white grey", "stand"),
    "frog": Kind("frog", 0.14, 1.1, "green orange red yellow blue", "sit", 4),
    "fish": Kind("fish/fish", 0.15, 1.3, BRIGHT + " white", "swim", 5),
    "whale": Kind("whale", 0.24, 1.55, "blue grey black purple", "swim", 2),
    "turtle": Kind("turtle|sea turtle", 0.18, 1.4, "green brown orange purple red", "swim"),
    "octopus": Kind("octopus/octopuses", 0.23, 1.0, "red orange purple pink yellow green", "rest"),
    "jellyfish": Kind("jellyfish/jellyfish", 0.24, 0.72, "pink purple orange white yellow red", "float", 4),
    "crab": Kind("crab", 0.14, 1.4, "red orange purple blue", "crawl"),
    "starfish": Kind("starfish/starfish", 0.15, 1.04, "orange red pink purple yellow", "lie", 4),
    "snail": Kind("snail", 0.14, 1.12, "brown red blue purple yellow pink", "crawl"),
    "bee": Kind("bee|bumblebee", 0.11, 1.28, "yellow orange", "fly", 4),
    "car": Kind("car", 0.17, 2.0, PAINTED, "park", 2),
    "bus": Kind("bus/buses", 0.22, 2.0, BRIGHT + " white", "park", 2),
    "truck": Kind("truck|lorry/lorries", 0.21, 1.8, BRIGHT + " black", "park", 2),
    "tractor": Kind("tractor", 0.27, 1.38, "red green blue orange yellow", "park", 2),
    "bicycle": Kind("bicycle|bike", 0.2, 1.6, PAINTED, "park", 2),
    "train": Kind("steam train|train", 0.25, 1.7, BRIGHT + " black", "stand", 1),
    "boat": Kind("rowing boat|rowboat", 0.13, 2.0, BRIGHT + " white brown", "float", 2),
    "sailboat": Kind("sailboat|sailing boat", 0.24, 1.0, BRIGHT + " white", "glide", 3, "sails/sails"),
    "submarine": Kind("submarine", 0.19, 1.8, "yellow red orange green purple grey", "float", 2),
    "rocket": Kind("rocket", 0.36, 0.5, BRIGHT + " white grey", "fly", 4),
    "plane": Kind("plane|aeroplane", 0.14, 1.8, BRIGHT + " white grey", "fly", 2),
    "ufo": Kind("flying saucer|UFO", 0.16, 1.7, BRIGHT + " grey", "hover", 2),
    "balloon": Kind("balloon", 0.25, 0.6, PAINTED, "float", 5),
    "airballoon": Kind("hot-air balloon", 0.33, 0.72, BRIGHT, "float"),
    "kite": Kind("kite", 0.27, 0.72, BRIGHT + " white", "fly", 4),
    "ball": Kind("ball|beach ball", 0.15, 1.0, BRIGHT, "lie", 4),
    "house": Kind("house|cottage", 0.4, 1.2, BRIGHT + " white", "stand", 2),
    "tent": Kind("tent", 0.28, 1.4, BRIGHT + " white", "stand", 2),
    "tree": Kind("tree", 0.52, 0.92, "green orange red yellow pink", "stand"),
    "pine": Kind("fir tree|pine tree", 0.42, 0.64, "green blue", "stand", 4),
    "palm": Kind("palm tree", 0.5, 1.0, "green", "stand", 2),
    "cactus": Kind("cactus/cacti", 0.31, 0.72, "green", "stand", 4),
    "flower": Kind("flower", 0.23, 0.54, "red orange yellow blue purple pink white", "grow", 5),
    "mushroom": Kind("mushroom|toadstool", 0.16, 1.0, "red brown orange white purple", "grow", 4),
    "pumpkin": Kind("pumpkin", 0.16, 1.2, "orange white green", "lie", 4),
    "snowman": Kind(
        "snowman/snowmen", 0.33, 0.7, "red orange yellow green blue purple pink", "stand", 3, "scarf/scarves"
    ),
    "umbrella": Kind("beach umbrella|parasol", 0.36, 1.2, BRIGHT + " white", "stand", 2),
    "lamp": Kind("floor lamp|standing lamp", 0.44, 0.48, BRIGHT + " white", "stand", 2),
    "streetlamp": Kind("street lamp|lamp post", 0.5, 0.4, "black green blue red", "stand"),
    "chair": Kind("chair|wooden chair", 0.31, 0.68, PAINTED + " brown", "stand", 4),
    "armchair": Kind("armchair", 0.31, 1.1, PAINTED + " brown grey", "stand", 2),
    "sofa": Kind("sofa|couch/couches", 0.25, 2.1, PAINTED + " brown grey", "stand", 1),
    "table": Kind("coffee table|side table", 0.19, 2.0, "brown white red blue green black", "stand", 1),
    "crate": Kind("crate|wooden crate", 0.18, 1.1, "brown red blue green yellow white", "stand", 3),
    "bench": Kind("bench/benches", 0.17, 2.0, "brown red green blue white yellow", "stand", 1),
    "cup": Kind("cup|mug", 0.18, 1.04, PAINTED, "stand", 4),
    "teapot": Kind("teapot", 0.21, 1.4, PAINTED + " grey", "stand", 2),
    "cake": Kind(
        "birthday cake|cake", 0.27, 1.3, "pink white brown yellow blue purple green", "stand", 2, "icing/icing"
    ),
    "cupcake": Kind("cupcake", 0.19, 0.9, "pink white brown yellow blue purple green", "stand", 4, "icing/icing"),
    "apple": Kind("apple", 0.15, 0.94, "red green yellow", "lie", 5),
    "pear": Kind("pear", 0.18, 0.72, "green yellow red brown", "stand", 5),
    "banana": Kind("banana", 0.12, 1.5, "yellow green", "lie", 3),
    "vase": Kind("vase", 0.31, 0.6, BRIGHT + " white black", "stand", 3),
    "gift": Kind("present|gift", 0.17, 1.0, BRIGHT + " white", "lie", 4),
    "book": Kind("book", 0.2, 0.78, BRIGHT + " brown black", "stand", 4),
    "teddy": Kind("teddy bear|teddy/teddies", 0.22, 0.84, "brown white pink grey orange", "sit", 3),
    "guitar": Kind("guitar", 0.38, 0.54, "red orange yellow brown blue black white", "stand", 2),
    "clock": Kind("clock|wall clock", 0.2, 1.0, PAINTED + " brown", "hang", 2),
    "bucket": Kind("bucket|pail", 0.15, 0.92, BRIGHT, "stand", 4),
    "planet": Kind("ringed planet|planet with a ring/planets with rings", 0.24, 1.5, BRIGHT + " brown", "float", 3),
    "star": Kind("star", 0.17, 1.04, "yellow red orange pink white blue green purple", "shine", 5),
    "astronaut": Kind(
        "astronaut|spaceman/spacemen", 0.32, 0.72, "red orange yellow green blue purple", "float", 3, "visor"
    ),
}

RIVALS: tuple[frozenset[str], ...] = tuple(
    frozenset(names.split())
    for names in (
        "bird duck swan hen owl penguin",
        "boat sailboat",
        "balloon airballoon",
        "tree pine palm",
        "chair armchair",
        "bear teddy",
        "cake cupcake",
        "fish starfish jellyfish",
        "crate table",
        "house tent",
        "balloon ball",
    )
)
"""Kinds that share a word, so that a caption naming one might be read as the other: never in one scene."""

SEATS: dict[str, tuple[float, float, float]] = {
    "sofa": (0.7, 0.18, 0.82),
    "armchair": (0.74, 0.26, 0.74),
    "chair": (0.53, 0.2, 0.95),
    "table": (0.08, 0.08, 0.92),
    "crate": (0.03, 0.02, 0.98),
    "bench": (0.56, 0.08, 0.92),
}
"""Kinds that carry another on top: height of the seat below the top edge and its left and right end, as shares."""

RIDERS = frozenset(
    ("cat", "rabbit", "owl", "hen", "teddy", "ball", "gift", "vase", "book", "frog", "pumpkin", "bucket", "cup")
)

CANOPIES: dict[str, float] = {"tree": 0.64, "palm": 0.56, "umbrella": 0.54, "table": 0.3}
"""Kinds with room below them: where that room begins, as a share of the height from the top."""

KERBSIDE = frozenset(("bench", "streetlamp", "cat", "dog", "gift", "ball"))
"""Kinds that stand on the pavement of a street rather than on its road."""

BACKERS = frozenset(("house", "tent", "bus", "truck", "train", "tractor", "sofa", "sailboat"))
"""Kinds large enough to stand behind another one."""


class Setting(NamedTuple):
    """Where a scene plays.

    nouns: words for it, "a meadow|a grassy field".
    where: words that suit any thing in it, "in a meadow|…".
    skies: its times and weathers, empty indoors.
    horizon: where the sky ends, as a share of the frame's height from the top.
    ground: the range that the feet of what stands there lie in, as such shares.
    layers: which kinds stand on the "ground", are in the "water" or in the "air".
    avoid: colours that would not show.
    water: the range of the feet of what swims there.
    grounded: words that suit only what stands there.
    over: words that suit only what hangs in the air.
    afloat: words that suit only what swims.
    kerb: the range of the feet of KERBSIDE kinds, None where it is that of the others.
    """

    nouns: str
    where: str
    skies: str
    horizon: float
    ground: tuple[float, float]
    layers: dict[str, str]
    avoid: str
    water: tuple[float, float] = (0.0, 0.0)
    grounded: str = ""
    over: str = ""
    afloat: str = ""
    kerb: tuple[float, float] | None = None


SETTINGS: dict[str, Setting] = {
    "meadow": Setting(
        "a green meadow|a grassy field",
        "in a meadow|in a green field",
        "sunny cloudy sunset rainbow",
        0.56,
        (0.7, 0.94),
        {
            "ground": "dog cat rabbit horse fox flower mushroom tent tree house bicycle frog teddy ball train snail",
            "air": "bird butterfly balloon airballoon kite bee plane",
        },
        "green",
        grounded="on a grassy meadow|on a green meadow",
        over="over a meadow|above a green field",
    ),
    "beach": Setting(
        "a sandy beach|the seaside",
        "at the beach|by the sea|at the seaside",
        "sunny cloudy sunset",
        0.42,
        (0.74, 0.95),
        {
            "ground": "dog crab ball umbrella bucket starfish palm tent bicycle",
            "water": "boat sailboat",
            "air": "bird kite balloon plane airballoon",
        },
        "yellow",
        (0.5, 0.56),
        grounded="on the beach|on the sandy shore|on a sandy beach",
        over="over the beach|above a sandy beach",
        afloat="on the sea|on the ocean|just off the beach",
    ),
    "mountains": Setting(
        "a snowy mountain landscape|snow-covered mountains",
        "in the snowy mountains|in front of snowy mountains",
        "sunny snow night cloudy",
        0.6,
        (0.72, 0.94),
        {
            "ground": "snowman penguin bear pine dog fox rabbit house tent train owl",
            "air": "bird airballoon plane kite",
        },
        "white",
        grounded="on a snowy mountainside|on a snowfield in the mountains",
        over="in front of snowy mountains|over a snowy mountain landscape",
    ),
    "desert": Setting(
        "a desert|a sandy desert",
        "in the desert",
        "sunny sunset night",
        0.58,
        (0.72, 0.94),
        {
            "ground": "camel cactus tent truck car bus horse train crate",
            "air": "bird airballoon plane ufo kite",
        },
        "orange yellow",
        grounded="among sand dunes|in the sandy desert",
        over="over the desert|above the sand dunes",
    ),
    "city": Setting(
        "a city street|a downtown street",
        "in the city|downtown",
        "night sunny sunset rain",
        0.68,
        (0.86, 0.96),
        {
            "ground": "car bus truck bicycle streetlamp cat dog bench",
            "air": "plane balloon airballoon bird ufo",
        },
        "grey",
        grounded="on a city street|on a road in the city",
        over="over the city|above a city street",
        kerb=(0.765, 0.8),
    ),
    "street": Setting(
        "a street of colourful houses|a row of little houses",
        "in front of a row of houses|in a little town",
        "rain sunny cloudy snow",
        0.66,
        (0.86, 0.96),
        {
            "ground": "car bus bicycle cat dog bench gift ball truck",
            "air": "balloon bird kite butterfly",
        },
        "grey",
        grounded="on a quiet street|on a street lined with houses",
        over="above a street of little houses|in front of a row of houses",
        kerb=(0.765, 0.8),
    ),
    "forest": Setting(
        "a forest|a leafy wood",
        "in the forest|in the woods",
        "sunny night rain",
        0.6,
        (0.72, 0.94),
        {
            "ground": "fox bear owl rabbit mushroom tent snail frog bicycle house crate dog",
            "air": "butterfly bird bee balloon",
        },
        "green",
        grounded="on the forest floor",
    ),
    "lake": Setting(
        "a lake|a calm lake",
        "at a lake|by a lake|at the lakeside",
        "sunset sunny night cloudy",
        0.42,
        (0.88, 0.95),
        {
            "ground": "frog dog bench tent cat rabbit flower",
            "water": "duck swan boat sailboat",
            "air": "bird plane airballoon kite",
        },
        "blue",
        (0.54, 0.74),
        grounded="on the shore of a lake|beside a lake",
        over="over a lake|above a calm lake",
        afloat="on a lake|on the calm water of a lake",
    ),
    "livingroom": Setting(
        "a living room|a cosy room",
        "in a living room|in a cosy room|in the living room",
        "",
        0.66,
        (0.8, 0.95),
        {
            "ground": "sofa armchair chair table lamp cat dog teddy ball gift guitar vase crate",
            "air": "clock balloon",
        },
        "",
    ),
    "kitchen": Setting(
        "a kitchen|a kitchen table",
        "in a kitchen|in the kitchen",
        "",
        0.62,
        (0.74, 0.94),
        {"ground": "cup teapot cake cupcake apple pear banana vase book", "air": "clock"},
        "",
        grounded="on a kitchen table|on a table in a kitchen",
    ),
    "space": Setting(
        "outer space|the depths of space",
        "in space|in outer space",
        "",
        1.0,
        (0.0, 0.0),
        {"air": "rocket planet star ufo astronaut"},
        "black",
    ),
    "underwater": Setting(
        "an underwater world|an underwater scene",
        "under water|under the sea|in the ocean",
        "",
        0.8,
        (0.86, 0.96),
        {"air": "fish whale turtle jellyfish submarine", "ground": "crab starfish octopus"},
        "blue",
        grounded="on the sea bed|at the bottom of the sea",
        over="in the deep blue sea|under water|in the ocean",
    ),
    "park": Setting(
        "a playground|a park",
        "in a park|at a playground|at the playground",
        "sunny cloudy sunset",
        0.6,
        (0.74, 0.94),
        {
            "ground": "dog cat bicycle ball bench tree flower teddy bucket rabbit",
            "air": "kite balloon bird butterfly bee",
        },
        "green",
        grounded="on the lawn of a playground",
        over="over a playground|above a playground",
    ),
    "autumn": Setting(
        "an autumn field|a golden autumn field",
        "in an autumn field|in a golden autumn field",
        "sunny cloudy sunset rain",
        0.58,
        (0.72, 0.94),
        {
            "ground": "pumpkin horse tractor fox tree hen bicycle mushroom train crate dog house",
            "air": "kite bird airballoon balloon",
        },
        "yellow",
        grounded="among fallen leaves",
        over="over an autumn field|above a golden autumn field",
    ),
    "farm": Setting(
        "a farm|a farmyard",
        "on a farm|in a farmyard",
        "sunny cloudy sunset night",
        0.6,
        (0.74, 0.95),
        {
            "ground": "cow pig sheep hen horse tractor dog cat truck pumpkin crate",
            "air": "bird balloon kite butterfly",
        },
        "green",
        grounded="near a red barn|in front of a farm fence",
        over="over a farm|above a farmyard",
    ),
}
