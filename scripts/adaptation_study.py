#!/usr/bin/env python3
"""What `dualres adapt` gives on degradations nobody told it of: the table of models/RESULTS.md.

For each scale and degradation: PSNR-Y of the model as it is, adapted to other pictures of the same degradation with the
degradation estimated, adapted without an estimate (the paired half reduced by bicubic alone), and trained with the truth on the
right degradation, each for as many steps. Rows go into a CSV file and are not made twice.

    python3 scripts/adaptation_study.py dualres --photos train/photos_cc0 --benchmarks bench --work study --out rows.csv
    python3 scripts/adaptation_study.py --table models/results/adaptation.csv
"""
import argparse, csv, json, pathlib, shutil, statistics, subprocess, sys

DEGRADATIONS = {
    2: ["nearest", "blur=0.9", "blur=1.6", "blur=2x0.8@30", "jpeg=60", "noise=10"],
    4: ["nearest", "blur=1.8", "blur=3.2", "blur=4x1.6@30", "jpeg=60", "noise=10"],
}
FIELDS = ["scale", "degradation", "method", "seed", "set14", "bsd100", "bicubic_set14", "bicubic_bsd100", "estimate"]


METHODS = ["before", "estimated", "without estimate", "with truth"]


def table(path):
    """The rows as Markdown: mean, and the standard deviation over the seeds where there are several."""
    rows = list(csv.DictReader(open(path)))
    print("| scale, degradation | estimate | " + " | ".join(f"{method}: Set14 / BSD100" for method in METHODS) + " |")
    print("| --- | --- |" + " --- |" * len(METHODS))
    for scale, hows in DEGRADATIONS.items():
        for how in hows:
            cells = []
            for method in METHODS:
                found = [r for r in rows if (r["scale"], r["degradation"], r["method"]) == (str(scale), how, method)]
                numbers = [[float(row[name]) for row in found] for name in ("set14", "bsd100")]
                spread = [f" ± {statistics.stdev(n):.2f}" if len(n) > 1 else "" for n in numbers]
                cells.append(" / ".join(f"{statistics.mean(n):.2f}{s}" for n, s in zip(numbers, spread)) if found else "")
            estimates = {r["estimate"] for r in rows
                         if (r["scale"], r["degradation"], r["method"]) == (str(scale), how, "estimated")}
            print(f"| {scale}x {how} | {' '.join(sorted(estimates))} | {' | '.join(cells)} |")


def main():
    if sys.argv[1:2] == ["--table"]:
        return table(sys.argv[2])
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("program")
    ask.add_argument("--photos", required=True, help="high-resolution photos: some become the user's, others train with truth")
    ask.add_argument("--benchmarks", required=True, help="folder with Set14/HR and BSD100/HR")
    ask.add_argument("--work", required=True, help="folder for what is made on the way")
    ask.add_argument("--out", required=True, help="CSV file of rows")
    ask.add_argument("--steps", type=int, default=120)
    ask.add_argument("--seeds", type=int, default=3)
    ask.add_argument("--every", type=int, default=4, help="every n-th picture of BSD100 is measured")
    args = ask.parse_args()
    work = pathlib.Path(args.work)
    work.mkdir(parents=True, exist_ok=True)

    def run(*command):
        done = subprocess.run([args.program, *map(str, command)], capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{' '.join(map(str, command))}: {done.stderr}")
        return done.stdout

    def linked(name, paths):
        folder = work / name
        folder.mkdir(exist_ok=True)
        for path in paths:
            if not (folder / path.name).exists():
                (folder / path.name).symlink_to(path.resolve())
        return folder

    photos = sorted(pathlib.Path(args.photos).iterdir())
    users = linked("users", photos[::18])
    teaching = linked("teaching", [photo for photo in photos if photo not in photos[::18]])
    bench = pathlib.Path(args.benchmarks)
    measured = {
        "set14": bench / "Set14/HR",
        "bsd100": linked("bsd100", sorted((bench / "BSD100/HR").iterdir())[:: args.every]),
    }

    def psnr(model, how):
        row = {}
        for name, folder in measured.items():
            mean = json.loads(run("evaluate", "--model", model, "--hr", folder, "--degradation", how, "--device", "cpu", "--json"))
            row[name] = round(mean["mean"]["psnr_y"], 4)
            row[f"bicubic_{name}"] = round(mean["mean"]["bicubic_psnr_y"], 4)
        return row

    out = pathlib.Path(args.out)
    rows = list(csv.DictReader(out.open())) if out.exists() else []
    done = {(row["scale"], row["degradation"], row["method"], row["seed"]) for row in rows}

    def add(scale, how, method, seed, make):
        if (str(scale), how, method, str(seed)) in done:
            return
        model, estimate = make()
        new = not out.exists()
        with out.open("a", newline="") as file:
            writer = csv.DictWriter(file, FIELDS)
            if new:
                writer.writeheader()
            row = {"scale": scale, "degradation": how, "method": method, "seed": seed, "estimate": estimate}
            writer.writerow(row | psnr(model, how))
        print(scale, how, method, seed, flush=True)

    for seed in range(1, args.seeds + 1):
        for scale, all_hows in DEGRADATIONS.items():
            for how in all_hows:
                place = work / f"x{scale}_{how.replace('=', '').replace(',', '_').replace('@', 'at')}"
                low = place / "low"
                if not low.exists():
                    run("degrade", "--hr", users, "--scale", scale, "--degradation", how, "-o", low)

                def adapted(*more):
                    def make():
                        folder = place / f"run{seed}{''.join(more)}"
                        shutil.rmtree(folder, ignore_errors=True)
                        folder.mkdir(parents=True)
                        told = json.loads(
                            run("adapt", "--model", f"x{scale}", "--pictures", low, "-o", folder / "model.safetensors",
                                "--steps", args.steps, "--seed", seed, "--device", "cpu", "--json", *more)
                        )
                        return folder / "model.safetensors", told["degradation"]
                    return make

                def trained():
                    folder = place / f"truth{seed}"
                    shutil.rmtree(folder, ignore_errors=True)
                    run("train", "--data", teaching, "--init", f"x{scale}", "--degradation", how, "--steps", args.steps,
                        "--batch", 10, "--patch", 48, "--lr", 2e-4, "--lr-min", 1e-6, "--warmup", args.steps // 15,
                        "--ema", 0.95, "--seed", seed, "--device", "cpu", "-o", folder)
                    return folder / "last.safetensors", how

                if seed == 1:
                    add(scale, how, "before", 0, lambda: (f"x{scale}", ""))
                add(scale, how, "estimated", seed, adapted())
                add(scale, how, "without estimate", seed, adapted("--degradation", "none"))
                if seed == 1:
                    add(scale, how, "with truth", seed, trained)


if __name__ == "__main__":
    main()
