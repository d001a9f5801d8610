"""Captions in every common format and labelled sets → records of pictures, in splits, decoded once.

Takes files and folders as people have them; gives what a training or an index reads, and what is wrong with it.
Knows images and scenes; no model.
"""
