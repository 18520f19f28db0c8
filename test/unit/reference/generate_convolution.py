#!/usr/bin/env python3
"""Writes convolution.h: the frozen PyTorch values of convolution, pools, group normalisation, padding and flipping.

    python3 test/unit/reference/generate_convolution.py

As generate.py, whose helpers it uses. Images are (batch, height, width, channels) here and in the engine, so every
function turns them to PyTorch's order and back.
"""
import numpy as np
import torch
import torch.nn.functional as F

from generate import Case, Header

BATCH = 3


def first(x):
    """Channels first."""
    return x.movedim(-1, 1)


def last(x):
    """Channels last."""
    return x.movedim(1, -1)


def padding(before, after):
    """What F.pad wants for (batch, channels, ...)."""
    pairs = [(b, a) for b, a in zip(before, after)]
    return [n for pair in reversed(pairs) for n in pair]


def distinct(case, *shape):
    """Numbers so far apart that a small step changes no maximum."""
    n = int(np.prod(shape))
    return torch.tensor(((case.random.permutation(n) - n / 2) / 16).reshape(shape))


def convolution(before, after, stride=1, dilation=1, groups=1):
    def apply(x, w):
        kernel = w.movedim(-1, 0).movedim(-1, 1)
        function = F.conv2d if x.dim() == 4 else F.conv1d
        return last(function(F.pad(first(x), padding(before, after)), kernel, stride=stride, dilation=dilation, groups=groups))
    return apply


def max_pool(kernel, stride, before, dilation=1):
    def apply(x):
        function = F.max_pool2d if x.dim() == 4 else F.max_pool1d
        return last(function(first(x), kernel, stride=stride, padding=before, dilation=dilation))
    return apply


def average_pool(kernel, stride, before):
    def apply(x):
        function = F.avg_pool2d if x.dim() == 4 else F.avg_pool1d
        return last(function(first(x), kernel, stride=stride, padding=before, count_include_pad=False))
    return apply


def known(x, lengths):
    return torch.arange(x.shape[1])[None, :, None] < lengths[:, :1, None].clamp(0, x.shape[1])


def global_mean(x, lengths):
    mask = known(x, lengths)
    return torch.where(mask, x, 0.0).sum(1) / mask.sum(1).clamp(min=1)


def global_max(x, lengths):
    mask = known(x, lengths)
    return torch.where(mask.any(1), torch.where(mask, x, -torch.inf).max(1).values, torch.zeros_like(x[:, 0]))


def group_norm(groups):
    return lambda x, g=None, b=None: last(F.group_norm(first(x), groups, g, b, eps=1e-3))


def main():
    header = Header("convolution.h", "values and gradients of convolution, pools, group normalisation, padding.")
    case = Case(header, 11)
    f = case.floats
    add = lambda name, function, src, parameters=(), codes=None: case.add(name, function, src, parameters, codes, batch=BATCH)

    add("convolution", convolution((1, 1), (1, 1)), [f(BATCH, 5, 4, 8)], [f(3, 3, 8, 9)])
    add("convolution_uneven", convolution((2, 0), (0, 1)), [f(BATCH, 4, 5, 17)], [f(3, 3, 17, 8)])
    add("convolution_narrow", convolution((1, 1), (1, 1)), [f(BATCH, 5, 4, 1)], [f(3, 3, 1, 5)])
    add("convolution_stride", convolution((1, 1), (1, 1), stride=2), [f(BATCH, 5, 6, 2)], [f(3, 3, 2, 3)])
    add("convolution_dilated", convolution((1, 2), (0, 1), dilation=(2, 1)), [f(BATCH, 5, 4, 3)], [f(2, 4, 3, 2)])
    add("convolution_groups", convolution((1, 0), (1, 0), groups=2), [f(BATCH, 4, 4, 4)], [f(3, 2, 2, 6)])
    add("convolution_depthwise", convolution((1, 1), (1, 1), stride=(2, 1), groups=5), [f(BATCH, 5, 3, 5)], [f(3, 3, 1, 5)])
    add("convolution_point", convolution((0, 0), (0, 0)), [f(BATCH, 3, 2, 4)], [f(1, 1, 4, 3)])
    add("convolution_point_stride", convolution((0, 0), (0, 0), stride=2), [f(BATCH, 3, 4, 4)], [f(1, 1, 4, 3)])
    add("convolution_sequence", convolution((2,), (1,), dilation=2), [f(BATCH, 7, 3)], [f(3, 3, 4)])
    add("convolution_sequence_wide", convolution((1,), (0,)), [f(BATCH, 6, 9)], [f(3, 9, 8)])

    add("max_pool", max_pool(3, 2, 1), [distinct(case, BATCH, 5, 6, 2)])
    add("max_pool_sequence", max_pool(2, 1, 1, dilation=2), [distinct(case, BATCH, 6, 3)])
    add("average_pool", average_pool((2, 3), (2, 1), (0, 1)), [f(BATCH, 4, 3, 2)])
    add("average_pool_sequence", average_pool(3, 2, 1), [f(BATCH, 7, 3)])
    none = lambda *lengths: np.array([[n] for n in lengths], np.int64)
    add("global_mean", lambda x: x.mean((1, 2)), [f(BATCH, 2, 3, 4)])
    add("global_mean_lengths", global_mean, [f(BATCH, 5, 3)], codes=none(3, 0, 9))
    add("global_max", lambda x: x.amax((1, 2)), [distinct(case, BATCH, 2, 3, 4)])
    add("global_max_lengths", global_max, [distinct(case, BATCH, 5, 3)], codes=none(2, -1, 5))

    add("group_norm", group_norm(3), [f(BATCH, 2, 3, 6) * 2 + 3], [f(6), f(6)])
    add("group_norm_sequence", group_norm(1), [f(BATCH, 4, 3, scale=5)], [f(3), f(3)])
    add("group_norm_bare", group_norm(2), [f(BATCH, 3, 4)])
    add("pad", lambda x: F.pad(x, (0, 0, 1, 2, 0, 1)), [f(BATCH, 2, 3, 2)])
    add("pad_sequence", lambda x: F.pad(x, (0, 0, 2, 1)), [f(BATCH, 3, 2)])
    add("flip", lambda x: x.flip(2), [f(BATCH, 2, 3, 2)])
    header.write()


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
