"""What the system does to runs: signals, limits, outputs that nobody reads. The program is the one that GLESIM names.

Standard library only.
"""

import os
import pathlib
import resource
import signal
import subprocess
import time
import unittest

from case import CONFIGS, Case, GLESIM, PATIENCE, XOR, load

SHORT = ["--set", "training.epochs=2"]
LONG = ["--set", "training.epochs=1000000"]
TOLD_TO_END = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGXCPU)


def limited(which, soft, hard=None):
    return lambda: resource.setrlimit(which, (soft, soft if hard is None else hard))


def state(pid):
    """As ps has it: R, S, T..."""
    return pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]


class Surroundings(Case):
    def until(self, condition, what):
        end = time.monotonic() + PATIENCE
        while not condition():
            self.assertLess(time.monotonic(), end, what)
            time.sleep(0.02)

    def popen(self, *args, **kwargs):
        return subprocess.Popen([GLESIM, *map(str, args)], cwd=self.folder, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **kwargs)

    def has_report(self, output, seed=1):
        return (self.run_of(output, seed) / "metrics.json").exists()

    def children(self, process, n):
        path = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
        self.until(lambda: len(path.read_text(encoding="ascii").split()) == n, "the runs begin")
        return [int(pid) for pid in path.read_text(encoding="ascii").split()]


class Signals(Surroundings):
    def test_each_that_asks_for_the_end_leaves_a_checkpoint(self):
        for number in TOLD_TO_END:
            with self.popen(XOR, *LONG, "--output", number.name,
                            preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL)) as run: # under nohup, too
                self.until(lambda: self.has_report(number.name), "the run begins")
                run.send_signal(number)
                _, err = run.communicate(timeout=PATIENCE)
            self.assertEqual(run.returncode, 128 + number, err)
            self.assertEqual(err.splitlines()[-1], "glesim: stopped; the same command with --resume goes on")
            self.assertEqual(load(self.run_of(number.name) / "metrics.json")["status"], "interrupted")
            self.assertTrue((self.run_of(number.name) / "checkpoint.npz").exists())

    def test_a_hang_up_that_is_ignored_stays_ignored(self):
        with self.popen(XOR, *LONG, "--output", "out",
                        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)) as run:
            self.until(lambda: self.has_report("out"), "the run begins")
            run.send_signal(signal.SIGHUP)
            time.sleep(0.5)
            self.assertIsNone(run.poll())
            run.send_signal(signal.SIGTERM)
            run.communicate(timeout=PATIENCE)
        self.assertEqual(run.returncode, 128 + signal.SIGTERM)

    def test_a_signal_to_all_processes_of_a_job_leaves_checkpoints(self):
        with self.popen(XOR, *LONG, "--seeds", "0-1", "--jobs", "2", "--output", "out") as run:
            pids = self.children(run, 2)
            self.until(lambda: all(self.has_report("out", i) for i in range(2)), "the runs begin")
            for pid in (run.pid, *pids):
                os.kill(pid, signal.SIGTERM)
            run.communicate(timeout=PATIENCE)
        self.assertEqual(run.returncode, 128 + signal.SIGTERM)
        for i in range(2):
            self.assertEqual(load(self.run_of("out", i) / "metrics.json")["status"], "interrupted")

    def test_the_limit_of_processor_time_leaves_a_checkpoint(self):
        done = self.run_glesim(XOR, *LONG, "--output", "out", code=128 + signal.SIGXCPU,
                               preexec_fn=limited(resource.RLIMIT_CPU, 1, 60))
        self.assertIn("interrupted after epoch", done.out)
        self.assertTrue((self.run_of("out") / "checkpoint.npz").exists())

    def test_ctrl_z_stops_all_runs_and_fg_lets_them_go_on(self):
        with self.popen(XOR, *LONG, "--seeds", "0-1", "--jobs", "2", "--output", "out", preexec_fn=os.setpgrp) as run:
            pids = self.children(run, 2)
            self.until(lambda: all(self.has_report("out", i) for i in range(2)), "the runs begin")
            run.send_signal(signal.SIGTSTP)
            self.until(lambda: [state(pid) for pid in (run.pid, *pids)] == ["T"] * 3, "all stop")
            run.send_signal(signal.SIGCONT)
            self.until(lambda: "T" not in [state(pid) for pid in (run.pid, *pids)], "all go on")
            run.send_signal(signal.SIGINT)
            run.communicate(timeout=PATIENCE)
        self.assertEqual(run.returncode, 128 + signal.SIGINT)

    def test_exit_codes_of_runs_are_seen_where_children_are_ignored(self):
        done = self.run_glesim(XOR, "--seeds", "0-1", "--output", "out", "--set",
                               "learning={loss: mse, optimizer: {type: sgd, lr: 1e6}}", code=6,
                               preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN))
        self.assertIn("seed 0: out/seed_0: NaN or Inf", done.err)

    def test_no_run_holds_the_pipes_of_another(self):
        with self.popen(XOR, *LONG, "--seeds", "0-2", "--jobs", "3", "--output", "out") as run:
            pids = self.children(run, 3)
            self.until(lambda: all(self.has_report("out", i) for i in range(3)), "the runs begin")
            for pid in pids:
                folder = pathlib.Path(f"/proc/{pid}/fd")
                pipes = [link for fd in folder.iterdir() if (link := os.readlink(fd)).startswith("pipe:")]
                self.assertEqual(len(pipes), 3, pipes)
            run.send_signal(signal.SIGINT)
            run.communicate(timeout=PATIENCE)

    def test_resume_waits_for_an_orphan(self):
        self.run_orphan(["--seeds", "0-1", "--jobs", "2"], 2)

    def run_orphan(self, args, n):
        for _ in range(3):
            with self.popen(XOR, *LONG, *args, "--output", "out", "--resume") as run:
                pids = self.children(run, n)
                self.until(lambda: all(self.has_report("out", i) for i in range(n)), "the runs begin")
                for pid in pids:
                    os.kill(pid, signal.SIGSTOP) # as if a long step, or a slow disk, kept it
                run.kill()
                run.wait()
            with self.popen(XOR, *LONG, *args, "--output", "out", "--resume") as again:
                time.sleep(0.5)
                for pid in pids:
                    os.kill(pid, signal.SIGCONT)
                time.sleep(1.0)
                again.send_signal(signal.SIGINT)
                out, err = again.communicate(timeout=PATIENCE)
            self.assertEqual(again.returncode, 128 + signal.SIGINT, (out, err))
            self.assertNotIn("another process", err)


class Limits(Surroundings):
    def test_fewer_runs_at_a_time_where_few_files_may_be_open(self):
        done = self.run_glesim(XOR, *SHORT, "--seeds", "0-39", "--jobs", "40", "--output", "out",
                               preexec_fn=limited(resource.RLIMIT_NOFILE, 64))
        self.assertRegex(done.err, r"\Aglesim: \d+ runs at a time in place of 40: more open files are not allowed\n\Z")
        self.assertEqual(load(self.folder / "out/summary.json")["completed"], 40)

    def test_a_limit_that_may_be_raised_is_raised(self):
        done = self.run_glesim(XOR, *SHORT, "--seeds", "0-39", "--jobs", "40", "--output", "out",
                               preexec_fn=limited(resource.RLIMIT_NOFILE, 64, 1024))
        self.assertEqual(done.err, "")
        self.assertEqual(load(self.folder / "out/summary.json")["completed"], 40)

    def test_not_even_one(self):
        done = self.run_glesim(XOR, *SHORT, "--seeds", "0-3", "--output", "out", code=5,
                               preexec_fn=limited(resource.RLIMIT_NOFILE, 16))
        self.assertEqual(done.err, "glesim: too few open files are allowed for a run in a process of its own\n")
        self.assertFalse((self.folder / "out").exists())

    def test_a_wait_that_fails_burns_no_processor(self):
        with self.popen(XOR, *LONG, "--seeds", "0-1", "--jobs", "2", "--output", "out") as run:
            self.children(run, 2)
            self.until(lambda: all(self.has_report("out", i) for i in range(2)), "the runs begin")
            usual = resource.prlimit(run.pid, resource.RLIMIT_NOFILE)
            resource.prlimit(run.pid, resource.RLIMIT_NOFILE, (3, usual[1])) # poll() fails for more than these
            time.sleep(1.0)
            stat = pathlib.Path(f"/proc/{run.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
            self.assertLess(sum(map(int, stat[11:13])) / os.sysconf("SC_CLK_TCK"), 0.3, "seconds of processor time")
            resource.prlimit(run.pid, resource.RLIMIT_NOFILE, usual)
            run.send_signal(signal.SIGINT)
            out, err = run.communicate(timeout=PATIENCE)
        self.assertEqual(run.returncode, 128 + signal.SIGINT, err)
        self.assertEqual(out.count("interrupted after epoch"), 2)

    def test_fewer_runs_at_a_time_where_few_processes_may_be(self):
        user = os.geteuid() or 54321 # root has no such limit, and becomes another one for it
        mine = sum(path.stat().st_uid == user for path in pathlib.Path("/proc").glob("[0-9]*/task/*"))

        def become_limited():
            resource.setrlimit(resource.RLIMIT_NPROC, (mine + 40, mine + 40))
            if not os.geteuid():
                os.setuid(user)

        self.folder.chmod(0o777)
        done = self.run_glesim(self.write("xor.yaml", XOR.read_text(encoding="utf-8")), *SHORT, "--seeds", "0-99",
                               "--jobs", "100", "--output", "out", preexec_fn=become_limited)
        self.assertRegex(done.err, r"\Aglesim: \d+ runs? at a time in place of 100: more processes are not allowed\n")
        self.assertEqual(load(self.folder / "out/summary.json")["completed"], 100)

    @unittest.skipIf("GLE_SLOWNESS" in os.environ, "a tool that makes everything slow has threads of its own")
    @unittest.skipIf(b"clang" in subprocess.run([GLESIM, "--version"], capture_output=True, check=True).stdout,
                     "clang's library for threads ends a program by a signal")
    def test_threads_that_cannot_be_made(self):
        done = self.run_glesim(CONFIGS / "mnist1d_e2e.yaml", "--set", "dataset.samples=100", "--set",
                               "training.epochs=1", "--threads", "2", "--output", "out", code=5,
                               env={"OMP_STACKSIZE": "90000G"})
        self.assertIn("glesim: no more threads are to be had; fewer may do: --threads N\n", done.err)

    def test_more_threads_than_numbers_can_say(self):
        for value in ("1000000000000", "5000,2"):
            done = self.run_glesim(XOR, *SHORT, "--output", "out", code=2, env={"OMP_NUM_THREADS": value})
            self.assertEqual(done.err, f"glesim: OMP_NUM_THREADS={value.partition(',')[0]}: a number from 1 to 4096 is "
                                       "wanted\n")
            self.assertFalse((self.folder / "out").exists())
        self.run_glesim(XOR, *SHORT, "--output", "out", env={"OMP_NUM_THREADS": "2,1"})

    def test_the_limit_of_a_files_size_is_an_error_and_leaves_nothing(self):
        done = self.run_glesim(XOR, *SHORT, "--output", "out", code=3, preexec_fn=limited(resource.RLIMIT_FSIZE, 2000))
        self.assertRegex(done.err, r"(?m)^out/seed_1/[a-z]+\.[a-z]+: cannot write: File too large$")
        self.assertEqual([name for name in os.listdir(self.run_of("out")) if name.startswith(".")], [])

    def test_something_else_in_place_of_a_file_of_a_run_is_refused(self):
        for i, (make, kind) in enumerate(((os.mkfifo, "a pipe"), (os.mkdir, "a folder"))):
            for name in ("metrics.json", "checkpoint.npz"):
                for more in ([], ["--resume"], ["--seeds", "1-2"], ["--seeds", "1-2", "--resume"]):
                    with self.subTest(kind=kind, name=name, more=more):
                        out = f"out_{i}_{name[:4]}_{len(more)}_{more[-1:]}"
                        self.run_of(out).mkdir(parents=True)
                        make(self.run_of(out) / name)
                        self.assertEqual(self.run_glesim(XOR, *SHORT, "--output", out, *more, code=3).err,
                                         f"glesim: {out}/seed_1/{name} is {kind}, not a file: remove it, or put this run "
                                         "elsewhere by --output\n")
                        self.assertEqual([path.name for path in (self.folder / out).rglob("*")], ["seed_1", name])

    def test_a_pipe_in_place_of_a_report_is_replaced_by_force(self):
        self.run_of("out").mkdir(parents=True)
        os.mkfifo(self.run_of("out") / "metrics.json")
        self.run_glesim(XOR, *SHORT, "--output", "out", "--force")
        self.assertTrue((self.run_of("out") / "metrics.json").is_file())

    def test_something_else_in_place_of_a_summary_is_found_before_any_run_starts(self):
        for kind, make in (("pipe", os.mkfifo), ("folder", os.mkdir)):
            (self.folder / kind).mkdir()
            make(self.folder / kind / "summary.json")
            done = self.run_glesim(XOR, *SHORT, "--seeds", "0-1", "--output", kind, code=3)
            self.assertEqual(done.err, f"glesim: {kind}/summary.json is a {kind}, not a file: remove it, or put these runs "
                                       "elsewhere by --output\n")
            self.assertEqual(os.listdir(self.folder / kind), ["summary.json"])

    def test_resume_is_named_where_it_works(self):
        self.run_of("out").mkdir(parents=True)
        (self.run_of("out") / "metrics.json").write_text("{", encoding="utf-8")
        self.assertEqual(self.run_glesim(XOR, *SHORT, "--output", "out", code=3).err,
                         "glesim: out/seed_1 holds a run already (unreadable); --force replaces it, --output puts this one "
                         "elsewhere\n")
        self.assertIn("of 2 runs 1 holds another config (the first: out/seed_1/config.yaml: cannot be read: No such file",
                      self.run_glesim(XOR, *SHORT, "--seeds", "0-1", "--output", "out", code=3).err)


class Readers(Surroundings):
    def read_one_line(self, *args, stream="stdout"):
        """Exit code and what the other stream got, of a command whose output is read for one line alone."""
        with self.popen(*args) as run:
            getattr(run, stream).readline()
            getattr(run, stream).close()
            other = run.stderr if stream == "stdout" else run.stdout
            text = other.read()
            run.wait(timeout=PATIENCE)
        return run.returncode, text

    def test_runs_go_on_when_nobody_reads_what_came_of_them(self):
        code, err = self.read_one_line(XOR, *SHORT, "--seeds", "0-5", "--jobs", "1", "--output", "out")
        self.assertEqual((code, err), (0, "glesim: nobody read standard output to its end; the runs have gone on "
                                          "without\n"))
        self.assertEqual(load(self.folder / "out/summary.json")["completed"], 6)

    def test_a_run_goes_on_when_nobody_reads_its_progress(self):
        code, out = self.read_one_line(XOR, "--set", "training.epochs=300", "--output", "out", stream="stderr")
        self.assertEqual(code, 0)
        self.assertIn("completed after epoch 300", out)
        self.assertEqual(load(self.run_of("out") / "metrics.json")["status"], "completed")

    def test_lists_end_in_silence_with_their_reader(self):
        for what in ("--list", "--schema"):
            self.assertEqual(self.read_one_line(what), (0, ""))


class Words(Surroundings):
    def test_a_loss_far_above_that_of_the_untrained_network_is_told(self):
        done = self.run_glesim(XOR, "--set", "learning.optimizer.lr=1e3", "--output", "out")
        self.assertRegex(done.err.splitlines()[-1],
                         r"^glesim: out/seed_1: the training loss is \S+ at the end, far above the \S+ of the untrained "
                         r"network; a smaller learning rate may help$")
        self.assertNotIn("far above", self.run_glesim(XOR, *SHORT, "--output", "good").err)
        done = self.run_glesim(CONFIGS / "lagline.yaml", "--variant", "gle", "--set",
                               "learning.optimizer={type: sgd, lr: 30}", "--set", "training.phases[2].duration=5",
                               "--set", "learning.bounds={weight: [-100, 100], tau_m: [0.1, 10]}", "--output", "phases")
        self.assertIn("of the first phase; a smaller learning rate may help", done.err)

    def test_letters_stand_for_help_and_version(self):
        self.assertEqual(self.run_glesim("-h").out, self.run_glesim("--help").out)
        self.assertEqual(self.run_glesim("-v").out, self.run_glesim("--version").out)
        self.assertEqual(self.run_glesim("-x", code=2).err, "glesim: unknown option -x; glesim --help lists them\n")


if __name__ == "__main__":
    unittest.main(verbosity=2)
