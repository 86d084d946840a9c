#!/usr/bin/env python3
"""Writes what the fuzzers start from: seeds.py NAME FOLDER GLESIM, NAME being config, set, npz or sound.

FOLDER/seeds gets small files, FOLDER/words a dictionary. Standard library only, so that nothing binary is kept.
"""

import io
import pathlib
import re
import struct
import subprocess
import sys
import wave
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[2]


def configs():
    for path in sorted([*ROOT.glob("configs/*.yaml"), *ROOT.glob("tests/good/*.yaml"), *ROOT.glob("tests/bad/*.yaml")]):
        if path.stat().st_size < 4000:
            yield path.read_bytes()


def sets():
    """The settings that the keys of variants and the README show, and some of each kind."""
    for path in sorted(ROOT.glob("**/*.yaml")):
        text = path.read_text("utf-8", "replace")
        for key, value in re.findall(r"^ +([a-z_]+(?:\.[a-z_]+|\[\d\])+): (.+)$", text, re.M):
            yield f"{key}={value}".encode()
    for text in ("seed=3", "dt=0.05", "network.layers[1].neurons.count=3", "network.layers[0].neurons[1].tau_m=[2, 3]",
                 "network.layers[0].repeat=4", "learning.optimizer={type: adam, lr: 1e-3}", "teacher=null",
                 "learning.bounds.weight=[-1, 1]", "training.phases[0].set={hidden_1.bias: 0}", "record.layers=[top]",
                 "variants={a: {dt: 0.2}, b: {learning.rule: bp}}", "sweep={learning.beta: [1, 0.5]}",
                 "dataset={type: step, width: 2, sequences: 1}", "network.init={file: weights.npz}"):
        yield text.encode()


def npy(descr, shape, data, fortran=False, version=1):
    head = f"{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}".ljust(117).encode() + b"\n"
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if version == 1 else "<I", len(head)) + head + data


def arrays():
    six = struct.pack("<6f", *range(6))
    yield "a", npy("<f4", (2, 3), six)
    yield "b", npy(">f4", (3, 2), six, fortran=True)
    yield "c", npy("<i8", (2,), struct.pack("<2q", 1, -2), version=2)
    yield "d", npy("|b1", (3,), b"\1\0\1")
    yield "e", npy("<f8", (), struct.pack("<d", 0.5))
    yield "f", npy("|u1", (0, 4), b"", version=3)
    yield "g", npy("|O", (1,), b"\x80\x04.")


def archives():
    for kind in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", kind) as archive:
            for name, data in list(arrays())[:3]:
                archive.writestr(name + ".npy", data)
        yield file.getvalue()
    yield from (data for _, data in arrays())


def sounds():
    for channels, width, rate in ((1, 2, 16000), (2, 1, 8000), (3, 3, 22050), (1, 4, 44100)):
        file = io.BytesIO()
        with wave.open(file, "wb") as out:
            out.setnchannels(channels)
            out.setsampwidth(width)
            out.setframerate(rate)
            out.writeframes(bytes(i * 37 % 256 for i in range(channels * width * 40)))
        yield file.getvalue()
    floats = struct.pack("<8f", *(i / 8 for i in range(8)))
    extra = b"LIST" + struct.pack("<I", 4) + b"INFO"
    chunks = b"fmt " + struct.pack("<IHHIIHH", 16, 3, 1, 16000, 64000, 4, 32) + extra + b"data" + struct.pack("<I", 32)
    yield b"RIFF" + struct.pack("<I", 4 + len(chunks) + 32) + b"WAVE" + chunks + floats
    yield b"fLaC" + bytes([0x80, 0, 0, 34]) + struct.pack(">HH", 4096, 4096) + bytes(6) + \
        ((16000 << 44) | (15 << 36) | 8).to_bytes(8, "big") + bytes(16)


def words(name, glesim):
    if name in ("config", "set"):
        listed = subprocess.run([glesim, "--list"], check=True, capture_output=True, text=True).stdout
        found = set(re.findall(r"^ *([a-z_0-9]+)  ", listed, re.M))
        return sorted(found | {"&a", "*a", "<<: ", "- ", "{", "}", "[", "]", ".nan", ".inf", "null", "1e-3", ": ", "'",
                               "---", "..", "true", "[0]", "variants: ", "sweep: "})
    if name == "npz":
        return ["descr", "fortran_order", "shape", "True", "False", "<f4", ">f8", "|b1", "|O", "<i8", "()", "(2,)",
                "PK", "\\x93NUMPY", ".npy"]
    return ["RIFF", "WAVE", "fmt ", "data", "LIST", "fact", "fLaC", "\\xff\\xff\\xff\\xff", "RF64", "ds64"]


def main():
    name, folder, glesim = sys.argv[1:]
    seeds = pathlib.Path(folder) / "seeds"
    seeds.mkdir(parents=True, exist_ok=True)
    for i, data in enumerate({"config": configs, "set": sets, "npz": archives, "sound": sounds}[name]()):
        (seeds / f"{i:03}").write_bytes(data)
    (pathlib.Path(folder) / "words").write_text("".join(f'"{word}"\n' for word in words(name, glesim)))


if __name__ == "__main__":
    main()
