"""An index is opened quickly, and no less strictly."""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from crossmodal import _files as seals
from crossmodal.errors import IndexStoreError
from crossmodal.index import build_index, open_index
from crossmodal.index.catalogue import Caption, Catalogue, caption_lines, read_catalogue, write_catalogue
from crossmodal.index.rows import Rows
from tests.fakes import FakeEncoder, paint_many


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An index that was opened before, so that the hashes of its files are remembered."""
    monkeypatch.setattr(seals, "SETTLED_NS", -(10**12))
    captions = paint_many(tmp_path / "photos", 6)
    build_index(tmp_path / "photos", captions, FakeEncoder(), tmp_path / "index")
    open_index(tmp_path / "index")
    return tmp_path / "index"


def rows(data: bytes) -> Rows[Caption]:
    return Rows(Path("captions.jsonl"), data, (int, str), lambda row: Caption(*row))


def test_nothing_is_hashed_again_but_where_that_is_asked_for(index: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("hashlib.file_digest", None)
    assert len(open_index(index).catalogue.captions) == 12
    with pytest.raises(TypeError):
        open_index(index, verify=True)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda content: content[:-1], r"has [\d,]+ bytes, not"),
        (lambda content: content[:-1] + bytes([content[-1] ^ 1]), "was altered"),
    ],
)
@pytest.mark.parametrize("name", ["images.npy", "captions.npy", "captions.jsonl", "facts.jsonl"])
def test_a_file_that_changed_after_it_was_opened_is_refused(
    index: Path, name: str, damage: Callable[[bytes], bytes], message: str
):
    path = index / "generation-000001" / name
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(IndexStoreError, match=f"{name} {message}"):
        open_index(index)


@pytest.mark.parametrize("moment", ["pictures.jsonl", "skipped.jsonl", "facts.jsonl"])
def test_a_generation_that_a_build_removes_while_it_is_read_gives_way_to_the_next(
    index: Path, moment: str, monkeypatch: pytest.MonkeyPatch
):
    hashed, built = seals.sealed_hash, []

    def build_meanwhile(file: Path) -> str:
        if file.name == moment and not built:
            built.append(build_index(index.parent / "photos", None, FakeEncoder(), index))
        return hashed(file)

    monkeypatch.setattr("crossmodal.index.store.sealed_hash", build_meanwhile)
    assert len(open_index(index).catalogue.captions) == 0
    assert not (index / "generation-000001").exists()


def test_rows_come_one_by_one_and_all_at_once_alike():
    written = tuple(Caption(number * 7, f"né {number}\n\u2028") for number in range(12))
    found = rows("".join(f'[{row.picture}, "n\\u00e9 {n}\\n\\u2028"]\n' for n, row in enumerate(written)).encode())
    assert [found[number] for number in range(12)] == list(written)
    assert (found[-1], found[3:5]) == (written[-1], written[3:5])
    assert found.numbers().tolist() == [row.picture for row in written]
    assert found == written == tuple(found)
    assert (found[-1], found[3:5]) == (written[-1], written[3:5])
    with pytest.raises(IndexError):
        found[12]


@pytest.fixture
def little_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few lines are many already."""
    monkeypatch.setattr("crossmodal.index.rows.HELD", 40)
    monkeypatch.setattr("crossmodal.index.rows.AT_ONCE", 3)


@pytest.mark.usefixtures("little_held")
@pytest.mark.parametrize("count", [0, 1, 7])
def test_many_lines_are_mapped_from_a_file_and_read_as_few_are(count: int):
    written = tuple(Caption(number * 7, f"né {number}\n\u2028") for number in range(count))
    found = caption_lines().pack(written)
    assert isinstance(found.data.obj, mmap.mmap) == (count > 1)
    assert (list(found.each()), [found[row] for row in range(count)]) == (list(written), list(written))
    assert found.numbers().tolist() == [row.picture for row in written]
    assert found == rows(bytes(found.data)) == written


@pytest.mark.usefixtures("little_held")
def test_an_index_of_many_lines_is_that_of_few(index: Path):
    again = index.with_name("again")
    build_index(index.parent / "photos", index.parent / "captions.csv", FakeEncoder(), again)
    assert len(open_index(again).catalogue.captions) == 12
    for name in ("pictures.jsonl", "captions.jsonl", "facts.jsonl"):
        one, other = (folder / "generation-000001" / name for folder in (index, again))
        assert one.read_bytes() == other.read_bytes()


@pytest.mark.usefixtures("little_held")
def test_without_room_for_temporary_files_the_former_index_stays(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "absent"))
    with pytest.raises(IndexStoreError, match=r"cannot build .*absent.*; the former index is untouched, run again"):
        build_index(index.parent / "photos", None, FakeEncoder(), index)
    assert len(open_index(index).catalogue.captions) == 12


def test_going_through_rows_one_by_one_keeps_none_of_them():
    found = rows(b'[0, "x"]\n[1, "y"]\n')
    assert list(found.each()) == [Caption(0, "x"), Caption(1, "y")]
    assert found._all is None
    assert found == rows(b'[0,"x"]\n[1,"y"]\n')
    assert found._all is None
    assert (found == rows(b'[0, "x"]\n'), found == rows(b'[0, "x"]\n[1, "z"]\n'), found == [1]) == (False, False, False)
    assert tuple(found) == tuple(found.each())


@pytest.mark.parametrize("line", ['["x", "y"]', "[1]", '[true, "y"]', '{"a": 1}', "[1, 2", '[1.5, "y"]'])
def test_a_row_of_another_shape_is_refused_when_it_is_read(line: str):
    with pytest.raises(IndexStoreError, match=r"captions\.jsonl"):
        rows(f'[0, "x"]\n{line}\n'.encode())[1]


def test_only_a_line_feed_ends_a_row():
    strange = rows(b'[0, "x"]\r\n[1,\r"y"]\n[2, "z"]')
    assert (len(strange), strange[1], tuple(strange)[2]) == (3, Caption(1, "y"), Caption(2, "z"))


@pytest.mark.parametrize("line", ['["x", "y"]', '[-1, "y"]', '[, "y"]', f'[{10**30}, "y"]', "", "[12", '[1.5, "y"]'])
def test_a_caption_that_names_no_row_is_refused_at_once(line: str):
    with pytest.raises(IndexStoreError, match="line 2: does not begin with a number"):
        rows(f'[0, "x"]\n{line}\n'.encode()).numbers()


def test_a_caption_of_a_picture_that_is_not_there_is_refused_at_once(tmp_path: Path):
    write_catalogue(tmp_path, Catalogue((), (Caption(0, "x"),)))
    with pytest.raises(IndexStoreError, match=r"names a picture that pictures\.jsonl does not hold"):
        read_catalogue(tmp_path)
