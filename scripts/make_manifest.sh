#!/usr/bin/env bash
# Writes models/manifest.json from the models inside the program. Run after changing a model and rebuilding.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo run --release --locked --quiet -- models list --json | python3 -c '
import json, os, sys
models = []
for line in sys.stdin:
    model = json.loads(line)
    name = model["description"]["name"]
    file = f"{name}.safetensors"
    models.append({"file": file, "bytes": os.path.getsize(f"models/{file}"), "parameters": model["parameters"],
                   "description": model["description"]})
json.dump({"models": models}, open("models/manifest.json", "w"), indent=2)
open("models/manifest.json", "a").write("\n")
'
