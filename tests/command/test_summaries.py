"""Commands that are refused change nothing, and summaries lose nothing. The program is the one that GLESIM names.

Standard library only.
"""

import array
import fcntl
import json
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import time
import unittest
import zipfile

from case import Case, GLESIM, PATIENCE, XOR, load

SHORT = ["--set", "training.epochs=2"]
LONG = ["--set", "training.epochs=1000000"]
OTHER = ["--set", "learning.beta=2"]
CONFIG = """glesim: 1
name: small
dt: 0.1
dataset: {type: xor}
network:
  input: 2
  layers: [{name: readout, neurons: {count: 2, tau_m: 1.0, tau_r: 1.0}}]
learning: {loss: cross_entropy, optimizer: {type: adam, lr: 1e-2}}
training: {epochs: 1, batch_size: 4}
sweep: {learning.beta: [1, 0.5], learning.optimizer.lr: [1.0e-2, 1.0e-3]}
"""


class Refusals(Case):
    def contents(self):
        """Every file with what it holds and when it was written."""
        return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in self.folder.glob("results/**/*")
                if path.is_file()}

    def refused(self, *args, code=3):
        """The message, of one line, of a command that changes nothing."""
        before = self.contents()
        done = self.run_glesim(*args, code=code)
        self.assertEqual((done.out, done.err.count("\n")), ("", 1), done.err)
        self.assertEqual(self.contents(), before)
        return done.err

    def test_seeds_with_another_setting(self):
        self.run_glesim(XOR, *SHORT, "--seeds", "0-3")
        self.assertEqual(self.refused(XOR, *SHORT, *OTHER, "--seeds", "0-3"),
                         "glesim: results/xor: of 4 runs 4 hold another config (the first: learning.beta is 1.0 there, "
                         "2 here); --force replaces them, --output puts these elsewhere\n")
        self.assertIn("of 6 runs 1 holds another config", self.refused(XOR, *SHORT, *OTHER, "--seeds", "3-8"))
        self.assertEqual(self.refused(XOR, *SHORT, *OTHER, "--seeds", "2"),
                         "glesim: results/xor/seed_2 holds another config (learning.beta is 1.0 there, 2 here); --force "
                         "replaces it, --output puts this one elsewhere\n")
        self.assertIn("of 4 runs 4 hold another", self.refused(XOR, *SHORT, *OTHER, "--seeds", "0-3", "--resume", code=4))
        self.assertEqual(load(self.folder / "results/xor/summary.json")["completed"], 4)
        self.run_glesim(XOR, *SHORT, *OTHER, "--seeds", "0-3", "--force")
        s = load(self.folder / "results/xor/summary.json")
        self.assertEqual((s["completed"], s["left_out"]), (4, []))

    def test_a_sweep_with_another_setting(self):
        config = self.write("small.yaml", CONFIG)
        self.run_glesim(config)
        self.assertIn("results/small: of 4 runs 4 hold another config (the first: training.epochs is 1 there, 2 here)",
                      self.refused(config, "--set", "training.epochs=2"))

    def test_variants_one_by_one(self):
        config = self.write("small.yaml", CONFIG.replace("sweep: {", "variants: {a: {learning.beta: 1}, b: {") + "}\n")
        config.write_text(CONFIG[:CONFIG.index("sweep")] + "variants: {a: {learning.beta: 1}, b: {learning.beta: 2}}\n",
                          encoding="utf-8")
        self.run_glesim(config)
        self.assertIn("of 2 runs 2 are there already; --force replaces them", self.refused(config))
        self.assertIn("of 2 runs 2 hold another config", self.refused(config, "--set", "training.epochs=2"))
        self.assertEqual(self.run_glesim(config, "--resume").out.count("there already"), 2)

    def test_runs_that_were_broken_off(self):
        with self.start(XOR, *LONG, "--seeds", "0-2", "--jobs", "2") as run:
            self.wait_for(2)
            run.send_signal(signal.SIGINT)
            _, err = run.communicate(timeout=PATIENCE)
        self.assertEqual(err.splitlines()[-1], "glesim: stopped; the same command with --resume goes on")
        self.assertEqual(self.refused(XOR, *LONG, "--seeds", "0-2"),
                         "glesim: results/xor: of 3 runs 2 were broken off; --resume goes on with what was broken off, "
                         "--force replaces them, --output puts these elsewhere\n")

    def wait_for(self, n):
        end = time.monotonic() + PATIENCE
        while len(list(self.folder.glob("results/xor/seed_*/metrics.json"))) < n and time.monotonic() < end:
            time.sleep(0.02)

    def test_runs_of_another_process(self):
        with self.start(XOR, *LONG, "--seeds", "0-1", "--jobs", "2") as run:
            self.wait_for(2)
            done = self.run_glesim(XOR, *LONG, "--seeds", "1-2", code=3)
            self.assertEqual(done.err, "glesim: results/xor: of 2 runs 1 is being made by another process; --force "
                                       "replaces it, --output puts these elsewhere\n")
            self.assertFalse(self.run_of("results/xor", 2).exists())
            run.send_signal(signal.SIGINT)
            run.communicate(timeout=PATIENCE)

    def test_other_seeds_under_a_summary_of_another_config(self):
        self.run_glesim(XOR, *SHORT, "--seeds", "0-3")
        self.assertIn("results/xor/summary.json is of runs of another config, seed 0 among them; --force replaces it",
                      self.refused(XOR, *SHORT, *OTHER, "--seeds", "12"))
        self.run_glesim(XOR, *SHORT, *OTHER, "--seed", "12") # by itself it writes no summary
        done = self.run_glesim(XOR, *SHORT, "--seeds", "4")
        self.assertIn("results/xor/summary.json: with 4 more runs of the same config that are there; 1 of another "
                      "config or other data left out\n", done.out)
        s = load(self.folder / "results/xor/summary.json")
        self.assertEqual(([r["seed"] for r in s["runs"]], s["completed"]), ([4, 0, 1, 2, 3], 5))
        self.assertEqual([(r["seed"], r["why"]) for r in s["left_out"]], [(12, "another config")])


class Summaries(Case):
    def summary(self, folder="results/xor"):
        return load(self.folder / folder / "summary.json")

    def test_fewer_seeds_do_not_make_it_poorer(self):
        self.run_glesim(XOR, *SHORT, "--seeds", "0-3")
        before = self.summary()
        self.run_glesim(XOR, *SHORT, "--seeds", "2")
        s = self.summary()
        self.assertEqual((s["completed"], s["final"]["test"]["loss"]["n"]), (4, 4))
        self.assertEqual([(r["seed"], r["status"], r["exit_code"]) for r in s["runs"]],
                         [(2, "completed", 0), *((i, "completed", None) for i in (0, 1, 3))])
        for key in ("mean", "std", "min", "max"):
            self.assertAlmostEqual(s["final"]["test"]["loss"][key], before["final"]["test"]["loss"][key], places=12)
        losses = [load(self.run_of("results/xor", i) / "metrics.json")["final"]["test"]["loss"] for i in range(4)]
        self.assertAlmostEqual(s["final"]["test"]["loss"]["std"], statistics.pstdev(losses), places=12)

    def test_runs_that_differ_in_what_changes_no_result_belong_together(self):
        self.run_glesim(XOR, *SHORT, "--seed", "0", "--set", "record={every: 100, variables: [r]}", "--set",
                        "description=once more")
        self.run_glesim(XOR, *SHORT, "--seeds", "1-2")
        self.assertEqual(self.summary()["completed"], 3)

    def test_what_a_stopped_command_did_not_come_to_stays_in(self):
        self.run_glesim(XOR, *SHORT, "--seeds", "0-49", "--quiet")
        with self.start(XOR, *SHORT, "--seeds", "0-49", "--jobs", "1") as run:
            self.assertIn("there already", run.stdout.readline())
            run.send_signal(signal.SIGINT)
            out, _ = run.communicate(timeout=PATIENCE)
        self.assertLess(out.count("there already"), 49)
        s = self.summary()
        self.assertEqual((s["completed"], s["runs"][49]["status"], s["runs"][49]["exit_code"]), (50, "completed", None))

    def test_a_run_that_fails_again_stays_in(self):
        self.run_glesim(XOR, *SHORT, "--seeds", "0-1")
        (self.run_of("results/xor", 1) / "recording.npz").mkdir() # stands in the way of another one
        self.run_glesim(XOR, *SHORT, "--seeds", "0-1", "--force", code=3)
        s = self.summary()
        self.assertEqual(s["completed"], 2)
        self.assertEqual([(r["status"], r["exit_code"]) for r in s["runs"]], [("completed", 0), ("completed", 3)])

    def test_where_no_run_comes_to_a_report_the_summary_stays(self):
        self.run_glesim(XOR, *SHORT, "--seeds", "0-1")
        before = (self.folder / "results/xor/summary.json").read_bytes()
        for i in range(2):
            (self.run_of("results/xor", i) / "recording.npz").mkdir()
        done = self.run_glesim(XOR, *SHORT, "--seeds", "0-1", "--force", code=3)
        self.assertIn("results/xor/summary.json: left as it is, since no run came to a report\n", done.out)
        self.assertEqual((self.folder / "results/xor/summary.json").read_bytes(), before)

    def test_a_run_killed_long_ago_is_broken_off(self):
        with self.start(XOR, *LONG, "--seed", "7") as run:
            end = time.monotonic() + PATIENCE
            while not (self.run_of("results/xor", 7) / "metrics.json").exists() and time.monotonic() < end:
                time.sleep(0.02)
            run.kill()
            run.communicate(timeout=PATIENCE)
        self.assertEqual(load(self.run_of("results/xor", 7) / "metrics.json")["status"], "running")
        with self.start(XOR, *LONG, "--seeds", "1") as run:
            end = time.monotonic() + PATIENCE
            while not (self.run_of("results/xor", 1) / "metrics.json").exists() and time.monotonic() < end:
                time.sleep(0.02)
            run.send_signal(signal.SIGINT)
            run.communicate(timeout=PATIENCE)
        self.assertEqual([(r["seed"], r["status"]) for r in self.summary()["runs"]],
                         [(1, "interrupted"), (7, "broken off")])

    def data(self, values):
        """A data file of eight samples, without numpy."""
        with zipfile.ZipFile(self.folder / "data.npz", "w") as archive:
            for name, kind, shape, numbers in (("x", "<f4", (8, 1), array.array("f", values)),
                                               ("y", "<i4", (8,), array.array("i", [0, 1] * 4))):
                head = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
                archive.writestr(name + ".npy", b"\x93NUMPY\1\0" + len(head).to_bytes(2, "little") + head.encode()
                                 + numbers.tobytes())

    def test_runs_from_other_initial_values_are_left_out(self):
        config = self.write("own.yaml", CONFIG[:CONFIG.index("sweep")])
        self.run_glesim(config, "--seed", "9", "--output", "start")
        shutil.copy(self.folder / "start/seed_9/weights.npz", self.folder / "w.npz")
        start = ["--set", "network.init.file=w.npz"]
        self.run_glesim(config, *start, "--seeds", "0-1")
        self.run_glesim(config, "--seed", "8", "--output", "start")
        shutil.copy(self.folder / "start/seed_8/weights.npz", self.folder / "w.npz")
        self.run_glesim(config, *start, "--seeds", "2", "--force")
        s = self.summary("results/small")
        self.assertEqual(([r["seed"] for r in s["runs"]], s["completed"]), ([2], 1))
        self.assertEqual([(r["seed"], r["why"]) for r in s["left_out"]], [(0, "other data"), (1, "other data")])

    def test_keys_that_came_later_mean_their_defaults(self):
        config = self.write("own.yaml", CONFIG[:CONFIG.index("sweep")])
        self.run_glesim(config, "--seeds", "0-1")
        for seed in (0, 1): # as an older program would have left it
            path = self.folder / f"results/small/seed_{seed}/metrics.json"
            report = json.loads(path.read_text(encoding="utf-8"))
            del report["config"]["training"]["state"]
            path.write_text(json.dumps(report), encoding="utf-8")
        self.run_glesim(config, "--seeds", "0-2")
        s = self.summary("results/small")
        self.assertEqual(([r["seed"] for r in s["runs"]], s["completed"], s["left_out"]), ([0, 1, 2], 3, []))

    def test_runs_on_other_data_are_left_out(self):
        config = self.write("own.yaml", CONFIG[:CONFIG.index("sweep")].replace(
            "{type: xor}", "{type: npz, file: data.npz, present: 1.0}").replace("input: 2", "input: 1"))
        self.data(range(8))
        self.run_glesim(config, "--seeds", "0-1")
        self.data(range(8, 16))
        self.run_glesim(config, "--seeds", "2", "--force")
        s = self.summary("results/small")
        self.assertEqual(([r["seed"] for r in s["runs"]], s["completed"]), ([2], 1))
        self.assertEqual([(r["seed"], r["why"]) for r in s["left_out"]], [(0, "other data"), (1, "other data")])

    def on_own_data(self):
        self.data(range(8))
        return self.write("own.yaml", CONFIG[:CONFIG.index("sweep")].replace(
            "{type: xor}", "{type: npz, file: data.npz, present: 1.0}").replace("input: 2", "input: 1"))

    def test_data_that_change_while_a_command_is_at_work_cost_no_run(self):
        config = self.on_own_data()
        self.run_glesim(config, "--seeds", "0-1")
        before = self.summary("results/small")
        folder = self.run_of("results/small", 2)
        folder.mkdir()
        held = os.open(folder, os.O_RDONLY)
        self.addCleanup(os.close, held)
        fcntl.flock(held, fcntl.LOCK_EX)
        with self.start(config, "--seeds", "2-3", "--jobs", "1", "--resume") as run:
            time.sleep(2) # it has looked at the data, and waits for the folder, for five seconds
            self.data(range(8, 16))
            fcntl.flock(held, fcntl.LOCK_UN)
            out, err = run.communicate(timeout=PATIENCE)
        self.assertEqual(run.returncode, 0, err)
        self.assertEqual(out.count(": completed after epoch 1"), 2)
        self.assertIn("results/small/summary.json: left as it is, since it has runs of another config or other data than "
                      "these; --force replaces it\n", out)
        self.assertEqual(self.summary("results/small"), before)

    def test_a_run_that_is_gone_is_no_loss(self):
        self.run_glesim(XOR, *SHORT, "--seeds", "0-1")
        shutil.rmtree(self.run_of("results/xor", 1))
        self.run_glesim(XOR, *SHORT, *OTHER, "--seed", "9") # beside them, and left out
        self.run_glesim(XOR, *SHORT, "--seeds", "0")
        s = self.summary()
        self.assertEqual((s["completed"], [r["seed"] for r in s["left_out"]]), (1, [9]))

    def test_points_on_data_that_have_changed_are_others(self):
        config = self.on_own_data()
        self.run_glesim(config, "--set", "sweep={learning.beta: [1, 0.5]}")
        self.run_glesim(config, "--set", "sweep={learning.beta: [2], dataset.present: [0.5]}") # asks for other data
        self.assertEqual(len(self.summary("results/small")["points"]), 3)
        self.data(range(8, 16))
        self.run_glesim(config, "--set", "sweep={learning.beta: [4]}")
        s = self.summary("results/small")
        self.assertEqual([p["sweep"] for p in s["points"]], ["beta=4", "beta=2,present=0.5"])
        self.assertEqual(sorted(p["sweep"] for p in s["others"]), ["beta=0.5", "beta=1"])

    def test_points_from_files_that_have_changed_are_others(self):
        config = self.write("own.yaml", CONFIG[:CONFIG.index("sweep")])
        for seed in (8, 9):
            self.run_glesim(config, "--seed", seed, "--output", "start")
            shutil.copy(self.run_of("start", seed) / "weights.npz", self.folder / f"w{seed}.npz")
        self.run_glesim(config, "--set", "sweep={network.init.file: [w8.npz, w9.npz]}")
        self.assertEqual(len(self.summary("results/small")["points"]), 2) # each of its own file
        shutil.copy(self.folder / "w8.npz", self.folder / "w9.npz")
        self.run_glesim(config, "--set", "network.init.file=w9.npz", "--set", "sweep={learning.beta: [4]}")
        s = self.summary("results/small")
        self.assertEqual([p["sweep"] for p in s["points"]], ["beta=4", "file=w8.npz"])
        self.assertEqual([p["sweep"] for p in s["others"]], ["file=w9.npz"])

    def test_a_run_that_fails_at_once_is_of_the_config_of_those_beside_it(self):
        config = self.write("own.yaml", CONFIG[:CONFIG.index("sweep")].replace(
            "{type: xor}", "{type: npz, file: data.npz, present: 1.0}").replace("input: 2", "input: 1"))
        self.data(range(8))
        self.run_glesim(config, "--seeds", "0-1")
        (self.folder / "results/small/summary.json").unlink()
        self.write("data.npz", "broken")
        self.run_glesim(config, "--seeds", "2", code=4)
        self.assertFalse((self.folder / "results/small/seed_2").exists()) # from which relative paths would start
        s = self.summary("results/small")
        self.assertEqual((s["completed"], [r["seed"] for r in s["runs"]], s["left_out"]), (2, [2, 0, 1], []))

    def test_points_of_other_sweeps_stay(self):
        config = self.write("small.yaml", CONFIG)
        self.run_glesim(config, "--quiet")
        self.run_glesim(config, "--set", "sweep={learning.beta: [0.25]}", "--quiet")
        s = self.summary("results/small")
        self.assertEqual([p["values"] for p in s["points"]],
                         [{"learning.beta": 0.25}, *({"learning.beta": b, "learning.optimizer.lr": lr}
                                                     for b in (1, 0.5) for lr in (0.01, 0.001))])
        self.run_glesim(config, "--set", "sweep={learning.beta: [0.125]}", "--set", "training.epochs=2", "--quiet")
        s = self.summary("results/small")
        self.assertEqual([p["sweep"] for p in s["points"]], ["beta=0.125"])
        self.assertEqual(len(s["others"]), 5)
        self.assertTrue(all(p["completed"] == 1 and p["final"] for p in s["others"]))
        shutil.rmtree(self.folder / "results/small/beta=0.25")
        self.run_glesim(config, "--quiet")
        s = self.summary("results/small")
        self.assertEqual((len(s["points"]), [p["sweep"] for p in s["others"]]), (4, ["beta=0.125"]))

    def test_a_sweep_without_seeds_keeps_those_of_its_points(self):
        config = self.write("small.yaml", CONFIG)
        self.run_glesim(config, "--seeds", "0-2", "--quiet")
        self.run_glesim(config, "--quiet")
        self.assertEqual([p["completed"] for p in self.summary("results/small")["points"]], [3] * 4)

    def test_values_are_those_that_the_runs_had(self):
        config = self.write("small.yaml", CONFIG)
        self.run_glesim(config, "--quiet")
        report = self.folder / "results/small/beta=1,lr=1.0e-2/seed_0/metrics.json"
        m = load(report)
        m["config"]["learning"]["optimizer"]["lr"] = 0.125 # as if it had not been what the sweep says
        report.write_text(json.dumps(m), encoding="utf-8")
        self.run_glesim(config, "--quiet")
        self.assertEqual([p["values"]["learning.optimizer.lr"] for p in self.summary("results/small")["points"]],
                         [0.125, 0.001, 0.01, 0.001])

    def test_memory_does_not_grow_with_the_number_of_reports(self):
        self.run_glesim(XOR, "--set", "training.epochs=600", "--set", "dataset.repeat=1", "--seeds", "0", "--quiet")
        for seed in range(1, 150):
            self.run_of("results/xor", seed).mkdir()
            shutil.copy(self.run_of("results/xor", 0) / "metrics.json", self.run_of("results/xor", seed))
        with subprocess.Popen([GLESIM, XOR, "--set", "training.epochs=600", "--set", "dataset.repeat=1", "--seeds", "0",
                               "--quiet"], cwd=self.folder) as process:
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        self.assertEqual((process.returncode, self.summary()["completed"]), (0, 150))
        if b"__asan_init" not in pathlib.Path(GLESIM).read_bytes() and "GLE_SLOWNESS" not in os.environ:
            self.assertLess(used.ru_maxrss, 100000) # KiB; all of them at once take far more


if __name__ == "__main__":
    unittest.main(verbosity=2)
