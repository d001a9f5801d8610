"""The set-up agrees with itself: what is imported, listed, locked, written in the README and run by CI."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest

from crossmodal.errors import INSTALLED_AS, install_command

ROOT = Path(__file__).resolve().parents[1]


def listed(file: str) -> set[str]:
    """Names of the packages in a requirements file, without those of the files it includes."""
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    return {re.split(r"[<>=!~; ]", line)[0] for line in lines if re.match(r"[a-z]", line)}


def pins(file: str) -> set[str]:
    """The "name==version ; marker" entries of a lock, without their hashes."""
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    return {line.removesuffix("\\").strip() for line in lines if re.match(r"[a-z]", line)}


def third_party_imports(source: str) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add(str(node.module).split(".")[0])
    return {INSTALLED_AS.get(name, name) for name in found - sys.stdlib_module_names - {"crossmodal"}}


def test_everything_imported_is_listed() -> None:
    paths = {*ROOT.glob("*.py"), *ROOT.glob("crossmodal/**/*.py")} - {ROOT / "setup.py"}  # that is for building
    sources = [path.read_text(encoding="utf-8") for path in paths]
    optional = listed("requirements-export.txt")
    assert set().union(*map(third_party_imports, sources)) <= listed("requirements.txt") | optional


def test_an_unlisted_import_is_noticed() -> None:
    source = "import os, PIL.Image\ndef f():\n    from tables import open_file\nfrom crossmodal import errors"
    assert third_party_imports(source) == {"pillow", "tables"}


def requirements(file: str) -> set[str]:
    """Each requirement of a file, without comments and included files."""
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    return {line.partition("  #")[0].strip() for line in lines if re.match(r"[a-z]", line)}


def test_the_extras_are_the_lists_in_parts() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = {
        name: {line for line in lines if not line.startswith(project["name"])}
        for name, lines in project["optional-dependencies"].items()
    }
    for_others = {"pandas>=2.2", "sentence-transformers>=6.2"}
    parts = [set(project["dependencies"]), for_others, *(extras[name] for name in ("app", "train", "map"))]
    assert set().union(*parts) == requirements("requirements.txt")
    assert sum(map(len, parts)) == len(requirements("requirements.txt"))
    assert extras["export"] == requirements("requirements-export.txt")
    assert extras["dev"] == requirements("requirements-dev.txt")


def test_a_missing_package_is_named_by_the_extra_that_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [
        "faiss-cpu>=1.15",
        "scikit-learn>=1.5; extra == 'map'",
        'umap-learn; python_version < "4" and extra == "map"',
    ]
    monkeypatch.setattr("importlib.metadata.requires", lambda _: lines)
    assert install_command("sklearn", "umap") == 'pip install "crossmodal-search[map]"'
    assert install_command("faiss") == "pip install faiss-cpu"
    assert install_command("sklearn", "faiss") == "pip install scikit-learn faiss-cpu"


@pytest.mark.parametrize("name", ["requirements", "requirements-dev"])
def test_a_lock_pins_its_whole_list_with_hashes_and_without_addresses(name: str) -> None:
    locked = (ROOT / f"{name}.lock").read_text(encoding="utf-8")
    assert listed(f"{name}.txt") <= {pin.split("==")[0] for pin in pins(f"{name}.lock")}
    assert "://" not in locked
    assert re.findall(r"^[a-z].*(?<!\\)$", locked, re.MULTILINE) == []  # every pin goes on to its hashes


def test_both_locks_pin_the_same_versions() -> None:
    assert pins("requirements.lock") <= pins("requirements-dev.lock")


@pytest.mark.parametrize(
    ("lock", "last"), [("requirements.lock", "streamlit run app.py"), ("requirements-dev.lock", "pytest")]
)
def test_one_line_of_the_readme_does_all_setup(lock: str, last: str) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    setup = "python3 -m venv .venv && .venv/bin/pip install uv && .venv/bin/uv pip install -p .venv -r"
    assert readme.count(f"{setup} {lock} && .venv/bin/{last}") == 1


def test_ci_runs_the_command_of_the_readme() -> None:
    pattern = re.search(r"grep -m 1 -E '(.+)' README\.md", (ROOT / ".ci/run").read_text(encoding="utf-8"))
    assert pattern
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if re.search(pattern[1], line)] == [
        line for line in lines if line.endswith("/pytest")
    ]


def test_every_file_names_the_same_lowest_python() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lowest = project["requires-python"].removeprefix(">=")
    assert f"Python {lowest} or newer" in (ROOT / "README.md").read_text(encoding="utf-8")
    for lock in ("requirements.lock", "requirements-dev.lock"):
        assert f"--python-version {lowest} " in (ROOT / lock).read_text(encoding="utf-8").splitlines()[1]
    workflow = (ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8")
    assert re.findall(r'"(3\.\d+)"', workflow)[0] == lowest


def test_every_benchmark_is_run_by_a_test() -> None:
    lines = [line for path in ROOT.glob("tests/**/*.py") for line in path.read_text(encoding="utf-8").splitlines()]
    used = "\n".join(line for line in lines if re.search(r"import|run_path", line) and "benchmarks" in line)
    assert [path.stem for path in ROOT.glob("benchmarks/*.py") if not re.search(rf"\b{path.stem}\b", used)] == []
