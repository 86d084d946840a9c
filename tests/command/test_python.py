#!/usr/bin/python3
"""tools/glesim.py as users have it: runs, reports, errors; and the notebook beside it, where nbclient is installed.

Needs numpy, without which it is skipped. The program is the one that GLESIM names.
"""

import importlib.util
import os
import pathlib
import shutil
import signal
import sys
import threading
import time
import unittest
import warnings

from case import CONFIGS, GLESIM, InFolder, PATIENCE, ROOT, XOR

try:
    import numpy as np
except ImportError:
    print("numpy is not installed")
    sys.exit(77)

SHORT = {"training.epochs": 2}


def installed(*modules):
    return all(map(importlib.util.find_spec, modules))


def load_module(path):
    spec = importlib.util.spec_from_file_location("glesim", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Python(InFolder):
    def setUp(self):
        super().setUp()
        shutil.copy(ROOT / "tools/glesim.py", self.folder) # a user's copy
        self.glesim = load_module(self.folder / "glesim.py")
        before = os.getcwd()
        self.addCleanup(os.chdir, before)
        os.chdir(self.folder)
        os.environ["GLESIM"] = GLESIM

    def refused(self, kind, *args, **kwargs):
        with self.assertRaises(kind) as caught:
            self.glesim.run(*args, **kwargs)
        return caught.exception


class Runs(Python):
    def test_a_run_and_what_it_left(self):
        lines = []
        run = self.glesim.run(XOR, progress=lines.append, set={
            **SHORT, "learning.optimizer": {"type": "sgd", "lr": np.float64(0.25)}, "learning.rule": "bp",
            "learning.bounds": {"weight": np.array([-np.inf, 5.0])}, "record": {"every": 4, "variables": ["r"]}})
        self.assertEqual((run.folder, run.name, run.variant, run.seed, run.status, run.message),
                         (pathlib.Path("results/xor/seed_1"), "xor", None, 1, "completed", None))
        self.assertEqual(run.config["learning"]["optimizer"]["lr"], 0.25)
        self.assertEqual((run.config["learning"]["rule"], run.config["learning"]["bounds"]),
                         ("bp", {"weight": ["-.inf", 5.0]}))
        self.assertEqual((run.accuracy, run.loss), (run.final["test"]["accuracy"], run.final["test"]["loss"]))
        self.assertIn("epoch 2/2", lines[-1])
        epochs, loss = run.curve("loss", "train")
        self.assertEqual((epochs.tolist(), loss.tolist()), ([1, 2], [e["train"]["loss"] for e in run.epochs[1:]]))
        self.assertEqual(run.curve()[0].tolist(), [0, 1, 2])
        self.assertEqual(run.weights["hidden.weight"].shape, (8, 2))
        self.assertEqual(run.recording["hidden.r"].shape[1:], (4, 8))
        self.assertEqual((run.confusion.shape, run.confusion.sum()), ((2, 2), 4))
        self.assertRegex(repr(run), r"^<glesim.Run xor, seed 1: completed, accuracy .* %, loss .*; results/xor/seed_1>$")
        again = self.glesim.load("results/xor/seed_1")
        self.assertEqual((again.metrics, again.final), (run.metrics, run.final))
        run = self.glesim.run(XOR, set={**SHORT, "training.evaluate.train": "all"}, output="after")
        self.assertEqual(run.curve("loss", "train_after")[1].tolist(), [e["train_after"]["loss"] for e in run.epochs])
        self.assertEqual([len(again.curve("loss", "train_after")[0]), len(run.curve("loss", "train")[0])], [0, 2])
        told = self.glesim.load(ROOT / "results/reproduced/mnist1d_e2e/seed_12")
        self.assertTrue(told.recording is None and told.predictions is None)

    def test_many_runs(self):
        runs = self.glesim.run(XOR, set=SHORT, seeds=[0, 10, 2], output="many", jobs=2)
        self.assertEqual([run.seed for run in runs], [0, 2, 10])
        losses = [run.loss for run in runs]
        self.assertAlmostEqual(self.glesim.summary("many")["final"]["test"]["loss"]["mean"], np.mean(losses))
        self.assertEqual([run.seed for run in self.glesim.runs(".")], [0, 2, 10])
        self.assertEqual([type(run) for run in self.glesim.run(XOR, set=SHORT, seeds="2", output="many")],
                         [self.glesim.Run]) # there already
        swept = self.glesim.run(XOR, set={**SHORT, "sweep": {"learning.beta": [1, 0.5]}})
        self.assertEqual([run.sweep for run in swept], [{"learning.beta": 0.5}, {"learning.beta": 1}])
        both = self.glesim.run(CONFIGS / "lagline.yaml", variant=["gle", "bp"], set={"training.phases[2].duration": 10})
        self.assertEqual([run.variant for run in both], ["bp", "gle"])
        self.assertEqual(both[1].loss, both[1].final["last_loss"])
        times, loss = both[1].curve("loss")
        self.assertEqual((times.round(6).tolist(), loss.tolist()),
                         ([25, 50.01, 60.01], [p["loss"] for p in both[1].phases]))
        self.assertEqual(both[1].confusion, None)

    def test_errors_of_the_command_are_exceptions_with_its_words(self):
        error = self.refused(self.glesim.ConfigError, XOR, set={"training.epochs": "x", "nothing": 1})
        self.assertEqual(error.code, 2)
        self.assertEqual(len(error.messages), 2)
        self.assertIn("--set training.epochs=x: training.epochs: a whole number is wanted, not 'x'", error.messages)
        self.assertIn("unknown key 'nothing'", str(error))
        error = self.refused(self.glesim.Diverged, CONFIGS / "lagline.yaml", variant="gle",
                             set={"learning.optimizer": {"type": "sgd", "lr": 1e6}})
        self.assertEqual((error.code, [run.status for run in error.runs]), (6, ["diverged"]))
        self.assertRegex(str(error), "NaN or Inf in layer 'first' at step")
        self.glesim.run(XOR, set=SHORT)
        error = self.refused(self.glesim.Error, XOR, set={"training.epochs": 3})
        self.assertIn("results/xor/seed_1 holds a run already", str(error))
        self.assertEqual(self.glesim.run(XOR, set={"training.epochs": 3}, force=True).final["epoch"], 3)
        os.environ["GLESIM"] = "/nowhere/glesim"
        self.assertRegex(str(self.refused(self.glesim.Error, XOR)), "^/nowhere/glesim: cannot be started: ")

    def test_what_the_command_remarks_is_a_warning(self):
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            self.glesim.run(XOR, set={**SHORT, "learning.window": 4})
        self.assertEqual(len(told), 1)
        self.assertIn("learning.window", str(told[0].message))
        self.assertEqual(told[0].filename, __file__)

    def test_the_command_is_found(self):
        del os.environ["GLESIM"]
        path = os.environ["PATH"]
        self.addCleanup(os.environ.__setitem__, "PATH", path)
        os.environ["PATH"] = str(self.folder / "bin")
        with self.assertRaisesRegex(self.glesim.Error, "no command glesim: neither beside"):
            self.glesim.program()
        for place in ("bin/glesim", "glesim"): # beside the file comes first
            (self.folder / place).parent.mkdir(exist_ok=True)
            (self.folder / place).symlink_to(GLESIM)
            self.assertEqual(self.glesim.program(), str(self.folder / place))

    def test_folders_without_a_run(self):
        self.glesim.run(XOR, set=SHORT)
        for call, folder, words in (
                (self.glesim.load, "results", "did you mean results/xor/seed_1, or glesim.runs"),
                (self.glesim.load, "nothing", "nothing/metrics.json: cannot read: No such file"),
                (self.glesim.runs, "nothing", "nothing: no such folder"),
                (self.glesim.summary, "results/xor", "results/xor/summary.json: no such file; runs of several seeds")):
            with self.assertRaisesRegex(self.glesim.Error, words):
                call(folder)
        for text, words in (("{", "no JSON"), ("[]", "not what glesim writes"), ("{}", "no 'name'")):
            pathlib.Path("results/xor/seed_1/metrics.json").write_text(text, encoding="utf-8")
            with self.assertRaisesRegex(self.glesim.Error, words):
                self.glesim.load("results/xor/seed_1")

    def test_an_interrupt_reaches_the_command(self):
        def interrupt():
            end = time.monotonic() + PATIENCE
            while not pathlib.Path("results/xor/seed_1/metrics.json").exists() and time.monotonic() < end:
                time.sleep(0.02)
            os.kill(os.getpid(), signal.SIGINT)
        threading.Thread(target=interrupt).start()
        with self.assertRaises(KeyboardInterrupt):
            self.glesim.run(XOR, set={"training.epochs": 10_000_000})
        self.assertEqual(self.glesim.load("results/xor/seed_1").status, "interrupted")

    @unittest.skipUnless(installed("pandas"), "pandas is not installed")
    def test_tables_of_pandas(self):
        runs = self.glesim.run(XOR, set={**SHORT, "sweep": {"learning.beta": [1, 0.5]}}, seeds="0-1")
        table = self.glesim.to_dataframe("results")
        self.assertEqual(table.groupby("learning.beta")["test_accuracy"].count().to_dict(), {0.5: 2, 1.0: 2})
        self.assertEqual(table["test_loss"].tolist(), [run.loss for run in runs])
        self.assertNotIn("train_after_loss", table)
        measured = self.glesim.run(XOR, set={**SHORT, "training.evaluate.train": "all"}, output="after")
        self.assertEqual(self.glesim.to_dataframe([measured])["train_after_loss"].tolist(),
                         [measured.final["train_after"]["loss"]])
        epochs = self.glesim.to_dataframe(runs[0], epochs=True)
        self.assertEqual(epochs["train_loss"].tolist()[1:], [e["train"]["loss"] for e in runs[0].epochs[1:]])


@unittest.skipUnless(installed("nbclient", "nbformat", "ipykernel", "matplotlib"), "nbclient is not installed")
class Notebook(InFolder):
    def test_the_notebook_runs_as_it_is_shown(self):
        import nbclient
        import nbformat
        for name, place in (("glesim.py", "tools"), ("glesim.ipynb", "tools"), ("xor.yaml", "configs")):
            (self.folder / place).mkdir(exist_ok=True)
            shutil.copy(ROOT / place / name, self.folder / place)
        shown = nbformat.read(self.folder / "tools/glesim.ipynb", as_version=4)
        made = nbformat.read(self.folder / "tools/glesim.ipynb", as_version=4)
        os.environ.update(GLESIM=GLESIM, PYDEVD_DISABLE_FILE_VALIDATION="1") # a warning of the debugger that is there
        nbclient.NotebookClient(made, timeout=100, resources={"metadata": {"path": self.folder / "tools"}}).execute()
        kinds = [[output.output_type for output in cell.get("outputs", [])] for cell in made.cells]
        self.assertEqual([[output.output_type for output in cell.get("outputs", [])] for cell in shown.cells], kinds)
        texts = ["".join(output.get("text", "") for output in cell.get("outputs", [])) for cell in made.cells]
        self.assertIn("tau_r 1.0: 100.0 ± 0.0 % at the end (3 seeds)", "".join(texts))
        self.assertIn("(did you mean 'gle'?)", "".join(texts))
        self.assertEqual(len(list(self.folder.glob("results/notebook/*/seed_*/metrics.json"))), 11)


if __name__ == "__main__":
    unittest.main(verbosity=2)
