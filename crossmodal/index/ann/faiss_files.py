"""FAISS indexes written to files, read from them, and asked on one thread; all by FAISS's public interface."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from crossmodal.errors import IndexStoreError

__all__ = ["one_thread", "parts", "read_faiss", "write_faiss"]


def write_faiss(index: Any, path: Path) -> None:
    """Write what FAISS built to a file. Raises OSError if the disk refuses."""
    import faiss

    try:
        faiss.write_index(index, str(path))
    except RuntimeError as error:
        raise OSError(f"{path} cannot be written: {error}") from error


def read_faiss(path: Path) -> Any:
    """Read what FAISS built from a file. Raises IndexStoreError if this FAISS cannot read the file."""
    import faiss

    try:
        return faiss.read_index(str(path))
    except RuntimeError as error:
        raise IndexStoreError(f"{path} cannot be read by FAISS {faiss.__version__}") from error


def parts(index: Any) -> tuple[str, ...]:
    """The names of the FAISS types that an index is made of, from the outside in."""
    import faiss

    name = type(index).__name__
    return (name, *parts(faiss.downcast_index(index.index))) if name == "IndexPreTransform" else (name,)


@contextmanager
def one_thread() -> Iterator[None]:
    """FAISS works on the calling thread alone: one query gains nothing by more, and loses much where they wait.

    FAISS's idle threads and numpy's each keep a core busy for a while after their work; where both took turns on two
    cores, a search of 0.4 ms took 4. The number of threads is the calling thread's own.
    """
    import faiss

    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(threads)
