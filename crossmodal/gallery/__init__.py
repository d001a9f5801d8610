"""An indexed gallery looked at as a whole: its map, near-duplicates, doubtful captions, and a person's marks.

Takes an open index; gives findings with their evidence, and marks as terms of a query or as a test set.
Knows index and search.
"""
