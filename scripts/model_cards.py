#!/usr/bin/env python3
"""Measures the models inside the program and writes a card for each, with a picture of where it fails worst.

    python3 scripts/model_cards.py PATH/TO/dualres --benchmarks DIR --measures models/results/models.json

Needs Pillow and NumPy. Benchmarks are folders SET/HR; what is measured once for the same weights is not measured again
(--measures keeps it). The failure is looked for in the sample pictures of the project: each is reduced, enlarged by the
model, and compared with itself; the worst 64x64 pixels are shown beside the truth and beside bicubic interpolation.
"""
import argparse
import csv
import hashlib
import json
import pathlib
import subprocess
import tempfile

import numpy
from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parent.parent
SETS = ["Set5", "Set14", "BSD100"]
SIDE = 64
# Why a model has the network it has; compressed ones are what is left of theirs.
BACKBONE = "6 residual blocks of 48 features at the input's resolution, as EDSR"
WHY = {
    "x2": "Everything is computed at the input's resolution, in wide 3x3 convolutions, which this program runs fastest. It took the "
          "place of a DRN of 16 blocks that was as good (37.33, 32.98 and 31.77 dB) and took 1.8 times as long.",
    "x3": "That of `x2`, from whose weights its training began; only the last layer is another.",
    "x2-fast": "The DRN of 8 blocks that was the first model for twice the size.",
    "x4": "That of `x2`, from whose weights its training began. It took the place of a DRN of 16 and 4 blocks that was as good (31.33, "
          "28.02 and 27.21 dB) and took 3.7 times as long.",
    "photo-x2": "That of `x2`, which it was trained from.",
    "photo-x4": "That of `x4`, which it was trained from.",
}


def run(arguments):
    return subprocess.run([str(part) for part in arguments], check=True, stdout=subprocess.PIPE, text=True).stdout


def luma(picture):
    return numpy.asarray(picture, dtype=numpy.float64) @ [65.481, 128.553, 24.966] / 255 + 16


def measure(options, name, degraded):
    """Means over each set, on clean inputs and, for models of camera pictures, on degraded ones."""
    found = {}
    for part in SETS:
        for how in ["none", "photo"] if degraded else ["none"]:
            # The file whose digest the measures are kept under, not what the program holds.
            said = run([options.dualres, "evaluate", "--model", ROOT / f"models/{name}.safetensors", "--hr", options.benchmarks / part / "HR",
                        "--degradation", how, "--device", "cpu", "--json"])
            said = json.loads(said.strip().splitlines()[-1])
            across = {key: said[key] for key in ("loop_psnr_correlation", "expected_psnr_correlation")}
            found[f"{part}, {how}"] = {**said["mean"], **across}
    return found


def failure(options, name, scale, folder):
    """The worst window of all samples: truth, bicubic and the model's result side by side."""
    worst = (-1.0,)
    for sample in sorted((ROOT / "assets/samples").iterdir()):
        truth = Image.open(sample).convert("RGB")
        truth = truth.crop((0, 0, truth.width // scale * scale, truth.height // scale * scale))
        source, small, large = (folder / f"{what}.png" for what in ("truth", "small", "large"))
        truth.save(source)
        size = ["--width", truth.width // scale]
        run([options.dualres, "upscale", source, "-o", small, *size, "--overwrite", "--device", "cpu", "--json"])
        run([options.dualres, "upscale", small, "-o", large, "--model", ROOT / f"models/{name}.safetensors", "--overwrite", "--device", "cpu", "--json"])
        result = Image.open(large).convert("RGB")
        error = numpy.abs(luma(result) - luma(truth))
        for y in range(0, truth.height - SIDE, SIDE // 2):
            for x in range(0, truth.width - SIDE, SIDE // 2):
                mean = error[y:y + SIDE, x:x + SIDE].mean()
                if mean > worst[0]:
                    bicubic = Image.open(small).convert("RGB").resize(truth.size, Image.BICUBIC)
                    box = (x, y, x + SIDE, y + SIDE)
                    worst = (mean, sample.name, x, y, [picture.crop(box) for picture in (truth, bicubic, result)])
    mean, sample, x, y, panes = worst
    sheet = Image.new("RGB", (3 * SIDE * 3 + 16, SIDE * 3), "white")
    for index, pane in enumerate(panes):
        sheet.paste(pane.resize((SIDE * 3, SIDE * 3), Image.NEAREST), (index * (SIDE * 3 + 8), 0))
    sheet.save(ROOT / f"models/cards/{name}.png", optimize=True)
    return {"mean": mean, "sample": sample, "x": x, "y": y}


# What is wrong with the worst window, for those that were looked at: (sample, x, y, scale) -> words.
SEEN = {
    ("coffee.png", 0, 192, 2): "The grain of the wood is hardly wider than a pixel of the small picture: it comes out wider than "
                               "it is, in places in other directions, or smooth.",
    ("coffee.png", 0, 192, 4): "The grain of the wood is narrower than a pixel of the small picture: it is lost, and what streaks "
                               "there are in its place are not those of the truth.",
}


def why(name, scale):
    """Reasons, and what networks of other shapes come to in the same training time."""
    if name not in WHY:
        return
    yield "## Why this network"
    yield ""
    yield WHY[name]
    yield ""
    if "photo" in name or name in ("x2", "x3"):
        return
    with open(ROOT / f"models/results/architecture-x{scale}.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    seconds = rows[0]["made by"].split("--seconds ")[1].split()[0]
    yield f"| from random weights, {seconds} s of training | validation | " + " | ".join(SETS) + " |"
    yield "| --- | --- | --- | --- | --- |"
    for row in rows:
        yield f"| {row['setting']} | {float(row['validation']):.3f} | " \
              + " | ".join(f"{float(row[part]):.2f}" for part in SETS) + " |"
    yield ""
    yield "[RESULTS.md](../RESULTS.md#where-the-compute-sits) has the rest."
    yield ""


def card(name, model, measures, failed):
    description = model["description"]
    architecture, training, scale = description.get("architecture"), description["training"], model["scale"]
    compressed = (training or {}).get("compression")
    narrower = ", narrower inside" if compressed else ""
    network = BACKBONE
    if architecture:
        blocks = architecture["n_blocks"]
        blocks = "+".join(map(str, blocks)) if isinstance(blocks, list) else blocks
        network = f"DRN x{scale}, {architecture['n_feats']} features, {blocks} blocks a level"
    yield f"# {name}"
    yield ""
    yield f"{description['purpose'][:1].upper()}{description['purpose'][1:]}."
    yield ""
    yield "| | |"
    yield "| --- | --- |"
    yield f"| network | {network}{narrower} |"
    yield f"| parameters | {model['executed']['parameters']:,} |"
    yield f"| multiply-accumulates | {model['executed']['macs'] / 1e9:.2f} G for an input of 96x96, as run |"
    yield f"| file | `{name}.safetensors`, {model['bytes']:,} bytes |"
    yield f"| licence | {description['licence']} |"
    yield ""
    yield from why(name, scale)
    yield "## Quality"
    yield ""
    yield "Means; PSNR and SSIM on Y (BT.601) of 8-bit pictures, " \
          f"{scale} pixels shaved a side; consistency PSNR between input and dual reconstruction; expected: what the program " \
          "expects of its own results without seeing the truth, with the rank correlation of its map with the true error " \
          "(that of the consistency map in brackets)."
    yield ""
    yield "| set, degradation | PSNR-Y | SSIM | bicubic | consistency PSNR | predicted PSNR | map and truth |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for key, mean in measures.items():
        number = lambda value, digits: "" if value is None else f"{value:.{digits}f}"
        maps = f"{number(mean.get('expected_correlation'), 2)} ({number(mean.get('consistency_correlation'), 2)})"
        yield f"| {key} | {mean['psnr_y']:.2f} | {mean['ssim_y']:.4f} | {mean['bicubic_psnr_y']:.2f} | " \
              f"{number(mean.get('loop_psnr'), 1)} | {number(mean.get('expected_psnr'), 2)} | {maps} |"
    yield ""
    yield f"Command: `dualres evaluate --model {name} --hr SET/HR`" \
          + (" and with `--degradation photo`." if any("photo" in key for key in measures) else ".")
    yield ""
    yield "## Where it fails"
    yield ""
    yield f"![Truth, bicubic, result]({name}.png)"
    yield ""
    seen = SEEN.get((failed["sample"], failed["x"], failed["y"], scale), "")
    yield f"*The worst 64x64 pixels of the sample pictures: `{failed['sample']}` at {failed['x']}, {failed['y']}, reduced " \
          f"{scale} times and enlarged again. Left the truth, in the middle bicubic interpolation, right the " \
          f"result, off by {failed['mean']:.1f} gray levels in the mean. {seen}".rstrip() + "*"
    yield ""
    yield "## Training"
    yield ""
    yield "Data: 458 tiles of 384x384 pixels from 104 photographs under CC0 or public domain (`photos_cc0`) and under CC BY, " \
          "CC BY-SA and similar (`photos_ccby`); weights chosen on 24 tiles of 12 other CC0 photographs, never on a " \
          "benchmark. [README.md](../README.md) has the commands of all runs."
    yield ""
    if compressed:
        # Settings of a search that this method does without.
        training = {**training, "compression": {key: value for key, value in compressed.items()
                                                if compressed["method"] == "drc" or key not in ("search", "selection")}}
        tuned = training.get("finetuning")
        yield f"`dualres compress --model {compressed['original']} --ratio {compressed['ratio']} --method {compressed['method']} ...`: " \
              "[COMPRESSION.md](../COMPRESSION.md#the-models-in-this-folder) has the whole command. " \
              + (f"Fine-tuned for {tuned['steps']:,} steps." if tuned else
                 "It ships as it was cut: fine-tuning did not improve it on the validation pictures.")
        yield ""
    yield "The last run, as the file states it:"
    yield ""
    yield "```json"
    yield json.dumps(training, indent=1)
    yield "```"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dualres", type=pathlib.Path)
    parser.add_argument("--benchmarks", type=pathlib.Path, required=True)
    parser.add_argument("--measures", type=pathlib.Path, default=ROOT / "models/results/models.json")
    parser.add_argument("--models", nargs="+", help="all inside the program if not given")
    options = parser.parse_args()
    (ROOT / "models/cards").mkdir(parents=True, exist_ok=True)
    options.measures.parent.mkdir(parents=True, exist_ok=True)
    known = json.loads(options.measures.read_text()) if options.measures.exists() else {}
    for line in run([options.dualres, "models", "list", "--json"]).strip().splitlines():
        model = json.loads(line)
        name = model["description"]["name"]
        file = ROOT / f"models/{name}.safetensors"
        if not file.exists() or (options.models and name not in options.models):
            continue
        content = file.read_bytes()
        model["bytes"] = len(content)
        weights = hashlib.sha256(content).hexdigest()[:16]
        if known.get(name, {}).get("weights") != weights:
            measures = measure(options, name, "photo" in name)
            with tempfile.TemporaryDirectory() as folder:
                failed = failure(options, name, model["scale"], pathlib.Path(folder))
            known[name] = {"weights": weights, "measures": measures, "failure": failed}
            options.measures.write_text(json.dumps(known, indent=1) + "\n")
        entry = known[name]
        text = "\n".join(card(name, model, entry["measures"], entry["failure"])) + "\n"
        (ROOT / f"models/cards/{name}.md").write_text(text)
        print(name, {key: round(mean["psnr_y"], 2) for key, mean in entry["measures"].items()}, flush=True)


if __name__ == "__main__":
    main()
