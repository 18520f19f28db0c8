#!/usr/bin/env python3
"""Trains the networks of speed_deep.c with PyTorch and with the engine, in turns, and prints the ratios.

    make -f engine.mk build/plain/speed_deep
    python3 test/bench/speed_deep.py [--rounds 5] [--seconds 2] [--threads 1,2] [--rows 0,32] [NETWORK ...]

Needs torch. Float32, batches of 128 in memory, Nesterov's SGD, the same networks; PyTorch in both layouts, of which the
faster counts. Rates are examples a second: the best round by the clock, and for one thread the best by processor time,
which a busy machine disturbs less. --rows are the engine's examples a pass (0: its thread's whole share).
"""
import argparse
import os
import resource
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ENGINE = os.path.join(HERE, "..", "..", "build", "plain", "speed_deep")
BATCH = 128
NETWORKS = {
    "resnet20-28x28x1": (28, 1, (16, 32, 64), 3),
    "resnet20-28x28x3": (28, 3, (16, 32, 64), 3),
    "wide-32x32x3": (32, 3, (32, 64, 128), 2),
    "fcn-140x1": None,
}


# ---- PyTorch, in a process of its own that stays ----

def residual(channels, widths, blocks):
    import torch.nn as nn
    import torch.nn.functional as F

    class Block(nn.Module):
        def __init__(self, n_in, n_out, stride):
            super().__init__()
            self.first = nn.Conv2d(n_in, n_out, 3, stride, 1, bias=False)
            self.norm1 = nn.BatchNorm2d(n_out)
            self.second = nn.Conv2d(n_out, n_out, 3, 1, 1, bias=False)
            self.norm2 = nn.BatchNorm2d(n_out)
            self.shortcut = nn.Identity()
            if n_in != n_out or stride != 1:
                self.shortcut = nn.Sequential(nn.Conv2d(n_in, n_out, 1, stride, bias=False), nn.BatchNorm2d(n_out))

        def forward(self, x):
            inner = F.relu(self.norm1(self.first(x)), inplace=True)
            return F.relu(self.norm2(self.second(inner)) + self.shortcut(x), inplace=True)

    layers = [nn.Conv2d(channels, widths[0], 3, 1, 1, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU(inplace=True)]
    width = widths[0]
    for stage, n_out in enumerate(widths):
        for block in range(blocks):
            layers.append(Block(width, n_out, 2 if stage > 0 and block == 0 else 1))
            width = n_out
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10))


def series():
    import torch.nn as nn
    layers, width = [], 1
    for n_out, kernel in ((128, 8), (256, 5), (128, 3)):
        layers += [nn.ConstantPad1d(((kernel - 1) // 2, kernel // 2), 0), nn.Conv1d(width, n_out, kernel, bias=False),
                   nn.BatchNorm1d(n_out), nn.ReLU(inplace=True)]
        width = n_out
    return nn.Sequential(*layers, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(width, 10))


def peer(name, threads, layout):
    """Answers every line "SECONDS" on standard input with the rates of so many seconds and the peak memory in MB."""
    import torch
    import torch.nn.functional as F
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    shape = NETWORKS[name]
    net = residual(*shape[1:]) if shape else series()
    images = torch.randn(BATCH, shape[1], shape[0], shape[0]) if shape else torch.randn(BATCH, 1, 140)
    classes = torch.arange(BATCH) % 10
    if layout == "last":
        net = net.to(memory_format=torch.channels_last)
        images = images.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9, nesterov=True)

    def step():
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(net(images), classes).backward()
        optimizer.step()

    step()
    for line in sys.stdin:
        clock, cpu, steps = time.monotonic(), time.process_time(), 0
        while time.monotonic() - clock < float(line):
            step()
            steps += 1
        print(steps * BATCH / (time.monotonic() - clock), steps * BATCH / (time.process_time() - cpu),
              resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, flush=True)


class Peer:
    def __init__(self, name, threads, layout):
        self.process = subprocess.Popen([sys.executable, __file__, "--peer", name, str(threads), layout], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def rates(self, seconds):
        self.process.stdin.write(f"{seconds}\n")
        self.process.stdin.flush()
        return [float(word) for word in self.process.stdout.readline().split()]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


# ---- Turns ----

def engine(name, threads, rows, seconds):
    out = subprocess.run([ENGINE, name, str(BATCH), str(threads), str(rows), str(seconds)], check=True, text=True,
                         stdout=subprocess.PIPE)
    return [float(word) for word in out.stdout.split()][:3]


def best(rounds):
    return [max(r[0] for r in rounds), max(r[1] for r in rounds), max(r[2] for r in rounds)]


def compare(name, threads, options):
    layouts = ["first", "last"] if NETWORKS[name] else ["first"]
    peers = {layout: Peer(name, threads, layout) for layout in layouts}
    theirs = {layout: [] for layout in layouts}
    ours = {rows: [] for rows in options.rows}
    for _ in range(options.rounds):
        for layout in layouts:
            theirs[layout].append(peers[layout].rates(options.seconds))
        for rows in options.rows:
            ours[rows].append(engine(name, threads, rows, options.seconds))
    for p in peers.values():
        p.close()
    which = 1 if threads == 1 else 0
    layout = max(layouts, key=lambda l: best(theirs[l])[which])
    them = best(theirs[layout])
    for rows in options.rows:
        us = best(ours[rows])
        text = f"{name:17} threads {threads}  rows {rows:3}  idla {us[0]:7.0f}/s  torch (channels {layout}) {them[0]:7.0f}/s" \
               f"  ratio {us[0] / them[0]:.2f}"
        if threads == 1:
            text += f"  by processor time {us[1]:.0f} and {them[1]:.0f}, ratio {us[1] / them[1]:.2f}"
        print(text + f"  memory {us[2]:.0f} and {them[2]:.0f} MB", flush=True)


def numbers(text):
    return [int(word) for word in text.split(",")]


def main():
    if len(sys.argv) == 5 and sys.argv[1] == "--peer":
        peer(sys.argv[2], int(sys.argv[3]), sys.argv[4])
        return
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--threads", type=numbers, default=[1, 2])
    parser.add_argument("--rows", type=numbers, default=[0, 32])
    parser.add_argument("networks", nargs="*", default=list(NETWORKS))
    options = parser.parse_args()
    for name in options.networks:
        for threads in options.threads:
            compare(name, threads, options)


if __name__ == "__main__":
    main()
