"""Writes assets/licences.txt: name, version and licence of every crate inside the program."""

import json
import pathlib
import subprocess

root = pathlib.Path(__file__).resolve().parent.parent
tree = subprocess.run(
    ["cargo", "tree", "--locked", "--package", "dualres", "--edges", "normal", "--prefix", "none", "--target", "all",
     "--format", "{p}|{l}"],
    cwd=root, capture_output=True, text=True, check=True,
).stdout
lines = set()
for line in tree.splitlines():
    line = line.replace(" (*)", "").strip()
    if not line or "dualres" in line.split(" ")[0]:
        continue
    package, licence = line.split("|")
    name, version = package.split(" ")[:2]
    lines.add(f"{name} {version.lstrip('v')}: {licence}")
(root / "assets" / "licences.txt").write_text("\n".join(sorted(lines)) + "\n")
print(len(lines), "crates")
