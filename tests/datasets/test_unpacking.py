"""A captions file gives as much text as a person may have written, and never fills the memory."""

from __future__ import annotations

import gzip
import os
import random
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from crossmodal.datasets.captions import unpacking
from crossmodal.datasets.captions.reading import read_captions
from crossmodal.datasets.captions.unpacking import Limits, allowance
from crossmodal.errors import CaptionsError

ROWS = "image,caption\n" + "a.jpg,A dog runs on a beach\n" * 5000


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits that a test reaches: 1 MiB in all, 64 KiB always."""
    monkeypatch.setattr(unpacking, "LIMITS", Limits(most=1 << 20, ratio=100, always=1 << 16))


@contextmanager
def memory_below(most: int) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < most
    finally:
        tracemalloc.stop()


def write_parquet(path: Path, **columns: Any) -> Path:
    from pyarrow import parquet, table  # type: ignore[import-untyped,unused-ignore]

    parquet.write_table(table(columns), path, compression="zstd", store_schema=False)
    return path


def repeated(text: str, count: int) -> Any:
    import pyarrow as pa  # type: ignore[import-untyped,unused-ignore]

    return pa.DictionaryArray.from_arrays(pa.array([0] * count, pa.int32()), [text])


@pytest.mark.usefixtures("small")
def test_a_small_file_may_unpack_to_a_hundred_times_its_size() -> None:
    assert [allowance(size) for size in (0, 1000, 2000, 10**9)] == [1 << 16, 100_000, 200_000, 1 << 20]


@pytest.mark.usefixtures("small")
def test_a_gzip_that_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.gz").write_bytes(gzip.compress(ROWS.encode()))
    with pytest.raises(CaptionsError, match=r"x.gz \([\d,]+ bytes\) unpacks to more than 0 MiB .* split it"):
        read_captions(tmp_path / "x.gz")


def test_a_gzip_bomb_ends_at_its_allowance(tmp_path: Path) -> None:
    (tmp_path / "x.gz").write_bytes(gzip.compress(bytes(150 << 20)))
    with memory_below(80 << 20), pytest.raises(CaptionsError, match="unpacks to more than 64 MiB"):
        read_captions(tmp_path / "x.gz")


@pytest.mark.usefixtures("small")
def test_a_plain_file_of_too_much_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(ROWS * 10)
    with pytest.raises(CaptionsError, match="holds more than 1 MiB of text"):
        read_captions(tmp_path / "x.csv")


def test_parquet_of_many_rows_is_refused_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write_parquet(tmp_path / "x", image=repeated("a.jpg", 5_000_000), caption=repeated("dog", 5_000_000))
    assert file.stat().st_size < 100_000
    monkeypatch.setattr("crossmodal.datasets.captions.parquet._weight", None)
    with pytest.raises(CaptionsError, match="unpacks to more than 64 MiB"):
        read_captions(file)


@pytest.mark.parametrize("as_list", [False, True])
def test_parquet_of_a_long_text_many_times_is_refused_before_it_is_written_out(tmp_path: Path, as_list: bool) -> None:
    import pyarrow as pa

    texts, names = repeated("dog " * 100_000, 1000), repeated("a.jpg", 1000)
    if as_list:
        texts, names = pa.ListArray.from_arrays([0, 1000], texts), ["a.jpg"]
    file = write_parquet(tmp_path / "x", image=names, caption=texts)
    with memory_below(20 << 20), pytest.raises(CaptionsError, match="unpacks to more than 64 MiB"):
        read_captions(file)


def test_ordinary_parquet_is_read_to_the_last_row(tmp_path: Path) -> None:
    texts = [f"dog {random.Random(number).random()}" for number in range(100_000)]
    names = [f"{number}.jpg" for number in range(100_000)]
    table = read_captions(write_parquet(tmp_path / "x", image=names, caption=texts))
    assert list(table.captions.items())[-1] == ("99999.jpg", (texts[-1],))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes")
def test_a_pipe_or_a_device_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(CaptionsError, match="is a pipe, a device or a folder, not a captions file"):
            read_captions(path)
