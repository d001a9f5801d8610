"""`python -m crossmodal map`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from crossmodal.cli import main
from crossmodal.index import build_index
from tests.fakes import FakeEncoder, paint_many


@pytest.fixture
def index(tmp_path: Path) -> Path:
    build_index(tmp_path / "photos", paint_many(tmp_path / "photos", 12), FakeEncoder(), tmp_path / "index")
    return tmp_path / "index"


def test_groups_are_printed_and_the_map_is_drawn(index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["map", "--index", str(index), "--plot", str(tmp_path / "map.png"), "--dark"]) == 0
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert sum(int(count) for count, _ in lines) == 12
    assert (tmp_path / "map.png").read_bytes().startswith(b"\x89PNG")


def test_json_has_a_point_and_a_group_for_each_picture(index: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["map", "--index", str(index), "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["method"] == "pca"
    assert [picture["path"] for picture in content["pictures"]] == [f"{number:03d}.png" for number in range(12)]
    groups = [picture["group"] for picture in content["pictures"]]
    assert [group["pictures"] for group in content["groups"]] == [groups.count(at) for at in range(max(groups) + 1)]


def test_a_folder_that_is_no_index_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["map", "--index", str(tmp_path)]) == 2
    assert "there is no index" in capsys.readouterr().err
