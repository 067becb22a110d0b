"""Times networks of others in Dualres beside OpenVINO and ONNX Runtime, on two threads, in turns.

    python3 scripts/networks_of_others.py target/release/dualres FILE...

FILEs are what `dualres models import` reads. The runtimes are installed from PyPI into a virtual environment (--work) and get the
ONNX files of `dualres models export`. Prints a row of Markdown a file: the least time of each program on a picture of --size.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

PACKAGES = ["openvino", "onnxruntime", "numpy"]


def environment(work):
    python = work / "venv" / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", work / "venv"], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
    os.execv(python, [str(python), __file__, *sys.argv[1:], "--inside"])


def least(work, rounds):
    work()
    times = []
    for _ in range(rounds):
        start = time.monotonic()
        work()
        times.append(time.monotonic() - start)
    return min(times)


def row(program, file, args):
    import numpy
    import onnxruntime
    import openvino

    model, graph = args.work / f"{file.stem}.safetensors", args.work / f"{file.stem}.onnx"
    model.unlink(missing_ok=True)
    subprocess.run([program, "models", "import", file, "-o", model], check=True, stdout=subprocess.DEVNULL)
    subprocess.run([program, "models", "export", model, "--pooling", "global", "-o", graph], check=True, stdout=subprocess.DEVNULL)
    facts = json.loads(subprocess.run([program, "models", "show", model, "--json"], check=True, capture_output=True).stdout)
    width, height = (int(side) for side in args.size.split("x"))
    x = (numpy.random.default_rng(1).random((1, 3, height, width)) * 255).astype(numpy.float32)
    compiled = openvino.Core().compile_model(graph, "CPU", {"INFERENCE_NUM_THREADS": 2, "INFERENCE_PRECISION_HINT": "f32"})
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    gap = float(numpy.abs(compiled([x])[0] - session.run(None, {"input": x})[0]).max())
    if gap > 1:
        sys.exit(f"{file}: the runtimes differ by {gap:.2f} levels")
    best = {}
    for _ in range(args.rounds):
        command = [program, "benchmark", "--model", model, "--device", "cpu", "--size", args.size, "--runs", "5", "--json"]
        answer = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        seconds = {
            "dualres": answer["models"][0]["min_seconds"],
            "openvino": least(lambda: compiled([x]), 5),
            "onnxruntime": least(lambda: session.run(None, {"input": x}), 5),
        }
        best = {name: min(value, best.get(name, value)) for name, value in seconds.items()}
    description = facts["description"]
    macs = facts["macs"]["total"] / 1e9
    print(
        f"| `{file.name}` | {description['family']} | x{facts['scale']} | {macs:.2f} G | {best['dualres']:.3f} s "
        f"| {best['openvino']:.3f} s | {best['onnxruntime']:.3f} s |",
        flush=True,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--size", default="256x256")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--work", type=Path, default=Path("/tmp/dualres-compare"))
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    if not args.inside:
        environment(args.work)
    for file in args.files:
        row(args.program, file, args)


if __name__ == "__main__":
    main()
