"""Times the networks in PyTorch: inference, and a training step with dual regression loss and Adam.

Called by compare_cpu.py with the Python that has PyTorch; prints one JSON object. Weights are random: they do not
change what a pass costs.
"""

import argparse
import json
import statistics
import time

import torch
from torch import nn
from torch.nn import functional as F


class Attention(nn.Module):
    def __init__(self, channels):
        super().__init__()
        squeezed = max(channels // 16, 1)
        self.squeeze, self.excite = nn.Conv2d(channels, squeezed, 1), nn.Conv2d(squeezed, channels, 1)

    def forward(self, x):
        mean = x.mean((2, 3), keepdim=True)
        return x * torch.sigmoid(self.excite(torch.relu(self.squeeze(mean))))


class Block(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.first, self.second = (nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))
        self.attention = Attention(channels)

    def forward(self, x):
        return x + self.attention(self.second(torch.relu(self.first(x))))


class Down(nn.Module):
    def __init__(self, inputs, inner, outputs):
        super().__init__()
        self.strided = nn.Conv2d(inputs, inner, 3, 2, 1, bias=False)
        self.last = nn.Conv2d(inner, outputs, 3, 1, 1, bias=False)

    def forward(self, x):
        return self.last(F.leaky_relu(self.strided(x), 0.2))


class Network(nn.Module):
    def __init__(self, scale, feats, blocks):
        super().__init__()
        levels = scale.bit_length() - 1
        channels = feats << levels
        self.scale, self.head = scale, nn.Conv2d(3, feats, 3, padding=1)
        self.down = nn.ModuleList([Down(feats << p, feats << p, feats << (p + 1)) for p in range(levels)])
        blocks = blocks if len(blocks) == levels else blocks * levels
        self.blocks = nn.ModuleList([nn.Sequential(*[Block(channels) for _ in range(n)]) for n in blocks])
        self.up = nn.ModuleList([nn.Conv2d(channels, 4 * channels, 3, padding=1) for _ in range(levels)])
        widths = [feats << (levels - 1 - level) for level in range(levels)]
        self.reduce = nn.ModuleList([nn.Conv2d(channels, width, 1) for width in widths])
        self.tails = nn.ModuleList([nn.Conv2d(c, 3, 3, padding=1) for c in [channels] + [2 * w for w in widths]])

    def forward(self, x, every_level):
        x = F.interpolate(x, scale_factor=self.scale, mode="bicubic", align_corners=False)
        x, copies, pictures = self.head(x - 110.0), [], []
        for down in self.down:
            copies.append(x)
            x = down(x)
        if every_level:
            pictures.append(self.tails[0](x) + 110.0)
        for level, blocks in enumerate(self.blocks):
            x = self.reduce[level](F.pixel_shuffle(self.up[level](blocks(x)), 2))
            x = torch.cat([x, copies.pop()], 1)
            if every_level or level + 1 == len(self.blocks):
                pictures.append(self.tails[level + 1](x) + 110.0)
        return pictures


def infer(network, args):
    x = torch.rand(1, 3, args.height, args.width) * 255
    with torch.no_grad():
        network(x, False)


def step(network, duals, optimizer, args):
    pyramid = [torch.rand(args.batch, 3, args.patch << k, args.patch << k) * 255 for k in range(len(duals) + 1)]
    pictures = network(pyramid[0], True)
    loss = sum((a - b).abs().mean() for a, b in zip(pictures, pyramid))
    loss = loss + 0.1 * sum((d(pictures[k + 1]) - pyramid[k]).abs().mean() for k, d in enumerate(duals))
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(network.parameters(), 50.0)
    optimizer.step()


def main():
    parser = argparse.ArgumentParser()
    for name, default in [("scale", 4), ("feats", 8), ("threads", 2), ("runs", 3)]:
        parser.add_argument(f"--{name}", type=int, default=default)
    of_levels = lambda text: [int(word) for word in text.split(",")]
    parser.add_argument("--blocks", type=of_levels, default=[4], help="of every level, or of each: 16,4")
    parser.add_argument("--height", type=int)
    parser.add_argument("--width", type=int)
    parser.add_argument("--patch", type=int)
    parser.add_argument("--batch", type=int)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    network = Network(args.scale, args.feats, args.blocks)
    if args.patch:
        duals = nn.ModuleList([Down(3, args.feats, 3) for _ in network.blocks])
        optimizer = torch.optim.Adam([*network.parameters(), *duals.parameters()], 1e-4)
        work = lambda: step(network, duals, optimizer, args)
    else:
        work = lambda: infer(network, args)
    seconds = []
    for _ in range(args.runs + 1):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    print(json.dumps({"seconds": seconds[1:], "median": statistics.median(seconds[1:]), "torch": torch.__version__}))


if __name__ == "__main__":
    main()
