"""tools/plot fig5 fig6, from shortened runs of the program that GLESIM names. Standard library only."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as ElementTree

from case import GLESIM, InFolder, ROOT

CORRECT = "{duration: 9, learn: false, set: {first.tau_m: 1.0, second.tau_m: 2.0}}"
SHORT = {"lagline": f"training.phases=[{CORRECT}, {{duration: 9, learn: false}}, {{duration: 40}}]",
         "lagnet": "training.phases=[{duration: 10, learn: false}, {duration: 30}]"}
STARTS = {"svg": b"<?xml", "pdf": b"%PDF-", "png": b"\x89PNG\r\n\x1a\n"}


def has_packages():
    return not subprocess.run(["/usr/bin/python3", "-c", "import numpy, matplotlib"], stderr=subprocess.DEVNULL,
                              check=False).returncode


def make(folder, name, *options, phases=None):
    subprocess.run([GLESIM, ROOT / "configs" / f"{name}.yaml", "--set", phases or SHORT[name], *options, "--quiet",
                    "--output", folder / name], check=True)


class TeacherFigures(InFolder):
    @classmethod
    def setUpClass(cls):
        cls.runs = pathlib.Path(tempfile.mkdtemp(prefix="glesim-test-"))
        cls.addClassCleanup(shutil.rmtree, cls.runs)
        for name in SHORT:
            make(cls.runs, name)

    def plot(self, *args, code=0):
        done = subprocess.run([ROOT / "tools" / "plot", *args, "--output", self.folder], cwd=self.folder, text=True,
                              capture_output=True, timeout=120, env={**os.environ, "GLESIM": GLESIM}, check=False)
        self.assertEqual(done.returncode, code, done)
        return done

    def texts(self, figure):
        tree = ElementTree.parse(self.folder / f"{figure}.svg")
        return " ".join(" ".join(tree.getroot().itertext()).split())

    def test_both_are_drawn_in_all_formats(self):
        done = self.plot("fig5", "fig6", "--runs", self.runs)
        self.assertEqual(done.stderr, "")
        self.assertEqual(sorted(done.stdout.split()),
                         sorted(f"{figure}.{suffix}" for figure in ("fig5", "fig6") for suffix in STARTS))
        for figure in ("fig5", "fig6"):
            for suffix, start in STARTS.items():
                content = (self.folder / f"{figure}.{suffix}").read_bytes()
                self.assertTrue(content.startswith(start))
            self.assertLess((self.folder / f"{figure}.svg").stat().st_size, 300_000)
        for figure, words in [("fig5", ["GLE", "instantaneous errors", "correct time constants"]),
                              ("fig6", ["gain", "phase", "layer 1, retrospective", "learning begins", "0, or gain 1"])]:
            for word in ["before learning", "after learning", "teacher's value", "loss (mean squared error)", *words]:
                self.assertIn(word, self.texts(figure))

    def test_files_are_the_same_every_time(self):
        contents = []
        for _ in range(2):
            self.plot("fig6", "--runs", self.runs, "--format", "svg")
            contents.append((self.folder / "fig6.svg").read_bytes())
        self.assertEqual(*contents)

    def test_missing_runs_are_named_with_their_commands(self):
        done = self.plot("fig5", "fig6", "--runs", self.folder, code=2)
        self.assertIn("tools/glesim configs/lagline.yaml", done.stderr)
        self.assertIn("tools/glesim configs/lagnet.yaml", done.stderr)
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_a_recording_without_errors_is_said_to_lack_them(self):
        make(self.folder, "lagnet", "--variant", "adjoint", "--set", "record.variables=[r, e]")
        make(self.folder, "lagnet", "--variant", "gle")
        done = self.plot("fig6", "--runs", self.folder, code=4)
        self.assertIn("recording.npz: has no hidden_1.lambda", done.stderr)
        self.assertNotIn("Traceback", done.stderr)

    def test_runs_too_short_for_a_window_are_refused(self):
        idle = "{duration: 0.9, learn: false}"
        for name, figure in [("lagline", "fig5"), ("lagnet", "fig6")]:
            make(self.folder, name, phases=f"training.phases=[{idle}, {idle}, {idle}]")
            done = self.plot(figure, "--runs", self.folder, code=4)
            self.assertIn("too short for a window", done.stderr)

    def test_other_phases_than_the_figure_shows_are_refused(self):
        make(self.folder, "lagline", phases="training.phases=[{duration: 9}]")
        done = self.plot("fig5", "--runs", self.folder, code=4)
        self.assertIn("has 1 phases in place of 3", done.stderr)


if __name__ == "__main__":
    if not has_packages():
        print("no numpy or matplotlib")
        sys.exit(77)
    unittest.main(verbosity=2)
