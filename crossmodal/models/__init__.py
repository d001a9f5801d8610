"""Towers and their checkpoints: networks from torchvision, timm, transformers and of our own, tokenisers, heads.

Takes names, files or a checkpoint's directory; gives models whose two towers end on one unit sphere.
Knows images, scenes and datasets.
"""
