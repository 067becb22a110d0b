"""Makes tiny ncnn networks of random weights, each for some operators, and what ncnn gives for them in single precision.

    python3 scripts/ncnn_fixtures.py src/network/tests/data/foreign

Needs the packages ncnn and numpy. Each network is a convolution to eight channels, the operators, and an enlargement by two.
"""

import json
import struct
import sys
from pathlib import Path

import ncnn
import numpy

HALF = 0x01306B47


class Net:
    """Lines of a .param and the weights of its .bin; the value that was made last is `at`."""

    def __init__(self, seed):
        self.random = numpy.random.default_rng(seed)
        self.lines, self.weights, self.blobs, self.at = [], b"", 0, None
        self.layer("Input", [], 1)
        self.conv(8)

    def layer(self, kind, inputs, outputs=1, arguments=""):
        names = [f"v{self.blobs + i}" for i in range(outputs)]
        self.blobs += outputs
        places = " ".join([*inputs, *names])
        self.lines.append(f"{kind:<24} l{len(self.lines)} {len(inputs)} {outputs} {places} {arguments}".rstrip())
        self.at = names[0] if outputs == 1 else names
        return self.at

    def on(self, kind, arguments=""):
        return self.layer(kind, [self.at], 1, arguments)

    def numbers(self, count, low=-0.5, high=0.5):
        values = self.random.uniform(low, high, count).astype("<f4")
        self.weights += values.tobytes()

    def tagged(self, count, half=False):
        reach = (6 / max(count, 1)) ** 0.5 * 3
        values = self.random.uniform(-reach, reach, count)
        if half:
            raw = values.astype("<f2").tobytes()
            self.weights += struct.pack("<I", HALF) + raw + b"\0" * (-len(raw) % 4)
        else:
            self.weights += struct.pack("<I", 0) + values.astype("<f4").tobytes()

    def conv(self, outputs, inputs=None, kernel=3, more="", half=False, pad=None):
        inputs = inputs or (3 if self.blobs == 1 else 8)
        count = outputs * inputs * kernel * kernel
        pad = kernel // 2 if pad is None else pad
        self.on("Convolution", f"0={outputs} 1={kernel} 4={pad} 5=1 6={count} {more}".strip())
        self.tagged(count, half)
        self.numbers(outputs)

    def shuffled(self):
        self.conv(12)
        self.on("PixelShuffle", "0=2")

    def split(self, count):
        return self.layer("Split", [self.at], count)

    def summed(self, *branches):
        """The sum of what each branch makes of the value."""
        values = []
        for start, branch in zip(self.split(len(branches)), branches):
            self.at = start
            branch()
            values.append(self.at)
        self.at = values[0]
        for value in values[1:]:
            self.layer("BinaryOp", [self.at, value], 1, "0=0")


def functions(net):
    net.summed(
        *[lambda k=kind, a=arguments: net.on(k, a) for kind, arguments in [
            ("Swish", ""), ("Sigmoid", ""), ("Clip", "0=-0.3 1=0.4"), ("HardSwish", "0=1.666667e-01 1=5.000000e-01"), ("Mish", ""),
            ("TanH", ""), ("GELU", "0=1"), ("ReLU", ""), ("ReLU", "0=0.1"), ("HardSigmoid", "0=0.2 1=0.5"), ("AbsVal", ""),
        ]]
    )
    net.shuffled()


def fused(net):
    for more in ["9=1", "9=2 -23310=1,0.2", "9=3 -23310=2,-0.5,0.7", "9=4", "9=5"]:
        net.conv(8, more=more)
    net.conv(8, half=True)
    net.shuffled()


def per_channel(net):
    net.on("PReLU", "0=8")
    net.numbers(8)
    net.on("Scale", "0=8 1=1")
    net.numbers(8, 0.5, 1.5)
    net.numbers(8)
    net.on("BatchNorm", "0=8 1=0.001")
    net.numbers(8, 0.5, 1.5)
    net.numbers(8)
    net.numbers(8, 0.5, 1.5)
    net.numbers(8)
    net.on("PReLU", "0=1")
    net.numbers(1)
    value = net.at
    constants = net.layer("MemoryData", [], 1, "0=1 1=1 2=8")
    net.numbers(8)
    net.layer("BinaryOp", [value, constants], 1, "0=0")
    net.shuffled()


def sums(net):
    a, b = net.split(2)
    net.layer("Eltwise", [a, b], 1, "0=1 -23301=2,0.5,-2.0")
    a, b = net.split(2)
    net.layer("Eltwise", [a, b], 1, "0=0")
    net.on("BinaryOp", "0=2 1=1 2=0.25")
    net.on("BinaryOp", "0=1 1=1 2=0.5")
    net.on("BinaryOp", "0=7 1=1 2=0.75")
    net.on("BinaryOp", "0=3 1=1 2=1.5")
    net.on("UnaryOp", "0=1")
    a, b, c = net.split(3)
    net.layer("Concat", [a, b], 1, "0=0")
    net.on("Crop", "0=0 1=0 2=3 3=-233 4=-233 5=8")
    d = net.at
    net.layer("BinaryOp", [d, c], 1, "0=1")
    first, second = net.layer("Slice", [net.at], 2, "-23300=2,4,-233 1=0")
    net.layer("Concat", [second, first], 1, "0=0")
    net.shuffled()


def pooled(net):
    net.summed(
        lambda: net.on("Pooling", "0=0 1=3 2=1 3=1 5=1"),
        lambda: net.on("Pooling", "0=1 1=3 2=1 3=1 5=1"),
        lambda: (net.on("Padding", "0=1 1=1 2=1 3=1 4=2"), net.conv(8, pad=0)),
        lambda: (net.on("Padding", "0=1 1=2 2=2 3=1 4=1"), net.conv(8, kernel=4, pad=0)),
    )
    x, gate = net.split(2)
    net.at = gate
    net.on("Pooling", "0=1 4=1")
    net.on("InnerProduct", "0=8 1=1 2=64 9=1")
    net.tagged(64)
    net.numbers(8)
    net.on("Sigmoid")
    net.layer("BinaryOp", [x, net.at], 1, "0=2")
    net.shuffled()


def transposed(net):
    net.on("Deconvolution", "0=8 1=4 3=2 4=1 5=1 6=1024")
    net.tagged(1024)
    net.numbers(8)
    net.on("DeconvolutionDepthWise", "0=8 1=3 3=1 4=1 5=1 6=72 7=8")
    net.tagged(72)
    net.numbers(8)
    net.conv(3)


def grouped(net):
    net.on("ConvolutionDepthWise", "0=8 1=3 4=1 5=1 6=72 7=8")
    net.tagged(72)
    net.numbers(8)
    net.on("ConvolutionDepthWise", "0=8 1=3 4=1 5=1 6=144 7=4 9=2 -23310=1,0.1")
    net.tagged(144)
    net.numbers(8)
    net.conv(8, kernel=5, more="2=1")
    net.on("Convolution", "0=8 1=3 2=2 4=2 5=1 6=576")
    net.tagged(576)
    net.numbers(8)
    net.on("Reorg", "0=2")
    net.conv(8, inputs=32, kernel=1)
    net.conv(48)
    net.on("PixelShuffle", "0=4")


def enlarged(net):
    net.summed(
        lambda: net.on("Interp", "0=1 1=2.0 2=2.0"),
        lambda: net.on("Interp", "0=2 1=2.0 2=2.0"),
        lambda: net.on("Interp", "0=3 1=2.0 2=2.0"),
    )
    net.conv(3)


CASES = [functions, fused, per_channel, sums, pooled, transposed, grouped, enlarged]


def tensors(path, arrays):
    head, data = {}, b""
    for name, array in arrays.items():
        raw = array.astype("<f4").tobytes()
        head[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(head).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def main():
    folder = Path(sys.argv[1])
    for seed, case in enumerate(CASES):
        net = Net(seed)
        case(net)
        stem = folder / f"ncnn_{case.__name__}"
        text = f"7767517\n{len(net.lines)} {net.blobs}\n" + "\n".join(net.lines) + "\n"
        stem.with_suffix(".param").write_text(text)
        stem.with_suffix(".bin").write_bytes(net.weights)
        run = ncnn.Net()
        for option in ["use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage", "use_winograd_convolution"]:
            setattr(run.opt, option, False)
        if run.load_param(str(stem.with_suffix(".param"))) or run.load_model(str(stem.with_suffix(".bin"))):
            sys.exit(f"{stem}: ncnn does not take it")
        x = numpy.random.default_rng(100 + seed).random((3, 12, 16)).astype(numpy.float32)
        extractor = run.create_extractor()
        extractor.input("v0", ncnn.Mat(x))
        failed, out = extractor.extract(net.at)
        out = numpy.array(out)
        print(case.__name__, failed, out.shape, float(out.min()), float(out.max()))
        tensors(stem.with_suffix(".expected.safetensors"), {"input": x[None], "output": out[None]})


main()
