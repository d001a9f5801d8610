"""What the index asks of an encoder."""

from crossmodal.inference.base import Encoder as Embedder
from crossmodal.inference.base import Vectors

__all__ = ["Embedder", "Vectors"]
