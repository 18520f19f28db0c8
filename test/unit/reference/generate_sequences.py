#!/usr/bin/env python3
"""Writes the frozen PyTorch values of the operators on sequences: sequences.h beside this file.

    python3 test/unit/reference/generate_sequences.py

As generate.py, whose tools it uses. Recurrent layers are torch.lstm and torch.gru, one example at a time without its
padding; the conditional random field is written down here and held against the sum over all paths.
"""
import itertools

import numpy as np
import torch
import torch.nn.functional as F

from generate import BATCH, Case, Header

LENGTH = 4
LENGTHS = [4, 2, 0, 1, 9]  # beyond the end is the end


def each(function, n_src=1):
    """Applies function(*src without padding, *parameters) to one example after another; padding of the result is 0."""
    def apply(*arguments):
        *tensors, lengths = arguments if isinstance(arguments[-1], list) else (*arguments, None)
        src, parameters = tensors[:n_src], tensors[n_src:]
        rows = []
        for b in range(src[0].shape[0]):
            n = src[0].shape[1] if lengths is None else max(0, min(lengths[b], src[0].shape[1]))
            rows.append(function(n, *(s[b] for s in src), *parameters))
        return torch.stack(rows)
    return apply


def padded(value, length):
    return F.pad(value, (0, 0, 0, length - value.shape[0]))


def recurrent(kind, backward):
    def apply(n, x, weights_in, weights_hidden, bias, bias_hidden=None):
        hidden = weights_hidden.shape[0]
        if n == 0:
            return x.new_zeros(x.shape[0], hidden)
        zeros = x.new_zeros(1, 1, hidden)
        part = x[:n].flip(0) if backward else x[:n]
        second = torch.zeros_like(bias) if bias_hidden is None else torch.cat([bias.new_zeros(2 * hidden), bias_hidden])
        flat = [weights_in.T, weights_hidden.T, bias, second]
        state = (zeros, zeros) if kind is torch.lstm else zeros
        value = kind(part[None], state, flat, True, 1, 0.0, False, False, True)[0][0]
        return padded(value.flip(0) if backward else value, x.shape[0])
    return each(apply)


def pick(first):
    return each(lambda n, x: x[0 if first else n - 1] if n > 0 else torch.zeros_like(x[0]))


def attention_pool(n, x, scores):
    return torch.softmax(scores.reshape(-1)[:n], 0) @ x[:n]


def allowed(targets, t, tags):
    return [int(targets[t])] if 0 <= targets[t] < tags else list(range(tags))


def log_weight(n, emissions, transitions, start, end, choices):
    """Log of the summed weights of all paths through the choices of each position."""
    alpha = start[choices[0]] + emissions[0, choices[0]]
    for t in range(1, n):
        step = alpha[:, None] + transitions[choices[t - 1]][:, choices[t]]
        alpha = torch.logsumexp(step, 0) + emissions[t, choices[t]]
    return torch.logsumexp(alpha + end[choices[n - 1]], 0)


def log_weight_by_paths(n, emissions, transitions, start, end, choices):
    scores = []
    for path in itertools.product(*choices[:n]):
        score = start[path[0]] + end[path[-1]] + sum(emissions[t, y] for t, y in enumerate(path))
        scores.append(score + sum(transitions[a, b] for a, b in zip(path, path[1:])))
    return torch.logsumexp(torch.stack(scores), 0)


def crf(emissions, transitions, start, end, codes, lengths=None):
    losses = []
    for b in range(emissions.shape[0]):
        n = emissions.shape[1] if lengths is None else max(0, min(lengths[b], emissions.shape[1]))
        if n == 0:
            losses.append(emissions.new_zeros(()))
            continue
        tags = emissions.shape[2]
        parts = []
        for targets in (torch.full((n,), -1), codes[b]):
            choices = [allowed(targets, t, tags) for t in range(n)]
            parts.append(log_weight(n, emissions[b], transitions, start, end, choices))
            slow = log_weight_by_paths(n, emissions[b], transitions, start, end, choices)
            if not torch.allclose(parts[-1], slow, rtol=1e-12):
                raise ValueError("the forward recursion differs from the sum over all paths")
        losses.append((parts[0] - parts[1]) / n)
    return torch.stack(losses)[:, None]


def token_cross_entropy(weights, smoothing):
    def apply(logits, codes, lengths=None):
        classes = logits.shape[2]
        losses = []
        for b in range(logits.shape[0]):
            n = logits.shape[1] if lengths is None else max(0, min(lengths[b], logits.shape[1]))
            known = [t for t in range(n) if 0 <= codes[b, t] < classes]
            loss = F.cross_entropy(logits[b, known], codes[b, known], weight=weights, label_smoothing=smoothing,
                                   reduction="none")
            losses.append(loss.mean() if known else logits.new_zeros(()))
        return torch.stack(losses)[:, None]
    return apply


def sequences():
    header = Header("sequences.h", "values and gradients of the operators on sequences.")
    case = Case(header, 4)
    f = case.floats

    for name, gates, kind in (("lstm", 4, torch.lstm), ("gru", 3, torch.gru)):
        for suffix, backward, lengths, size_in, hidden, length in (
                ("", False, LENGTHS, 2, 3, LENGTH), ("_full", False, None, 3, 2, LENGTH), ("_backward", True, LENGTHS, 2, 3, LENGTH),
                ("_backward_full", True, None, 2, 3, LENGTH), ("_wide", False, [6, 3, 5, 5, 1], 5, 19, 6), ("_one", True, None, 1, 1, 1)):
            parameters = [f(size_in, gates * hidden), f(hidden, gates * hidden, scale=hidden ** -0.5), f(gates * hidden)]
            if kind is torch.gru:
                parameters.append(f(hidden))
            case.add(name + suffix, recurrent(kind, backward), [f(BATCH, length, size_in)], parameters, lengths=lengths)
    for suffix, lengths in (("", LENGTHS), ("_full", None)):
        case.add("last" + suffix, pick(False), [f(BATCH, LENGTH, 3)], lengths=lengths)
        case.add("first" + suffix, pick(True), [f(BATCH, LENGTH, 3)], lengths=lengths)
        case.add("masked_mean" + suffix, each(lambda n, x: x[:n].sum(0) / max(n, 1)), [f(BATCH, LENGTH, 3)], lengths=lengths)
        case.add("mask" + suffix, each(lambda n, x: padded(x[:n], x.shape[0])), [f(BATCH, LENGTH, 3)], lengths=lengths)
    case.add("attention_pool", each(attention_pool, 2), [f(BATCH, LENGTH, 3), f(BATCH, LENGTH, 1, scale=3)], lengths=LENGTHS)
    case.add("attention_pool_full", each(attention_pool, 2), [f(BATCH, LENGTH, 3), f(BATCH, LENGTH, scale=3)])

    targets = np.array([[0, 2, 1, 1], [2, 0, 5, 1], [1, 1, 0, 0], [-1, 0, 2, 2], [1, -1, 7, 0]], np.int64)
    for suffix, lengths in (("", LENGTHS), ("_full", None)):
        case.add("crf" + suffix, crf, [f(BATCH, LENGTH, 3, scale=2)], [f(3, 3, scale=2), f(3), f(3)], codes=targets, lengths=lengths)
    weights = torch.tensor([1.0, 0.5, 2.0], dtype=torch.float64)
    case.add("token_cross_entropy", token_cross_entropy(None, 0.0), [f(BATCH, LENGTH, 3, scale=3)], codes=targets, lengths=LENGTHS)
    case.add("token_cross_entropy_weighted", token_cross_entropy(weights, 0.125), [f(BATCH, LENGTH, 3, scale=3)],
             codes=targets, lengths=LENGTHS)
    case.add("token_cross_entropy_full", token_cross_entropy(weights, 0.0), [f(BATCH, LENGTH, 3, scale=3)], codes=targets)
    header.write()


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.manual_seed(0)
    sequences()
