"""The run directory: by what a run is compared with the one that is there, and what its reports cost. The program is the
one that GLESIM names.

Standard library only.
"""

import hashlib
import os
import resource
import signal
import struct
import subprocess
import time
import unittest
import zipfile

from case import Case, GLESIM, PATIENCE, XOR, load
from test_command import write_npz

OWN = """glesim: 1
name: own
dt: 0.1
dataset: {type: npz, file: own.npz, present: 0.5}
network:
  input: 2
  layers:
    - {name: readout, neurons: {count: 2, tau_m: 1.0, tau_r: 1.0}}
learning: {loss: cross_entropy}
training: {epochs: 1, batch_size: 4}
"""
# Epochs, or phases, of one step.
STEP = """glesim: 1
name: step
dt: 0.1
dataset: {type: xor, present: 0.1}
network:
  input: 2
  layers:
    - {name: readout, neurons: {count: 2, tau_m: 1.0, tau_r: 1.0}}
learning: {loss: cross_entropy}
training:
  batch_size: 100
"""
TEACHER = """glesim: 1
name: taught
dt: 0.1
dataset: {type: ornstein_uhlenbeck, tau: 1.0, sequences: 2, channels: 2}
network:
  input: 2
  layers:
    - {name: readout, neurons: {count: 2, tau_m: 1.0, tau_r: 1.0}}
teacher: {readout: {weight: {file: teacher.npz, array: w}}}
learning: {loss: mse}
training: {phases: [{duration: 2, set: {readout.bias: {file: phase.npz, array: b}}}, {duration: 2}]}
"""
SHA = "[0-9a-f]{12}"


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


class Same(Case):
    """Whether what is there is the same run."""

    def own_data(self, last=1):
        write_npz(self.folder / "own.npz", x=("f4", (4, 2), [0, 0, 0, 1, 1, 0, 1, last]), y=("i8", (4,), [0, 1, 1, 0]))
        return self.write("own.yaml", OWN)

    def weights(self, value):
        write_npz(self.folder / "start.npz", **{"readout.weight": ("f4", (2, 2), [value] * 4),
                                                "readout.bias": ("f4", (2,), [0, 0])})

    def contents(self):
        return {path: path.read_bytes() for path in self.folder.glob("out/*/*")}

    def refused(self, *args, code=3):
        """The one line of a command that changes nothing."""
        def contents():
            return {path: (path.stat().st_mtime_ns, path.is_file() and path.read_bytes())
                    for path in self.folder.glob("out/**/*")}
        before = contents()
        done = self.run_glesim(*args, code=code)
        self.assertEqual((done.out, done.err.count("\n")), ("", 1), done.err)
        self.assertEqual(contents(), before)
        return done.err

    def test_seeds_of_other_data_are_found_before_any_run_starts(self):
        config = self.own_data()
        args = [config, "--output", "out", "--seeds"]
        self.run_glesim(*args, "0-1")
        self.assertEqual(self.run_glesim(*args, "0-1").out.count("there already"), 2)
        self.own_data(last=2)
        message = (rf"glesim: out: of 4 runs 2 were made from other data \(the first: the checksum of the data set "
                   rf"own\.npz is {SHA}\.\.\. there, {SHA}\.\.\. here\); --force replaces them, --output puts these "
                   r"elsewhere\n$")
        self.assertRegex(self.refused(*args, "0-3"), message)
        self.assertRegex(self.refused(*args, "0-3", "--resume", code=4), message)
        self.assertIn("out/seed_1 was made from other data (the checksum", self.refused(*args, "1"))
        self.run_glesim(*args, "0-2", "--force")
        self.assertEqual(load(self.folder / "out/summary.json")["completed"], 3)

    def test_seeds_from_other_files_are_found_before_any_run_starts(self):
        start = self.folder / "start.npz"
        args = [self.own_data(), "--output", "out", "--set", f"network.init={{file: {start}}}", "--seeds"]
        self.weights(0.5)
        self.run_glesim(*args, "0-1")
        self.assertEqual(self.run_glesim(*args, "0-2").out.count("there already"), 2)
        self.weights(0.25)
        self.assertIn(f"out: of 5 runs 3 were made from other data (the first: the checksum of {start} is ",
                      self.refused(*args, "0-4"))
        self.assertIn("summary.json is of runs on other data, seed 0 among them", self.refused(*args, "7"))
        start.unlink()
        self.assertIn(f"{start}: cannot read", self.refused(*args, "0-4", code=4))

    def test_points_of_a_sweep_are_looked_at_before_any_run_starts(self):
        args = [self.own_data(), "--output", "out", "--set"]
        self.run_glesim(*args, "sweep={learning.beta: [1, 0.5]}")
        self.own_data(last=2)
        self.assertIn("out: of 3 runs 2 were made from other data", self.refused(*args, "sweep={learning.beta: [1, 0.5, 2]}"))
        self.assertIn("out/beta=0.5/seed_0 was made from other data", self.refused(*args, "sweep={learning.beta: [0.5]}"))

    def test_new_seeds_do_not_replace_a_summary_on_other_data(self):
        args = [self.own_data(), "--output", "out", "--seeds"]
        self.run_glesim(*args, "0-1")
        self.own_data(last=2)
        self.assertIn("out/summary.json is of runs on other data, seed 0 among them; --force", self.refused(*args, "4-8"))
        (self.folder / "own.npz").unlink() # whether it is the same cannot be known
        self.assertIn("own.npz: cannot read", self.refused(*args, "0-3", code=4))

    def test_runs_that_were_broken_off_are_looked_at_before_any_goes_on(self):
        args = [self.own_data(), "--output", "out", "--set", "training.epochs=10000000", "--seeds", "0-1", "--jobs", "2"]
        run = self.start(*args)
        end = time.monotonic() + PATIENCE
        while len(list(self.folder.glob("out/*/metrics.json"))) < 2 and time.monotonic() < end:
            time.sleep(0.01)
        run.send_signal(signal.SIGINT)
        run.communicate(timeout=PATIENCE)
        self.own_data(last=2)
        self.assertIn("out: of 2 runs 2 were made from other data", self.refused(*args, "--resume", code=4))
        for path in self.folder.glob("out/*/metrics.json"): # as before the first report
            path.unlink()
        self.assertRegex(self.refused(*args, "--resume", code=4),
                         rf"of 2 runs 2 were made from other data \(the first: out/seed_0/checkpoint\.npz: dataset: another "
                         rf"one: its checksum is {SHA}\.\.\. there, {SHA}\.\.\. here\)")

    def test_data_that_are_drawn_for_each_seed_are_no_other_data(self):
        for name, weight in (("teacher.npz", {"w": ("f4", (2, 2), [0.5] * 4)}), ("phase.npz", {"b": ("f4", (2,), [1, 1])})):
            write_npz(self.folder / name, **weight)
        args = [self.write("taught.yaml", TEACHER), "--output", "out", "--seeds"]
        self.run_glesim(*args, "0-1")
        done = self.run_glesim(*args, "0-2")
        self.assertEqual((done.out.count("there already"), load(self.folder / "out/summary.json")["completed"]), (2, 3))

    def test_a_completed_run_of_other_data_is_not_resumed(self):
        config = self.own_data()
        self.run_glesim(config, "--output", "out")
        self.assertIn("there already", self.run_glesim(config, "--output", "out", "--resume").out)
        self.own_data(last=2)
        self.assertIn("a run of other data", self.run_glesim(config, "--output", "out", "--resume", code=4).err)
        (self.folder / "own.npz").unlink() # whether it is the same cannot be known
        self.assertIn("cannot read", self.run_glesim(config, "--output", "out", "--resume", code=4).err)

    def test_a_run_without_a_checkpoint_is_begun_anew_with_the_same_data_alone(self):
        config = self.own_data()
        self.run_glesim(config, "--output", "out")
        path = next(self.folder.glob("out/*/metrics.json"))
        path.write_text(path.read_text(encoding="utf-8").replace('"completed"', '"running"'), encoding="utf-8")
        self.own_data(last=2)
        self.assertIn("a run of other data", self.run_glesim(config, "--output", "out", "--resume", code=4).err)

    def test_files_of_initial_weights_are_told_apart(self):
        start = self.folder / "start.npz"
        args = [self.own_data(), "--output", "out", "--set", f"network.init={{file: {start}}}"]
        self.weights(0.5)
        self.run_glesim(*args)
        m = load(next(self.folder.glob("out/*/metrics.json")))
        self.assertEqual(m["init"], [{"path": str(start), "sha256": sha256(start)}])
        self.assertIn("there already", self.run_glesim(*args, "--resume").out)
        self.weights(0.25)
        self.assertRegex(self.run_glesim(*args, "--resume", code=4).err,
                         rf"metrics\.json: a run of other data: the checksum of {start} is {SHA}\.\.\. there, "
                         rf"{SHA}\.\.\. here; --force")

    def test_files_of_a_teacher_and_of_phases_are_told_apart(self):
        def write_teacher(weight):
            write_npz(self.folder / "teacher.npz", w=("f4", (2, 2), [weight] * 4))

        def write_phase(bias):
            write_npz(self.folder / "phase.npz", b=("f4", (2,), [bias] * 2))
        args = [self.write("taught.yaml", TEACHER), "--output", "out", "--resume"]
        write_teacher(0.5)
        write_phase(1.0)
        self.run_glesim(*args)
        path = next(self.folder.glob("out/*/metrics.json"))
        self.assertEqual([entry["sha256"] for entry in load(path)["init"]],
                         [sha256(self.folder / name) for name in ("teacher.npz", "phase.npz")])
        self.assertIn("there already", self.run_glesim(*args).out)
        write_phase(2.0)
        self.assertIn("phase.npz is ", self.run_glesim(*args, code=4).err)
        write_teacher(0.25)
        self.assertIn("teacher.npz is ", self.run_glesim(*args, code=4).err)

    def test_a_checkpoint_of_other_weights_is_refused(self):
        start = self.folder / "start.npz"
        args = [self.own_data(), "--output", "out", "--set", f"network.init={{file: {start}}}", "--set",
                "training.epochs=10000000"]
        self.weights(0.5)
        run = self.start(*args)
        end = time.monotonic() + PATIENCE
        while not list(self.folder.glob("out/*/metrics.json")) and time.monotonic() < end:
            time.sleep(0.01)
        run.send_signal(signal.SIGINT)
        run.communicate(timeout=PATIENCE)
        self.assertEqual(run.returncode, 130)
        self.weights(0.25)
        self.assertRegex(self.run_glesim(*args, "--resume", code=4).err,
                         rf"checkpoint\.npz: init: another {start}: its checksum is {SHA}\.\.\. there, {SHA}\.\.\. here")

    def test_a_report_without_checksums_is_no_other_run(self):
        config = self.own_data()
        self.run_glesim(config, "--output", "out")
        path = next(self.folder.glob("out/*/metrics.json"))
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace('"sha256"', '"old"').replace('"init"', '"none"'), encoding="utf-8")
        self.own_data(last=2)
        self.assertIn("there already", self.run_glesim(config, "--output", "out", "--resume").out)

    def test_words_make_no_other_run(self):
        args = [XOR, "--set", "training.epochs=1", "--output", "out", "--seeds", "1-2"]
        self.run_glesim(*args)
        for words in ("description=otherwise", "compute.backend=cpu"):
            self.assertEqual(self.run_glesim(*args, "--set", words).out.count("there already"), 2, words)
        self.assertIn("of 2 runs 2 hold another config (the first: dt is 0.1 there, 0.2 here)",
                      self.run_glesim(*args, "--set", "dt=0.2", code=3).err)

    def test_words_refuse_no_checkpoint(self):
        args = [XOR, "--set", "training.epochs=3000000", "--output", "out"]
        for more in ([], ["--resume", "--set", "description=otherwise", "--set", "compute.backend=cpu"]):
            before = {path: path.stat().st_mtime_ns for path in self.folder.glob("out/*/metrics.json")}
            run = self.start(*args, *more)
            end = time.monotonic() + PATIENCE
            while time.monotonic() < end and before == {path: path.stat().st_mtime_ns for path in
                                                        self.folder.glob("out/*/metrics.json")}:
                time.sleep(0.01)
            run.send_signal(signal.SIGINT)
            _, err = run.communicate(timeout=PATIENCE)
            self.assertEqual(run.returncode, 130, err)
        m = load(self.run_of("out") / "metrics.json")
        self.assertEqual((len(m["provenance"]["resumed"]), m["config"]["description"]), (1, "otherwise"))


class Cost(Case):
    def run_steps(self, training, output):
        self.run_glesim(self.write("step.yaml", STEP + training), "--output", output, "--quiet")
        return load(next(self.folder.glob(f"{output}/*/metrics.json")))

    def test_stages_cost_no_more_the_more_there_are(self):
        """Files made anew after each would take minutes."""
        self.assertEqual(len(self.run_steps("  epochs: 20000\n", "epochs")["epochs"]), 20001)
        phases = self.run_steps("  phases:\n" + "    - {duration: 0.1}\n" * 20000, "phases")["phases"]
        self.assertEqual([p["start"] for p in phases[:3] + phases[-1:]], [0, 0.1, 0.2, 1999.9])

    def test_memory_is_for_the_epochs_that_come(self):
        def limit():
            resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
        config = self.write("step.yaml", STEP + "  epochs: 1000000000\n")
        if subprocess.run([GLESIM, "--version"], preexec_fn=limit, capture_output=True, check=False).returncode:
            self.skipTest("the address sanitizer wants more")
        with subprocess.Popen([GLESIM, str(config), "--output", "out", "--quiet"], cwd=self.folder, preexec_fn=limit,
                              stderr=subprocess.PIPE) as run:
            end = time.monotonic() + PATIENCE
            while run.poll() is None and not list(self.folder.glob("out/*/metrics.json")) and time.monotonic() < end:
                time.sleep(0.01)
            run.send_signal(signal.SIGINT)
            _, err = run.communicate(timeout=PATIENCE)
        self.assertEqual((run.returncode, err), (130, b""))

    def classes(self, n, *more):
        """The report of a run with n classes, of which sample i has class i."""
        write_npz(self.folder / "own.npz", x=("f4", (n, 2), [i / n for i in range(2 * n)]), y=("i8", (n,), range(n)))
        config = self.write("own.yaml", OWN.replace("count: 2", f"count: {n}"))
        self.run_glesim(config, "--output", "out", "--force", *more)
        return load(next(self.folder.glob("out/*/metrics.json")))["confusion"]

    def files(self):
        return {path.name: path for path in self.folder.glob("out/*/*")}

    def test_a_large_confusion_matrix_has_a_file_of_its_own(self):
        self.assertEqual(self.classes(101), {"split": "train", "file": "confusion.npz", "matrix": None})
        with zipfile.ZipFile(self.files()["confusion.npz"]) as archive:
            data = archive.read("matrix.npy")
        begin = 10 + struct.unpack("<H", data[8:10])[0]
        self.assertIn(b"'descr': '<u4'", data[:begin])
        self.assertIn(b"'shape': (101, 101)", data[:begin])
        counts = struct.unpack(f"<{101 * 101}I", data[begin:])
        self.assertEqual([sum(counts[101 * i:101 * (i + 1)]) for i in range(101)], [1] * 101)
        small = self.classes(100)
        self.assertEqual((small.keys(), len(small["matrix"])), ({"split", "matrix"}, 100))
        self.assertNotIn("confusion.npz", self.files())

    def test_best_weights_are_those_of_a_run_that_ends_there(self):
        write_npz(self.folder / "own.npz", x=("f4", (40, 2), [(i * 7 % 11) / 5 - 1 for i in range(80)]),
                  y=("i8", (40,), [i % 3 % 2 for i in range(40)]))
        config = self.write("own.yaml", OWN.replace("epochs: 1", "epochs: 9, validation: 0.25"))
        for metric in ("validation_loss", "validation_accuracy", "train_loss"):
            self.run_glesim(config, "--set", f"training.best={metric}", "--output", self.folder / metric, "--quiet")
            whole = self.run_of(metric, 0)
            best, epochs = load(whole / "metrics.json")["best"], load(whole / "metrics.json")["epochs"]
            split, of = metric.split("_")
            values = [e[split][of] if e[split] else None for e in epochs]
            known = [v for v in values if v is not None]
            self.assertEqual(values[best["epoch"]], (max if of == "accuracy" else min)(known))
            self.assertEqual((best["chosen_by"], best["value"], best["weights"]),
                             (metric, values[best["epoch"]], "best_weights.npz"))
            self.run_glesim(config, "--set", f"training.epochs={best['epoch']}", "--output", self.folder / f"{metric}_less",
                        "--quiet")
            less = self.run_of(f"{metric}_less", 0)
            self.assertFalse((less / "best_weights.npz").exists())
            self.assertEqual((whole / "best_weights.npz").read_bytes(), (less / "weights.npz").read_bytes())
            # it is a file of initial values, and goes with the run that it was of
            self.run_glesim(config, "--set", f"network.init.file={whole / 'best_weights.npz'}", "--set", "training.epochs=0",
                        "--output", whole.parent, "--force", "--quiet")
            self.assertFalse((whole / "best_weights.npz").exists())
            self.assertEqual((whole / "weights.npz").read_bytes(), (less / "weights.npz").read_bytes())

    def test_evaluations_of_phases_have_the_matrix_of_the_last(self):
        n = 101
        write_npz(self.folder / "own.npz", x=("f4", (n, 2), [i / n for i in range(2 * n)]), y=("i8", (n,), range(n)),
                  x_test=("f4", (3, 2), range(6)), y_test=("i8", (3,), (100, 1, 1)))
        config = OWN.replace("epochs: 1", "phases: [{duration: 1}, {duration: 1, learn: false}]")
        self.write("own.yaml", config.replace("count: 2", f"count: {n}"))
        self.run_glesim("own.yaml", "--output", "out")
        self.assertIsNone(load(self.files()["metrics.json"])["confusion"])
        self.run_glesim("own.yaml", "--set", "training.evaluate.every=0.5", "--output", "out", "--force")
        self.assertEqual(load(self.files()["metrics.json"])["confusion"],
                         {"split": "test", "file": "confusion.npz", "matrix": None})
        with zipfile.ZipFile(self.files()["confusion.npz"]) as archive:
            counts = struct.unpack(f"<{n * n}I", archive.read("matrix.npy")[-4 * n * n:])
        self.assertEqual({i: sum(counts[n * i:n * (i + 1)]) for i in range(n) if any(counts[n * i:n * (i + 1)])},
                         {1: 2, 100: 1})
        xor = self.write("step.yaml", STEP + "  phases: [{duration: 1}]\n  evaluate: {every: 1}\n")
        self.run_glesim(xor, "--output", "xor")
        m = load(next(self.folder.glob("xor/*/metrics.json")))
        self.assertEqual([sum(row) for row in m["confusion"]["matrix"]], [2, 2])
        self.assertEqual(sum(m["confusion"]["matrix"][i][i] for i in (0, 1)), 4 * m["final"]["test"]["accuracy"])

    def test_what_a_limit_of_file_sizes_stops_leaves_no_temporary_file(self):
        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        for size in (2000, 5000, 20000): # what clang's library for threads needs is less
            done = subprocess.run([GLESIM, XOR, "--set", "record={every: 1}", "--output", f"out{size}", "--quiet"],
                                  cwd=self.folder, preexec_fn=limit, capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 3, done.stderr)
            self.assertIn("File too large", done.stderr)
            self.assertEqual([path for path in self.folder.rglob("*.tmp")], [])


class Makers(Case):
    def test_another_instruction_set_is_told(self):
        self.run_glesim(XOR, "--set", "training.epochs=0", "--output", "try", env={"GLESIM_ISA": "avx2"})
        if load(self.run_of("try") / "metrics.json")["provenance"]["instruction_set"] != "avx2":
            self.skipTest("this processor has no AVX2")
        args = [XOR, "--set", "training.epochs=3000000", "--output", "out", "--quiet"]
        told = []
        for isa, more in (("base", []), ("avx2", ["--resume"]), ("avx2", ["--resume"]), ("base", ["--resume"])):
            before = [path.stat().st_mtime_ns for path in self.folder.glob("out/*/metrics.json")]
            run = subprocess.Popen([GLESIM, *args, *more], cwd=self.folder, env={**os.environ, "GLESIM_ISA": isa},
                                   stderr=subprocess.PIPE, text=True)
            end = time.monotonic() + PATIENCE
            while time.monotonic() < end and before == [path.stat().st_mtime_ns for path in
                                                        self.folder.glob("out/*/metrics.json")]:
                time.sleep(0.01)
            run.send_signal(signal.SIGINT)
            told.append(run.communicate(timeout=PATIENCE)[1])
            self.assertEqual(run.returncode, 130, told)
        made = load(self.run_of("out") / "metrics.json")["provenance"]
        self.assertRegex(told[1], r"^glesim: out/seed_1: another device, instruction set or program goes on with it, so "
                                  r"that its bits are those of neither: avx2, glesim .*; before: base, glesim .*\n$")
        self.assertEqual((told[0], told[2]), ("", ""))
        self.assertRegex(told[3], r"neither: base, .*; before: avx2, ")
        self.assertEqual([maker.split(",")[0] for maker in made["earlier"]], ["base", "avx2"])


if __name__ == "__main__":
    unittest.main()
