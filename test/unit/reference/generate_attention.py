#!/usr/bin/env python3
"""Writes attention.h: the frozen PyTorch values of the operators on sequences that a Transformer needs.

    python3 test/unit/reference/generate_attention.py

As generate.py, whose helpers it uses.
"""
import numpy as np
import torch
import torch.nn.functional as F

from generate import BATCH, Case, Header


def attention(heads, causal=False, same=False):
    """torch's own scaled_dot_product_attention under a mask made of lengths and order."""
    def apply(query, key, value, codes=None):
        n, m, width = query.shape[1], key.shape[1], query.shape[2]
        split = lambda x: x.reshape(x.shape[0], x.shape[1], heads, width // heads).transpose(1, 2)
        lengths = torch.full((query.shape[0],), m) if codes is None else codes[:, 0].clamp(0, m)
        seen = torch.arange(m)[None, None, :] < lengths[:, None, None]
        if causal:
            seen = seen & (torch.arange(m)[None, :] <= torch.arange(n)[:, None])[None]
        seen = seen.expand(query.shape[0], n, m)
        # a row without keys would be NaN: it is given all of them, and cleared
        some = seen.any(-1, keepdim=True)
        value = F.scaled_dot_product_attention(split(query), split(key), split(value), attn_mask=(seen | ~some)[:, None])
        value = value.transpose(1, 2).reshape(query.shape) * some
        if same:
            value = value * (torch.arange(n)[None, :] < lengths[:, None])[:, :, None]
        return value
    return apply


def itself(*arguments, **options):
    apply = attention(*arguments, same=True, **options)
    return lambda x, codes=None: apply(x, x, x, codes)


def token_embedding(table, codes):
    known = (codes >= 0) & (codes < table.shape[0])
    return F.embedding(codes.clamp(0, table.shape[0] - 1), table) * known[:, :, None].to(table.dtype)


def sinusoid(x):
    """As in the article: even values are sines, odd ones cosines."""
    length, width = x.shape[1:]
    i = torch.arange(width)
    angle = torch.arange(length)[:, None] / 10000.0 ** ((i - i % 2).to(torch.float64) / width)[None, :]
    return x + torch.where(i % 2 == 0, angle.sin(), angle.cos())


def time_encoding(times, frequencies):
    angle = times.reshape(times.shape[0], -1, 1) * frequencies
    return torch.cat([angle.sin(), angle.cos()], dim=-1)


def main():
    header = Header("attention.h", "values and gradients of the operators that a Transformer needs.")
    header.lines[2] = header.lines[2].replace("generate.py", "generate_attention.py")
    case = Case(header, 11)
    f = case.floats
    lengths = np.array([[4], [1], [0], [3], [9]], np.int64)

    case.add("attention", attention(2), [f(BATCH, 3, 4), f(BATCH, 4, 4), f(BATCH, 4, 4)])
    case.add("attention_lengths", attention(1), [f(BATCH, 3, 4), f(BATCH, 4, 4), f(BATCH, 4, 4)], codes=lengths)
    case.add("attention_causal", attention(3, causal=True), [f(BATCH, 5, 6), f(BATCH, 3, 6), f(BATCH, 3, 6)])
    case.add("attention_itself", itself(2), [f(BATCH, 4, 6)], codes=lengths)
    case.add("attention_itself_causal", itself(1, causal=True), [f(BATCH, 4, 3)], codes=lengths)
    codes = np.array([[0, 2, 2, 1], [3, 3, 3, 3], [-1, 4, 1, 0], [2, 0, 2, 99], [1, 2, 3, 0]], np.int64)
    case.add("token_embedding", token_embedding, [], [f(4, 3)], codes=codes)
    case.add("position", lambda x, table: x + table[:3], [f(BATCH, 3, 4)], [f(5, 4)])
    case.add("sinusoid", sinusoid, [f(BATCH, 4, 5)])
    case.add("time_encoding", time_encoding, [f(BATCH, 3, scale=2)], [f(2)])
    case.add("time_encoding_column", time_encoding, [f(BATCH, 3, 1, scale=2)], [f(2)])
    header.write()


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
