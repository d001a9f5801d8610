"""What stands in an index, in SQLite: its rows, and the words of its captions and names.

Takes pictures, captions and what was skipped; gives them back by number or by word. Knows nothing else of the index.
"""
