#!/usr/bin/env python3
"""Training passes of one recurrent layer, idla against PyTorch, in alternating rounds.

    make -f engine.mk build/plain/speed_recurrent && python3 test/bench/speed_recurrent.py [--rounds N]

A pass is forward and backward with gradients of all weights, none of the input. The ratio of a round is that of the
shortest passes (of the medians in brackets); printed are the medians of the rounds. One thread is timed by its own clock, two
by the wall's. Exits 1 when a bar is missed.
"""
import argparse
import os
import statistics
import subprocess
import sys
import time

import torch

BAR = 2.0
SHAPES = [(48, 37, 128, 64), (48, 37, 128, 128), (140, 1, 64, 64), (100, 16, 256, 64)]
PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../build/plain/speed_recurrent")


def ours(kind, shape, threads, seconds):
    text = subprocess.run([PROGRAM, kind, *map(str, shape), str(threads), str(seconds)], check=True,
                          capture_output=True, text=True).stdout
    return [float(x) for x in text.split()]


def theirs(model, x, threads, seconds):
    torch.set_num_threads(threads)
    clock = time.process_time if threads == 1 else time.perf_counter
    passes = []

    def one():
        start = clock()
        model.zero_grad()
        model(x)[0].sum().backward()
        passes.append(clock() - start)

    one()
    passes.clear()
    until = time.perf_counter() + seconds
    while not passes or time.perf_counter() < until:
        one()
    return min(passes), statistics.median(passes)


def peak_of_torch(kind, shape):
    """Megabytes that the passes add to a fresh process that has PyTorch loaded."""
    code = ("import torch; torch.set_num_threads(1)\n"
            "r = lambda: int(next(l for l in open('/proc/self/status') if l.startswith('VmHWM')).split()[1])\n"
            f"t, i, h, b = {shape}; torch.nn.{kind.upper()}(2, 2)(torch.randn(2, 2, 2))[0].sum().backward(); before = r()\n"
            f"m = torch.nn.{kind.upper()}(i, h, batch_first=True); x = torch.randn(b, t, i)\n"
            "for _ in range(3): m.zero_grad(); m(x)[0].sum().backward()\n"
            "print((r() - before) / 1024)")
    return float(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.4)
    parser.add_argument("--threads", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--kinds", nargs="*", default=["gru", "lstm"])
    arguments = parser.parse_args()
    missed = 0
    print(f"PyTorch {torch.__version__}, {os.cpu_count()} processors")
    for kind in arguments.kinds:
        for shape in SHAPES:
            length, size_in, hidden, batch = shape
            model = getattr(torch.nn, kind.upper())(size_in, hidden, batch_first=True)
            x = torch.randn(batch, length, size_in)
            for threads in arguments.threads:
                rounds = [(ours(kind, shape, threads, arguments.seconds), theirs(model, x, threads, arguments.seconds))
                          for _ in range(arguments.rounds)]
                best = statistics.median(b[0] / a[0] for a, b in rounds)
                middle = statistics.median(b[1] / a[1] for a, b in rounds)
                missed += best < BAR
                print(f"{kind:4} {length:3} x {size_in:2} hidden {hidden:3} batch {batch:3} threads {threads}: "
                      f"idla {1e3 * min(a[0] for a, _ in rounds):7.2f} ms, PyTorch {1e3 * min(b[0] for _, b in rounds):7.2f} ms, "
                      f"ratio {best:5.2f} [{middle:5.2f}], bar {BAR}: {'met' if best >= BAR else 'MISSED'}", flush=True)
            small = ours(kind, (2, 2, 2, 2), 1, 0.01)[2]
            added = ours(kind, shape, 1, 0.01)[2] - small
            print(f"     memory added by the passes: idla {added:.0f} MB, PyTorch {peak_of_torch(kind, shape):.0f} MB")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
