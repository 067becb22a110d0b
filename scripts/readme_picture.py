#!/usr/bin/env python3
"""Makes assets/proof.png: a part of a sample, bicubic and Dualres side by side, and where the loop does not close.

Needs Pillow and a built program: scripts/readme_picture.py path/to/dualres
"""
import pathlib
import subprocess
import sys
import tempfile

from PIL import Image

program = sys.argv[1]
root = pathlib.Path(__file__).resolve().parent.parent
with tempfile.TemporaryDirectory() as folder:
    folder = pathlib.Path(folder)
    source = Image.open(root / "assets/samples/chelsea.png").convert("RGB").crop((95, 60, 285, 200))
    source.save(folder / "in.png")
    subprocess.run([program, "upscale", folder / "in.png", "-o", folder / "out.png", "--scale", "4", "--device", "cpu",
                    "--consistency", folder / "map.png"], check=True)
    result, heat = Image.open(folder / "out.png"), Image.open(folder / "map.png")
    size = result.size
    panes = [source.resize(size, Image.NEAREST), result, heat.resize(size, Image.NEAREST)]
    sheet = Image.new("RGB", (3 * size[0] + 16, size[1]), "white")
    for index, pane in enumerate(panes):
        sheet.paste(pane, (index * (size[0] + 8), 0))
    sheet.resize((sheet.width // 2, sheet.height // 2), Image.LANCZOS).save(root / "assets/proof.png", optimize=True)
