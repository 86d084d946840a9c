"""Makes every call that writes fail in turn, and allocations of the libraries: nothing is lost, nothing is half there.

GLESIM names the program, GLE_FAULTS the library that is preloaded into it (shim.c). Standard library only.
"""

import concurrent.futures
import errno
import hashlib
import math
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "command"))
from case import GLESIM, InFolder, ROOT, XOR, floats, load # pylint: disable=wrong-import-position

SHIM = os.path.abspath(os.environ["GLE_FAULTS"])
# Two epochs: of a run with more, the clock says after which of them there is a report.
RUN = [XOR, "--set", "training.epochs=1", "--threads", "1"]
RECORD = ["--set", "record={every: 500, variables: [r], parameters: [weight]}"]
# At most so many of a library's allocations, or of calls that are tried twice, fail, evenly spread over all.
FIRST = 10
MOST = 40 if "GLE_EVERY_ALLOCATION" not in os.environ else sys.maxsize


def flat(values):
    return [x for row in values for x in (flat(row) if isinstance(row, list) else [row])]


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}


def spread(n):
    """Numbers from 1 to n: the first, those of the command line among them, the last, and some between."""
    return sorted({1 + i * n // min(n, MOST) for i in range(min(n, MOST))} | set(range(1, min(n, FIRST) + 1)) | {n})


def is_needless(calls, n):
    """Whether a run does without call n: it opens the folder to hold it against other processes, or closes a file that
    was only made to see whether one can be, or records that are in the recording by then."""
    name, path = calls[n - 1].split()
    if name == "open":
        return path.endswith("/seed_1")
    return name == "close" and (calls[n - 2] == f"open {path}" or path.endswith("/recording.part"))


class Faults(InFolder):
    def run_glesim(self, output, *args, **faults):
        """Runs with GLE_FAULT_... set; returns exit code and standard error."""
        env = {**os.environ, "LD_PRELOAD": SHIM,
               **{"GLE_FAULT_" + key.upper(): str(value) for key, value in faults.items()}}
        done = subprocess.run([GLESIM, *map(str, args), "--quiet", "--output", str(output)], cwd=self.folder, env=env,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=False)
        self.assertEqual(done.stdout, b"")
        return done.returncode, done.stderr.decode()

    def count(self, *args, former=None, **faults):
        """Lines that the shim logs of a run in which nothing fails."""
        output, log = self.folder / "counted", self.folder / "log"
        if former:
            shutil.copytree(former, output)
        code, err = self.run_glesim(output, *args, folder=output, log=log, **faults)
        self.assertEqual((code, err), (0, ""))
        shutil.rmtree(output)
        lines = log.read_text(encoding="utf-8").splitlines()
        log.unlink()
        return lines

    def for_each(self, numbers, check):
        """check(number) for all of them, several at a time."""
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            for future in [pool.submit(check, number) for number in numbers]:
                future.result()

    def check_left(self, run):
        """What a run that failed has left: whole files, and no completed report but with its own weights and config."""
        files = {path.name for path in run.iterdir()} if run.exists() else set()
        self.assertLessEqual(files, {"config.yaml", "metrics.json", "weights.npz", "recording.npz", "checkpoint.npz",
                                     "recording.part"})
        values = {name: floats(run / name) for name in files if name.endswith(".npz")}
        metrics = load(run / "metrics.json") if "metrics.json" in files else None
        if not metrics or metrics["status"] != "completed":
            return metrics
        config = (run / "config.yaml").read_bytes().split(b"expect:\n")[0] # claims are no part of it
        self.assertEqual(metrics["config_sha256"], hashlib.sha256(config).hexdigest())
        for name, value in metrics["parameters"].items():
            self.assertTrue(all(map(math.isclose, flat(value), values["weights.npz"][name])), name)
        return metrics

    def check_message(self, err, output):
        self.assertRegex(err, rf"^{output}\S*: cannot [^:]+: .*\n$")

    def test_every_call_that_fails_is_told(self):
        calls = self.count(*RUN, *RECORD)
        self.assertGreater(len(calls), 80)
        for name in ("mkdir", "open", "write", "fsync", "close", "rename", "pread"):
            self.assertIn(name, {line.split()[0] for line in calls})

        def check(n):
            output = self.folder / str(n)
            for number in (errno.ENOSPC, errno.EIO):
                code, err = self.run_glesim(output, *RUN, *RECORD, folder=output, call=n, errno=number)
                self.assertEqual(code, 0 if is_needless(calls, n) else 3, (calls[n - 1], err))
                if code:
                    self.check_message(err, output)
                self.check_left(output / "seed_1")
                shutil.rmtree(output, ignore_errors=True)
        self.for_each(range(1, len(calls) + 1), check)

    def test_a_disk_that_stays_full_is_told(self):
        n_calls = len(self.count(*RUN, *RECORD))

        def check(n):
            output = self.folder / str(n)
            code, err = self.run_glesim(output, *RUN, *RECORD, folder=output, call=n, errno=errno.ENOSPC, onward=1)
            self.assertEqual(code, 3, err)
            self.check_message(err, output)
            self.check_left(output / "seed_1")
        self.for_each(range(1, n_calls + 1, 3), check)

    def test_a_former_run_stays_whole_or_is_replaced_whole(self):
        former, forced = self.folder / "former", [*RUN, "--set", "learning.optimizer.lr=1e-2", "--force"]
        self.assertEqual(self.run_glesim(former, *RUN, *RECORD)[0], 0)
        old = contents(former / "seed_1")
        calls = self.count(*forced, former=former)

        def check(n):
            output = self.folder / str(n)
            if calls[n - 1].startswith("mkdir ") or is_needless(calls, n): # of a folder that is there
                return
            shutil.copytree(former, output)
            code, err = self.run_glesim(output, *forced, folder=output, call=n, errno=errno.EIO)
            self.assertEqual(code, 3, (calls[n - 1], err))
            self.check_message(err, output)
            metrics = self.check_left(output / "seed_1")
            if metrics and metrics["config"]["learning"]["optimizer"]["lr"] != 1e-2:
                self.assertEqual(contents(output / "seed_1"), old, calls[n - 1])
        self.for_each(range(1, len(calls) + 1), check)

    def test_what_is_left_can_be_resumed(self):
        """From the checkpoint before, where one could not be written."""
        often = [ROOT / "configs" / "xor.yaml", "--set", "training.epochs=1", "--threads", "1", *RECORD,
                 "--set", "checkpoint.minutes=1e-9"]
        calls = self.count(*often)
        self.assertGreater(sum(line.startswith("rename ") and "checkpoint.npz" in line for line in calls), 10)
        self.assertEqual(self.run_glesim(self.folder / "whole", *often)[0], 0)
        whole = contents(self.folder / "whole" / "seed_1")

        def check(n):
            output = self.folder / str(n)
            for more in ({}, {"onward": 1}):
                code, err = self.run_glesim(output, *often, folder=output, call=n, errno=errno.ENOSPC, **more)
                self.assertEqual(code, 0 if is_needless(calls, n) and not more else 3, (calls[n - 1], err))
                if code:
                    self.check_message(err, output)
                self.check_left(output / "seed_1")
                self.assertEqual(self.run_glesim(output, *often, "--resume"), (0, ""), calls[n - 1])
                left = contents(output / "seed_1")
                self.assertEqual(set(left), set(whole), calls[n - 1])
                for name in ("config.yaml", "weights.npz", "recording.npz"):
                    self.assertEqual(left[name], whole[name], (name, calls[n - 1]))
                shutil.rmtree(output)
        self.for_each(spread(len(calls)), check)

    def check_library(self, library, *args, codes=(5,)):
        """codes: of runs that fail."""
        lines = self.count(*args, library=library)
        n_allocations = int(next(line.split()[1] for line in lines if line.startswith("allocations ")))
        self.assertGreater(n_allocations, 0)
        self.assertEqual(self.run_glesim(self.folder / "whole", *args)[0], 0)
        keys = self.all_keys(load(next((self.folder / "whole").glob("**/metrics.json"))))
        shutil.rmtree(self.folder / "whole")

        def check(n):
            output = self.folder / f"{library}-{n}"
            for onward in ({}, {"onward": 1}):
                code, err = self.run_glesim(output, *args, library=library, call=n, **onward)
                self.assertIn(code, (0, *codes), (n, err))
                self.assertEqual(code == 0, err == "", (n, err))
                if code == 5:
                    self.assertRegex(err, "memory|[Mm]alloc", n)
                for report in output.glob("**/metrics.json"):
                    found = self.all_keys(load(report))
                    if code == 0:
                        self.assertEqual(found, keys, n)
                shutil.rmtree(output, ignore_errors=True)
        self.for_each(spread(n_allocations), check)

    def all_keys(self, value):
        """The keys of a report, of all levels, in their order."""
        if isinstance(value, dict):
            return [(key, self.all_keys(item)) for key, item in value.items()]
        return [self.all_keys(item) for item in value] if isinstance(value, list) else None

    def test_a_file_holds_a_run_where_there_are_no_locks(self):
        lock, host = self.folder / "out/seed_1/lock", socket.gethostname()
        env = {**os.environ, "LD_PRELOAD": SHIM, "GLE_FAULT_NO_LOCKS": "1"}
        run = subprocess.Popen([GLESIM, XOR, "--output", "out", "--quiet", "--set", "training.epochs=1000000"],
                               cwd=self.folder, env=env, stderr=subprocess.PIPE)
        self.addCleanup(run.kill)
        end = time.monotonic() + 60
        while not (self.folder / "out/seed_1/metrics.json").exists() and time.monotonic() < end:
            time.sleep(0.01)
        self.assertEqual(lock.read_text(encoding="utf-8"), f"{host} {run.pid}\n")
        code, err = self.run_glesim("out", XOR, "--force", no_locks=1)
        self.assertEqual((code, err.count(f"out/seed_1: process {run.pid} on {host} is at work on this run")), (3, 1), err)
        run.kill()
        run.communicate(timeout=60)
        done = subprocess.run([GLESIM, XOR, "--output", "out", "--force", "--set", "training.epochs=1"], timeout=60,
                              cwd=self.folder, env=env, capture_output=True, text=True, check=True)
        self.assertIn(f"out/seed_1: its file lock is that of process {run.pid} on {host}, which is no more: taken away\n",
                      done.stderr)
        self.assertEqual(sorted(os.listdir(lock.parent)), ["config.yaml", "metrics.json", "weights.npz"])
        lock.write_text("elsewhere 12\n", encoding="utf-8")
        code, err = self.run_glesim("out", XOR, "--force", no_locks=1)
        self.assertEqual((code, err.count("out/seed_1: process 12 on elsewhere is at work on this run, by the file lock "
                                          "there; remove that file if it is not any more\n")), (3, 1), err)
        self.assertTrue(lock.exists())

    def test_memory_that_libyaml_lacks(self):
        self.check_library("libyaml", *RUN)

    def test_memory_that_the_program_lacks(self):
        """And jansson, which allocates through it."""
        self.check_library("glesim", *RUN, *RECORD)
        self.check_library("glesim", ROOT / "configs" / "lagnet.yaml", "--variant", "adjoint", "--set",
                           "training.phases=[{duration: 6}]", "--set", "diagnose={window: 3.0, every: 300}")
        self.check_library("glesim", *RUN, "--set", "sweep={learning.beta: [1, 0.5]}", "--jobs", "1")

    def test_memory_that_libzip_lacks(self):
        self.assertEqual(self.run_glesim(self.folder / "weights", *RUN)[0], 0)
        self.check_library("libzip", *RUN, "--set",
                           f"network.init={{file: {self.folder / 'weights' / 'seed_1' / 'weights.npz'}}}",
                           codes=(4, 5)) # it says of some that the file is no archive


if __name__ == "__main__":
    unittest.main()
