"""What the tests of the command share: a folder for each, the program that GLESIM names run in it, and its reports.
Standard library only.
"""

import json
import os
import pathlib
import shutil
import signal
import struct
import subprocess
import tempfile
import time
import unittest
import zipfile

GLESIM = os.path.abspath(os.environ.get("GLESIM", "glesim"))
ROOT = pathlib.Path(__file__).resolve().parents[2]
CONFIGS = ROOT / "configs"
XOR = CONFIGS / "xor.yaml"
# Runs of it take some milliseconds.
SMALL_CONFIG = """glesim: 1
name: small
dt: 0.1
dataset: {type: xor}
network:
  input: 2
  layers:
    - {name: hidden, neurons: {count: 6, tau_m: 1.0, tau_r: 0.5}, activation: tanh}
    - {name: readout, neurons: {count: 2, tau_m: 1.0, tau_r: 1.0}}
learning: {loss: cross_entropy, optimizer: {type: adam, lr: 1e-2}}
training: {epochs: 2, batch_size: 4}
"""
PATIENCE = 60 * float(os.environ.get("GLE_SLOWNESS", "1")) # seconds for a command


def load(path):
    """JSON as the standard has it: NaN and Infinity are refused."""
    def refuse(word):
        raise ValueError(word + " is no JSON")
    return json.loads(pathlib.Path(path).read_text(encoding="utf-8"), parse_constant=refuse)


def timeless(entries):
    """Epochs or phases, without what no two runs have in common."""
    return [{key: value for key, value in entry.items() if key != "seconds"} for entry in entries]


def without_times(metrics):
    """What two runs by epochs have in common, bit for bit."""
    same = {key: value for key, value in metrics.items() if key not in ("provenance", "timing")}
    same["epochs"] = timeless(same["epochs"])
    same["final"], same["best"] = timeless([same["final"], same["best"]])
    return same


def floats(path):
    """Values of all arrays of single precision; every array's checksum is checked."""
    arrays = {}
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            data = archive.read(name)
            begin = 10 + struct.unpack("<H", data[8:10])[0]
            if b"'<f4'" in data[:begin]:
                arrays[name.removesuffix(".npy")] = struct.unpack(f"<{(len(data) - begin) // 4}f", data[begin:])
    return arrays


class InFolder(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="glesim-test-")).resolve()
        self.addCleanup(shutil.rmtree, self.folder)


class Case(InFolder):
    def run_of(self, output, seed=1):
        return self.folder / output / f"seed_{seed}"

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path

    def start(self, *args, env=None):
        return subprocess.Popen([GLESIM, *map(str, args)], cwd=self.folder, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                env={**os.environ, **(env or {})})

    def interrupted(self, *args, env=None):
        """A run to out/ that a signal ends once it has written something. What it said on standard error."""
        def written():
            return [path.stat().st_mtime_ns for path in self.folder.glob("out/*/metrics.json")]
        before, end = written(), time.monotonic() + PATIENCE
        run = self.start(*args, "--output", "out", env=env)
        while written() == before and run.poll() is None and time.monotonic() < end:
            time.sleep(0.01)
        run.send_signal(signal.SIGINT)
        _, said = run.communicate(timeout=PATIENCE)
        self.assertEqual(run.returncode, 130, said)
        return said

    def run_glesim(self, *args, code=0, env=None, **kwargs):
        """What it was and wrote: done.stdout and done.stderr are bytes, done.out and done.err text."""
        done = subprocess.run([GLESIM, *map(str, args)], cwd=kwargs.pop("cwd", self.folder), stdin=subprocess.DEVNULL,
                              stdout=kwargs.pop("stdout", subprocess.PIPE), stderr=subprocess.PIPE, timeout=PATIENCE,
                              env={**os.environ, **(env or {})}, check=False, **kwargs)
        self.assertEqual(done.returncode, code, (done.stdout, done.stderr))
        done.out = (done.stdout or b"").decode()
        done.err = done.stderr.decode()
        return done
