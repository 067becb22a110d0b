"""Runs a tree of pictures through Dualres and compares what comes out with what other programs see in the originals.

    python3 scripts/collection.py target/release/dualres FOLDER [--most-pixels 3000000] [--most-files 1000] [--json rows.json]

Each file that Dualres takes is doubled by the fastest model; the result, shrunk back, is compared with the picture that ImageMagick,
libvips or libheif decode (size, orientation, colours by the profile: all in sRGB), and every tag that exiftool finds in the original
with those of the result. Needs ImageMagick, libvips' tools and exiftool; numpy, pillow and pillow-heif come from PyPI into a virtual
environment (--work). Prints a table: tried, right, refused with a reason, wrong, and tags lost without a word.
"""

import argparse
import collections
import json
import math
import os
import subprocess
import sys
from pathlib import Path

PACKAGES = ["numpy", "pillow", "pillow-heif"]
# Below this, in dB, the result shrunk back is another picture. Noise and dither that no network keeps are above it.
LEAST = 22.0
# What says how a file stores its picture, what changes with its size, and what programs write about themselves.
STRUCTURE = {
    "ImageWidth", "ImageHeight", "ImageSize", "Megapixels", "ExifImageWidth", "ExifImageHeight", "Compression", "BitsPerSample",
    "PhotometricInterpretation", "StripOffsets", "StripByteCounts", "RowsPerStrip", "SamplesPerPixel", "PlanarConfiguration",
    "Orientation", "Software", "ThumbnailOffset", "ThumbnailLength", "ThumbnailImage", "ExifByteOrder", "XMPToolkit", "Predictor",
    "TileWidth", "TileLength", "TileOffsets", "TileByteCounts", "SubfileType", "YCbCrPositioning", "YCbCrSubSampling",
    "JPEGInterchangeFormat", "NativeDigest", "XResolution", "YResolution", "ResolutionUnit", "IPTCDigest", "CurrentIPTCDigest",
    "PixelXDimension", "PixelYDimension", "Padding", "OffsetSchema", "ProcessingSoftware", "InteropIndex", "InteropVersion",
    "SampleFormat", "ExtraSamples", "FillOrder", "NewSubfileType", "YCbCrCoefficients", "ReferenceBlackWhite", "HasExtendedXMP",
    "PreviewImageStart", "PreviewImageLength", "JpgFromRawStart", "JpgFromRawLength", "OtherImageStart", "OtherImageLength",
}
# Groups of tags that are about the photo, not about the file.
GROUPS = ("IFD0", "ExifIFD", "GPS", "IPTC", "XMP", "MakerNotes", "Photoshop")
STRUCTURE_GROUPS = ("XMP-xmpMM", "XMP-tiff", "XMP-exif:Native", "XMP-GContainer", "XMP-hdrgm", "XMP-GCamera")


def environment(work):
    python = work / "venv" / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", work / "venv"], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
    os.execv(python, [str(python), __file__, *sys.argv[1:], "--inside"])


def tags(path):
    """Tags about the photo by name, over all groups: formats keep them in different ones."""
    command = ["exiftool", "-json", "-G1", "-a", "-n", path]
    answer = subprocess.run(command, capture_output=True, text=True, errors="replace").stdout
    found = {}
    for key, value in (json.loads(answer)[0] if answer.strip() else {}).items():
        group, _, name = key.rpartition(":")
        if group.startswith(GROUPS) and not group.startswith(STRUCTURE_GROUPS) and name not in STRUCTURE:
            found.setdefault(name, str(value))
    return found


def seen(picture):
    """The picture over gray: what lies under transparent pixels is nobody's business."""
    import numpy
    from PIL import Image

    if picture.mode.startswith("I"):
        gray = (numpy.asarray(picture).astype(float) / 257).round()
        return numpy.repeat(gray[..., None], 3, axis=2)
    clear = picture.convert("RGBA")
    return numpy.asarray(Image.alpha_composite(Image.new("RGBA", clear.size, (128, 128, 128, 255)), clear).convert("RGB")).astype(float)


def is_for_hdr_screens(path):
    """Whether a file states the curve of PQ or HLG, which other programs take for that of sRGB."""
    command = ["exiftool", "-s3", "-n", "-TransferCharacteristics", path]
    return subprocess.run(command, capture_output=True, text=True, errors="replace").stdout.strip() in {"16", "18"}


def decoded(path, work):
    """The picture in sRGB with 8 bits, upright, by whichever program reads it."""
    from PIL import Image

    out = work / "decoded.png"
    if path.suffix.lower() in {".heic", ".heif", ".hif"}:
        import pillow_heif
        from PIL import ImageCms
        import io

        try:
            picture = pillow_heif.open_heif(path).to_pillow()
            if picture.mode.startswith("I"):
                return seen(picture)
            profile = picture.info.get("icc_profile")
            if profile and picture.mode in {"RGB", "RGBA"}:
                source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
                picture = ImageCms.profileToProfile(picture, source, ImageCms.createProfile("sRGB"))
            return seen(picture)
        except Exception:
            return None
    profile = "/usr/share/color/icc/ghostscript/srgb.icc"
    for command in (
        ["vips", "autorot", f"{path}[0]" if path.suffix.lower() == ".gif" else path, work / "upright.v"],
        ["convert", f"{path}[0]", "-auto-orient", "-colorspace", "sRGB", "-depth", "8", out],
    ):
        out.unlink(missing_ok=True)
        if subprocess.run(command, capture_output=True).returncode != 0:
            continue
        if command[0] == "vips":
            step = ["vips", "icc_transform", work / "upright.v", f"{out}", "srgb", "--embedded"]
            if subprocess.run(step, capture_output=True).returncode != 0:
                step = ["vips", "colourspace", work / "upright.v", f"{out}", "srgb"]
                if subprocess.run(step, capture_output=True).returncode != 0:
                    continue
        try:
            with Image.open(out) as picture:
                return seen(picture)
        except Exception:
            continue
    return None


def psnr(result, original):
    import numpy
    from PIL import Image

    shrunk = Image.fromarray(result.astype("uint8")).resize(original.shape[1::-1], Image.Resampling.BOX)
    error = ((numpy.asarray(shrunk).astype(float) - original) ** 2).mean()
    return 99.0 if error == 0 else 10 * math.log10(255**2 / error)


def row(program, path, args):
    """What came of one file: its class, and why."""
    command = [program, "upscale", "--check", "--json", path]
    check = subprocess.run(command, capture_output=True, text=True, errors="replace")
    lines = [json.loads(line) for line in check.stdout.splitlines() if line.startswith("{")]
    told = next((line for line in lines if "input_size" in line), None)
    if told is None:
        reason = next((line["error"] for line in lines if "error" in line), check.stderr.strip()[-200:])
        crashed = check.returncode < 0 or check.returncode > 100 or "panicked" in check.stderr
        return ("crash" if crashed else "refused"), reason
    width, height = told["input_size"]
    if width * height > args.most_pixels:
        return "too large to try", f"{width}x{height}"
    result = args.work / "result.png"
    result.unlink(missing_ok=True)
    command = [program, "upscale", path, "-o", result, "--model", args.model, "--device", "cpu", "--overwrite"]
    run = subprocess.run(command, capture_output=True, text=True, errors="replace")
    if run.returncode != 0:
        return ("crash" if run.returncode < 0 or "panicked" in run.stderr else "refused"), run.stderr.strip()[-300:]
    original = decoded(path, args.work)
    if original is None:
        return "read by nobody else", f"{width}x{height}"
    found = decoded(result, args.work)
    if found is None:
        return "wrong", "the result cannot be read"
    if found.shape[0] != 2 * original.shape[0] or found.shape[1] != 2 * original.shape[1]:
        return "wrong", f"{found.shape[1]}x{found.shape[0]} of {original.shape[1]}x{original.shape[0]}"
    near = psnr(found, original)
    if near < LEAST and is_for_hdr_screens(path):
        return "for HDR screens, not compared", f"{near:.1f} dB"
    if near < LEAST:
        return "wrong", f"{near:.1f} dB"
    before, after = tags(path), tags(result)
    missing = sorted(name for name in before if name not in after)
    if missing and not told["lost"]:
        return "lost in silence", ", ".join(missing[:12])
    return ("right, loss told" if told["lost"] else "right"), f"{near:.1f} dB"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="x2-70")
    parser.add_argument("--most-pixels", type=int, default=3_000_000)
    parser.add_argument("--most-files", type=int, default=1000)
    parser.add_argument("--work", type=Path, default=Path.home() / ".cache" / "dualres" / "collection")
    parser.add_argument("--json", type=Path, help="also write a line a file")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    if not args.inside:
        environment(args.work)
    files = sorted(path for path in args.folder.rglob("*") if path.is_file())[: args.most_files]
    rows = []
    for path in files:
        kind, why = row(args.program.resolve(), path, args)
        rows.append({"file": str(path.relative_to(args.folder)), "kind": kind, "why": why})
        if kind in {"wrong", "crash", "lost in silence"}:
            print(f"{kind}: {path}: {why}", file=sys.stderr, flush=True)
    if args.json:
        args.json.write_text("\n".join(json.dumps(one) for one in rows) + "\n")
    counts = collections.Counter(one["kind"] for one in rows)
    print(f"| tried | {' | '.join(sorted(counts))} |")
    print(f"| {' | '.join(['---'] * (len(counts) + 1))} |")
    print(f"| {len(rows)} | {' | '.join(str(counts[kind]) for kind in sorted(counts))} |")
    sys.exit(1 if counts["wrong"] or counts["crash"] or counts["lost in silence"] else 0)


if __name__ == "__main__":
    main()
