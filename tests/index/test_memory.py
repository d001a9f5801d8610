"""What a build holds in memory does not grow with what it indexes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.peers.running import run
from crossmodal.index import build_index
from tests.fakes import FakeEncoder, paint, paint_many

ROOT = Path(__file__).resolve().parents[2]
FEW, MANY = 4_500, 13_500  # both are searched by codes and have a covariance
MOST = 20e6  # bytes; the vectors of what MANY has more take 74 MB


class Wide(FakeEncoder):
    """A thousand numbers a vector."""

    dimension = 1024

    def _unit(self, colours: NDArray[Any], contents: Any) -> NDArray[np.float32]:
        return np.repeat(super()._unit(colours, contents), 64, axis=1) / np.float32(8)


BUILD = """
import json, sys
from pathlib import Path
from crossmodal._memory import hold_memory
from crossmodal.index import build_index
from tests.index.test_memory import Wide
hold_memory()
photos, captions, index = map(Path, sys.argv[1:])
print(json.dumps({"indexed": build_index(photos, captions, Wide(), index).captions}))
"""


def held(folder: Path, count: int) -> int:
    """The most bytes of its own that a build of so many captioned pictures held."""
    names = [f"{number}.png" for number in range(count)]
    for number, name in enumerate(names):
        paint(folder / "photos" / name, f"#{number:06x}", 2)
    captions = folder / "captions.csv"
    captions.write_text("\n".join(["image,caption", *(f"{name},this is {name}" for name in names)]))
    command = [sys.executable, "-c", BUILD, str(folder / "photos"), str(captions), str(folder / "index")]
    done = run(command, cwd=ROOT, every=0.005)
    assert done.said == {"indexed": count}
    return done.own


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only there is it told what is no file's")
def test_three_times_as_many_pictures_take_hardly_more(tmp_path: Path) -> None:
    few, many = held(tmp_path / "few", FEW), held(tmp_path / "many", MANY)
    assert few > 10e6
    assert many - few < MOST


def test_an_encoder_may_rest_before_an_index_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    happened: list[str] = []

    class Resting(FakeEncoder):
        def rest(self) -> None:
            happened.append("rests")

    def write(*_: Any) -> None:
        happened.append("written")
        raise OSError("far enough")

    monkeypatch.setattr("crossmodal.index.build.write_generation", write)
    captions = paint_many(tmp_path / "photos", 3)
    with pytest.raises(Exception, match="far enough"):
        build_index(tmp_path / "photos", captions, Resting(), tmp_path / "index")
    assert happened == ["rests", "written"]


def test_an_encoder_stays_awake_where_nothing_changed(tmp_path: Path) -> None:
    rested: list[int] = []

    class Resting(FakeEncoder):
        def rest(self) -> None:
            rested.append(1)

    captions = paint_many(tmp_path / "photos", 3)
    build_index(tmp_path / "photos", captions, Resting(), tmp_path / "index")
    assert rested
    rested.clear()
    build_index(tmp_path / "photos", captions, Resting(), tmp_path / "index")
    assert not rested
