"""Job scripts of tools/slurm: what they are made of, and what they do when Slurm starts and signals them, with
stand-ins for Slurm's commands. tests/long/slurm.py has a real one. The program is the one that GLESIM names.

Standard library only.
"""

import contextlib
import importlib.machinery
import importlib.util
import io
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import unittest
import unittest.mock

sys.dont_write_bytecode = True
from case import Case, GLESIM, PATIENCE, ROOT, SMALL_CONFIG, load

ENDLESS = ["--set", "training.epochs=1000000"]
TIME = ["--time", "2:00:00"]
LOADER = importlib.machinery.SourceFileLoader("slurm", str(ROOT / "tools/slurm"))
TOOL = importlib.util.module_from_spec(importlib.util.spec_from_loader("slurm", LOADER))
LOADER.exec_module(TOOL)
NOTING = """#!/bin/sh
for word; do printf '[%s]' "$word"; done >>"$CALLS/{name}"
echo >>"$CALLS/{name}"
{then}
"""


class Slurm(Case):
    """In a folder whose name a shell would take apart."""

    def setUp(self):
        super().setUp()
        self.folder = self.folder / "it's a shared $folder"
        self.bin, self.calls = self.folder.parent / "bin", self.folder.parent / "calls"
        for folder in (self.folder, self.bin, self.calls):
            folder.mkdir()
        self.config = self.write("a small one.yaml", SMALL_CONFIG).name
        self.stand_in("sbatch", 'case " $* " in *" --wrap"*) echo "8;here" ;; *) cat >"$CALLS/job"; echo "7;here" ;; '
                      'esac')
        self.stand_in("squeue", "echo RUNNING")
        self.stand_in("scontrol")
        self.env = {**os.environ, "PATH": f"{self.bin}:{os.environ['PATH']}", "CALLS": str(self.calls)}

    def stand_in(self, name, then=""):
        """A command that notes its words, and does something."""
        (self.bin / name).write_text(NOTING.format(name=name, then=then), encoding="utf-8")
        (self.bin / name).chmod(0o755)

    def called(self, name):
        path = self.calls / name
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []

    def tool(self, *args, code=0, glesim=GLESIM):
        done = subprocess.run([ROOT / "tools/slurm", *args, *([] if "--" in args else ["--glesim", glesim])],
                              cwd=self.folder, env=self.env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=PATIENCE, check=False)
        self.assertEqual(done.returncode, code, (done.stdout, done.stderr))
        return done.stdout if not code else done.stderr

    def refused(self, *args):
        """What the tool says to wrong arguments, which it does before it starts anything."""
        said = io.StringIO()
        with contextlib.redirect_stderr(said), self.assertRaises(SystemExit) as refusal:
            TOOL.check(TOOL.arguments(list(args)))
        self.assertEqual(refusal.exception.code, 2)
        return said.getvalue()

    def with_mpi(self, answer="MPI 3.1"):
        """A glesim that says whether it knows MPI, and is what it is otherwise."""
        path = self.bin / "glesim of ranks"
        path.write_text(f'#!/bin/sh\n[ "$1" != --version ] || exec echo "{answer}"\nexec {shlex.quote(GLESIM)} "$@"\n',
                        encoding="utf-8")
        path.chmod(0o755)
        return str(path)

    def job(self, *args, glesim=GLESIM):
        """Makes a script. Its path, somewhere else, as Slurm copies it."""
        path = self.folder.parent / "slurm_script"
        path.write_text(self.tool(*args, glesim=glesim), encoding="utf-8")
        return path

    def start_task(self, path, task=0, **env):
        run = subprocess.Popen(["sh", path], cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, start_new_session=True,
                               env={**self.env, "SLURM_JOB_ID": "9", "SLURM_ARRAY_JOB_ID": "7",
                                    "SLURM_ARRAY_TASK_ID": str(task), **env})
        self.addCleanup(run.communicate)
        self.addCleanup(self.end_all, run) # comes first
        return run

    def end_all(self, run):
        try:
            os.killpg(run.pid, signal.SIGKILL)
        except ProcessLookupError: # as it should be
            pass

    def end_of(self, run, code=0):
        out, err = run.communicate(timeout=PATIENCE)
        self.assertEqual(run.returncode, code, (out, err))
        return out, err

    def wait_for_run(self, run, seed=0):
        end = time.monotonic() + PATIENCE
        while not (self.run_of("results/small", seed) / "metrics.json").exists():
            self.assertTrue(run.poll() is None and time.monotonic() < end, "the run does not begin")
            time.sleep(0.01)

    def status(self, seed=0):
        return load(self.run_of("results/small", seed) / "metrics.json")["status"]


class Scripts(Slurm):
    def test_directives_are_what_was_asked_for(self):
        text = self.tool(self.config, *TIME, "--seeds", "0-8,12", "--each", "4", "--at-once", "2",
                         "--partition", "short", "--account", "me", "--cpus", "4", "--mem", "8G", "--glesim", GLESIM,
                         "--", "--gres=gpu:1", "--comment", 'two "words" \\ here', "-x", "node[1-3]")
        lines = text.split("\n")
        self.assertEqual(lines[0], "#!/bin/sh")
        self.assertEqual([line.partition(" ")[2] for line in lines if line.startswith("#SBATCH")],
                         ["--job-name=small", "--array=0-2%2", "--ntasks=1", "--cpus-per-task=4", "--time=2:00:00",
                          "--mem=8G", "--signal=B:USR1@120", "--requeue", "--open-mode=append", "--partition=short",
                          "--account=me", "--gres=gpu:1", r'--comment "two \"words\" \\ here"', '-x "node[1-3]"'])
        self.assertEqual(re.findall(r"--seeds (\S+) ;;", text), ["0-3", "4-7", "8,12"])
        self.assertEqual(self.called("sbatch"), [])

    def test_scripts_are_clean(self):
        paths = []
        for args in (["--seeds", "0-2"], ["--mpi", "2", "--start", "mpirun --bind-to none"]):
            path = self.job(self.config, *TIME, *args, "--output", "here; 'there'", "--set", "description=a\nb",
                            glesim=self.with_mpi())
            subprocess.run(["sh", "-n", path], check=True)
            paths.append(path.rename(self.folder / str(len(paths))))
        if shutil.which("shellcheck"):
            # SC2016: a $ in a name is meant as it stands
            done = subprocess.run(["shellcheck", "--exclude=SC2016", *paths], stdout=subprocess.PIPE, text=True,
                                  check=False)
            self.assertEqual((done.returncode, done.stdout), (0, ""))

    def test_tasks_are_all_runs(self):
        text = SMALL_CONFIG + ("sweep: {learning.beta: [1, 0.5]}\nvariants: {gle: {learning.rule: gle}, "
                               "bp: {learning.rule: bp}}\n")
        swept = self.write("sweep.yaml", text.replace("name: small", "name: swept")).name
        made = self.tool(swept, self.config, *TIME, "--seeds", "0-2", "--each", "2", "--set", "training.epochs=3")
        runs = []
        for words in re.findall(r"^    \d+\) set -- (.*) ;;$", made, re.M):
            runs += self.run_glesim(*shlex.split(words), "--runs").out.splitlines()
        self.assertEqual(runs, self.run_glesim(swept, self.config, "--seeds", "0-2", "--runs").out.splitlines())
        self.assertEqual(len(set(runs)), 15)
        self.assertIn("--summary results/swept results/small", made)
        self.assertIn('set -- "$@" --set training.epochs=3 --resume\n', made)
        self.assertEqual(re.findall(r"set -- (.*) ;;", self.tool(swept, *TIME, "--point", "beta=1", "--variant", "bp")),
                         ["sweep.yaml --variant bp --point beta=1"])

    def test_wrong_arguments_are_told(self):
        for args, message in (
                ([], "--time"),
                (["--time", "soon"], "argument --time: 'soon': a time is wanted, as 90 (minutes), 2:00:00 or 1-12"),
                (["--time", "0:30", "--stop-before", "30"], "--time 0:30 is over before --stop-before 30 has come"),
                ([*TIME, "--each", "2"], "--each goes with --seeds"),
                ([*TIME, "--seeds", "0-1", "--each", "0"], "argument --each: '0': a whole number of at least 1"),
                ([*TIME, "--mpi", "2", "--at-once", "2"], "--at-once is of an array, not of one job of ranks (--mpi)"),
                ([*TIME, "--start", "mpirun"], "--start goes with --mpi"),
                ([*TIME, "--mpi", "2", "--start", ""], "--start: a command is wanted"),
                ([*TIME, "--output", "a\tb"], "--output 'a\\tb': a folder without tabs and line ends is wanted"),
                ([*TIME, "--partition", "a b"], "argument --partition: 'a b' is no name that Slurm could have"),
                ([*TIME, "--sedes", "1"], "unrecognized arguments: --sedes 1"),
                ([*TIME, "--", "--array=1-2"], "--array=1-2 cannot be given to sbatch: it is made of the runs"),
                ([*TIME, "--", "-a1-2"], "-a1-2 cannot be given to sbatch"),
                ([*TIME, "--", "--signal=TERM"], "see --stop-before"),
                ([*TIME, "--", "gpu:1"], "'gpu:1' is no option of sbatch")):
            err = self.refused("--submit", self.config, *args)
            self.assertTrue(err.startswith("tools/slurm: ") and message in err, err)
        self.assertIn("nowhere is no program: build it by tools/setup",
                      self.tool(self.config, *TIME, code=2, glesim="nowhere"))
        self.assertIn("was built without MPI", self.tool(self.config, *TIME, "--mpi", "2", code=2,
                                                         glesim=self.with_mpi("no MPI")))
        self.assertEqual(self.called("sbatch"), [])

    def test_what_glesim_refuses_is_not_submitted(self):
        bad = self.write("bad.yaml", SMALL_CONFIG + "trainin: {}\n").name
        for args, message in (([bad], "bad.yaml:12:1"),
                              ([self.config, "--seeds", "3-1"], "--seeds 3-1: seeds and ranges"),
                              ([self.config, "--set", "seed=1", "--point", "beta=1"], "the file has no sweep")):
            err = self.tool(*args, *TIME, "--submit", code=2)
            self.assertIn(message, err)
            self.assertNotIn("Traceback", err)
        self.assertEqual(self.called("sbatch"), [])

    def test_submission(self):
        said = self.tool("--submit", self.config, *TIME, "--seeds", "0-2", "--account", "me", "--glesim", GLESIM, "--",
                         "--qos=long")
        self.assertEqual(said, "job 7: 3 tasks\njob 8, when that is over: summary of results/small\n")
        first, last = self.called("sbatch")
        self.assertEqual(first, "[--parsable]")
        self.assertTrue(last.startswith("[--parsable][--dependency=afterany:7][--account=me][--qos=long]"
                                        "[--job-name=small-summary][--nodes=1][--ntasks=1]"), last)
        self.assertIn("#SBATCH --qos=long\n", (self.calls / "job").read_text(encoding="utf-8"))
        self.run_glesim(self.config, "--seeds", "0-2")
        (self.folder / "results/small/summary.json").unlink()
        subprocess.run(["sh", "-c", last.partition("[--wrap=")[2][:-1]], cwd="/", stdout=subprocess.DEVNULL, check=True)
        self.assertEqual(load(self.folder / "results/small/summary.json")["completed"], 3)

    def test_what_cannot_be_submitted_is_told(self):
        self.stand_in("sbatch", 'case " $* " in *" --wrap"*) exit 1 ;; esac; echo 7')
        self.assertIn(f"job 7 is submitted, but not the one that makes the summary: {shlex.quote(GLESIM)} --summary "
                      "results/small\n", self.tool(self.config, *TIME, "--submit", code=5))
        self.stand_in("sbatch", "exit 1")
        self.assertEqual(self.tool(self.config, *TIME, "--submit", code=5), "tools/slurm: nothing was submitted\n")
        args = TOOL.arguments([self.config, *TIME])
        said = io.StringIO()
        with unittest.mock.patch.dict(os.environ, self.env), contextlib.redirect_stderr(said):
            with self.assertRaises(SystemExit):
                TOOL.submit(args, "", [], 1001, [])
        self.assertEqual(said.getvalue(), "tools/slurm: nothing was submitted; --each N makes fewer tasks\n")


class Tasks(Slurm):
    def test_a_task_makes_its_runs(self):
        path = self.job(self.config, *TIME, "--seeds", "0-4", "--each", "2")
        out, err = self.end_of(self.start_task(path, 1))
        self.assertEqual((out.split("\n")[0], err), ("job 7_1 on this machine, started again 0 times: glesim "
                                                     "a small one.yaml --seeds 2-3 --resume", ""))
        self.assertEqual(sorted(path.name for path in self.folder.glob("results/small/seed_*")), ["seed_2", "seed_3"])
        _, err = self.end_of(self.start_task(path, 3), 2)
        self.assertEqual(err, "job 7_3: there is no task 3\n")
        self.assertEqual(self.called("scontrol"), [])

    def test_a_task_outside_of_slurm_says_so(self):
        path = self.job(self.config, *TIME)
        done = subprocess.run(["sh", path], stderr=subprocess.PIPE, text=True, check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("is set by Slurm: submit this by sbatch", done.stderr)
        self.assertFalse((self.folder / "results").exists())

    def test_a_task_whose_time_is_up_goes_on_to_the_same_bits(self):
        settings = ["--seeds", "0", "--set", "training.epochs=150"]
        self.run_glesim(self.config, *settings, "--output", "alone")
        path = self.job(self.config, *TIME, *settings)
        run = self.start_task(path)
        self.wait_for_run(run)
        run.send_signal(signal.SIGUSR1) # to the shell, as by --signal=B:USR1
        out, _ = self.end_of(run)
        self.assertTrue(out.endswith("job 7_0: stopped, and goes back to the queue\n"), out)
        self.assertEqual((self.status(), self.called("squeue"), self.called("scontrol")),
                         ("interrupted", ["[--noheader][--jobs][7_0][--format][%T]"], ["[requeue][7_0]"]))
        out, _ = self.end_of(self.start_task(path, SLURM_RESTART_COUNT="1"))
        self.assertIn("started again 1 times", out)
        self.assertEqual(len(self.called("scontrol")), 1)
        report = load(self.run_of("results/small", 0) / "metrics.json")
        self.assertEqual((report["status"], len(report["provenance"]["resumed"])), ("completed", 1))
        self.assertEqual((self.run_of("results/small", 0) / "weights.npz").read_bytes(),
                         (self.run_of("alone", 0) / "weights.npz").read_bytes())

    def test_what_slurm_ends_itself_is_left_to_it(self):
        self.stand_in("squeue", "echo COMPLETING")
        run = self.start_task(self.job(self.config, *TIME, *ENDLESS))
        self.wait_for_run(run)
        os.killpg(run.pid, signal.SIGTERM) # to all of its processes
        run.communicate(timeout=PATIENCE)
        self.assertIn(run.returncode - 128, (signal.SIGTERM, signal.SIGUSR2)) # both come, in any order
        self.assertEqual((self.status(), self.called("scontrol")), ("interrupted", []))

    def test_a_task_does_not_begin_again_for_ever(self):
        run = self.start_task(self.job(self.config, *TIME, *ENDLESS, "--restarts", "3"), SLURM_RESTART_COUNT="3")
        self.wait_for_run(run)
        run.send_signal(signal.SIGUSR1)
        _, err = self.end_of(run, 128 + signal.SIGUSR2)
        self.assertIn("job 7_0: stopped, and has begun again 3 times, which is the most; submitted again, it goes on\n",
                      err)
        self.assertEqual((self.status(), self.called("scontrol")), ("interrupted", []))

    def test_what_fails_is_not_begun_again(self):
        run = self.start_task(self.job(self.config, *TIME, "--set", "learning.loss=mse", "--set",
                                       "learning.optimizer={type: sgd, lr: 1e6}"))
        self.end_of(run, 6)
        self.assertEqual((self.called("squeue"), self.called("scontrol")), ([], []))

    def test_ranks_are_started_by_srun(self):
        self.stand_in("srun", "shift 4; exec \"$@\"")
        path = self.job(self.config, *TIME, "--mpi", "3", "--cpus", "2", "--seeds", "0-1", *ENDLESS,
                        glesim=self.with_mpi())
        run = self.start_task(path)
        self.wait_for_run(run)
        self.assertEqual(self.called("srun"), [f"[--mpi=pmix][-n][3][--cpus-per-task=2][{self.bin}/glesim of ranks]"
                                               "[a small one.yaml][--seeds][0-1][--set][training.epochs=1000000]"
                                               "[--resume]"])
        for child in pathlib.Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text(encoding="ascii").split():
            os.kill(int(child), signal.SIGTERM) # to ranks alone, before a job is preempted
        out, _ = self.end_of(run)
        self.assertIn("job 9: stopped, and goes back to the queue\n", out)
        self.assertEqual((self.status(), self.called("scontrol")), ("interrupted", ["[requeue][9]"]))


if __name__ == "__main__":
    unittest.main()
