"""Generated pictures with exactly true captions, split so that a test shows combinations no training has seen.

Takes a count and a seed; gives scenes, what is true of them in words, and their pictures.
Knows images alone.
"""
