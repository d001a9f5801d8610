"""Names of text towers that start from random weights; every other name is a pretrained model's."""

from __future__ import annotations

TINY_TEXT_MODEL = "tiny"  # a two-layer transformer for smoke runs
OWN_TEXT_MODELS = ("letters", "labels", "gru", "bilstm")
