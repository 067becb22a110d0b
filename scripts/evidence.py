#!/usr/bin/env python3
"""Puts the claims of dual regression to the test: trains and compresses with one thing changed at a time.

    python3 scripts/evidence.py PATH/TO/dualres --data DIR... --validation DIR --benchmarks DIR --runs DIR \
        --results models/results --experiments lambda selection

Every row is one `dualres train` or `dualres compress` on the CPU, then `dualres evaluate` on each benchmark set (folders
SET/HR). A row that is there is not made again, a run that was stopped goes on, so that the command can be given until
everything is done; rows are made seed by seed, so that every experiment is whole after the first. Writes EXPERIMENT.csv
(a line a row) and EXPERIMENT-curves.csv (validation by step) into the results folder, and draws them by `dualres plot`.
"""
import argparse
import csv
import json
import pathlib
import statistics
import subprocess

SETS = ["Set5", "Set14", "BSD100"]
# The same for all rows of an experiment but for what is named.
TRAIN = ["--scale", "2", "--batch", "8", "--patch", "32", "--lr", "8e-4", "--validate-every", "200"]
COMPRESS = ["--validation-crop", "256"]


def experiments(options):
    """Experiment -> rows of (setting, command, flags)."""
    train = [*TRAIN, "--steps", options.train_steps]
    compress = [*COMPRESS, "--model", options.model, "--ratio", options.ratio, "--finetune-steps", options.finetune_steps]
    profile = ["--method", "profile", "--profile", options.runs / f"{options.model}.profile.safetensors"]
    kept = ["--mode", "budget", "--method"]
    teacher = ["--teacher", options.models / f"{options.model}.safetensors"]
    return {
        # Sec. 2: the dual loss and its weight.
        "lambda": [(weight, "train", [*train, "--lambda", weight]) for weight in ["0", "0.01", "0.1", "1"]],
        # The dual loss in search and in selection, each on and off; fine-tuned alike.
        "dual": [
            (f"search {search}, selection {selection}", "compress",
             [*compress, "--method", "drc", "--search-lambda", search, "--selection-lambda", selection])
            for search in ["0", "0.1"] for selection in ["0", "0.1"]
        ],
        # Searched against even widths, within the same multiply-accumulates.
        "widths": [
            ("even", "compress", [*compress, *kept, "uniform"]),
            ("searched", "compress", [*compress, *kept, "drc"]),
            ("profile", "compress", [*compress, *profile]),
        ],
        # Ways to choose channels, for the same even widths.
        "selection": [
            (name, "compress", [*compress, "--mode", "paper", "--method", method])
            for name, method in [("dual regression", "uniform"), ("DCP-style", "dcp"), ("ThiNet", "thinet"),
                                 ("L1 norm", "l1"), ("random", "random")]
        ],
        # Where the compute sits: features and blocks of each level, for equal training time instead of equal steps.
        "architecture": [
            (f"x{scale}, {feats} features, {'+'.join(blocks.split(','))} blocks", "timed",
             [*TRAIN[2:], "--scale", scale, "--n-feats", feats, "--n-blocks", blocks])
            for scale, feats, blocks in [("2", "16", "8"), ("2", "24", "3"), ("2", "12", "14"),
                                         ("4", "8", "4,4"), ("4", "8", "12,2"), ("4", "12", "4,1")]
        ],
        # What attention averages over at test time, for the models that ship.
        "pooling": [
            (f"{model}, {pooling}", "pooling", [model, pooling])
            for model in ["x2", "x4", "photo-x2", "photo-x4"] for pooling in ["local", "global"]
        ],
        # Learning from the whole network while fine-tuning.
        "distillation": [
            ("without", "compress", [*compress, *profile]),
            ("with", "compress", [*compress, *profile, *teacher]),
        ],
    }


def call(arguments):
    output = subprocess.run([str(part) for part in arguments], check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(output.strip().splitlines()[-1])


def slug(*parts):
    return "-".join("".join(c if c.isalnum() or c == "." else "_" for c in str(part)) for part in parts)


def named(flags):
    """What tells a run from others in its file name: values, and whether there is a teacher."""
    if not str(flags[0]).startswith("--"):
        return flags
    pairs = zip(flags, flags[1:])
    values = [value for flag, value in pairs if str(flag).startswith("--") and flag not in ("--profile", "--teacher")]
    return [*values, "taught"] if "--teacher" in flags else values


def measured(options, model, *flags):
    """Means of each set."""
    means = {}
    for name in SETS:
        means[name] = call([options.dualres, "evaluate", "--model", model, "--hr", options.benchmarks / name / "HR",
                            "--device", "cpu", "--json", *flags])["mean"]
    return means


def steps_in(options, seconds, data, flags, folder):
    """Training steps that take so many seconds here, told from a short run."""
    call([options.dualres, "train", *data, *flags, "--steps", 60, "--output", folder])
    with open(folder / "metrics.csv") as file:
        speed = float(list(csv.DictReader(file))[-1]["images_per_second"])
    return int(seconds * speed / int(flags[flags.index("--batch") + 1]))


def made(options, command, flags, seed, stored, folder):
    """One row: the run if it is not there, and its measures."""
    if stored.exists():
        return json.loads(stored.read_text())
    data = ["--data", *options.data, "--validation", options.validation, "--seed", seed, "--device", "cpu", "--json"]
    if command == "pooling":
        model, pooling = flags
        means = call([options.dualres, "evaluate", "--model", model, "--hr", options.validation, "--device", "cpu",
                      "--json", "--pooling", pooling])["mean"]
        result = {"validation": means["psnr_y"], "sets": measured(options, model, "--pooling", pooling)}
        stored.write_text(json.dumps(result))
        return result
    if command == "timed":
        # Kept, so that a run that was stopped goes on with the same number.
        counted = folder.with_name(f"{folder.name}.steps")
        if not counted.exists():
            counted.write_text(str(steps_in(options, options.seconds, data, flags, folder.with_name(f"{folder.name}.speed"))))
        flags = [*flags, "--steps", counted.read_text()]
    if command in ("train", "timed"):
        call([options.dualres, "train", *data, *flags, "--output", folder])
        model = folder / "best.safetensors"
        with open(folder / "metrics.csv") as file:
            curve = [(int(row["step"]), float(row["validation_psnr_y"])) for row in csv.DictReader(file) if row["validation_psnr_y"]]
        result = {"validation": max(psnr for _, psnr in curve), "curve": curve}
    else:
        # Names hold dots of numbers.
        model = folder.with_name(f"{folder.name}.safetensors")
        report = call([options.dualres, "compress", *data, *flags, "--out", model])
        result = {"validation": report["psnr_after"], "cut": report["psnr_cut"], "macs": report["kept_macs_ratio"],
                  "parameters": report["params_after"], "entropy": report["alpha_entropy"],
                  "seconds": report["seconds"]}
    result["sets"] = measured(options, model)
    stored.write_text(json.dumps(result))
    return result


def loop(mean, digits):
    """Loop PSNR; without a dual loss there is no way back."""
    return "" if mean["loop_psnr"] is None else f"{mean['loop_psnr']:.{digits}f}"


def write(options, experiment, rows):
    """All rows of an experiment, and a table of means over seeds with their standard deviation on the terminal."""
    options.results.mkdir(parents=True, exist_ok=True)
    with open(options.results / f"{experiment}.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["setting", "seed", "validation", "cut", "kept_macs", *SETS, *(f"loop {name}" for name in SETS)])
        for setting, seed, result in rows:
            sets = result["sets"]
            table.writerow([setting, seed, f"{result['validation']:.4f}",
                            f"{result['cut']:.4f}" if "cut" in result else "",
                            f"{result['macs']:.4f}" if "macs" in result else "",
                            *(f"{sets[name]['psnr_y']:.4f}" for name in SETS),
                            *(loop(sets[name], 3) for name in SETS)])
    curves = [(setting, seed, step, psnr) for setting, seed, result in rows for step, psnr in result.get("curve", [])]
    if curves:
        with open(options.results / f"{experiment}-curves.csv", "w", newline="") as file:
            table = csv.writer(file)
            table.writerow(["setting", "seed", "step", "psnr_y"])
            table.writerows(curves)
    for line in markdown(rows):
        print(line)
    draw(options, experiment, bool(curves))


def draw(options, experiment, has_curves):
    """Plots by the program itself."""
    plot = [options.dualres, "plot", "--y-label", "PSNR-Y on the validation pictures in dB"]
    tables = [(experiment, "validation", [])]
    if has_curves:
        tables.append((f"{experiment}-curves", "psnr_y", ["--by", "setting"]))
    for name, column, more in tables:
        table, picture = options.results / f"{name}.csv", options.results / f"{name}.svg"
        over = [] if more else ["--x", "setting", "--names"]
        subprocess.run([str(part) for part in [*plot, table, "--y", column, *more, *over, "-o", picture]], check=True,
                       stdout=subprocess.DEVNULL)


def markdown(rows):
    yield "| setting | seeds | validation | " + " | ".join(SETS) + " | loop (Set5) | cut, not fine-tuned |"
    yield "| --- | --- | --- | " + " | ".join("---" for _ in SETS) + " | --- | --- |"
    for setting in dict.fromkeys(row[0] for row in rows):
        results = [result for name, _, result in rows if name == setting]

        def shown(get, digits=2):
            values = [get(result) for result in results]
            spread = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
            return f"{statistics.mean(values):.{digits}f}{spread}"

        cells = [setting, str(len(results)), shown(lambda r: r["validation"], 3)]
        cells += [shown(lambda r, name=name: r["sets"][name]["psnr_y"], 3) for name in SETS]
        has_loop = all(result["sets"]["Set5"]["loop_psnr"] is not None for result in results)
        cells += [shown(lambda r: r["sets"]["Set5"]["loop_psnr"], 1) if has_loop else ""]
        cells += [shown(lambda r: r["cut"]) if "cut" in results[0] else ""]
        yield "| " + " | ".join(cells) + " |"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dualres", type=pathlib.Path)
    parser.add_argument("--data", nargs="+", required=True)
    parser.add_argument("--validation", required=True)
    parser.add_argument("--benchmarks", type=pathlib.Path, required=True)
    parser.add_argument("--runs", type=pathlib.Path, required=True)
    parser.add_argument("--results", type=pathlib.Path, default=pathlib.Path("models/results"))
    parser.add_argument("--models", type=pathlib.Path, default=pathlib.Path("models"))
    parser.add_argument("--model", default="x2")
    parser.add_argument("--ratio", default="0.5")
    parser.add_argument("--train-steps", default="1500")
    parser.add_argument("--finetune-steps", default="400")
    parser.add_argument("--seconds", type=float, default=240, help="training time of each row of `architecture`")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--experiments", nargs="+", help="all if not given")
    options = parser.parse_args()
    options.runs.mkdir(parents=True, exist_ok=True)
    every = experiments(options)
    chosen = options.experiments or list(every)
    rows = {name: [] for name in chosen}
    # The same settings in two experiments are one run.
    for seed in options.seeds:
        for experiment in chosen:
            # No chance in it, or too long to be done again.
            if experiment in ("pooling", "architecture") and seed != options.seeds[0]:
                continue
            for setting, command, flags in every[experiment]:
                name = slug(command, *named(flags), seed)
                result = made(options, command, flags, seed, options.runs / f"{name}.json", options.runs / name)
                rows[experiment].append((setting, seed, result))
                print(experiment, setting, seed, f"{result['validation']:.3f}", flush=True)
    for experiment in chosen:
        print(f"\n{experiment}\n")
        write(options, experiment, rows[experiment])


if __name__ == "__main__":
    main()
