"""Approximate nearest neighbours: the rows nearest to a query, found without looking at all of them.

Takes vectors; gives rows with exact cosines, which FAISS proposes by its public interface (flat, RaBitQ or IVF, chosen
from the size of a set). Knows the vectors and moments of the index, and nothing else of it.
"""
