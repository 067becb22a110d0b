#!/usr/bin/env bash
# What a GPU does with this program, for its owner to paste into an issue: does it compute what the CPU computes, how much faster
# is it, how long does the first start take, how much memory, and how long a photo from file to file.
#
#   scripts/gpu_report.sh                       the device that the program chooses by itself
#   DEVICE=software SIZE=64x64 MEGAPIXELS=0.02 MODELS="x2" scripts/gpu_report.sh      a software driver, in minutes
#
# Writes gpu_report.json and gpu_report.md into the current folder. Needs python3, and the program: DUALRES, or that of this
# checkout, which is built if it is not there. Nothing of it is remembered: it works in a folder of its own.
set -euo pipefail
here="$(cd "$(dirname "$0")/.." && pwd)"
DEVICE="${DEVICE:-auto}"
SIZE="${SIZE:-512x512}"
RUNS="${RUNS:-5}"
MEGAPIXELS="${MEGAPIXELS:-24}"
MODELS="${MODELS:-x2-fast x2 x3 x4 photo-x2 photo-x4 x4-50}"
if [ -z "${DUALRES:-}" ]; then
    cargo build --release --locked --quiet --manifest-path "$here/Cargo.toml"
    DUALRES="${CARGO_TARGET_DIR:-$here/target}/release/dualres"
fi
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
export DUALRES_HOME="$work/home"
say() { printf '%s\n' "$*" >&2; }

say "devices"
"$DUALRES" devices --json >"$work/devices.json"
models=()
for model in $MODELS; do models+=(--model "$model"); done

say "first and second start, one small picture"
sample="$here/assets/samples/chelsea.png"
seconds() { python3 -c 'import subprocess, sys, time
start = time.time()
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print(time.time() - start)' "$@"; }
small() { seconds "$DUALRES" upscale "$sample" -o "$work/$1.bmp" --model "${MODELS%% *}" --tile 200 --device "$2" 2>>"$work/said" ||
    { cat "$work/said" >&2; exit 1; }; }
first=$(small first "$DEVICE")
second=$(small second "$DEVICE")
small cpu cpu >/dev/null

say "the device against the CPU"
"$DUALRES" devices --check="$DEVICE" "${models[@]}" --json >"$work/check.json" || say "  not every check was passed"

say "speed: $SIZE, in turns"
bench() { "$DUALRES" benchmark "${models[@]}" --size "$SIZE" --runs "$RUNS" --json "$@"; }
bench --device "$DEVICE" >"$work/gpu.json"
bench --device "$DEVICE" --gpu-kernels library >"$work/library.json"
bench --device "$DEVICE" --precision single >"$work/single.json"
bench --device cpu >"$work/cpu.json"

say "a photo of $MEGAPIXELS megapixels, file to file"
python3 - "$work/photo.ppm" "$MEGAPIXELS" <<'PY'
import sys, random
height = max(16, round((float(sys.argv[2]) * 1e6 / 1.5) ** 0.5)); width = round(height * 1.5)
noise = random.Random(1).randbytes(4096)
with open(sys.argv[1], "wb") as file:
    file.write(b"P6 %d %d 255\n" % (width, height))
    for y in range(height):
        row = bytearray()
        for x in range(width):
            sky = (x * 200 // width + y * 40 // height)
            row += bytes(((sky + (noise[(x * 7 + y * 13) & 4095] >> 4)) & 255, (sky + 30) & 255, (255 - sky) & 255))
        file.write(row)
PY
photo() { "$DUALRES" upscale "$work/photo.ppm" -o "$work/photo.jpg" --model "${MODELS%% *}" --device "$DEVICE" --overwrite --json; }
# The first run tunes kernels for tiles of its size.
photo >/dev/null
watch=""
if command -v nvidia-smi >/dev/null; then
    nvidia-smi --query-gpu=memory.used --format=csv,noheader,nounits --loop-ms=200 >"$work/memory" 2>/dev/null &
    watch=$!
fi
photo >"$work/photo.json"
[ -z "$watch" ] || kill "$watch"
"$DUALRES" upscale "$work/photo.ppm" -o "$work/photo-cpu.jpg" --model "${MODELS%% *}" --device cpu --json >"$work/photo-cpu.json"
memory=""
if command -v nvidia-smi >/dev/null; then
    memory="$(nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader | tr '\n' ';')"
fi

python3 - "$work" "$first" "$second" "$memory" "$SIZE" "$MEGAPIXELS" "$("$DUALRES" --version)" <<'PY'
import json, platform, sys
work, first, second, memory, size, megapixels, version = sys.argv[1:]
lines = lambda name: [json.loads(line) for line in open(f"{work}/{name}.json") if line.strip()]
# Warnings are lines too.
result = lambda name: next(line for line in lines(name) if "device" in line)
def samples(name):
    bitmap = open(f"{work}/{name}.bmp", "rb").read()
    return bitmap[int.from_bytes(bitmap[10:14], "little"):]
difference = max(map(lambda pair: abs(pair[0] - pair[1]), zip(samples("second"), samples("cpu"))))
try:
    peak_of_gpu = max(int(line) for line in open(f"{work}/memory") if line.strip().isdigit())
except (OSError, ValueError):
    peak_of_gpu = None
report = {
    "program": version, "system": platform.platform(), "devices": lines("devices"), "driver": memory,
    "first_start_seconds": float(first), "second_start_seconds": float(second), "checks": lines("check"),
    "difference_on_several_tiles": difference, "gpu_memory_peak_mb": peak_of_gpu, "said": open(f"{work}/said").read(),
    "size": size, "benchmark": {name: lines(name)[0] for name in ("gpu", "library", "single", "cpu")},
    "photo": {"megapixels": float(megapixels), "device": result("photo"), "cpu": result("photo-cpu")},
}
json.dump(report, open("gpu_report.json", "w"), indent=2)
benchmark = {name: {m["model"]: m for m in found["models"]} for name, found in report["benchmark"].items()}
best = lambda name, model: benchmark[name][model]["min_seconds"]
ran_on = {m["device"] for m in report["benchmark"]["gpu"]["models"]}
if not any("GPU" in device["class"] and "software" not in device["class"] for device in report["devices"]):
    print("note: no GPU was found; this says how the program runs without one", file=sys.stderr)
refused = "" if ran_on != {"CPU"} else " (the CPU: no GPU, or none that passed its check)"
out = [f"**{report['benchmark']['gpu']['device']}**{refused}, {version}, {report['system']}{', ' + memory if memory else ''}", ""]
out += [f"First start {report['first_start_seconds']:.1f} s, second {report['second_start_seconds']:.1f} s. "
        f"A photo of {megapixels} megapixels, file to file: {report['photo']['device']['seconds']:.1f} s on "
        f"{report['photo']['device']['device']}, {report['photo']['cpu']['seconds']:.1f} s on the CPU. Several tiles "
        f"differ from the CPU by {difference} of 255 levels at most"
        f"{'' if peak_of_gpu is None else f'; {peak_of_gpu} MB of the GPU were in use'}.", ""]
out += [f"| model | against the CPU | {size}, best s | library's kernels | 32 bits | CPU | speed-up | ran on | memory of the process |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"]
said = {check["model"]: ("" if check["sound"] else "**WRONG** ") + check["finding"] for check in report["checks"]}
for model, gpu in benchmark["gpu"].items():
    peak = gpu["peak_memory_bytes"]
    out.append(f"| {model} | {said.get(model, 'not checked')} | {best('gpu', model):.3f} | {best('library', model):.3f} | "
               f"{best('single', model):.3f} | {best('cpu', model):.3f} | {best('cpu', model) / best('gpu', model):.1f}x | "
               f"{gpu['device']} | {'-' if peak is None else f'{peak / 1e6:.0f} MB'} |")
open("gpu_report.md", "w").write("\n".join(out) + "\n")
print("\n".join(out))
PY
say "written: gpu_report.json, gpu_report.md"
