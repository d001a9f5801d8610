"""The house keeps its plan: who may import whom, read from the source of every module."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import crossmodal

ROOT = Path(__file__).resolve().parents[1]

# From left to right: a module imports only from its own floor or from one further left.
FLOORS: tuple[frozenset[str], ...] = tuple(
    frozenset(names.split())
    for names in (
        "errors progress _files _memory",
        "images",
        "scenes",
        "datasets",
        "models",
        "recipes",
        "evaluation",
        "inference",
        "index",
        "search",
        "gallery",
        "plots",
        "training",
        "finetune",
        "app cli",
    )
)
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
FRONTS = FLOORS[-1]
TOP_LEVEL = frozenset({"app", "model", "training_script", "build_index"})
LAZY = dict.fromkeys(set(crossmodal.__all__) - {"errors", "__version__"}, "cli")  # what `crossmodal` hands on
HOMES = {  # package -> where it may be imported
    "streamlit": ("app.py", "crossmodal/app/"),
    "faiss": ("crossmodal/index/ann/",),
    "sqlite3": ("crossmodal/index/",),
    "transformers": ("crossmodal/models/",),
    "torchvision": ("crossmodal/datasets/", "crossmodal/models/"),
    "timm": ("crossmodal/models/",),
}


def imported_names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and dotted name of all that a module imports, at its top or in functions; "." starts a relative name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            stem = "." * node.level + (node.module or "")
            yield from ((node.lineno, f"{stem}.{alias.name}") for alias in node.names)


def breach(file: str, name: str) -> str | None:
    """What is wrong with `file` importing `name`, or None. file: POSIX path below the root."""
    package, *rest = name.split(".")
    if not package:
        return "relative import"
    if package in TOP_LEVEL:
        return f"imports the top-level file {package}.py"
    if package in HOMES and not file.startswith(HOMES[package]):
        return f"{package} belongs in {' and '.join(HOMES[package])}"
    if package == "crossmodal" and rest and file.startswith("crossmodal/"):
        return order_breach(room_of(file), LAZY.get(rest[0], rest[0]))
    return None


def room_of(file: str) -> str:
    return file.split("/")[1].removesuffix(".py")


def order_breach(own: str, imported: str) -> str | None:
    """What is wrong with one room importing another, or None; `crossmodal/__init__` and `__main__` are no rooms."""
    if own == imported or own not in FLOOR_OF or imported not in FLOOR_OF:
        return None
    if {own, imported} <= FRONTS:
        return f"the front {own} must not import the front {imported}"
    if FLOOR_OF[imported] > FLOOR_OF[own]:
        return f"{own} must not import {imported}, which stands further right"
    return None


def breaches(root: Path) -> list[str]:
    """Every breach of the plan below `root`, as "file:line: what is wrong"."""
    found = []
    for path in sorted([*root.glob("*.py"), *root.glob("crossmodal/**/*.py")]):
        file = path.relative_to(root).as_posix()
        if "/" in file and room_of(file) not in {"__init__", "__main__", *FLOOR_OF}:
            found.append(f"{file}:1: no room of the plan is called {room_of(file)}")
        for line, name in imported_names(ast.parse(path.read_text(encoding="utf-8"), filename=file)):
            wrong = breach(file, name)
            if wrong:
                found.append(f"{file}:{line}: {wrong}")
    return found


def probes(source: str) -> list[int]:
    """Lines that ask an encoder for what it may lack; `crossmodal.inference.base.Encoder` declares all it can do."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in {"getattr", "hasattr"}
        and ast.unparse(node.args[0]).removesuffix("()").endswith("encoder")
    ]


def test_no_encoder_is_probed_for_what_it_declares() -> None:
    files = sorted(ROOT.glob("crossmodal/**/*.py"))
    assert len(files) > 100
    assert [str(file) for file in files if probes(file.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ('if hasattr(encoder, "bulk"):\n    pass', [1]),
        ('runtime = getattr(asked.searcher.encoder, "runtime", "")', [1]),
        ('\npath = getattr(self._encoder, "path", None)', [2]),
        ('labels = getattr(encoder(), "labels", ())', [1]),
        ("bulk = encoder.has_bulk", []),
        ('hasattr(os, "pread")', []),
    ],
)
def test_a_planted_probe_is_found(source: str, lines: list[int]) -> None:
    assert probes(source) == lines


def test_the_house_keeps_its_plan() -> None:
    assert breaches(ROOT) == []


@pytest.mark.parametrize(
    ("file", "source", "wrong"),
    [
        (
            "crossmodal/datasets/records.py",
            "from crossmodal.search.searcher import Hit",
            "datasets must not import search",
        ),
        (
            "crossmodal/evaluation/retrieval.py",
            "def f():\n    import crossmodal.training.losses",
            "evaluation must not import training",
        ),
        ("crossmodal/index/build.py", "from crossmodal import Searcher", "index must not import cli"),
        ("crossmodal/errors.py", "from crossmodal import images", "errors must not import images"),
        ("crossmodal/cli.py", "from crossmodal.app import theme", "the front cli must not import the front app"),
        ("crossmodal/app/pages/search.py", "import crossmodal.cli", "the front app must not import the front cli"),
        ("crossmodal/search/searcher.py", "import streamlit as st", "streamlit belongs in app.py"),
        ("crossmodal/search/searcher.py", "import faiss", "faiss belongs in crossmodal/index/ann/"),
        ("crossmodal/index/store.py", "import faiss", "faiss belongs in crossmodal/index/ann/"),
        ("crossmodal/evaluation/retrieval.py", "from transformers import AutoModel", "transformers belongs in"),
        ("crossmodal/training/trainer.py", "import torchvision.transforms.v2", "torchvision belongs in"),
        ("build_index.py", "from torchvision.io import read_image", "torchvision belongs in"),
        ("crossmodal/training/config.py", "import timm", "timm belongs in"),
        ("crossmodal/cli.py", "import training_script", "imports the top-level file training_script.py"),
        ("app.py", "from model import ImageEncoder", "imports the top-level file model.py"),
        ("crossmodal/index/build.py", "from . import manifest", "relative import"),
        ("crossmodal/index/build.py", "from ..errors import IndexError", "relative import"),
        ("crossmodal/utils.py", "", "no room of the plan is called utils"),
    ],
)
def test_a_planted_breach_is_found(tmp_path: Path, file: str, source: str, wrong: str) -> None:
    planted = tmp_path / file
    planted.parent.mkdir(parents=True, exist_ok=True)
    planted.write_text(source)
    assert len(breaches(tmp_path)) == 1
    assert wrong in breaches(tmp_path)[0]


@pytest.mark.parametrize(
    ("file", "source"),
    [
        (
            "crossmodal/search/searcher.py",
            "import crossmodal.errors\nfrom crossmodal.index import open_index",
        ),
        ("crossmodal/training/trainer.py", "import accelerate, torch"),
        ("crossmodal/plots/drawings.py", "from crossmodal.search.searcher import Hit"),
        ("crossmodal/app/pages/search.py", "import streamlit\nfrom crossmodal.app.theme import tile"),
        ("crossmodal/models/encoders.py", "def f():\n    import torchvision, transformers"),
        ("app.py", "import streamlit\nfrom crossmodal.app import theme"),
        ("crossmodal/cli.py", "from crossmodal import __version__"),
    ],
)
def test_what_the_plan_allows_is_no_breach(tmp_path: Path, file: str, source: str) -> None:
    allowed = tmp_path / file
    allowed.parent.mkdir(parents=True, exist_ok=True)
    allowed.write_text(source)
    assert breaches(tmp_path) == []


def unnamed_fields(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and "Class.field" of each field of a public dataclass or named tuple that no docstring line begins with."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.ClassDef) or node.name.startswith("_"):
            continue
        kinds = {ast.unparse(part).partition("(")[0] for part in (*node.decorator_list, *node.bases)}
        fields = [
            part.target.id for part in node.body if isinstance(part, ast.AnnAssign) and hasattr(part.target, "id")
        ]
        if kinds & {"dataclass", "NamedTuple"} and len(fields) > 1:
            told = set(re.findall(r"(?m)^(\w+): ", ast.get_docstring(node) or ""))
            yield from ((node.lineno, f"{node.name}.{field}") for field in fields if field not in told)


def test_every_field_has_a_line_in_its_class_docstring() -> None:
    paths = sorted(ROOT.glob("crossmodal/**/*.py"))
    found = [(path.name, *place) for path in paths for place in unnamed_fields(ast.parse(path.read_text("utf-8")))]
    assert found == []
    assert len(paths) > 200


@pytest.mark.parametrize(
    ("kind", "docstring", "unnamed"),
    [
        ("@dataclass(frozen=True)\nclass Pair:", "Two.\n\n    left: one. right: the other.\n    ", ["Pair.right"]),
        ("class Pair(NamedTuple):", "left and right.", ["Pair.left", "Pair.right"]),
        ("@dataclass\nclass Pair:", "Two.\n\n    left: one.\n    right: the other.\n    ", []),
        ("class Pair(Protocol):", "No data.", []),
        ("@dataclass\nclass _Pair:", "Private.", []),
    ],
)
def test_a_field_without_its_line_is_found(kind: str, docstring: str, unnamed: list[str]) -> None:
    tree = ast.parse(f'{kind}\n    """{docstring}"""\n    left: int\n    right: int\n')
    assert [name for _, name in unnamed_fields(tree)] == unnamed


def modules() -> list[str]:
    """Every importable module of the package, but for app/: its pages are scripts that only Streamlit runs."""
    names = [found.name for found in pkgutil.walk_packages(crossmodal.__path__, "crossmodal.")]
    return ["crossmodal", *(name for name in names if not name.startswith(("crossmodal.app.", "crossmodal.__main__")))]


@pytest.mark.parametrize("name", modules())
def test_every_public_name_exists(name: str) -> None:
    module = importlib.import_module(name)
    public = getattr(module, "__all__", [])
    assert len(set(public)) == len(public)
    assert [entry for entry in public if not hasattr(module, entry)] == []


def test_importing_the_package_loads_nothing_heavy() -> None:
    heavy = {"torch", "torchvision", "transformers", "pandas", "matplotlib", "faiss", "streamlit", "numpy"}
    code = f"import sys, crossmodal; print(sorted({heavy!r} & set(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_what_an_encoder_is_can_be_imported_without_what_runs_it() -> None:
    heavy = {"torch", "onnxruntime", "openvino", "transformers", "PIL", "tokenizers"}
    code = f"import sys, crossmodal.inference.base; print(sorted({heavy!r} & set(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
