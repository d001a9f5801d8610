"""A copy of an image tower for inference alone: batch norms folded into their convolutions for good, channels last."""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import TypeVar

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

__all__ = ["fused"]

Module = TypeVar("Module", bound=nn.Module)


def fused(tower: Module) -> Module:
    """A copy in eval mode that gives the same to float noise, and no gradients."""
    frozen = copy.deepcopy(tower).eval().requires_grad_(False)
    _fuse(frozen)
    return frozen.to(memory_format=torch.channels_last)


def _fuse(module: nn.Module) -> None:
    """In every Sequential, let a convolution take over the batch norm right after it."""
    for child in module.children():
        _fuse(child)
    if not isinstance(module, nn.Sequential):
        return
    names = list(module._modules)
    for name, following in pairwise(names):
        convolution, norm = module._modules[name], module._modules[following]
        if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            module._modules[name] = fuse_conv_bn_eval(convolution, norm)
            module._modules[following] = nn.Identity()
