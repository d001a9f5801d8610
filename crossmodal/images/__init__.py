"""Picture files → upright RGB pixels, and pixels as a model wants them.

Takes files of any common format and gives Pillow images or uint8 arrays (3, S, S); a broken file is a typed error.
Knows errors and progress alone: no captions, no model.
"""
