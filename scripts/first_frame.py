#!/usr/bin/env python3
"""Times from the start of the program to the first picture of its window.

Programs are started in turns on a virtual X server (`xvfb`), with settings of their own; a pixel of the window is read every three
milliseconds. Prints all times in milliseconds, and the median, for each program:

    scripts/first_frame.py [--runs N] PROGRAM...
"""

import argparse
import ctypes
import os
import statistics
import subprocess
import tempfile
import time

DISPLAY = ":91"
Z_PIXMAP = 2


def reader():
    """A function that reads a pixel of the screen; 0 is black, which is nothing."""
    x = ctypes.CDLL("libX11.so.6")
    x.XOpenDisplay.restype = ctypes.c_void_p
    x.XDefaultRootWindow.argtypes = [ctypes.c_void_p]
    x.XDefaultRootWindow.restype = ctypes.c_ulong
    x.XGetImage.argtypes = [ctypes.c_void_p, ctypes.c_ulong] + [ctypes.c_int] * 2 + [ctypes.c_uint] * 2 + [ctypes.c_ulong, ctypes.c_int]
    x.XGetImage.restype = ctypes.c_void_p
    x.XGetPixel.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_int]
    x.XGetPixel.restype = ctypes.c_ulong
    x.XDestroyImage.argtypes = [ctypes.c_void_p]
    display = None
    for _ in range(100):
        display = x.XOpenDisplay(DISPLAY.encode())
        if display:
            break
        time.sleep(0.05)
    if not display:
        raise SystemExit("no virtual X server: install xvfb")
    root = x.XDefaultRootWindow(display)

    def pixel():
        image = x.XGetImage(display, root, 40, 300, 1, 1, 0xFFFFFFFF, Z_PIXMAP)
        value = x.XGetPixel(image, 0, 0)
        x.XDestroyImage(image)
        return value & 0xFFFFFF

    return pixel


def first_frame(program, pixel):
    with tempfile.TemporaryDirectory() as home:
        environment = dict(os.environ, DISPLAY=DISPLAY, DUALRES_HOME=home)
        environment.pop("WAYLAND_DISPLAY", None)
        start = time.time()
        process = subprocess.Popen([program], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while pixel() == 0:
            if time.time() - start > 30 or process.poll() is not None:
                raise SystemExit(f"{program} shows nothing")
            time.sleep(0.003)
        taken = time.time() - start
        process.kill()
        process.wait()
        # The server clears the screen behind it.
        while pixel() != 0:
            time.sleep(0.01)
        return taken


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--runs", type=int, default=5)
    arguments.add_argument("programs", nargs="+")
    chosen = arguments.parse_args()
    server = subprocess.Popen(["Xvfb", DISPLAY, "-screen", "0", "1280x800x24"], stderr=subprocess.DEVNULL)
    try:
        pixel = reader()
        times = {program: [] for program in chosen.programs}
        for _ in range(chosen.runs):
            for program in chosen.programs:
                times[program].append(round(1000 * first_frame(program, pixel)))
        for program, taken in times.items():
            print(f"{program}: {sorted(taken)}, median {statistics.median(taken):.0f} ms")
    finally:
        server.kill()


if __name__ == "__main__":
    main()
