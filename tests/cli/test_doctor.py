"""`python -m crossmodal doctor`, and the benchmark that measures it, at a tiny size."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import caption_doctor
from crossmodal import cli
from crossmodal.index import build_index
from tests.fakes import COLOURS, FakeEncoder, paint

COUNT = 30


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of three colours with three true captions each, but for one that names another colour; one stored
    twice."""
    folder = tmp_path_factory.mktemp("doctor")
    lines = ["image,caption"]
    for number in range(COUNT):
        colour = COLOURS[number % 3]
        shade = "".join("ff" if name == colour else f"{number:02x}" for name in COLOURS)
        paint(folder / "photos" / f"{number:02d}.png", f"#{shade}")
        named = "blue" if number == 0 else colour
        lines += [f"{number:02d}.png,{named} thing {number} <b>"]
        lines += [f"{number:02d}.png,{colour} {word} {number}" for word in ("square", "plain")]
    (folder / "photos" / "copy.png").write_bytes((folder / "photos" / "07.png").read_bytes())
    (folder / "captions.csv").write_text("\n".join(lines))
    (folder / "train.txt").write_text("07.png\n")
    (folder / "val.txt").write_text("copy.png\n")
    build_index(folder / "photos", folder / "captions.csv", FakeEncoder(), folder / "index")
    return folder / "index"


def run(*arguments: str | Path) -> int:
    return cli.main(["doctor", *map(str, arguments)])


def test_a_wrong_caption_is_printed_with_its_evidence(index: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--index", index, "--check", "wrong", "-n", "1") == 0
    first, second, *rest = capsys.readouterr().out.splitlines()[:6]
    assert first.startswith("wrong (captions that look more like those of another picture): ")
    assert second == "1\t00.png\tblue thing 0 <b>"
    assert rest[0].startswith("\tIts picture ranks ")
    assert rest[1] == "\tother caption: red square 0"


def test_every_check_answers_in_one_json_object(index: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--index", index, "--json", "-n", "2", "--splits", index.parent, "--threshold", "0.9999") == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found) == ["wrong", "duplicates", "hubs", "ambiguous"]
    assert found["wrong"][0]["caption"] == "blue thing 0 <b>"
    assert found["duplicates"][0]["splits"] == ["train", "val"]
    assert found["duplicates"][0]["across"] is True
    assert all(len(findings) <= 2 for findings in found.values())


def test_a_table_is_written_of_one_check(index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "wrong.csv"
    assert run("--index", index, "--check", "wrong", "--csv", file) == 0
    assert capsys.readouterr().out == f"{file}\n"
    assert file.read_text("utf-8").splitlines()[1].startswith("00.png,blue thing 0 <b>,0.")
    assert run("--index", index, "--csv", file) == 2
    assert "add --check wrong|duplicates|hubs|ambiguous" in capsys.readouterr().err
    assert run("--index", index, "--check", "wrong", "--csv", tmp_path) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_without_captions_duplicates_are_found_and_the_rest_is_refused(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build_index(index.parent / "photos", None, FakeEncoder(), tmp_path / "bare")
    assert run("--index", tmp_path / "bare", "--threshold", "0.9999") == 0
    output = capsys.readouterr()
    assert "has no captions" in output.err
    assert output.out.startswith("duplicates (pictures stored more than once): 1\n1\t2 files with the same bytes.\n")
    assert run("--index", tmp_path / "bare", "--check", "hubs") == 2
    assert "--captions FILE" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["-n", "0"], "-n must be at least 1"),
        (["--check", "duplicates", "--threshold", "2"], "at most 1, not 2.0"),
        (["--check", "duplicates", "--splits", "nowhere"], "nowhere does not exist"),
    ],
)
def test_what_cannot_be_is_refused(
    index: Path, options: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--index", index, *options) == 2
    assert complaint in capsys.readouterr().err


def test_the_benchmark_finds_what_it_swapped(index: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--index", str(index), "--drawings", "2", "--share", "0.1"]
    assert caption_doctor.main(arguments) == 0
    output = capsys.readouterr().out
    row = next(line for line in output.splitlines() if line.startswith("| the doctor |"))
    assert float(row.split("|")[2].split("%")[0]) >= 50  # a third of the swaps is between pictures of one colour
    assert "| cosine with its two closest siblings |" in output
    assert "31 pictures, 90 captions (all of the index)" in output
    (index.parent / "some.txt").write_text("\n".join(f"{number:02d}.png" for number in range(10)))
    assert caption_doctor.main([*arguments, "--share", "0.3", "--split", str(index.parent / "some.txt")]) == 0
    assert "10 pictures, 30 captions (some.txt)" in capsys.readouterr().out
    assert caption_doctor.main([*arguments, "--share", "0.001"]) == 2
    assert "give another --share" in capsys.readouterr().err
