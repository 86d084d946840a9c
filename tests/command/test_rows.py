"""One run whose rows are spread over ranks (compute.ranks: rows). The program is the one that GLESIM names, built with
MPI if GLE_MPI is 1.

Standard library only.
"""

import os
import pathlib
import re
import signal
import time
import unittest

from case import CONFIGS, PATIENCE, XOR, floats, load, timeless, without_times
from test_command import write_npz
from test_ranks import LONG_ONES, UnderMpirun, children

# Eleven samples in batches of four leave three for the last one, and the test set has another number: states are
# carried from batches to larger ones and smaller ones.
CONFIG = """glesim: 1
name: rows
dt: 0.2
dataset: {type: npz, file: data.npz}
network:
  input: 2
  layers:
    - {name: hidden, neurons: {count: 7, tau_m: 1.0, tau_r: 0.5}, activation: tanh,
       plastic: [weight, bias, tau_m, tau_r]}
    - {name: readout, neurons: {count: 3, tau_m: 1.0, tau_r: 1.0}}
learning: {loss: cross_entropy, optimizer: {type: adam, lr: 1e-2}}
compute: {ranks: rows}
training: {epochs: 2, batch_size: 4, test_batch_size: 5}
variants:
  gle: {learning.rule: gle, learning.clip: 0.5, noise: {input: {std: 0.1, when: always}}}
  gathered: {learning.rule: bp, learning.update: {every: 3}}
  eprop: {learning.rule: eprop, training.state: reset}
  swept: {learning.rule: bptt, learning.window: 1.0, training.decide: last}
"""
PLAYED = CONFIG.replace("epochs: 2, batch_size: 4, test_batch_size: 5",
                        "batch_size: 4, phases: [{duration: 4}, {duration: 2, learn: false}]")
ENDLESS = ["--set", "training.epochs=1000000"]


def name_of(pid):
    """Of a process; "": it has ended."""
    try:
        return pathlib.Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def spread(values, n):
    """Numbers that differ, by a rule that stays."""
    return [((i * 7919 + values) % 1013) / 506.0 - 1.0 for i in range(n)]


class Rows(UnderMpirun):
    def setUp(self):
        super().setUp()
        n, n_test, steps, inputs = 11, 5, 10, 2
        write_npz(self.folder / "data.npz",
                  x=("f4", (n, steps, inputs), spread(1, n * steps * inputs)),
                  y=("i8", (n,), [i % 3 for i in range(n)]),
                  x_test=("f4", (n_test, steps, inputs), spread(2, n_test * steps * inputs)),
                  y_test=("i8", (n_test,), [i * 2 % 3 for i in range(n_test)]))
        self.config = self.write("rows.yaml", CONFIG)

    def result(self, output, name="metrics.json"):
        """A file of the only run in a folder."""
        return next((self.folder / output).glob(f"**/{name}"))

    def weights(self, output):
        return floats(self.result(output, "weights.npz"))

    def assert_close(self, ours, theirs):
        for name, values in theirs.items():
            scale = max(map(abs, values)) or 1.0
            off = max(abs(a - b) for a, b in zip(ours[name], values))
            self.assertLess(off, 1e-5 * scale, name)

    def test_ranks_make_the_run_of_one_process(self):
        played = self.write("played.yaml", PLAYED)
        for variant, n in (("gle", 3), ("gathered", 2), ("eprop", 2), ("swept", 3), ("played", 2)):
            with self.subTest(variant):
                args = [played, "--variant", "gle"] if variant == "played" else [self.config, "--variant", variant]
                args.append("--quiet")
                self.run_glesim(*args, "--output", f"{variant}_alone")
                self.run_ranks(n, *args, "--output", f"{variant}_spread")
                one, all_ = (load(self.result(f"{variant}_{of}")) for of in ("alone", "spread"))
                self.assert_close(self.weights(f"{variant}_spread"), self.weights(f"{variant}_alone"))
                self.assertEqual((one["provenance"]["ranks"], all_["provenance"]["ranks"]), (1, n))
                self.assertEqual(all_["config"]["compute"]["ranks"], "rows")
                self.assertEqual(all_.get("confusion"), one.get("confusion"))
                for a, b in zip(all_.get("epochs", []), one.get("epochs", [])):
                    for split in ("train", "test"):
                        if b[split]:
                            self.assertAlmostEqual(a[split]["loss"], b[split]["loss"], delta=1e-5 * b[split]["loss"])
                            self.assertEqual(a[split]["accuracy"], b[split]["accuracy"])

    def test_a_dry_run_tells_what_ranks_cost(self):
        out, _ = self.run_ranks(2, self.config, "--variant", "gathered", "--dry-run", "--threads", "1")
        time = r"([0-9.e-]+) (us|ms|s)"
        self.assertRegex(out, rf"\n  ranks             2 make this run together, on 1 thread each; above: .*\n"
                              rf"(  +more threads than this machine has processors .*\n)?"
                              rf"  sums of gradients 104 numbers, not of every step, in {time} here; a message takes {time}")
        table = re.findall(rf"^ +(\d+) +(\d+) +{time}" + rf" +{time} +([0-9.]+)" * 3 + "$", out, re.M)
        self.assertEqual([row[:2] for row in table], [("1", "4"), ("2", "2"), ("4", "1")])
        unit = {"us": 1e-6, "ms": 1e-3, "s": 1.0}
        alone = float(table[0][2]) * unit[table[0][3]]
        for row in table:
            spent = float(row[2]) * unit[row[3]]
            for at in range(4, 13, 3):
                faster = alone / (spent + float(row[at]) * unit[row[at + 1]])
                self.assertAlmostEqual(float(row[at + 2]), faster, delta=0.02 * faster + 0.01)
        # a third of 30 us and more, and of 2 us
        self.assertGreater(float(table[1][7]), 10.0)
        self.assertRegex(out, r"\n  too many ranks    cost more than they bring: from .* here, .* by 10 Gbit/s, .* by 100 "
                              r"Gbit/s\n  two ranks pay     from batches of .*\n  assumed  ")
        self.assertFalse((self.folder / "results").exists())

    def test_the_same_number_of_ranks_gives_the_same_bits(self):
        args = [self.config, "--variant", "gle", "--quiet", "--set", "training.epochs=1"]
        for output, threads in (("one", 1), ("other", 2)):
            self.run_ranks(2, *args, "--output", output, "--threads", threads)
        one, other = (self.result(output, "weights.npz").read_bytes() for output in ("one", "other"))
        self.assertEqual(one, other)
        self.assertEqual(without_times(load(self.result("one"))), without_times(load(self.result("other"))))

    def start_endless(self, n, *args):
        """A run to out/ that has made an epoch more, and the processes of its ranks."""
        before = self.epochs("out") if list(self.folder.glob("out/**/metrics.json")) else []
        run = self.start_ranks(n, self.steady, "--output", "out", "--threads", 1, *ENDLESS, *args)
        self.wait_for(lambda: list(self.folder.glob("out/**/metrics.json")) and
                      len(self.epochs("out")) > len(before) + 1, run)
        return run, children(run.pid)

    def epochs(self, output):
        return timeless(load(self.result(output))["epochs"])

    @unittest.skipUnless(LONG_ONES, "one of tests/long")
    def test_what_was_broken_off_goes_on_with_any_number_of_ranks(self):
        self.steady = self.write("steady.yaml", CONFIG.replace("type: adam, lr: 1e-2", "type: sgd, lr: 1e-3")
                                 .partition("variants")[0])
        run, ranks = self.start_endless(2)
        os.kill(ranks[1], signal.SIGUSR1) # it reaches one that is not the first
        _, err = self.end_of(run, 128 + signal.SIGUSR1)
        self.assertIn("glesim: stopped; the same command with --resume goes on", err)
        self.assertEqual(load(self.result("out"))["status"], "interrupted")
        run, ranks = self.start_endless(2, "--resume")
        os.kill(ranks[1], signal.SIGKILL)
        self.end_of_killed(run)
        self.assertNotEqual(run.returncode, 0)
        made = self.epochs("out")
        self.run_ranks(2, self.steady, "--output", "straight", "--quiet", "--set", f"training.epochs={len(made) - 1}")
        self.assertEqual(self.epochs("straight"), made)
        run, ranks = self.start_endless(3, "--resume")
        os.kill(ranks[0], signal.SIGTERM)
        _, err = self.end_of(run, 128 + signal.SIGTERM)
        self.assertRegex(err, r"out/seed_0: another number of ranks goes on with it, so that its bits are those of "
                              r"neither: .*, 3 ranks; before: .*, 2 ranks\n")
        made = self.epochs("out")
        self.run_glesim(self.steady, "--output", "alone", "--quiet", "--set", f"training.epochs={len(made) - 1}")
        for a, b in zip(made, self.epochs("alone"), strict=True):
            for split in ("train", "test"):
                if b[split]:
                    self.assertAlmostEqual(a[split]["loss"], b[split]["loss"], delta=1e-3 * b[split]["loss"])

    @unittest.skipUnless(LONG_ONES, "one of tests/long")
    def test_one_two_and_four_ranks_make_the_run_of_one_process(self):
        for name, config, epochs, *more in (("xor", XOR, 20), ("images", CONFIGS / "mnist1d_e2e.yaml", 1, "--set",
                                                               "dataset.length=72")):
            args = [config, "--set", f"training.epochs={epochs}", "--quiet", *more]
            self.run_glesim(*args, "--output", f"{name}_alone")
            alone = self.weights(f"{name}_alone")
            for n in (1, 2, 4):
                with self.subTest(name, n=n):
                    output = f"{name}_{n}"
                    self.run_ranks(n, *args, "--output", output, "--set", "compute.ranks=rows")
                    self.assert_close(self.weights(output), alone)
                    self.assertEqual(load(self.result(output))["provenance"]["ranks"], n)
                    self.assertAlmostEqual(load(self.result(output))["final"]["test"]["loss"],
                                           load(self.result(f"{name}_alone"))["final"]["test"]["loss"], places=5)

    @unittest.skipUnless(LONG_ONES, "one of tests/long")
    def test_ranks_that_are_killed_anywhere_can_be_gone_on_with(self):
        """In twenty places; also where mpirun lets the other ranks live, which must notice: once they have met, before
        which MPI itself waits, for ever."""
        args = [XOR, "--set", "training.epochs=100", "--set", "checkpoint.minutes=0.002", "--quiet", "--set",
                "learning.optimizer={type: sgd, lr: 1e-3}"]
        together = ["--set", "compute.ranks=rows", "--threads", "1"]
        straight = {}
        for n in (1, 2, 4):
            self.run_ranks(n, *args, *together, "--output", f"straight_{n}")
            straight[n] = self.result(f"straight_{n}", "weights.npz").read_bytes()
        resumed = 0
        for i in range(20):
            n, output, lives = (2, 4)[i % 2], f"killed_{i}", i // 2 % 2
            run = self.start_ranks(n, *args, *together, "--output", output, options=["--enable-recovery"] * lives)
            self.wait_for(lambda: list(self.folder.glob(f"{output}/*/*")) if lives else len(self.ranks_of(run)) == n, run)
            time.sleep(0.02 * i)
            ranks = self.ranks_of(run)
            if ranks:
                os.kill(ranks[i % len(ranks)], signal.SIGKILL)
            err = self.end_of_killed(run)
            then = n if i % 5 else 1
            self.run_ranks(then, *args, *together, "--output", output, "--resume")
            resumed += len(load(self.result(output))["provenance"]["resumed"])
            with self.subTest(i=i, n=n, then=then, err=err):
                if then == n:
                    self.assertEqual(self.result(output, "weights.npz").read_bytes(), straight[n])
                else:
                    self.assert_close(self.weights(output), self.weights("straight_1"))
        self.assertGreater(resumed, 5) # the others were killed before their first checkpoint, or after the end

    def ranks_of(self, run):
        return [pid for pid in children(run.pid) if name_of(pid) == "glesim"]

    def test_what_diverges_diverges_on_all_ranks(self):
        self.config = self.write("wild.yaml", CONFIG.replace("loss: cross_entropy", "loss: mse")
                                 .replace("type: adam, lr: 1e-2", "type: sgd, lr: 1e6"))
        args = [self.config, "--variant", "gathered"]
        self.run_glesim(*args, "--output", "alone", code=6)
        _, err = self.run_ranks(2, *args, "--output", "out", code=6)
        self.assertEqual(err.count("NaN or Inf in layer"), 1, err)
        self.assertEqual(*(load(self.result(output))["message"] for output in ("out", "alone")))

    def test_what_is_refused(self):
        for n, more, why in (
                (4, ["--variant", "gle"], r"rows\.yaml:12:18: compute\.ranks: 4 ranks are more than a batch of the "
                 r"training set has rows \(3\): start fewer, or choose another training\.batch_size"),
                (2, ["--variant", "gle", "--seeds", "0-1"], r"rows\.yaml:12:18: compute\.ranks: rows: the ranks make "
                 r"one run together, and a command makes no more than that one"),
                (2, [], r"a command makes no more than that one")):
            with self.subTest(more):
                _, err = self.run_ranks(n, self.config, *more, code=2)
                self.assertEqual(len(re.findall(why, err)), 1, err)
                self.assertFalse(list(self.folder.glob("results/**/metrics.json")))


if __name__ == "__main__":
    unittest.main()
