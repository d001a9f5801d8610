"""How good a checkpoint is: recall both ways, labels, classes, pairs, re-ranking, each with protocol and interval.

Takes vectors, or a checkpoint with pictures and captions; gives reports, and the model card they stand in.
Knows datasets, models and recipes.
"""
