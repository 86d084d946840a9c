#!/usr/bin/env python3
"""Writes what the fuzzers start from: seeds.py NAME FOLDER GLESIM, NAME being config, set, npz, sound, idx, cifar10 or
events.

FOLDER/seeds gets small files, FOLDER/words a dictionary. Standard library only, so that nothing binary is kept.
"""

import gzip
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


def images():
    for shape, data in (((2, 2, 3), bytes(range(12))), ((4,), b"\0\1\2\1"), ((1, 1, 1), b"\xff")):
        file = b"\0\0\x08" + bytes([len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + data
        yield file
        yield gzip.compress(file, mtime=0)


def photographs():
    for records in range(4):
        for as_is in (0, 1, 9):
            yield bytes([records, as_is]) + bytes(i * i % 11 for i in range(64))
    yield bytes(3073)


# For Debian's Python, which alone may have h5py: prints files as hexadecimal digits.
SPIKES = '''
import h5py, io
for times, units in (("f2", "u2"), ("f8", "i8")):
    out = io.BytesIO()
    with h5py.File(out, "w") as file:
        for name, kind in (("times", times), ("units", units)):
            data = file.create_dataset("spikes/" + name, (3,), h5py.vlen_dtype(kind))
            for i in range(3):
                data[i] = [0, i][:i + 1]
        file["labels"] = [0, 1, 1]
    print(out.getvalue().hex())
'''


def spikes():
    made = subprocess.run(["/usr/bin/python3", "-c", SPIKES], capture_output=True, text=True)
    if made.returncode:
        print("no seeds for events: h5py is not installed (tools/setup --packages python3-h5py)", file=sys.stderr)
    for line in made.stdout.split():
        yield bytes.fromhex(line)


def words(name, glesim):
    if name in ("config", "set"):
        listed = subprocess.run([glesim, "--list"], check=True, capture_output=True, text=True).stdout
        found = set(re.findall(r"^ *([a-z_0-9]+)  ", listed, re.M))
        return sorted(found | {"&a", "*a", "<<: ", "- ", "{", "}", "[", "]", ".nan", ".inf", "null", "1e-3", ": ", "'",
                               "---", "..", "true", "[0]", "variants: ", "sweep: "})
    if name == "npz":
        return ["descr", "fortran_order", "shape", "True", "False", "<f4", ">f8", "|b1", "|O", "<i8", "()", "(2,)",
                "PK", "\\x93NUMPY", ".npy"]
    if name == "idx":
        return ["\\x1f\\x8b\\x08", "\\x00\\x00\\x08\\x03", "\\x00\\x00\\x08\\x01", "\\x00\\x00\\x00\\x02"]
    if name == "cifar10":
        return ["\\x0a"]
    if name == "events":
        return ["\\x89HDF\\x0d\\x0a\\x1a\\x0a", "TREE", "HEAP", "SNOD", "GCOL", "labels", "times", "units", "spikes"]
    return ["RIFF", "WAVE", "fmt ", "data", "LIST", "fact", "fLaC", "\\xff\\xff\\xff\\xff", "RF64", "ds64"]


def main():
    name, folder, glesim = sys.argv[1:]
    seeds = pathlib.Path(folder) / "seeds"
    seeds.mkdir(parents=True, exist_ok=True)
    for i, data in enumerate({"config": configs, "set": sets, "npz": archives, "sound": sounds, "idx": images,
                               "cifar10": photographs, "events": spikes}[name]()):
        (seeds / f"{i:03}").write_bytes(data)
    (pathlib.Path(folder) / "words").write_text("".join(f'"{word}"\n' for word in words(name, glesim)))


if __name__ == "__main__":
    main()
