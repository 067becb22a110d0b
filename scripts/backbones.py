"""Which backbone earns its time? Trains several from random weights for the same time each and compares them.

    python3 scripts/backbones.py target/release/dualres --train photos_cc0 photos_ccby --validation val/photos_cc0 \
        --runs runs [--lanes 2] rates short long table

Stages, in this order; each goes on where it was stopped:

rates   steps a second of each backbone, one after the other. To be run on an idle machine: steps are what time is counted in
        afterwards, so that other work during the training changes nothing.
short   each backbone at two learning rates, as many steps as take ten minutes on one thread (--minutes), a whole cosine.
long    the best two of those, as many steps as take forty minutes (--long-minutes).
table   PSNR after each tenth of the time (curves.csv), the best of all (table.md), and milliseconds of 512x512 pixels,
        measured in turns.
"""

import argparse
import concurrent.futures
import csv
import json
import os
import subprocess
import sys
from pathlib import Path

# Name: network, features, blocks. About as many multiply-accumulates each; the wide plain row is made for fast 3x3
# convolutions.
BACKBONES = {
    "residual-48x6": ("residual", 48, 6),
    "residual-64x3": ("residual", 64, 3),
    "plain-64x7": ("plain", 64, 7),
    "pixel-48x5": ("pixel", 48, 5),
    "local-48x4": ("local", 48, 4),
    "gate-48x4": ("gate", 48, 4),
}
RATES = (6e-4, 1.5e-3)
PATCH, BATCH, SCALE = 32, 8, 4
MEASURED_STEPS = 120


def train(options, name, folder, steps, rate, *more):
    network, features, blocks = BACKBONES[name]
    command = [
        options.program, "train", "--network", network, "--n-feats", features, "--n-blocks", blocks, "--scale", SCALE,
        "--data", *options.train, "--patch", PATCH, "--batch", BATCH, "--steps", steps, "--lr", rate,
        "--warmup", min(100, steps // 4), "--name", name, "-o", folder, "--device", "cpu", *more,
    ]
    environment = {**os.environ, "RAYON_NUM_THREADS": "1"}
    subprocess.run([str(part) for part in command], check=True, env=environment, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)


def rows(folder):
    with open(folder / "metrics.csv") as file:
        return list(csv.DictReader(file))


def rates(options):
    """Steps a second, from the second half of a short run: the first one reads the pictures."""
    path = options.runs / "rates.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    for name in BACKBONES:
        if name not in known:
            folder = options.runs / "rates" / name
            train(options, name, folder, MEASURED_STEPS, 1e-3)
            logged = rows(folder)
            first, last = logged[len(logged) // 2 - 1], logged[-1]
            known[name] = (int(last["step"]) - int(first["step"])) / (float(last["seconds"]) - float(first["seconds"]))
            path.write_text(json.dumps(known, indent=1))
        print(f"{name}: {known[name]:.2f} steps a second", flush=True)
    return known


def job(options, known, name, rate, minutes):
    steps = round(known[name] * minutes * 60)
    folder = options.runs / f"{name}-{rate:g}-{minutes:g}"
    if not (folder / "done").exists():
        every = max(1, steps // 10)
        try:
            train(options, name, folder, steps, rate, "--validation", options.validation, "--validate-every", every)
        except subprocess.CalledProcessError:
            # Whatever else it may be, a run that blew up says so in its last losses.
            print(f"{name} at {rate:g}, {minutes:g} minutes: failed after step {rows(folder)[-1]['step']}", flush=True)
            (folder / "failed").touch()
        (folder / "done").touch()
    if (folder / "failed").exists():
        return {"name": name, "rate": rate, "minutes": minutes, "steps": steps, "best": float("-inf"), "curve": [],
                "folder": folder}
    validated = [row for row in rows(folder) if row["validation_psnr_y"]]
    best = max(float(row["validation_psnr_y"]) for row in validated)
    print(f"{name} at {rate:g}, {minutes:g} minutes: {best:.3f} dB", flush=True)
    curve = [(int(row["step"]) / known[name] / 60, float(row["validation_psnr_y"]), float(row["validation_loop_psnr"]))
             for row in validated]
    return {"name": name, "rate": rate, "minutes": minutes, "steps": steps, "best": best, "curve": curve, "folder": folder}


def jobs(options, wanted):
    known = rates(options)
    with concurrent.futures.ThreadPoolExecutor(options.lanes) as pool:
        return list(pool.map(lambda one: job(options, known, *one), wanted))


def short(options):
    return jobs(options, [(name, rate, options.minutes) for name in BACKBONES for rate in RATES])


def long(options):
    chosen = {}
    for one in sorted(short(options), key=lambda one: -one["best"]):
        chosen.setdefault(one["name"], one["rate"])
    return jobs(options, [(name, rate, options.long_minutes) for name, rate in list(chosen.items())[:2]])


def table(options):
    runs = short(options) + long(options)
    failed = [one for one in runs if not one["curve"]]
    runs = [one for one in runs if one["curve"]]
    names = {one["name"]: one["folder"] / "best.safetensors" for one in runs}
    command = [options.program, "benchmark", "--device", "cpu", "--size", "512x512", "--runs", "7", "--json"]
    for weights in names.values():
        command += ["--model", weights]
    said = subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True).stdout
    measured = json.loads(said)
    measured = measured["models"] if isinstance(measured, dict) else measured
    times = dict(zip(names, measured))
    with open(options.runs / "curves.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["backbone", "learning_rate", "minutes_of_run", "minutes", "validation_psnr_y", "validation_loop_psnr"])
        for one in runs:
            for point in one["curve"]:
                writer.writerow([one["name"], f"{one['rate']:g}", f"{one['minutes']:g}", *(f"{value:.3f}" for value in point)])
    lines = ["| backbone | parameters | learning rate | minutes | steps | PSNR-Y | ms at 512x512 |",
             "| --- | --- | --- | --- | --- | --- | --- |"]
    for one in sorted(runs, key=lambda one: (one["minutes"], -one["best"])):
        cost = times[one["name"]]
        lines.append(f"| {one['name']} | {cost['parameters']:,} | {one['rate']:g} | {one['minutes']:g} | {one['steps']:,} | "
                     f"{one['best']:.3f} | {cost['min_seconds'] * 1e3:.0f} |")
    lines += [f"| {one['name']} | | {one['rate']:g} | {one['minutes']:g} | {one['steps']:,} | blew up | |" for one in failed]
    (options.runs / "table.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--train", nargs="+", required=True)
    parser.add_argument("--validation", required=True)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--lanes", type=int, default=1, help="trainings at once, one thread each")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--long-minutes", type=float, default=40)
    parser.add_argument("stages", nargs="+", choices=["rates", "short", "long", "table"])
    options = parser.parse_args()
    options.runs.mkdir(parents=True, exist_ok=True)
    for stage in options.stages:
        {"rates": rates, "short": short, "long": long, "table": table}[stage](options)


if __name__ == "__main__":
    sys.exit(main())
