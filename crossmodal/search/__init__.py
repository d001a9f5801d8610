"""A question → its hits: terms with signs and weights, filters, ranking by pictures, by captions or by both.

Takes an open index and an encoder; gives hits with scores, shares and probabilities.
Knows inference and index.
"""
