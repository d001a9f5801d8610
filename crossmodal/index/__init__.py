"""The index on disk: what was embedded, its vectors, and how they are searched."""
