"""Runs over ranks, by mpirun: as many as there are processors, and more. The program is the one that GLESIM names, built
with MPI if GLE_MPI is 1.

Standard library only.
"""

import os
import pathlib
import signal
import subprocess
import time
import unittest

from case import Case, GLESIM, PATIENCE, SMALL_CONFIG, XOR, load, without_times

SHORT = ["--set", "training.epochs=3"]
ENDLESS = ["--set", "training.epochs=1000000"]
LONG_ONES = os.environ.get("GLE_LONG") == "1" # see tests/long/run
MPIRUN = ["mpirun", "--oversubscribe", *(["--allow-run-as-root"] if os.getuid() == 0 else [])]


def has_mpirun():
    try:
        return subprocess.run([*MPIRUN, "--version"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              timeout=PATIENCE, check=False).returncode == 0
    except OSError:
        return False


def children(pid):
    """Processes that a process has started, and that have not ended."""
    found = []
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
            if parent == str(pid) and state != "Z":
                found.append(int(stat.parent.name))
        except OSError: # it has ended
            pass
    return sorted(found)


@unittest.skipUnless(os.environ.get("GLE_MPI") == "1", "this build knows no MPI")
@unittest.skipUnless(has_mpirun(), "mpirun is missing, or not Open MPI's")
class UnderMpirun(Case):
    def start_ranks(self, n, *args, options=(), program=GLESIM, env=None):
        run = subprocess.Popen([*MPIRUN, *options, "-n", str(n), program, *map(str, args)], cwd=self.folder,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               env={**os.environ, **(env or {})})
        self.addCleanup(run.communicate)
        self.addCleanup(run.kill) # comes first
        return run

    def end_of(self, run, code=0):
        out, err = run.communicate(timeout=PATIENCE)
        self.assertEqual(run.returncode, code, (out, err))
        return out, err

    def end_of_killed(self, run):
        """What was said by one of whose ranks one was killed: all others come to an end. mpirun of Open MPI 4.1.4 may
        then wait for itself, in PMIx; it is not waited for long."""
        end, there = time.monotonic() + PATIENCE, True
        while run.poll() is None and there:
            self.assertLess(time.monotonic(), end, "ranks wait for one that was killed")
            time.sleep(0.5)
            there = children(run.pid)
        try:
            return run.communicate(timeout=10)[1]
        except subprocess.TimeoutExpired:
            run.kill()
            return run.communicate(timeout=PATIENCE)[1]

    def run_ranks(self, n, *args, code=0):
        return self.end_of(self.start_ranks(n, *args), code)

    def wait_for(self, condition, run):
        end = time.monotonic() + PATIENCE
        while not condition():
            self.assertTrue(run.poll() is None and time.monotonic() < end, "it does not come to that")
            time.sleep(0.02)

    def processes(self, run):
        """Process ids of all ranks, and of the run of each; they are there by now."""
        ranks = [pid for pid in children(run.pid) if children(pid)]
        return ranks, [children(pid)[0] for pid in ranks]

    def start_endless(self, n, options=()):
        run = self.start_ranks(n, XOR, *ENDLESS, "--seeds", f"0-{n}", options=options)
        self.wait_for(lambda: len(list(self.folder.glob("results/xor/*/metrics.json"))) == n, run)
        return run

    def statuses(self, n):
        return [load(self.run_of("results/xor", seed) / "metrics.json")["status"] for seed in range(n)]

    def assert_same_run(self, one, other):
        for name in ("weights.npz", "config.yaml"):
            self.assertEqual((one / name).read_bytes(), (other / name).read_bytes())
        self.assertEqual(without_times(load(one / "metrics.json")), without_times(load(other / "metrics.json")))


class Ranks(UnderMpirun):
    def test_runs_are_the_same_as_alone(self):
        sweep = self.write("small.yaml", SMALL_CONFIG + "sweep: {learning.beta: [1, 0.5]}\n"
                           "variants: {gle: {learning.rule: gle}, bp: {learning.rule: bp}}\n")
        for config in (sweep, XOR):
            self.run_glesim(config, *SHORT, "--seeds", "0-2")
        (self.folder / "results").rename(self.folder / "alone")
        for n in (2, 4) if LONG_ONES else (3,):
            with self.subTest(n):
                out, err = self.run_ranks(n, sweep, XOR, *SHORT, "--seeds", "0-2", "--threads", "1")
                self.assertNotIn("glesim: ", err)
                self.assertIn("small gle beta=0.5 seed 2: results/small/gle/beta=0.5/seed_2/metrics.json: completed", out)
                reports = sorted(path.relative_to(self.folder / "alone")
                                 for path in self.folder.glob("alone/**/metrics.json"))
                self.assertEqual(len(reports), 15)
                for report in reports:
                    self.assert_same_run((self.folder / "alone" / report).parent,
                                         (self.folder / "results" / report).parent)
                for name in ("xor", "small/gle/beta=1"):
                    ours, theirs = (load(self.folder / of / name / "summary.json") for of in ("results", "alone"))
                    self.assertEqual((ours["completed"], ours["final"]["test"]["loss"]),
                                     (3, theirs["final"]["test"]["loss"]))
                self.assertEqual(len(load(self.folder / "results/small/bp/summary.json")["points"]), 2)
            (self.folder / "results").rename(self.folder / f"by_{n}")

    def test_what_fails_or_stands_in_the_way_stops_no_other_and_is_told(self):
        diverging = self.write("small.yaml", SMALL_CONFIG.replace("loss: cross_entropy, optimizer: {type: adam, lr: 1e-2}",
                                                                  "loss: mse, optimizer: {type: sgd, lr: 1e6}"))
        other = self.write("other.yaml", SMALL_CONFIG.replace("small", "other"))
        self.run_glesim(other, "--seeds", "0")
        out, err = self.run_ranks(2, diverging, self.folder / "missing.yaml", other, XOR, *SHORT, "--seeds", "0", code=2)
        self.assertEqual((err.count("missing.yaml: cannot be read"), err.count("holds another config")), (1, 1), err)
        self.assertEqual(load(self.run_of("results/small", 0) / "metrics.json")["status"], "diverged")
        self.assertIn("xor seed 0: results/xor/seed_0/metrics.json: completed", out)
        self.assertEqual(load(self.run_of("results/other", 0) / "metrics.json")["config"]["training"]["epochs"], 2)

    def test_a_wrong_command_is_told_once(self):
        _, err = self.run_ranks(2, XOR, "--seedz", "0", code=2)
        self.assertEqual(err.count("did you mean --seeds?"), 1, err)

    def test_sums_and_messages(self):
        self.end_of(self.start_ranks(3, program=os.environ["GLE_COMM_TEST"], env={"GLE_RANKS": "3"}))

    def test_a_rank_that_is_lost_is_noticed_by_all_others(self):
        err = self.end_of_killed(self.start_ranks(3, options=["--enable-recovery"], env={"GLE_LOSE": "1"},
                                                  program=os.environ["GLE_COMM_TEST"]))
        for rank in (0, 1):
            self.assertRegex(err, rf"rank {rank}: sum: rank [012] on \S+ was lost\n") # or one that has noticed before

    def test_a_dry_run_tells_how_runs_spread_over_ranks(self):
        config = self.write("small.yaml", SMALL_CONFIG + "sweep: {learning.beta: [1, 0.5]}\n")
        out, _ = self.run_ranks(3, config, "--dry-run", "--seeds", "0-1", "--threads", "1")
        self.assertRegex(out, r"\n  all 4 runs  .* one after the other\n")
        self.assertRegex(out, r"\n  over 3 ranks      [0-9.]+ (us|ms|s): 4 runs, 1 at a time on each rank with 1 thread; "
                              r"1 on a rank at least\n$")
        self.assertFalse((self.folder / "results").exists())

    def test_different_commands_are_no_ranks_of_each_other(self):
        run = subprocess.run([*MPIRUN, "-n", "1", GLESIM, XOR, *SHORT, "--seed", "1", ":",
                              "-n", "1", GLESIM, XOR, *SHORT, "--seed", "2"], cwd=self.folder, stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, text=True, timeout=PATIENCE, check=True)
        self.assertEqual(run.stdout.count("completed"), 2)

    def test_one_that_mpirun_has_not_started_works_alone(self):
        script = self.write("seed.sh", f'"{GLESIM}" "{XOR}" --set training.epochs=3 --seed $OMPI_COMM_WORLD_RANK; exit $?\n')
        run = subprocess.run([*MPIRUN, "-n", "2", "sh", script], cwd=self.folder, stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=PATIENCE, check=True)
        self.assertEqual(run.stdout.count("completed"), 2)
        self.assertEqual(run.stderr.count("glesim: mpirun has started sh as one of several ranks, and this is not one"), 2)

    def test_a_run_that_is_killed_stops_no_other_and_a_signal_reaches_all_ranks(self):
        run = self.start_endless(2)
        ranks, runs = self.processes(run)
        os.kill(runs[1], signal.SIGKILL)
        self.wait_for(lambda: (self.run_of("results/xor", 2) / "metrics.json").exists(), run)
        os.kill(ranks[1], signal.SIGUSR1)
        _, err = self.end_of(run, 128 + signal.SIGUSR1)
        self.assertIn("seed 1: killed by signal 9\n", err)
        self.assertEqual(err.count("glesim: stopped; the same command with --resume goes on"), 1, err)
        s = load(self.folder / "results/xor/summary.json")
        self.assertEqual([(r["seed"], r["status"], r["exit_code"]) for r in s["runs"]],
                         [(0, "interrupted", 0), (1, "failed", 137), (2, "interrupted", 0)])

    @unittest.skipUnless(LONG_ONES, "one of tests/long")
    def test_signals_of_mpirun(self):
        for number, code in ((signal.SIGUSR2, 128 + signal.SIGUSR2), (signal.SIGTERM, 1)):
            with self.subTest(number):
                run = self.start_endless(3)
                run.send_signal(number)
                self.end_of(run, code)
                self.assertEqual(self.statuses(3), ["interrupted"] * 3)
                self.assertFalse(self.run_of("results/xor", 3).exists())
                (self.folder / "results").rename(self.folder / number.name)

    @unittest.skipUnless(LONG_ONES, "one of tests/long")
    def test_a_rank_that_is_killed_stops_no_other_where_mpirun_lets_them_live(self):
        for victim in (1, 0):
            with self.subTest(victim):
                run = self.start_endless(3, options=["--enable-recovery"])
                ranks, _ = self.processes(run)
                os.kill(ranks[victim], signal.SIGKILL)
                time.sleep(0.5) # the others notice
                for pid in ranks:
                    if pid != ranks[victim]:
                        os.kill(pid, signal.SIGUSR1)
                _, err = self.end_of(run)
                self.assertIn("seed 1: rank 1 on" if victim else "rank 0 is lost; what runs here comes to its end", err)
                self.assertEqual(self.statuses(3), ["interrupted"] * 3)
                (self.folder / "results").rename(self.folder / f"without_{victim}")

    @unittest.skipUnless(LONG_ONES, "one of tests/long")
    def test_ranks_that_are_killed_anywhere_can_be_gone_on_with(self):
        args = [XOR, "--seeds", "0-4", "--set", "training.epochs=400", "--set", "checkpoint.minutes=0.005"]
        self.run_glesim(*args, "--output", "alone")
        for i in range(20):
            run = self.start_ranks(3, *args, "--output", f"killed_{i}", options=["--enable-recovery"] * (i % 2))
            self.wait_for(lambda: len(self.processes(run)[0]) >= 1, run)
            time.sleep(0.07 * i)
            ranks = [pid for pid in children(run.pid) if pathlib.Path(f"/proc/{pid}/comm").read_text() == "glesim\n"]
            if ranks:
                os.kill(ranks[i % len(ranks)], signal.SIGKILL)
            self.end_of_killed(run)
            self.run_glesim(*args, "--output", f"killed_{i}", "--resume")
            for seed in range(5):
                self.assertEqual((self.run_of(f"killed_{i}", seed) / "weights.npz").read_bytes(),
                                 (self.run_of("alone", seed) / "weights.npz").read_bytes(), (i, seed))


class Alone(Case):
    def test_a_build_without_mpi_says_so(self):
        if os.environ.get("GLE_MPI") == "1":
            self.skipTest("this build knows MPI")
        wrapper = self.write("mpirun", f'#!/bin/sh\n"{GLESIM}" "$@"\nexit $?\n')
        wrapper.chmod(0o755)
        done = subprocess.run([wrapper, XOR], cwd=self.folder, stderr=subprocess.PIPE, text=True, timeout=PATIENCE,
                              env={**os.environ, "OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": "0"}, check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn("this build knows no MPI", done.stderr)

    def test_a_rank_of_one_needs_nobody(self):
        env = {"OMPI_COMM_WORLD_SIZE": "1", "OMPI_COMM_WORLD_RANK": "0", "SLURM_PROCID": "0", "SLURM_NTASKS": "8"}
        done = self.run_glesim(XOR, *SHORT, "--seeds", "0-1", env=env)
        self.assertNotIn("rank", done.err)


if __name__ == "__main__":
    unittest.main()
