"""Many runs by one command: seeds, variants and sweeps side by side. The program is the one that GLESIM names.

Standard library only.
"""

import os
import pathlib
import re
import shutil
import signal
import statistics
import time
import unittest

from case import CONFIGS, Case, PATIENCE, SMALL_CONFIG, XOR, load, without_times

SHORT = ["--set", "training.epochs=3"]
class Many(Case):
    def config(self, text=""):
        return self.write("small.yaml", SMALL_CONFIG + text)

    def assert_same_run(self, one, other):
        self.assertEqual((one / "weights.npz").read_bytes(), (other / "weights.npz").read_bytes())
        self.assertEqual((one / "config.yaml").read_bytes(), (other / "config.yaml").read_bytes())
        self.assertEqual(without_times(load(one / "metrics.json")), without_times(load(other / "metrics.json")))


class Seeds(Many):
    def test_a_run_from_before_an_activation_had_settings_is_the_same_one(self):
        config = self.write("small.yaml", SMALL_CONFIG.replace("tanh", "elu"))
        self.run_glesim(config, "--seeds", "0")
        before = (self.run_of("results/small", 0) / "weights.npz").stat().st_mtime_ns
        resolved, report = (self.run_of("results/small", 0) / name for name in ("config.yaml", "metrics.json"))
        as_now = resolved.read_text(encoding="utf-8")
        self.assertIn("activation:\n        type: elu\n        alpha: 1\n", as_now)
        resolved.write_text(as_now.replace("activation:\n        type: elu\n        alpha: 1\n", "activation: elu\n"),
                            encoding="utf-8")
        text = report.read_text(encoding="utf-8")
        written = re.compile(r'"activation": \{\s*"type": "elu",\s*"alpha": 1\s*\}')
        self.assertEqual(len(written.findall(text)), 1)
        report.write_text(written.sub('"activation": "elu"', text).replace(load(report)["config_sha256"], "0" * 64),
                          encoding="utf-8")
        self.run_glesim(config, "--seeds", "0-1")
        self.assertEqual((self.run_of("results/small", 0) / "weights.npz").stat().st_mtime_ns, before)
        summary = load(self.folder / "results/small/summary.json")
        self.assertEqual((summary["completed"], summary.get("left_out", [])), (2, []))
        other = self.write("other.yaml", SMALL_CONFIG.replace("tanh", "{type: elu, alpha: 0.5}"))
        self.run_glesim(other, "--seeds", "0-1", code=3)

    def test_a_seed_among_others_is_the_same_as_alone(self):
        for seed in (0, 2, 5):
            self.run_glesim(XOR, *SHORT, "--seed", seed, "--output", "alone")
        for jobs in (1, 2, 3, 8):
            self.run_glesim(XOR, *SHORT, "--seeds", "0,2,5", "--jobs", jobs, "--output", f"jobs{jobs}")
            for seed in (0, 2, 5):
                self.assert_same_run(self.run_of("alone", seed), self.run_of(f"jobs{jobs}", seed))

    def test_the_summary_is_that_of_the_runs(self):
        done = self.run_glesim(XOR, *SHORT, "--seeds", "1-4")
        self.assertEqual(done.err, "")
        self.assertIn("results/xor/summary.json\n", done.out)
        self.assertIn("seed 3: results/xor/seed_3/metrics.json: completed", done.out)
        s = load(self.folder / "results/xor/summary.json")
        runs = [load(self.run_of("results/xor", seed) / "metrics.json") for seed in range(1, 5)]
        self.assertEqual((s["name"], s["variant"], s["sweep"], s["completed"]), ("xor", None, None, 4))
        self.assertEqual([(r["seed"], r["status"], r["exit_code"], r["message"], r["directory"]) for r in s["runs"]],
                         [(i, "completed", 0, None, f"results/xor/seed_{i}") for i in range(1, 5)])
        self.assertEqual([e["epoch"] for e in s["epochs"]], [0, 1, 2, 3])
        for of_all, values in ((s["final"]["test"]["loss"], [r["final"]["test"]["loss"] for r in runs]),
                               (s["epochs"][1]["train"]["accuracy"],
                                [r["epochs"][1]["train"]["accuracy"] for r in runs])):
            self.assertAlmostEqual(of_all["mean"], statistics.fmean(values), places=12)
            self.assertAlmostEqual(of_all["std"], statistics.pstdev(values), places=12)
            self.assertEqual((of_all["min"], of_all["max"], of_all["n"]), (min(values), max(values), 4))
        self.assertIsNone(s["epochs"][0]["train"])
        self.assertEqual(s["phases"], [])
        self.assertEqual(s["parameters"]["hidden.weight"][0][0]["n"], 4)

    def test_runs_that_are_there_are_kept(self):
        self.run_glesim(XOR, *SHORT, "--seeds", "1-2")
        before = (self.run_of("results/xor", 1) / "metrics.json").stat().st_mtime_ns
        done = self.run_glesim(XOR, *SHORT, "--seeds", "1-3")
        self.assertIn("seed 1: results/xor/seed_1/metrics.json: there already\n", done.out)
        self.assertEqual((self.run_of("results/xor", 1) / "metrics.json").stat().st_mtime_ns, before)
        self.assertEqual(load(self.folder / "results/xor/summary.json")["completed"], 3)
        self.run_glesim(XOR, *SHORT, "--seeds", "1", "--force")
        self.assertNotEqual((self.run_of("results/xor", 1) / "metrics.json").stat().st_mtime_ns, before)

    def test_a_seed_that_fails_does_not_stop_the_others(self):
        weights = self.run_of("results/xor", 2) / "weights.npz"
        weights.mkdir(parents=True) # it cannot be written
        done = self.run_glesim(XOR, *SHORT, "--seeds", "1-3", code=3)
        self.assertEqual(done.err, "seed 2: results/xor/seed_2/weights.npz: cannot write: Is a directory\n")
        s = load(self.folder / "results/xor/summary.json")
        self.assertEqual([r["status"] for r in s["runs"]], ["completed", "failed", "completed"])
        self.assertEqual((s["runs"][1]["exit_code"], s["completed"], s["final"]["test"]["loss"]["n"]), (3, 2, 2))
        self.assertIn("cannot write", s["runs"][1]["message"])

    def test_divergence_is_told_of_each(self):
        config = self.config()
        done = self.run_glesim(config, "--set", "learning.loss=mse", "--set",
                                 "learning.optimizer={type: sgd, lr: 1e6}", "--seeds", "0-1", code=6)
        self.assertRegex(done.err, r"(?m)^seed 0: results/small/seed_0: NaN or Inf")
        s = load(self.folder / "results/small/summary.json")
        self.assertEqual([(r["status"], r["exit_code"]) for r in s["runs"]], [("diverged", 6)] * 2)
        self.assertIsNone(s["final"])

    def children(self, run, n):
        """The processes of n runs."""
        end = time.monotonic() + PATIENCE
        path = pathlib.Path(f"/proc/{run.pid}/task/{run.pid}/children")
        while time.monotonic() < end:
            pids = [int(pid) for pid in path.read_text().split()]
            if len(pids) == n and all((self.run_of("results/xor", seed) / "metrics.json").exists() for seed in range(n)):
                return pids
            time.sleep(0.02)
        self.fail("the runs do not begin")

    def long_runs(self):
        return self.start(XOR, "--set", "training.epochs=1000000", "--seeds", "0-2", "--jobs", "2")

    def test_an_interrupt_is_handed_on(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.long_runs() as run:
                self.children(run, 2)
                run.send_signal(number)
                out, err = run.communicate(timeout=PATIENCE)
            self.assertEqual(run.returncode, 128 + number, (out, err))
            s = load(self.folder / "results/xor/summary.json")
            self.assertEqual([r["status"] for r in s["runs"]], ["interrupted", "interrupted", "not begun"])
            self.assertEqual(out.count("interrupted after epoch"), 2)
            shutil.rmtree(self.folder / "results")

    def test_a_run_that_is_killed_does_not_stop_the_others(self):
        with self.long_runs() as run:
            pids = self.children(run, 2)
            os.kill(pids[0], signal.SIGKILL)
            end = time.monotonic() + PATIENCE
            while not (self.run_of("results/xor", 2) / "metrics.json").exists() and time.monotonic() < end:
                time.sleep(0.02) # the third has taken its place
            run.send_signal(signal.SIGINT)
            out, err = run.communicate(timeout=PATIENCE)
        self.assertEqual(run.returncode, 128 + signal.SIGINT, (out, err))
        s = load(self.folder / "results/xor/summary.json")
        self.assertEqual([(r["status"], r["message"]) for r in s["runs"]],
                         [("failed", "killed by signal 9"), ("interrupted", None), ("interrupted", None)])
        self.assertIn("seed 0: killed by signal 9\n", err)

    def test_runs_end_when_the_command_is_killed(self):
        with self.long_runs() as run:
            pids = self.children(run, 2)
            run.kill()
            run.communicate(timeout=PATIENCE)
        end = time.monotonic() + PATIENCE
        reports = [self.run_of("results/xor", seed) / "metrics.json" for seed in range(2)]
        while time.monotonic() < end and any(load(path)["status"] == "running" for path in reports):
            time.sleep(0.05)
        self.assertEqual([load(path)["status"] for path in reports], ["interrupted"] * 2)
        self.assertEqual(len(pids), 2)

    def test_options_that_make_no_sense_are_told(self):
        for args, message in (
                (["--seeds", "3-1"], "--seeds 3-1: seeds and ranges are wanted, as in 0-9,12"),
                (["--seeds", "1,,2"], "--seeds 1,,2: seeds and ranges are wanted, as in 0-9,12"),
                (["--seeds", "1-"], "--seeds 1-: seeds and ranges are wanted, as in 0-9,12"),
                (["--seeds", "a"], "--seeds a: seeds and ranges are wanted, as in 0-9,12"),
                (["--seeds", "1-3,2"], "--seeds 1-3,2: 2 is there twice"),
                (["--seeds", "0-99999999999"], "--seeds 0-99999999999: more than 10000 seeds"),
                (["--seeds", "1", "--seed", "2"], "either --seed or --seeds, not both"),
                (["--jobs", "0"], "--jobs 0: a number from 1 to 4096 is wanted")):
            done = self.run_glesim(XOR, *args, code=2)
            self.assertEqual((done.out, done.err), ("", f"glesim: {message}\n"))
        self.assertEqual(os.listdir(self.folder), [])

    def test_an_error_in_the_config_is_told_once(self):
        done = self.run_glesim(self.config("trainin: {}\n"), "--seeds", "0-5", code=2)
        self.assertEqual(done.err.count("\n"), 1, done.err)
        self.assertEqual(os.listdir(self.folder), ["small.yaml"])

    def test_no_more_processors_than_slurm_gives(self):
        for share, threads in (("1", 1), ("none", None)):
            self.run_glesim(XOR.with_name("mnist1d_e2e.yaml"), "--set", "training.epochs=0", "--set",
                            "dataset.samples=500", "--output", share,
                            env={"SLURM_CPUS_PER_TASK": share})
            used = load(self.run_of(share, 12) / "metrics.json")["provenance"]["threads"]
            self.assertEqual(used, threads or min(len(os.sched_getaffinity(0)), used))

    def test_quiet_is_quiet(self):
        done = self.run_glesim(XOR, *SHORT, "--seeds", "0-2", "--quiet")
        self.assertEqual((done.out, done.err), ("", ""))


class Lists(Many):
    TEXT = ("sweep: {learning.beta: [1, 0.5]}\nvariants: {gle: {learning.rule: gle}, "
            "bp: {learning.rule: bp, learning.optimizer.lr: 1e-3}}\n")

    def test_runs_are_shown(self):
        done = self.run_glesim(self.config(self.TEXT), XOR, "--runs", "--seeds", "3,1", "--output", "a b")
        self.assertEqual(done.out.splitlines(),
                         [f"a b/{variant}/beta={beta}/seed_{seed}\t{variant}\tbeta={beta}\t{seed}"
                          for variant in ("gle", "bp") for beta in (1, 0.5) for seed in (3, 1)]
                         + [f"a b/seed_{seed}\t\t\t{seed}" for seed in (3, 1)])
        self.assertEqual(self.run_glesim(XOR, "--runs").out, "results/xor/seed_1\t\t\t1\n")
        self.assertEqual(done.err, "")
        self.assertEqual(os.listdir(self.folder), ["small.yaml"])

    def test_one_combination_is_run_as_among_others(self):
        config = self.config(self.TEXT)
        self.run_glesim(config, "--seeds", "0-1")
        (self.folder / "results").rename(self.folder / "all")
        done = self.run_glesim(config, "--seeds", "0-1", "--point", "beta=0.5", "--variant", "bp")
        self.assertEqual(done.out.count("completed"), 2)
        self.assertEqual(sorted(path.parent for path in self.folder.glob("results/**/metrics.json")),
                         [self.folder / f"results/small/bp/beta=0.5/seed_{seed}" for seed in (0, 1)])
        for seed in (0, 1):
            where = f"small/bp/beta=0.5/seed_{seed}"
            self.assert_same_run(self.folder / "results" / where, self.folder / "all" / where)
        self.run_glesim(config, "--seeds", "0-1", "--point", "beta=1", "--point", "beta=0.5")
        for variant in ("gle", "bp"):
            ours, theirs = (load(self.folder / of / "small" / variant / "summary.json") for of in ("results", "all"))
            self.assertEqual([(p["sweep"], p["completed"], p["final"]["test"]["loss"]) for p in ours["points"]],
                             [(p["sweep"], p["completed"], p["final"]["test"]["loss"]) for p in theirs["points"]])

    def test_combinations_that_are_not_there_are_told(self):
        config = self.config(self.TEXT)
        for args, message in ((["--point", "beta=0.6"], "--point beta=0.6: no such combination (did you mean 'beta=0.5'?)"),
                              (["--point", "x"], "--point x: no such combination; --runs shows them"),
                              (["--point", "beta=1", "--point", "b"], "--point b: no such combination; --runs shows them")):
            self.assertEqual(self.run_glesim(config, *args, code=2).err, f"{config}:1:1: {message}\n")
        self.assertIn("--point x: the file has no sweep", self.run_glesim(XOR, "--point", "x", code=2).err)
        self.assertIn("--summary takes folders", self.run_glesim("--summary", ".", "--point", "x", code=2).err)


class Sweeps(Many):
    SWEEP = ("sweep:\n  learning.optimizer.lr: [1.0e-2, 3.0e-3]\n  network.layers[0].activation: [tanh, relu]\n")
    LABELS = ["lr=1.0e-2,activation=tanh", "lr=1.0e-2,activation=relu", "lr=3.0e-3,activation=tanh",
              "lr=3.0e-3,activation=relu"]

    def test_every_combination_is_a_run(self):
        self.run_glesim(self.config(self.SWEEP))
        self.assertEqual(sorted(os.listdir(self.folder / "results/small")), sorted([*self.LABELS, "summary.json"]))
        m = load(self.folder / "results/small" / self.LABELS[3] / "seed_0/metrics.json")
        self.assertEqual(m["sweep"], {"learning.optimizer.lr": 0.003, "network.layers[0].activation": "relu"})
        self.assertEqual(m["config"]["learning"]["optimizer"]["lr"], 0.003)
        self.assertEqual(m["network"]["layers"][0]["activation"], "relu")

    def test_a_summary_tells_the_points_apart(self):
        self.run_glesim(self.config(self.SWEEP), "--seeds", "0-1", "--quiet")
        s = load(self.folder / "results/small/summary.json")
        self.assertEqual([p["sweep"] for p in s["points"]], self.LABELS)
        self.assertEqual(s["points"][1]["values"],
                         {"learning.optimizer.lr": 0.01, "network.layers[0].activation": "relu"})
        for point in s["points"]:
            of_seeds = load(self.folder / "results/small" / point["sweep"] / "summary.json")
            self.assertEqual(point["completed"], 2)
            for part in ("runs", "final", "best", "diagnostics"):
                self.assertEqual(point[part], of_seeds[part])
            self.assertIsNone(point["diagnostics"])

    def test_a_table_tells_what_the_points_came_to(self):
        out = self.run_glesim(self.config(self.SWEEP), "--seeds", "0-1").out
        points = load(self.folder / "results/small/summary.json")["points"]
        lines = out.partition("results/small/summary.json\n")[2].splitlines()
        self.assertRegex(lines[0], r"^  point +runs  test accuracy \(%\) +test loss$")
        self.assertEqual(len(lines), 1 + len(points))
        for line, point in zip(lines[1:], points):
            accuracy, loss = (point["final"]["test"][key] for key in ("accuracy", "loss"))
            self.assertEqual(line.split(), [point["sweep"], "2", f"{100 * accuracy['mean']:.1f}", "+-",
                                            f"{100 * accuracy['std']:.1f}", f"{loss['mean']:.4g}", "+-",
                                            f"{loss['std']:.2g}"])
            self.assertEqual(len(line), len(lines[0]))
        self.assertIn(lines[3], self.run_glesim("--summary", "results/small").out)
        # of single runs there is no deviation, and nothing is said where nobody wants to hear it
        one = self.run_glesim(self.config(self.SWEEP), "--output", "one").out
        self.assertNotIn("+-", one)
        self.assertIn(f"\n  {self.LABELS[0]}  ", one)
        self.assertEqual(self.run_glesim(self.config(self.SWEEP), "--output", "two", "--quiet").out, "")

    def test_a_table_of_what_diverged_and_of_phases(self):
        wild = self.config("sweep: {learning.beta: [0, 1]}\n") # 0: no error is asked for
        out = self.run_glesim(wild, "--seeds", "0-1", "--set", "learning.optimizer={type: sgd, lr: 1.0e6}", "--set",
                              "learning.loss=mse", "--set", "network.layers[0].activation=linear", code=6).out
        self.assertRegex(out, r"\n  beta=0 +2 .*\n  beta=1 +0 of 2 +- +-\n")
        phases = self.run_glesim(CONFIGS / "lagnet.yaml", "--variant", "gle", "--set",
                                 "training.phases=[{duration: 5}]", "--set", "sweep={learning.beta: [0.5, 1]}", "--output", "phases").out
        self.assertRegex(phases, r"\n  point +runs +loss at the end of the last phase\n  beta=0\.5 +1 ")

    def test_comparisons_with_exact_gradients_are_summed_up(self):
        config = self.config("diagnose: {gradient: bptt, window: 2.0, every: 200}\nsweep: {learning.beta: [1, 0.5]}\n")
        self.run_glesim(config, "--seeds", "0-1", "--quiet")
        for point in load(self.folder / "results/small/summary.json")["points"]:
            found = [comparison["layers"] for seed in (0, 1) for comparison in load(
                self.folder / "results/small" / point["sweep"] / f"seed_{seed}/metrics.json")["diagnostics"]["comparisons"]]
            self.assertGreater(len(found), 2)
            cosines = [layers["hidden"]["weight"]["cosine"] for layers in found]
            summed = point["diagnostics"]["hidden"]["weight"]["cosine"]
            self.assertEqual(summed["n"], len(found))
            self.assertAlmostEqual(summed["mean"], statistics.fmean(cosines), 12)
            self.assertEqual((summed["min"], summed["max"]), (min(cosines), max(cosines)))

    def test_points_that_are_there_are_kept(self):
        config = self.config("sweep: {learning.beta: [1, 0.5]}\n")
        self.run_glesim(config)
        done = self.run_glesim(config, "--set", "sweep={learning.beta: [1, 0.25]}")
        self.assertEqual(done.out.count("there already"), 1)
        points = load(self.folder / "results/small/summary.json")["points"]
        self.assertEqual([(p["values"]["learning.beta"], p["completed"]) for p in points],
                         [(1, 1), (0.25, 1), (0.5, 1)])

    def test_a_combination_is_the_same_as_its_resolved_config(self):
        self.run_glesim(self.config(self.SWEEP))
        run = self.folder / "results/small" / self.LABELS[2] / "seed_0"
        self.run_glesim(run / "config.yaml", "--output", "again")
        one, other = (without_times(load(path / "metrics.json")) for path in (run, self.run_of("again", 0)))
        one["sweep"] = None
        self.assertEqual(one, other)
        self.assertEqual((run / "weights.npz").read_bytes(), (self.run_of("again", 0) / "weights.npz").read_bytes())

    def test_seeds_variants_and_sweep_go_together(self):
        config = self.config("variants: {gle: {learning.rule: gle}, bp: {learning.rule: bp}}\n"
                             "sweep: {learning.beta: [1, 0.5]}\n")
        self.run_glesim(config, "--seeds", "0-1", "--quiet")
        for variant in ("gle", "bp"):
            for label in ("beta=1", "beta=0.5"):
                s = load(self.folder / "results/small" / variant / label / "summary.json")
                self.assertEqual((s["variant"], s["sweep"], s["completed"]), (variant, label, 2))
            s = load(self.folder / "results/small" / variant / "summary.json")
            self.assertEqual((s["variant"], [p["sweep"] for p in s["points"]]), (variant, ["beta=1", "beta=0.5"]))

    def test_variants_may_run_side_by_side(self):
        config = self.config("variants: {gle: {learning.rule: gle}, bp: {learning.rule: bp}}\n")
        done = self.run_glesim(config, "--jobs", "2")
        self.assertIn("bp seed 0: results/small/bp/seed_0/metrics.json: completed", done.out)
        self.run_glesim(config, "--output", "alone")
        for variant in ("gle", "bp"):
            self.assert_same_run(self.folder / f"alone/{variant}/seed_0",
                                 self.folder / f"results/small/{variant}/seed_0")

    def test_set_changes_a_sweep(self):
        self.run_glesim(self.config(self.SWEEP), "--set", "sweep={learning.beta: [2]}")
        self.assertEqual(sorted(os.listdir(self.folder / "results/small")), ["beta=2", "summary.json"])

    def test_sweeps_stand_among_single_runs(self):
        config = self.config("sweep: {learning.beta: [1, 0.5]}\n")
        labels = ("beta=1", "beta=0.5")
        self.run_glesim(XOR, *SHORT, "--output", "alone")
        self.run_glesim(config, *SHORT, "--output", "alone")
        other = self.write("other.yaml", SMALL_CONFIG.replace("small", "other"))
        done = self.run_glesim(XOR, config, other, *SHORT)
        said = [line.split(":")[0] for line in done.out.splitlines() if "seed_" in line]
        self.assertEqual([said[0], *sorted(said[1:3], reverse=True), said[3]],
                         ["results/xor/seed_1/metrics.json", *(f"{label} seed 0" for label in labels),
                          "results/other/seed_0/metrics.json"])
        self.assert_same_run(self.run_of("alone", 1), self.run_of("results/xor", 1))
        for label in labels:
            self.assert_same_run(self.folder / f"alone/{label}/seed_0", self.folder / f"results/small/{label}/seed_0")

    def test_a_single_run_that_fails_before_a_sweep_counts(self):
        config = self.config(self.SWEEP)
        broken = self.write("broken.yaml", SMALL_CONFIG.replace("small", "broken"))
        self.run_glesim(broken)
        done = self.run_glesim(broken, config, code=3)
        self.assertIn("results/broken/seed_0 holds a run already", done.err)
        self.assertTrue((self.folder / "results/small/summary.json").exists())

    def test_a_signal_reaches_a_config_before_another_one(self):
        said = self.interrupted(XOR, self.config(self.SWEEP), "--set", "training.epochs=1000000")
        self.assertEqual(said.count("--resume goes on"), 1, said)
        self.assertEqual(load(self.run_of("out") / "metrics.json")["status"], "interrupted")
        self.assertEqual(os.listdir(self.folder / "out"), ["seed_1"])

    def test_there_may_not_be_too_many(self):
        values = ", ".join(str(0.001 * i) for i in range(1, 101))
        config = self.config(f"sweep:\n  learning.beta: [{values}]\n")
        done = self.run_glesim(config, "--seeds", "0-200", code=2)
        self.assertEqual(done.err, f"{config}:1:1: 201 seeds of 100 variants or combinations make more than 10000 runs\n")
        self.assertEqual(os.listdir(self.folder), ["small.yaml"])

    def test_a_dry_run_shows_the_first(self):
        done = self.run_glesim(self.config(self.SWEEP), "--dry-run")
        self.assertEqual(done.out.count("a learning step"), 1)
        self.assertIn("4 combinations, of which this is the first, lr=1.0e-2,activation=tanh", done.out)
        self.assertFalse((self.folder / "results").exists())

    def test_a_dry_run_gives_the_time_of_all(self):
        for args, n in (([], 4), (["--seeds", "0-9"], 40), (["--seeds", "0-9", "--jobs", "1"], 40)):
            out = self.run_glesim(self.config(self.SWEEP), "--dry-run", "--set", "training.epochs=1000000", *args).out
            total, together, at_once = re.search(rf"all {n} runs +(.*) one after the other, (.*) with (\d+) at a time",
                                                 out).groups()
            one = self.seconds(re.search(r"estimated time +(.*) for", out)[1])
            self.assertTrue(0.3 < self.seconds(total) / (n * one) < 3.0, out)
            self.assertAlmostEqual(self.seconds(together), self.seconds(total) / int(at_once), delta=61)

    def test_a_dry_run_of_one_seed_is_of_that_one(self):
        out = self.run_glesim(self.config(""), "--dry-run", "--seeds", "3").out
        self.assertIn("estimated time", out)
        self.assertNotIn("one after the other", out)

    def seconds(self, text):
        units = {"h": 3600, "min": 60, "s": 1}
        return sum(float(number) * units[unit] for number, unit in re.findall(r"([\d.]+) (h|min|s)\b", text))


if __name__ == "__main__":
    unittest.main(verbosity=2)
