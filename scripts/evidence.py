#!/usr/bin/env python3
"""Puts the claims of dual regression to the test: trains and compresses with one thing changed at a time.

    python3 scripts/evidence.py PATH/TO/dualres --data DIR... --validation DIR --benchmarks DIR --runs DIR \
        --results models/results --experiments lambda selection

Every row is one `dualres train` or `dualres compress` on the CPU, then `dualres evaluate` on each benchmark set (folders
SET/HR). Writes EXPERIMENT.csv (a line a row, with what made it) and EXPERIMENT-curves.csv (validation by step) into the
results folder after each row, and draws them by `dualres plot`. A row that is in there, made by the same flags from the
same model, is not made again, and a run that was stopped goes on, so that the command can be given until everything is
done; rows are made seed by seed, so that every experiment is whole after the first.
"""
import argparse
import csv
import hashlib
import json
import pathlib
import statistics
import subprocess

SETS = ["Set5", "Set14", "BSD100"]
# The same for all rows of an experiment but for what is named.
TRAIN = ["--scale", "2", "--batch", "8", "--patch", "32", "--lr", "8e-4", "--validate-every", "200"]
COMPRESS = ["--validation-crop", "256"]
# Scale -> features and blocks a level.
SHAPES = {"2": [("16", "8"), ("16", "16"), ("24", "3"), ("12", "14")],
          "4": [("8", "4,4"), ("8", "16,4"), ("8", "12,2"), ("12", "4,1")]}


def experiments(options):
    """Experiment -> rows of (setting, command, flags)."""
    train = [*TRAIN, "--steps", options.train_steps]
    compress = [*COMPRESS, "--model", options.model, "--ratio", options.ratio, "--finetune-steps", options.finetune_steps]
    profile = ["--method", "profile", "--profile", options.runs / f"{options.model.stem}.profile.safetensors"]
    kept = ["--mode", "budget", "--method"]
    teacher = ["--teacher", options.model]
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
        **{f"architecture-x{scale}": [
            (f"{feats} features, {'+'.join(blocks.split(','))} blocks", "timed",
             [*TRAIN[2:], "--scale", scale, "--n-feats", feats, "--n-blocks", blocks])
            for feats, blocks in shapes
        ] for scale, shapes in SHAPES.items()},
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
    values = [value for flag, value in pairs
              if str(flag).startswith("--") and flag not in ("--model", "--profile", "--teacher")]
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


def made_by(options, command, flags):
    """What makes a row, without the paths of this machine, and by content where it begins with a model."""
    parts = [part.stem if isinstance(part, pathlib.Path) else str(part) for part in flags]
    if command == "timed":
        parts += ["--seconds", f"{options.seconds:g}"]
    models = {"pooling": [options.models / f"{flags[0]}.safetensors"], "compress": [options.model]}.get(command, [])
    return " ".join([command, *parts, *map(digest, models)])


def digest(model):
    """Of the weights alone: what a file says of itself changes when it is calibrated."""
    content = model.read_bytes()
    header = int.from_bytes(content[:8], "little")
    return hashlib.sha256(content[8 + header:]).hexdigest()[:12]


def row(command, means, validation, curve=(), cut=None, macs=None):
    """What the table holds of a row."""
    return {"made by": command, "validation": validation, "curve": list(curve), "cut": cut, "macs": macs,
            "sets": {name: (means[name]["psnr_y"], means[name]["loop_psnr"]) for name in SETS}}


def made(options, command, flags, seed):
    """One row: the run and its measures."""
    by = made_by(options, command, flags)
    length = [f"{options.seconds:g}s"] if command == "timed" else []
    folder = options.runs / slug(command, *named(flags), *length, seed)
    data = ["--data", *options.data, "--validation", options.validation, "--seed", seed, "--device", "cpu", "--json"]
    if command == "pooling":
        model, pooling = flags
        # The file whose content the row names, not what the program holds.
        model = options.models / f"{model}.safetensors"
        means = call([options.dualres, "evaluate", "--model", model, "--hr", options.validation, "--device", "cpu",
                      "--json", "--pooling", pooling])["mean"]
        return row(by, measured(options, model, "--pooling", pooling), means["psnr_y"])
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
            curve = [(int(line["step"]), float(line["validation_psnr_y"])) for line in csv.DictReader(file) if line["validation_psnr_y"]]
        return row(by, measured(options, model), max(psnr for _, psnr in curve), curve)
    # Names hold dots of numbers.
    model = folder.with_name(f"{folder.name}.safetensors")
    report = call([options.dualres, "compress", *data, *flags, "--out", model])
    return row(by, measured(options, model), report["psnr_after"], cut=report["psnr_cut"], macs=report["kept_macs_ratio"])


COLUMNS = ["setting", "seed", "validation", "cut", "kept_macs", *SETS, *(f"loop {name}" for name in SETS), "made by"]


def known(options, experiment):
    """Rows of an earlier call: (setting, seed) -> row."""
    def number(text):
        return float(text) if text else None

    table, curves = options.results / f"{experiment}.csv", options.results / f"{experiment}-curves.csv"
    rows = {}
    if table.exists():
        with open(table, newline="") as file:
            for line in csv.DictReader(file):
                rows[line["setting"], int(line["seed"])] = {
                    "made by": line["made by"], "validation": number(line["validation"]), "curve": [],
                    "cut": number(line["cut"]), "macs": number(line["kept_macs"]),
                    "sets": {name: (number(line[name]), number(line[f"loop {name}"])) for name in SETS}}
    if curves.exists():
        with open(curves, newline="") as file:
            for line in csv.DictReader(file):
                # Curves are written before the table.
                if row_of_curve := rows.get((line["setting"], int(line["seed"]))):
                    row_of_curve["curve"].append((int(line["step"]), float(line["psnr_y"])))
    return rows


def left(rows):
    return [(setting, seed, result) for (setting, seed), result in rows.items()]


def shown(value, digits=4):
    return "" if value is None else f"{value:.{digits}f}"


def write(options, experiment, rows):
    """All rows of an experiment as tables."""
    options.results.mkdir(parents=True, exist_ok=True)
    # First the curves: a row without one would count as made.
    curves = [(setting, seed, step, shown(psnr)) for setting, seed, result in rows for step, psnr in result["curve"]]
    if curves:
        with open(options.results / f"{experiment}-curves.csv", "w", newline="") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(["setting", "seed", "step", "psnr_y"])
            table.writerows(curves)
    with open(options.results / f"{experiment}.csv", "w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        for setting, seed, result in rows:
            psnr, loops = zip(*(result["sets"][name] for name in SETS))
            table.writerow([setting, seed, shown(result["validation"]), shown(result["cut"]), shown(result["macs"]),
                            *map(shown, psnr), *(shown(loop, 3) for loop in loops), result["made by"]])


def report(options, experiment, rows):
    """A table of means over seeds with their standard deviation on the terminal, and plots."""
    for line in markdown(rows):
        print(line)
    # The models differ by far more than what attention averages over makes of them: nothing to be seen.
    if experiment != "pooling":
        draw(options, experiment, any(result["curve"] for _, _, result in rows))


def draw(options, experiment, has_curves):
    """Plots by the program itself."""
    plot = [options.dualres, "plot", "--y-label", "PSNR-Y on the validation pictures in dB"]
    tables = [(experiment, "validation", [])]
    if has_curves:
        tables.append((f"{experiment}-curves", "psnr_y", ["--by", "setting"]))
    for name, column, more in tables:
        table, picture = options.results / f"{name}.csv", options.results / f"{name}.svg"
        over = [] if more else ["--x", "setting", "--names"]
        subprocess.run([str(part) for part in [*plot, table, "--y", column, *more, *over, "-o", picture, "--overwrite"]], check=True,
                       stdout=subprocess.DEVNULL)


def markdown(rows):
    """Means over seeds, and over the differences from the first setting with the same seed, which chance touches less."""
    yield "| setting | seeds | validation | from the first | " + " | ".join(SETS) + " | consistency (Set5) | cut, not fine-tuned |"
    yield "| --- | --- | --- | --- | " + " | ".join("---" for _ in SETS) + " | --- | --- |"
    settings = dict.fromkeys(setting for setting, _, _ in rows)
    first = {seed: result["validation"] for setting, seed, result in rows if setting == next(iter(settings))}
    for setting in settings:
        results = [result for name, _, result in rows if name == setting]
        differences = [result["validation"] - first[seed] for name, seed, result in rows if name == setting and seed in first]

        def over_seeds(values, digits, sign=""):
            if None in values:
                return ""
            spread = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
            return f"{statistics.mean(values):{sign}.{digits}f}{spread}"

        cells = [setting, str(len(results)), over_seeds([result["validation"] for result in results], 3)]
        cells += [over_seeds(differences, 3, "+") if len(differences) > 1 else ""]
        cells += [over_seeds([result["sets"][name][0] for result in results], 3) for name in SETS]
        cells += [over_seeds([result["sets"]["Set5"][1] for result in results], 1)]
        cells += [over_seeds([result["cut"] for result in results], 2)]
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
    parser.add_argument("--model", type=pathlib.Path, default=pathlib.Path("models/x2-fast.safetensors"),
                        help="what is compressed")
    parser.add_argument("--ratio", default="0.5")
    parser.add_argument("--train-steps", default="600")
    parser.add_argument("--finetune-steps", default="150")
    parser.add_argument("--seconds", type=float, default=200, help="training time of each row of `architecture-...`")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--experiments", nargs="+", help="all if not given")
    options = parser.parse_args()
    options.runs.mkdir(parents=True, exist_ok=True)
    every = experiments(options)
    chosen = options.experiments or list(every)
    expected = {name: {setting: made_by(options, command, flags) for setting, command, flags in every[name]} for name in chosen}
    there = {name: {key: row for key, row in known(options, name).items() if expected[name].get(key[0]) == row["made by"]}
             for name in chosen}
    rows = {name: [] for name in chosen}
    # The same settings in two experiments are one run.
    runs = {}
    for seed in options.seeds:
        for experiment in chosen:
            # No chance in it, or too long to be done again.
            if experiment in ("pooling", "architecture-x2", "architecture-x4") and seed != options.seeds[0]:
                continue
            for setting, command, flags in every[experiment]:
                by = expected[experiment][setting]
                if (setting, seed) in there[experiment]:
                    runs[by, seed] = there[experiment].pop((setting, seed))
                elif (by, seed) not in runs:
                    runs[by, seed] = made(options, command, flags, seed)
                rows[experiment].append((setting, seed, runs[by, seed]))
                # With those of other seeds, and those that come later.
                write(options, experiment, rows[experiment] + left(there[experiment]))
                print(experiment, setting, seed, shown(runs[by, seed]["validation"], 3), flush=True)
    for experiment in chosen:
        print(f"\n{experiment}\n")
        report(options, experiment, rows[experiment] + left(there[experiment]))


if __name__ == "__main__":
    main()
