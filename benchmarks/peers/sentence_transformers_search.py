"""The search script one writes with sentence-transformers. Runs in its environment.

    python sentence_transformers_search.py MODEL VECTORS WORDS

MODEL: a local folder of a text model. VECTORS: an .npy file (N, D) that is mapped. It encodes the words, multiplies
with all vectors and prints the ten best; offline, so that nothing is looked up before.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"


def main() -> None:
    """Answer one question."""
    np: Any = import_module("numpy")
    library: Any = import_module("sentence_transformers")
    model, vectors, words = sys.argv[1:]
    gallery = np.load(vectors, mmap_mode="r")
    query = library.SentenceTransformer(model, device="cpu").encode(
        words, normalize_embeddings=True, show_progress_bar=False
    )
    scores = gallery @ query
    best = np.argpartition(-scores, min(10, len(scores) - 1))[:10]
    for row in best[np.argsort(-scores[best])]:
        print(f"{scores[row]:.4f}\t{row}")


if __name__ == "__main__":
    main()
