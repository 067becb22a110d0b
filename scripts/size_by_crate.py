#!/usr/bin/env python3
"""What a program weighs, by section and by the crate that its functions are of.

    cargo rustc --release -p dualres --bin dualres -- -C strip=none
    python3 scripts/size_by_crate.py target/release/dualres [-n 25]

Generic functions count for the crate they are written in. Needs binutils (`size`, `nm`).
"""
import argparse
import collections
import re
import subprocess


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def crate(name):
    """The crate of a demangled function: the first path in it."""
    found = re.search(r"([A-Za-z_][A-Za-z0-9_]*)(?:\[[0-9a-f]+\])?::", name)
    return found.group(1) if found else "(C and others)"


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("program")
parser.add_argument("-n", type=int, default=25, help="crates to list")
args = parser.parse_args()

print("| section | MB |\n| --- | --- |")
for line in run("size", "-A", "-d", args.program).splitlines():
    parts = line.split()
    if len(parts) == 3 and parts[1].isdigit() and int(parts[1]) > 500_000 and not parts[0].startswith((".debug", ".symtab", ".strtab")):
        print(f"| `{parts[0]}` | {int(parts[1]) / 1e6:.1f} |")

sizes, total = collections.Counter(), 0
for line in run("nm", "--print-size", "--demangle", "--defined-only", args.program).splitlines():
    parts = line.split(maxsplit=3)
    if len(parts) == 4 and parts[2] in "tTwW":
        size = int(parts[1], 16)
        sizes[crate(parts[3])] += size
        total += size
if not total:
    raise SystemExit("the program is stripped: build it with -C strip=none")
print(f"\n| crate | MB of {total / 1e6:.1f} of code |\n| --- | --- |")
for name, size in sizes.most_common(args.n):
    print(f"| `{name}` | {size / 1e6:.2f} |")
