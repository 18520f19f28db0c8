#!/usr/bin/env python3
"""A Transformer encoder here and in PyTorch, side by side: sequences a second and memory.

    make -f engine.mk build/plain/speed_attention
    python3 test/bench/speed_attention.py [--rounds 5] [--seconds 1.5] [--shape 0] [--threads 1] [--mode train]

Needs torch. Both do the same work on the same sizes: post-norm layers with gelu, training with AdamW (torch's fused one).
PyTorch is nn.TransformerEncoder or one written by hand over F.scaled_dot_product_attention, whichever is faster, in a process
of its own; rounds of the three alternate, and the median of the rounds' ratios counts, so that other
work on the machine meets all alike. "cpu" is the ratio by processor time, which such work disturbs less (with several
threads PyTorch's waiting ones spin, which counts).
"""
import argparse
import os
import resource
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAM = os.path.join(HERE, "..", "..", "build", "plain", "speed_attention")
# width, layers, heads, length, batch
SHAPES = [(256, 4, 4, 128, 16), (128, 2, 2, 64, 32), (312, 4, 12, 96, 8)]


def peer(kind, width, layers, heads, length, batch, threads, mode, seconds):
    import torch
    import torch.nn as nn
    import torch.nn.functional as F

    torch.set_num_threads(threads)
    torch.manual_seed(1)

    class Layer(nn.Module):
        def __init__(self):
            super().__init__()
            self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
            self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)

        def forward(self, x):
            split = lambda t: t.view(batch, length, heads, width // heads).transpose(1, 2)
            q, k, v = (split(t) for t in self.qkv(x).chunk(3, dim=-1))
            y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, length, width)
            x = self.norm1(x + self.out(y))
            return self.norm2(x + self.down(F.gelu(self.up(x))))

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            if kind == "module":
                layer = nn.TransformerEncoderLayer(width, heads, 4 * width, dropout=0.0, activation="gelu", batch_first=True)
                self.body = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
            else:
                self.body = nn.Sequential(*[Layer() for _ in range(layers)])
            self.head = nn.Linear(width, 2)

        def forward(self, x):
            return self.head(self.body(x).sum(1))

    model = Model()
    x, target = torch.randn(batch, length, width), torch.arange(batch) % 2
    if mode == "train":
        model.train()
        optimizer = torch.optim.AdamW(model.parameters(), fused=True)

        def step():
            optimizer.zero_grad(set_to_none=True)
            F.cross_entropy(model(x), target).backward()
            optimizer.step()
    else:
        model.eval()

        def step():
            with torch.inference_mode():
                model(x)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    step()
    print("ready", flush=True)
    for _ in sys.stdin:
        start, start_cpu, steps = time.perf_counter(), time.process_time(), 0
        while time.perf_counter() - start < seconds or steps == 0:
            step()
            steps += 1
        elapsed, cpu = time.perf_counter() - start, time.process_time() - start_cpu
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(steps * batch / elapsed, steps * batch / cpu, (most - before) / 1024, most / 1024, flush=True)


def ours(shape, threads, mode, seconds):
    run = subprocess.run([PROGRAM, *map(str, shape), str(threads), mode, str(seconds)], check=True, capture_output=True, text=True)
    return [float(v) for v in run.stdout.split()]


def compare(shape, threads, mode, rounds, seconds):
    peers = [subprocess.Popen([sys.executable, __file__, "--peer", kind, *map(str, shape), str(threads), mode, str(seconds)],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for kind in ("module", "written")]
    for p in peers:
        p.stdout.readline()
    ratios, cpus, best = [], [], [0.0, 0.0, 0.0]
    memory = [0.0] * 4
    for _ in range(rounds):
        results = [ours(shape, threads, mode, seconds)]
        for p in peers:
            p.stdin.write("go\n")
            p.stdin.flush()
            results.append([float(v) for v in p.stdout.readline().split()])
        ratios.append(results[0][0] / max(r[0] for r in results[1:]))
        cpus.append(results[0][1] / max(r[1] for r in results[1:]))
        best = [max(b, r[0]) for b, r in zip(best, results)]
        memory = results[0][2:] + [min(r[i] for r in results[1:]) for i in (2, 3)]
    for p in peers:
        p.stdin.close()
        p.wait()
    width, layers, heads, length, batch = shape
    print(f"{mode} width {width} layers {layers} heads {heads} length {length} batch {batch} threads {threads}: "
          f"{statistics.median(ratios):.2f} x PyTorch (cpu {statistics.median(cpus):.2f}); sequences/s at best {best[0]:.0f}, "
          f"nn.TransformerEncoder {best[1]:.0f}, written {best[2]:.0f}; "
          f"memory {memory[1]:.0f} MB of which the session {memory[0]:.0f}, PyTorch {memory[3]:.0f} of which steps {memory[2]:.0f}",
          flush=True)


def main():
    if len(sys.argv) > 1 and sys.argv[1] == "--peer":
        kind, width, layers, heads, length, batch, threads, mode, seconds = sys.argv[2:]
        peer(kind, int(width), int(layers), int(heads), int(length), int(batch), int(threads), mode, float(seconds))
        return
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--shape", type=int, choices=range(len(SHAPES)))
    parser.add_argument("--threads", type=int, choices=(1, 2))
    parser.add_argument("--mode", choices=("train", "infer"))
    a = parser.parse_args()
    for shape in SHAPES if a.shape is None else [SHAPES[a.shape]]:
        for threads in (1, 2) if a.threads is None else [a.threads]:
            for mode in ("train", "infer") if a.mode is None else [a.mode]:
                compare(shape, threads, mode, a.rounds, a.seconds)


if __name__ == "__main__":
    main()
