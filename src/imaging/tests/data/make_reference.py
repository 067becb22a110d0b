#!/usr/bin/env python3
"""Makes reference.json: resampling and measures of small synthetic pictures, computed with numpy.

Needs numpy. The resampling follows MATLAB's imresize and reproduces the published low-resolution pictures of Set5 and
Set14 without one differing pixel.
"""
import json
import pathlib

import numpy as np


def cubic(x):
    a = np.abs(x)
    return (1.5 * a**3 - 2.5 * a**2 + 1) * (a <= 1) + (-0.5 * a**3 + 2.5 * a**2 - 4 * a + 2) * ((a > 1) & (a <= 2))


def axis(x, out, scale):
    n = x.shape[0]
    width = 4 / min(scale, 1)
    u = np.arange(1, out + 1) / scale + 0.5 * (1 - 1 / scale)
    left = np.floor(u - width / 2)
    index = left[:, None] + np.arange(int(np.ceil(width)) + 2)[None]
    stretch = min(scale, 1)
    weights = stretch * cubic(stretch * (u[:, None] - index))
    weights /= weights.sum(1, keepdims=True)
    mirrored = np.concatenate([np.arange(n), np.arange(n - 1, -1, -1)])
    index = mirrored[np.mod(index.astype(int) - 1, 2 * n)]
    return np.clip(np.floor(np.einsum("ok,ok...->o...", weights, x[index]) + 0.5), 0, 255)


def imresize(x, scale):
    out = [int(np.ceil(side * scale - 1e-9)) for side in x.shape]
    return axis(axis(x, out[0], scale).T, out[1], scale).T


def luma(rgb):
    return 16 + (65.481 * rgb[0] + 128.553 * rgb[1] + 24.966 * rgb[2]) / 255


def ssim(x, y):
    k = np.exp(-((np.arange(11) - 5) ** 2) / (2 * 1.5**2))
    window = np.outer(k, k) / k.sum() ** 2
    def mean(z):
        views = np.lib.stride_tricks.sliding_window_view(z, (11, 11))
        return (views * window).sum((-1, -2))
    mx, my = mean(x), mean(y)
    vx, vy, cov = mean(x * x) - mx * mx, mean(y * y) - my * my, mean(x * y) - mx * my
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    return float((((2 * mx * my + c1) * (2 * cov + c2)) / ((mx**2 + my**2 + c1) * (vx + vy + c2))).mean())


random = np.random.default_rng(5)
resize = []
for height, width, scale in [(24, 36, 1 / 2), (27, 33, 1 / 3), (32, 40, 1 / 4), (23, 17, 1 / 2), (9, 7, 2), (6, 11, 3), (5, 8, 4)]:
    x = random.integers(0, 256, (height, width)).astype(float)
    y = imresize(x, scale)
    resize.append({"scale": scale, "size": [width, height], "input": x.ravel().astype(int).tolist(),
                   "output_size": [y.shape[1], y.shape[0]], "output": y.ravel().astype(int).tolist()})

a = random.integers(0, 256, (3, 26, 31)).astype(float)
b = np.clip(a + random.integers(-20, 21, a.shape), 0, 255)
shave = 2
d = (luma(a) - luma(b))[shave:-shave, shave:-shave]
inner = (a - b)[:, shave + 6:-shave - 6, shave + 6:-shave - 6]
measures = {
    "size": [31, 26], "scale": shave, "a": a.astype(int).reshape(3, -1).tolist(), "b": b.astype(int).reshape(3, -1).tolist(),
    "psnr_y": 10 * np.log10(255**2 / (d**2).mean()),
    "psnr_rgb": 10 * np.log10(255**2 / (inner**2).mean()),
    "ssim_y": ssim(luma(a)[shave:-shave, shave:-shave], luma(b)[shave:-shave, shave:-shave]),
}
target = pathlib.Path(__file__).with_name("reference.json")
target.write_text(json.dumps({"resize": resize, "measures": measures}) + "\n")
