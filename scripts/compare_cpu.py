"""Times Dualres on the CPU beside OpenVINO, ncnn, ONNX Runtime and PyTorch on the same networks, in turns in one run.

    python3 scripts/compare_cpu.py target/release/dualres

Runtimes are installed from PyPI into a virtual environment beside the results (--work). PyTorch is taken from the Python
given by --torch-python; if that has none it is installed by apt where that is possible, and left out with a word where
not. The
runtimes get the ONNX files of `dualres models export`, with whole-picture attention, in which the convolutions around
pixel shuffles are already joined: what the program gains by that is not counted against them. Before anything is timed,
ONNX Runtime's result is compared with the program's own.
"""

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

PACKAGES = ["openvino", "ncnn", "onnxruntime", "pnnx", "numpy", "pillow"]


def environment(work):
    """Runs this script again in a virtual environment that has the runtimes."""
    python = work / "venv" / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", work / "venv"], check=True)
    if subprocess.run([python, "-c", "import openvino, ncnn, onnxruntime, pnnx, PIL"], capture_output=True).returncode:
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
    os.execv(python, [str(python), *sys.argv, "--inside"])


class Ours:
    name = "dualres"

    def __init__(self, args, model, size):
        self.command = [args.dualres, "benchmark", "--model", model, "--device", "cpu", "--json"]
        self.command += ["--size", f"{size[0]}x{size[1]}", "--runs", "1"]
        self.environment = os.environ | {"RAYON_NUM_THREADS": str(args.threads)}
        self.memory = None

    def seconds(self):
        out = subprocess.run(self.command, check=True, capture_output=True, text=True, env=self.environment).stdout
        measured = json.loads(out)["models"][0]
        self.memory = measured["peak_memory_bytes"]
        return measured["median_seconds"]


class InProcess:
    """A runtime in this process: one pass is one call of `run`."""

    memory = None

    def seconds(self):
        start = time.perf_counter()
        self.run()
        return time.perf_counter() - start


class OpenVino(InProcess):
    name = "OpenVINO"

    def __init__(self, args, onnx, x):
        import openvino

        settings = {"INFERENCE_NUM_THREADS": args.threads, "INFERENCE_PRECISION_HINT": "f32"}
        settings["PERFORMANCE_HINT"] = "LATENCY"
        model = openvino.Core().read_model(onnx)
        model.reshape(list(x.shape))
        self.compiled, self.x = openvino.compile_model(model, "CPU", settings), x
        self.version = openvino.__version__

    def run(self):
        return self.compiled(self.x)[0]


class OnnxRuntime(InProcess):
    name = "ONNX Runtime"

    def __init__(self, args, onnx, x):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = args.threads
        self.session, self.x = onnxruntime.InferenceSession(onnx, options, ["CPUExecutionProvider"]), x
        self.version = onnxruntime.__version__

    def run(self):
        return self.session.run(None, {"input": self.x})[0]


class Ncnn(InProcess):
    name = "ncnn"

    def __init__(self, args, onnx, x):
        import ncnn

        stem = Path(onnx).with_suffix("")
        shapes = [f"inputshape=[1,3,{x.shape[2]},{x.shape[3]}]", f"inputshape2=[1,3,{x.shape[2] + 8},{x.shape[3] + 8}]"]
        pnnx = Path(sys.executable).parent / "pnnx"
        subprocess.run([pnnx, onnx, *shapes], check=True, capture_output=True, cwd=stem.parent)
        base = stem.name.replace("-", "_")
        self.net = ncnn.Net()
        self.net.opt.num_threads = args.threads
        for option in ["use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage"]:
            setattr(self.net.opt, option, False)
        self.net.load_param(str(stem.parent / f"{base}.ncnn.param"))
        self.net.load_model(str(stem.parent / f"{base}.ncnn.bin"))
        self.ncnn, self.x, self.version = ncnn, x, ncnn.__version__

    def run(self):
        import numpy

        extractor = self.net.create_extractor()
        extractor.input("in0", self.ncnn.Mat(self.x[0]))
        return numpy.array(extractor.extract("out0")[1])[None]


class Torch:
    name = "PyTorch"
    memory = None

    def __init__(self, args, arguments):
        script = Path(__file__).parent / "torch_drn.py"
        self.command = [args.torch_python, script, "--threads", str(args.threads), "--runs", "1", *arguments]

    def seconds(self):
        answer = json.loads(subprocess.run(self.command, check=True, capture_output=True, text=True).stdout)
        self.version = answer["torch"]
        return answer["median"]


class OurTraining:
    """A step of `dualres train`: the difference between a long and a short run."""

    name, memory = "dualres", None

    def __init__(self, args, work, patch, batch):
        self.args, self.patch, self.batch, self.run = args, patch, batch, work / "run"
        self.pictures = work / "pictures"

    def train(self, steps):
        shutil.rmtree(self.run, ignore_errors=True)
        command = [self.args.dualres, "train", "--data", self.pictures, "--validation", self.pictures, "--name", "timed"]
        command += ["--purpose", "timing", "--licence", "none", "--scale", "4", "--preset", "t", "--device", "cpu"]
        command += ["--steps", steps, "--batch", self.batch, "--patch", self.patch, "--validate-every", 10000]
        command += ["--seed", "1", "-o", self.run]
        start = time.perf_counter()
        threads = os.environ | {"RAYON_NUM_THREADS": str(self.args.threads)}
        subprocess.run([str(word) for word in command], check=True, capture_output=True, env=threads)
        return time.perf_counter() - start

    def seconds(self, few=2, many=14):
        return (self.train(many) - self.train(few)) / (many - few)


def pictures(folder):
    """A few pictures to train on; what they show does not change what a step costs."""
    from PIL import Image

    folder.mkdir(exist_ok=True)
    source = random.Random(1)
    for index in range(2):
        small = Image.new("RGB", (32, 32))
        small.putdata([tuple(source.randrange(256) for _ in range(3)) for _ in range(32 * 32)])
        small.resize((512, 512), Image.BICUBIC).save(folder / f"{index}.png")


def in_turns(contestants, rounds):
    times = {contestant.name: [] for contestant in contestants}
    for contestant in contestants:
        contestant.seconds()
    for _ in range(rounds):
        for contestant in contestants:
            times[contestant.name].append(contestant.seconds())
    return times


def table(title, contestants, rounds, results):
    times = in_turns(contestants, rounds)
    medians = {name: statistics.median(seconds) for name, seconds in times.items()}
    fastest_other = min((seconds, name) for name, seconds in medians.items() if name != "dualres")
    print(f"\n{title}, {rounds} rounds")
    for contestant in contestants:
        seconds = times[contestant.name]
        memory = f"   {contestant.memory / 1e6:.0f} MB" if contestant.memory else ""
        version = getattr(contestant, "version", "")
        print(f"  {contestant.name + ' ' + version:30} median {medians[contestant.name]:8.4f} s"
              f"   least {min(seconds):8.4f}   most {max(seconds):8.4f}{memory}", flush=True)
    ratio = fastest_other[0] / medians["dualres"]
    print(f"  dualres takes 1/{ratio:.2f} of the time of the fastest other, {fastest_other[1]}", flush=True)
    results.append({"work": title, "seconds": times, "ratio": ratio, "fastest_other": fastest_other[1]})


def has_torch(args):
    imports = [args.torch_python, "-c", "import torch"]
    if subprocess.run(imports, capture_output=True).returncode == 0:
        return True
    if os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", "python3-torch"])
    found = subprocess.run(imports, capture_output=True).returncode == 0
    if not found:
        print(f"no PyTorch in {args.torch_python}: left out; on Debian, apt install python3-torch")
    return found


def check(args, work, model):
    """The ONNX file against the program, over a picture whose sides are no whole cells of local pooling."""
    import numpy
    import onnxruntime
    from PIL import Image

    picture = Image.open(work / "pictures" / "0.png").crop((0, 0, 203, 117))
    picture.save(work / "check.png")
    onnx = work / "check.onnx"
    for pooling in ["local", "global"]:
        run = lambda *words: subprocess.run([args.dualres, *words], check=True, capture_output=True)
        run("models", "export", model, "--format", "onnx", "--pooling", pooling, "-o", onnx)
        common = ["--model", model, "--device", "cpu", "--pooling", pooling]
        run("upscale", work / "check.png", "-o", work / "checked.png", "--overwrite", *common)
        x = numpy.asarray(picture, numpy.float32).transpose(2, 0, 1)[None]
        theirs = onnxruntime.InferenceSession(onnx).run(None, {"input": x})[0][0].transpose(1, 2, 0)
        ours = numpy.asarray(Image.open(work / "checked.png"), numpy.float32)
        gap = numpy.abs(numpy.clip(numpy.rint(theirs), 0, 255) - ours).max()
        print(f"{model}, {pooling} pooling: ONNX Runtime and dualres differ by at most {gap:.0f} of 255")
        if gap > 1:
            sys.exit("the exported network is another one")
    run("models", "export", model, "--format", "onnx", "--part", "way-back", "-o", onnx)
    result = numpy.clip(theirs.transpose(2, 0, 1)[None], 0, 255)
    # `common` and the result are those of whole-picture pooling, the last of the two above.
    run("upscale", work / "check.png", "-o", work / "checked.png", "--dual", work / "back.png", *common)
    back = onnxruntime.InferenceSession(onnx).run(None, {"input": result})[0][0].transpose(1, 2, 0)
    gap = numpy.abs(numpy.clip(numpy.rint(back), 0, 255) - numpy.asarray(Image.open(work / "back.png"), float)).max()
    print(f"{model}, way back: ONNX Runtime and dualres differ by at most {gap:.0f} of 255")
    if gap > 1:
        sys.exit("the exported way back is another one")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dualres", type=lambda path: str(Path(path).resolve()), help="the program, built for release")
    work_help = "folder for the runtimes (300 MB from PyPI), models and results.json (default: compare_cpu)"
    parser.add_argument("--work", type=Path, default=Path("compare_cpu"), help=work_help)
    parser.add_argument("--threads", type=int, default=2, help="of every contestant (default: 2)")
    parser.add_argument("--rounds", type=int, default=5, help="of each table (default: 5; 3 take seven minutes)")
    parser.add_argument("--torch-python", default="/usr/bin/python3", help="Python with PyTorch (default: %(default)s)")
    only_help = "one of the tables: DRN-S x4, the models x2 and x4, a training step"
    parser.add_argument("--only", choices=["s", "x2", "x4", "training"], help=only_help)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if not os.access(args.dualres, os.X_OK) or os.path.isdir(args.dualres):
        parser.error(f"no program: {args.dualres}")
    args.work = args.work.resolve()
    args.work.mkdir(parents=True, exist_ok=True)
    if not args.inside:
        environment(args.work)
    import numpy

    pictures(args.work / "pictures")
    torch = has_torch(args)
    for model in ["x2-fast", "x4"]:
        check(args, args.work, model)
    # DRN-S with the weights of a single step: they do not change what a pass costs.
    small = args.work / "drn-s-x4"
    if not (small / "best.safetensors").exists():
        command = [args.dualres, "train", "--data", args.work / "pictures", "--validation", args.work / "pictures"]
        command += ["--name", "drn-s-x4", "--purpose", "timing", "--licence", "none", "--scale", "4", "--preset", "s"]
        command += ["--steps", "1", "--batch", "1", "--patch", "16", "--device", "cpu", "-o", small]
        subprocess.run([str(word) for word in command], check=True, capture_output=True)
    results = []
    works = [
        ("s", str(small / "best.safetensors"), "DRN-S x4", (96, 96), (4, 16, "30")),
        ("x2", "x2-fast", "model x2-fast", (512, 512), (2, 16, "8")),
        ("x4", "x4", "model x4", (512, 512), None),
    ]
    for key, model, title, size, drn in works:
        if args.only not in (None, key):
            continue
        onnx = str(args.work / f"{key}.onnx")
        export = ["models", "export", model, "--format", "onnx", "--pooling", "global", "-o", onnx]
        subprocess.run([args.dualres, *export], check=True, capture_output=True)
        x = numpy.random.default_rng(1).random((1, 3, size[1], size[0]), numpy.float32) * 255
        contestants = [Ours(args, model, size), OpenVino(args, onnx, x), Ncnn(args, onnx, x), OnnxRuntime(args, onnx, x)]
        reference = contestants[3].run()
        for other in contestants[1:3]:
            gap = numpy.abs(other.run() - reference).max()
            if not gap < 0.5:
                sys.exit(f"{other.name} computes something else: {gap} of 255")
        # The script that runs PyTorch knows DRN alone.
        if torch and drn:
            scale, feats, blocks = drn
            numbers = [("scale", scale), ("feats", feats), ("blocks", blocks), ("width", size[0]), ("height", size[1])]
            contestants.append(Torch(args, [word for name, value in numbers for word in (f"--{name}", str(value))]))
        table(f"{title}, {size[0]}x{size[1]} input, {args.threads} threads, f32", contestants, args.rounds, results)
    if args.only in (None, "training") and torch:
        contestants = [OurTraining(args, args.work, 48, 16)]
        contestants.append(Torch(args, ["--patch", "48", "--batch", "16", "--runs", "4"]))
        title = f"training step, preset T x4, LR patch 48, batch 16, {args.threads} threads"
        table(title, contestants, max(args.rounds // 2, 1), results)
    (args.work / "results.json").write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
