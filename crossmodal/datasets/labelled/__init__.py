"""Labelled pictures: torchvision's sets and class folders in one form."""
