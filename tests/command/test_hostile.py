"""Hostile input and surroundings: files made to take all memory or time, damaged archives, closed and full outputs, a
locale with decimal commas, readers that look while a run writes. GLESIM names the program. Standard library only.
"""

import os
import re
import resource
import shutil
import subprocess
import time
import unittest
import zipfile

from case import Case, GLESIM, PATIENCE, XOR, load, without_times

RECORD = ["--set", "training.epochs=20", "--set", "record={every: 1, variables: [r]}", "--threads", "1"]
MIB = 1 << 20
DATA = """glesim: 1
name: data
dt: 0.1
dataset: {type: npz, file: data.npz, present: 1}
network:
  input: 2
  layers: [{name: hidden, neurons: {count: 8, tau_m: 1.0, tau_r: 1.0}},
           {name: readout, neurons: {count: 2, tau_m: 1.0, tau_r: 1.0}}]
learning: {loss: mse}
training: {epochs: 1, batch_size: 4}
"""


def limit(kind, most):
    return lambda: resource.setrlimit(kind, (most, most))


def contents_of(run):
    """What must be the same in two runs, wherever they write."""
    return (without_times(load(run / "metrics.json")),
            [(run / name).read_bytes() for name in ("config.yaml", "weights.npz", "recording.npz")])


def memory_can_be_limited():
    """Sanitizers need terabytes of addresses."""
    return subprocess.run([GLESIM, "--version"], preexec_fn=limit(resource.RLIMIT_AS, 2048 * MIB), capture_output=True,
                          check=False).returncode == 0


class Limits(Case):
    """Files that would take all memory or time: refused within 512 MiB and seconds."""

    def refused(self, text, message, code=2):
        path = self.folder / "hostile.yaml"
        path.write_bytes(text)
        start = time.monotonic()
        most = limit(resource.RLIMIT_AS, 512 * MIB) if memory_can_be_limited() else None
        done = self.run_glesim("--check", path, code=code, preexec_fn=most, env={"OMP_NUM_THREADS": "1"})
        self.assertLess(time.monotonic() - start, 20)
        self.assertIn(message, done.stderr.decode())
        self.assertLess(done.stderr.count(b"\n"), 22)

    def test_a_hundred_thousand_brackets(self):
        for bracket in (b"[", b"{a: ", b"- ", b"? "):
            self.refused(b"glesim: 1\nname: x\nnetwork:\n  " + bracket * 100000,
                         "a key must be" if bracket == b"? " else "nested deeper than 64 levels")

    def test_many_keys_and_long_lines(self):
        self.refused(b"".join(b"key%d: 1\n" % i for i in range(200000)), "and 199987 more errors")
        self.refused(b"glesim: 1\nname: " + b"x" * 20 * MIB, "needs the key 'dt'")
        self.refused(b"glesim: 1\nname: x\nlayers: [" + b"1, " * MIB + b"]\n", "unknown key 'layers'")
        self.refused(b"#" * 65 * MIB, "larger than 64 MiB")

    def test_aliases_that_multiply(self):
        self.refused(b"a: &a [" + b"x, " * 1000 + b"]\nb: &b [" + b"*a, " * 1000 + b"]\nc: [" + b"*b, " * 1000 + b"]\n",
                     "the aliases ('*') expand to more than 262144 values")

    def test_more_runs_than_anybody_wants(self):
        if not memory_can_be_limited():
            self.skipTest("ten thousand configs take too long here")
        path = self.folder / "many.yaml"
        values = ", ".join(map(str, range(1, 31)))
        variants = "".join(f"  v{i}: {{}}\n" for i in range(100))
        path.write_text(XOR.read_text(encoding="utf-8") + f"variants:\n{variants}"
                        f"sweep: {{learning.beta: [{values}], learning.gamma: [{values}]}}\n", encoding="utf-8")
        done = self.run_glesim("--check", path, code=2)
        self.assertIn(b"variants: with their combinations more than 10000 runs", done.stderr)

    def test_a_network_larger_than_memory(self):
        if not memory_can_be_limited():
            self.skipTest("memory cannot be limited")
        path = self.folder / "large.yaml"
        path.write_text(XOR.read_text(encoding="utf-8").replace("count: 8", "count: 500000"), encoding="utf-8")
        for action in ([], ["--dry-run"]):
            done = self.run_glesim(path, *action, "--set", "training.batch_size=100000", code=5,
                                   preexec_fn=limit(resource.RLIMIT_AS, 2048 * MIB))
            self.assertRegex(done.stderr, rb"^glesim: no memory for a network of \d+ MB\n$")


class Damage(Case):
    """Archives cut short or changed at every 64th byte: the same weights, or exit 4."""

    def check(self, whole, args, output):
        self.run_glesim(*args, "--output", "whole", "--quiet")
        wanted = (self.run_of("whole") / "weights.npz").read_bytes()
        original, n_refused = whole.read_bytes(), 0
        for at in range(0, len(original), 64):
            flipped = bytearray(original)
            flipped[at] ^= 1 << at // 64 % 8
            for cut, damaged in ((True, original[:at]), (False, bytes(flipped))):
                whole.write_bytes(damaged)
                done = subprocess.run([GLESIM, *map(str, args), "--output", output, "--quiet", "--force"],
                                      cwd=self.folder, capture_output=True, timeout=PATIENCE, check=False)
                self.assertIn(done.returncode, (4,) if cut else (0, 4), (at, cut, done.stderr))
                if done.returncode:
                    self.assertIn(whole.name, done.stderr.decode())
                    n_refused += 1
                else:
                    self.assertEqual((self.run_of(output) / "weights.npz").read_bytes(), wanted, at)
        self.assertGreater(n_refused, len(original) // 64)

    def test_initial_weights(self):
        self.run_glesim(XOR, "--set", "training.epochs=1", "--output", "first", "--quiet")
        shutil.copy(self.run_of("first") / "weights.npz", self.folder / "w.npz")
        self.check(self.folder / "w.npz",
                   [XOR, "--set", "training.epochs=0", "--set", "network.init={file: w.npz}"], "out")

    def test_a_data_set(self):
        self.run_glesim(XOR, "--set", "training.epochs=1", "--output", "first", "--quiet")
        # the arrays of a run, under the names of a data set
        with zipfile.ZipFile(self.run_of("first") / "weights.npz") as source, \
                zipfile.ZipFile(self.folder / "data.npz", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("x.npy", source.read("hidden.weight.npy"))
            archive.writestr("targets.npy", source.read("hidden.weight.npy"))
        (self.folder / "data.yaml").write_text(DATA, encoding="utf-8")
        self.check(self.folder / "data.npz", ["data.yaml", "--seed", "1"], "out")


class Surroundings(Case):
    def test_decimal_commas_change_nothing(self):
        if not shutil.which("localedef") or subprocess.run(
                ["localedef", "-i", "de_DE", "-f", "UTF-8", str(self.folder / "de_DE.UTF-8")], capture_output=True,
                check=False).returncode:
            self.skipTest("there is no locale with decimal commas, and none can be made")
        german = {"LOCPATH": str(self.folder), "LC_ALL": "de_DE.UTF-8", "LANG": "de_DE.UTF-8"}
        comma = subprocess.run(["locale", "decimal_point"], env={**os.environ, **german}, capture_output=True,
                               check=False)
        self.assertEqual(comma.stdout, b",\n")
        plain = self.run_glesim(XOR, *RECORD, "--output", "plain")
        other = self.run_glesim(XOR, *RECORD, "--output", "german", env=german)
        self.assertEqual(contents_of(self.run_of("german")), contents_of(self.run_of("plain")))
        self.assertEqual(*(re.sub(r"[\d.]+ m?s|^\w+/", "", done.stdout.decode()) for done in (plain, other)))
        self.assertEqual(self.run_glesim("--list").stdout, self.run_glesim("--list", env=german).stdout)

    def test_a_full_output_is_noticed_and_spoils_nothing(self):
        self.run_glesim(XOR, *RECORD, "--output", "plain")
        with open("/dev/full", "wb") as full:
            done = self.run_glesim(XOR, *RECORD, "--output", "full", stdout=full, code=3)
        self.assertIn(b"standard output cannot be written", done.stderr)
        self.assertEqual(contents_of(self.run_of("full")), contents_of(self.run_of("plain")))

    def test_no_text_goes_into_the_files_of_a_run_whose_outputs_are_closed(self):
        self.run_glesim(XOR, *RECORD, "--output", "plain")
        for closed, code in ((">&-", 3), ("2>&-", 0), (">&- 2>&-", 3), ("<&- >&- 2>&-", 3)):
            done = subprocess.run(["sh", "-c", f'exec "{GLESIM}" "$@" --force {closed}', "sh", str(XOR), *RECORD,
                                   "--output", "closed"], cwd=self.folder, check=False)
            self.assertEqual(done.returncode, code, closed)
            self.assertEqual(contents_of(self.run_of("closed")), contents_of(self.run_of("plain")), closed)

    def test_a_pipe_gets_no_control_characters(self):
        for args in ([XOR, *RECORD], [XOR, *RECORD, "--seeds", "1-3", "--output", "seeds"], ["--list"], ["--help"],
                     ["--dry-run", XOR]):
            done = self.run_glesim(*args)
            self.assertIsNone(re.search(rb"[\x00-\x09\x0b-\x1f\x7f]", done.stdout + done.stderr), args)

    def test_a_report_is_whole_whenever_it_is_read(self):
        run = subprocess.Popen([GLESIM, str(XOR), "--set", "training.epochs=8000", "--output", "out", "--quiet"],
                               cwd=self.folder)
        path, states, n_read = self.run_of("out") / "metrics.json", set(), 0
        while run.poll() is None or not n_read:
            if path.exists():
                metrics = load(path)
                states.add((metrics["status"], len(metrics["epochs"])))
                self.assertEqual(metrics["final"], metrics["epochs"][-1])
                n_read += 1
        self.assertEqual(run.returncode, 0)
        states.add((load(path)["status"], len(load(path)["epochs"])))
        self.assertIn(("completed", 8001), states)
        self.assertGreater(len(states), 2) # reports take a fiftieth of the time, of which other work has its share


if __name__ == "__main__":
    unittest.main()
