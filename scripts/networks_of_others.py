"""Compares networks of others in Dualres with the programs they are usually run by: same pictures, and in what time.

    python3 scripts/networks_of_others.py target/release/dualres FILE[@SIZE]...

FILEs are what `dualres models import` reads, SIZE is the picture that is timed (256x256). A row of Markdown a file:

parity    the largest difference, in levels of 255, between Dualres' result for a photo and that of ncnn in single precision
          (.param), ONNX Runtime (.onnx) or PyTorch with the package spandrel (.pth, .safetensors), from the file itself
seconds   the least of Dualres, OpenVINO, ncnn and ONNX Runtime on two threads, in turns; the others get the ONNX file of
          `dualres models export`, ncnn its own files where those are what is imported
6 MP      seconds and peak memory of `dualres upscale` for a picture of 3000x2000 pixels (--large)

The runtimes are installed from PyPI into a virtual environment (--work). PyTorch is that of --torch-python; without it the parity
of weight files is left out with a word.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

from compare_cpu import Ncnn, OnnxRuntime, OpenVino, environment

SAMPLE = Path(__file__).parents[1] / "assets" / "samples" / "chelsea.png"
LARGE = (3000, 2000)
HEAD = ["file", "family", "scale", "MACs", "picture", "parity", "Dualres", "OpenVINO", "ncnn", "ONNX Runtime", "faster", "6 MP", "memory"]

TORCH = """
import sys, numpy, torch
from spandrel import ModelLoader
torch.set_num_threads(2)
model = ModelLoader().load_from_file(sys.argv[1]).model.eval()
x = torch.from_numpy(numpy.load(sys.argv[2]))
with torch.no_grad():
    numpy.save(sys.argv[3], model(x / 255).numpy() * 255)
"""


class OwnNcnn:
    """ncnn with the files that are imported."""

    name = "ncnn"

    def __init__(self, threads, param, x):
        import ncnn
        import numpy

        self.net = ncnn.Net()
        self.net.opt.num_threads = threads
        for option in ["use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage"]:
            setattr(self.net.opt, option, False)
        self.net.load_param(str(param))
        self.net.load_model(str(param.with_suffix(".bin")))
        layers = [line.split() for line in param.read_text().splitlines()[2:] if line.strip()]
        self.first = next(layer for layer in layers if layer[0] == "Input")[4]
        last = layers[-1]
        self.last = last[4 + int(last[2])]
        # A Mat does not keep what it is made of.
        self.x = numpy.ascontiguousarray(x[0] / 255)
        self.given = ncnn.Mat(self.x)

    def run(self):
        import numpy

        extractor = self.net.create_extractor()
        extractor.input(self.first, self.given)
        return numpy.array(extractor.extract(self.last)[1])[None] * 255

    def seconds(self):
        start = time.perf_counter()
        self.run()
        return time.perf_counter() - start


class Apart:
    """ncnn in a process of its own, which some networks end."""

    name = "ncnn"

    def __init__(self, args, file, graph, size):
        command = [sys.executable, __file__, args.dualres, file, "--inside", "--serve", graph, "--threads", str(args.threads)]
        command += ["--size", f"{size[0]}x{size[1]}", "--work", args.work]
        self.process = subprocess.Popen([str(part) for part in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def seconds(self):
        try:
            self.process.stdin.write("again\n")
            self.process.stdin.flush()
            return float(self.process.stdout.readline())
        except (BrokenPipeError, ValueError):
            return float("inf")

    run = seconds


def serve(args, file, size):
    x = photo(size)[1]
    net = OwnNcnn(args.threads, file, x) if file.suffix == ".param" else Ncnn(args, args.serve, x)
    for _ in sys.stdin:
        print(net.seconds(), flush=True)


def ours(args, *command):
    return subprocess.run([args.dualres, *map(str, command)], check=True, capture_output=True, text=True).stdout


def photo(size):
    import numpy
    from PIL import Image

    picture = Image.open(SAMPLE).convert("RGB").resize(size, Image.BICUBIC)
    return picture, numpy.asarray(picture, dtype=numpy.float32).transpose(2, 0, 1)[None].copy()


def reference(args, file, x):
    """The result of the usual program for x, from the file itself; None if that program is not at hand."""
    import numpy

    if file.suffix == ".param":
        return OwnNcnn(2, file, x).run()
    if file.suffix == ".onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        return session.run(None, {session.get_inputs()[0].name: x / 255})[0] * 255
    given, got = args.work / "given.npy", args.work / "got.npy"
    numpy.save(given, x)
    try:
        done = subprocess.run([args.torch_python, "-c", TORCH, file, given, got], capture_output=True, text=True)
    except FileNotFoundError:
        return None
    if done.returncode:
        print(f"{file}: no parity: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
        return None
    return numpy.load(got)


def parity(args, file, model):
    import numpy
    from PIL import Image

    picture, x = photo((160, 112))
    small, large = args.work / "small.png", args.work / "large.png"
    picture.save(small)
    ours(args, "upscale", small, "--model", model, "--device", "cpu", "-o", large, "--overwrite")
    expected = reference(args, file, x)
    if expected is None:
        return "-"
    got = numpy.asarray(Image.open(large).convert("RGB"), dtype=numpy.float32).transpose(2, 0, 1)
    gap = numpy.abs(got - numpy.round(expected[0].clip(0, 255))).max()
    return f"{gap:.0f}"


def large(args, model):
    """Seconds and peak bytes for a picture of six megapixels."""
    given, made = args.work / "six.png", args.work / "six-large.png"
    if not given.exists():
        photo(LARGE)[0].save(given)
    command = [args.dualres, "upscale", given, "--model", model, "--device", "cpu", "-o", made, "--overwrite"]
    start = time.monotonic()
    child = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        sys.exit(f"{model}: failed on {LARGE[0]}x{LARGE[1]}")
    made.unlink()
    return time.monotonic() - start, usage.ru_maxrss * 1024


def row(args, file, size):
    model, graph = args.work / f"{file.stem}.safetensors", args.work / f"{file.stem}.onnx"
    ours(args, "models", "import", file, "-o", model, "--overwrite")
    ours(args, "models", "export", model, "--pooling", "global", "-o", graph, "--overwrite")
    facts = json.loads(ours(args, "models", "show", model, "--json"))
    x = photo(size)[1]
    rivals = [OpenVino(args, str(graph), x), OnnxRuntime(args, str(graph), x)]
    rivals.insert(1, Apart(args, file, graph, size))
    for rival in rivals:
        rival.run()
    best = {}
    for _ in range(args.rounds):
        command = ["benchmark", "--model", model, "--device", "cpu", "--size", f"{size[0]}x{size[1]}", "--runs", "5", "--json"]
        seconds = {"Dualres": json.loads(ours(args, *command))["models"][0]["min_seconds"]}
        seconds |= {rival.name: min(rival.seconds() for _ in range(5)) for rival in rivals}
        best = {name: min(value, best.get(name, value)) for name, value in seconds.items()}
    pixels = size[0] * size[1] / (96 * 96)
    fastest = min(value for name, value in best.items() if name != "Dualres")
    cells = [f"`{file.name}`", facts["description"]["family"], f"x{facts['scale']}"]
    cells += [f"{facts['macs']['total'] * pixels / 1e9:.1f} G", f"{size[0]}x{size[1]}", parity(args, file, model)]
    cells += ["-" if best[name] == float("inf") else f"{best[name]:.3f} s" for name in HEAD[6:10]]
    cells += [f"{fastest / best['Dualres']:.2f}"]
    if args.large:
        seconds, peak = large(args, model)
        cells += [f"{seconds:.0f} s", f"{peak / 1e9:.2f} GB"]
    print("| " + " | ".join(cells) + " |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dualres")
    parser.add_argument("files", nargs="+")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--large", action="store_true", help="also a picture of six megapixels")
    parser.add_argument("--torch-python", default="python3")
    parser.add_argument("--work", type=Path, default=Path("/tmp/dualres-compare"))
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--size", help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    if not args.inside:
        environment(args.work)
    if args.serve:
        return serve(args, Path(args.files[0]), tuple(int(side) for side in args.size.split("x")))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    head = HEAD if args.large else HEAD[:-2]
    print("| " + " | ".join(head) + " |")
    print("|" + " --- |" * len(head))
    for given in args.files:
        name, _, size = given.partition("@")
        row(args, Path(name), tuple(int(side) for side in (size or "256x256").split("x")))


if __name__ == "__main__":
    main()
