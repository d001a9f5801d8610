from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.house import facts, main

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Two rooms and a loose module; one circle, of which one half is for types alone."""
    files = {
        "__init__.py": '__all__ = ["a", "b"]\n',
        "errors.py": "class Wrong(Exception):\n    pass\n",
        "index/__init__.py": "",
        "index/store.py": "import typing\nif typing.TYPE_CHECKING:\n    from crossmodal.index.rows import Rows\n",
        "index/rows.py": "def rows():\n    from crossmodal.index import store\n    return store\n",
        "search/searcher.py": "def search():\n" + "    pass\n" * 50,
    }
    for name, text in files.items():
        path = tmp_path / "crossmodal" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "README.md").write_text("three words here\n")
    return tmp_path


def test_a_house_is_counted(clone: Path) -> None:
    assert facts(clone) == {
        "rooms at the top": 2,
        "loose modules at the top, without __init__ and __main__": 1,
        "modules": 6,
        "median / largest file": "3 / 51",
        "median / largest function": "27 / 51",
        "functions over 50 lines": 1,
        "circles of modules, type-only imports included": 1,
        "lines of index/": 6,
        "names in crossmodal.__all__": 2,
        "words of the README": 3,
    }


def test_ours_has_no_circles_and_few_entries() -> None:
    found = facts(ROOT)
    assert found["circles of modules, type-only imports included"] == 0
    loose = found["loose modules at the top, without __init__ and __main__"]
    assert int(found["rooms at the top"]) + int(loose) <= 20


def test_clones_stand_side_by_side(clone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(clone), str(ROOT)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"| | {clone} | {ROOT} |"
    assert lines[2].startswith("| rooms at the top | 2 | ")
