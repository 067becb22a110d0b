#!/usr/bin/env python3
"""Compresses a model by every method at several ratios and writes the table that models/COMPRESSION.md shows.

    python3 scripts/compression_table.py PATH/TO/dualres --data DIR... --validation DIR --benchmarks DIR --runs DIR

Every row is `dualres compress` with the same fine-tuning, then `dualres evaluate` on each benchmark set (folders
SET/HR) and `dualres benchmark` against the original, so that times are ratios of one run. Nothing is done twice: a row
that is there is read, a run that was stopped goes on. `--table FILE` writes the rows as Markdown.
"""
import argparse
import json
import pathlib
import statistics
import subprocess

ROWS = [
    ("drc, paper", ["--method", "drc", "--mode", "paper"]),
    ("drc, paper, lambda 0", ["--method", "drc", "--mode", "paper", "--lambda", "0"]),
    ("uniform, paper", ["--method", "uniform", "--mode", "paper"]),
    ("L1, paper", ["--method", "l1", "--mode", "paper"]),
    ("random, paper", ["--method", "random", "--mode", "paper"]),
    ("ThiNet, paper", ["--method", "thinet", "--mode", "paper"]),
    ("DCP-style, paper", ["--method", "dcp", "--mode", "paper"]),
    ("drc, budget", ["--method", "drc", "--mode", "budget"]),
    ("uniform, budget", ["--method", "uniform", "--mode", "budget"]),
    ("profile, budget", ["--method", "profile"]),
]
SETS = ["Set5", "Set14", "BSD100"]


def call(arguments):
    output = subprocess.run([str(part) for part in arguments], check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(output.strip().splitlines()[-1])


def row(options, ratio, name, flags, seed):
    slug = f"{options.model}-{round(100 * ratio)}-{name.replace(', ', '-').replace(' ', '')}-{seed}"
    stored = options.runs / f"{slug}.json"
    if stored.exists():
        return json.loads(stored.read_text())
    out = options.runs / f"{slug}.safetensors"
    report = call([options.dualres, "compress", "--model", options.model, "--ratio", ratio, *flags,
                   "--data", *options.data, "--validation", options.validation,
                   "--validation-crop", options.validation_crop, "--finetune-steps", options.finetune_steps,
                   "--seed", seed, "--out", out, "--device", "cpu", "--json"])
    result = {"report": report, "psnr": {}, "loop": {}}
    for set_name in SETS:
        mean = call([options.dualres, "evaluate", "--model", out, "--hr", options.benchmarks / set_name / "HR",
                     "--device", "cpu", "--json"])["mean"]
        result["psnr"][set_name], result["loop"][set_name] = mean["psnr_y"], mean["loop_psnr"]
    stored.write_text(json.dumps(result))
    return result


def timed(options, name, flags, ratio, seed):
    """Time as a share of the original's, both measured in turns."""
    slug = f"{options.model}-{round(100 * ratio)}-{name.replace(', ', '-').replace(' ', '')}-{seed}"
    stored = options.runs / f"{slug}.time.json"
    if not stored.exists():
        result = call([options.dualres, "benchmark", "--model", options.model, "--model",
                       options.runs / f"{slug}.safetensors", "--size", "256x256", "--runs", 5, "--device", "cpu",
                       "--json"])
        stored.write_text(json.dumps(result))
    first, second = json.loads(stored.read_text())["models"]
    return second["median_seconds"], second["median_seconds"] / first["median_seconds"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dualres", type=pathlib.Path)
    parser.add_argument("--model", default="x2")
    parser.add_argument("--data", nargs="+", required=True)
    parser.add_argument("--validation", required=True)
    parser.add_argument("--validation-crop", default="256")
    parser.add_argument("--benchmarks", type=pathlib.Path, required=True)
    parser.add_argument("--runs", type=pathlib.Path, required=True)
    parser.add_argument("--ratios", nargs="+", type=float, default=[0.3, 0.5, 0.7])
    parser.add_argument("--seeds", nargs="+", type=int, default=[1])
    parser.add_argument("--finetune-steps", default="500")
    parser.add_argument("--rows", nargs="+", help="only rows whose names begin so")
    parser.add_argument("--table", type=pathlib.Path)
    options = parser.parse_args()
    options.runs.mkdir(parents=True, exist_ok=True)
    lines = []
    for ratio in options.ratios:
        for name, flags in ROWS:
            if options.rows and not any(name.startswith(wanted) for wanted in options.rows):
                continue
            results = [row(options, ratio, name, flags, seed) for seed in options.seeds]
            first = results[0]["report"]
            print(ratio, name, f"{first['psnr_after']:.3f}", flush=True)
            if not options.table:
                continue
            seconds, share = timed(options, name, flags, ratio, options.seeds[0])

            def shown(values):
                mean = f"{statistics.mean(values):.2f}"
                return mean if len(values) == 1 else f"{mean} ± {statistics.stdev(values):.2f}"

            columns = [f"{ratio}", name, f"{first['params_after']:,}",
                       f"{first['macs_after'] / 1e9:.2f} G ({100 * first['kept_macs_ratio']:.0f} %)",
                       f"{seconds:.3f} s ({100 * share:.0f} %)"]
            columns += [shown([result["psnr"][name] for result in results]) for name in SETS]
            columns += [shown([result["loop"]["Set5"] for result in results]),
                        f"{first['psnr_cut']:.2f}"]
            lines.append("| " + " | ".join(columns) + " |")
    if options.table:
        head = ["r", "method, mode", "parameters", "MACs (input 96x96)", "time (256x256)", *SETS, "loop (Set5)",
                "validation, not fine-tuned"]
        table = ["| " + " | ".join(head) + " |", "| " + " | ".join("---" for _ in head) + " |", *lines]
        options.table.write_text("\n".join(table) + "\n")


if __name__ == "__main__":
    main()
