"""Draws figures from small runs with tools/plot. The program is the one that GLESIM names.

Standard library only; skipped where tools/plot would have to install numpy or matplotlib first.
"""

import array
import fcntl
import json
import math
import os
import shutil
import subprocess
import sys
import unittest
import wave
import xml.etree.ElementTree

from case import CONFIGS, GLESIM, InFolder, ROOT

PLOT = ROOT / "tools" / "plot"
ENVIRONMENT = {**os.environ, "GLESIM": GLESIM, "PYTHONDONTWRITEBYTECODE": "1"}
# A stand-in for each network that learns ten classes.
TINY = ["--set", "network.layers=[{name: readout, neurons: {count: 10, tau_m: 1.0, tau_r: 1.0}}]",
        "--set", "dataset.samples=100", "--set", "dataset.length=72", "--set", "training.epochs=2"]


# Prints all axes of pages with their lines.
LOOK = f"""import json, sys
sys.path.insert(0, {str(ROOT / "tools")!r})
from figures import run, style
from matplotlib.colors import to_hex
pages = []
for folder in sys.argv[1:]:
    figure = run.draw(folder)
    figure.draw_without_rendering()
    pages.append([dict(title=axes.get_title(loc="left"), label=axes.get_ylabel(), scale=axes.get_yscale(),
                       empty=not axes.has_data(),
                       row=round(axes.get_window_extent().y1), right=axes.get_window_extent().x1 / figure.bbox.width,
                       lines=[dict(label=line.get_label(), colour=to_hex(line.get_color()), points=len(line.get_xdata()),
                                   look=str([line.get_linestyle(), line.get_linewidth()])) for line in axes.get_lines()])
                  for axes in figure.axes])
many = [[to_hex(colour) for colour in style.colours(n, without=[style.BLACK])] for n in range(1, 60)]
print(json.dumps([pages, many]))
"""
PYTHONS = ("/usr/bin/python3", "python3")
# What tools/plot starts, once for all of the lists of arguments that it is given as JSON.
EACH = f"""import contextlib, io, json, sys
sys.path.insert(0, {str(ROOT / "tools")!r})
import figures.__main__ as plot
ends = []
for args in json.loads(sys.argv[1]):
    sys.argv = ["plot", *args]
    with contextlib.redirect_stderr(io.StringIO()) as err, contextlib.redirect_stdout(io.StringIO()) as out:
        try:
            code = plot.main()
        except SystemExit as end:
            code = end.code
    ends.append((code, out.getvalue(), err.getvalue()))
print(json.dumps(ends))
"""


def can_draw(python):
    code = "import importlib.util as u, sys; sys.exit(not (u.find_spec('numpy') and u.find_spec('matplotlib')))"
    return shutil.which(python) and not subprocess.run([python, "-c", code], check=False).returncode


def has_packages():
    return any(map(can_draw, PYTHONS))


def text_of(svg):
    return " ".join(" ".join(xml.etree.ElementTree.parse(svg).getroot().itertext()).split())


class Case(InFolder):
    def call(self, *args, code=0):
        done = subprocess.run([*map(str, args)], cwd=self.folder, env=ENVIRONMENT, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False, timeout=100)
        self.assertEqual(done.returncode, code, (args, done.stdout, done.stderr))
        self.assertNotIn("Traceback", done.stderr)
        return done.stdout, done.stderr

    def glesim(self, config, *args, code=0):
        return self.call(GLESIM, CONFIGS / config, "--quiet", *args, code=code)

    def plot(self, *args, code=0):
        """The files that it says it wrote, each of which is a picture; in case of an error what it says."""
        out, err = self.call(PLOT, *args, code=code)
        if code:
            self.assertEqual(out, "")
            return err
        self.assertNotIn("Warning", err)
        written = [self.folder / line for line in out.splitlines()]
        for path in written:
            self.check_picture(path)
        self.assertEqual(list(self.folder.glob("**/*.part")), [])
        return written

    def plot_each(self, calls):
        """Exit code, standard output and error of each, all by one process, which takes its time to begin."""
        python = next(python for python in PYTHONS if can_draw(python))
        out, _ = self.call(python, "-c", EACH, json.dumps([[*map(str, args)] for args in calls]))
        return json.loads(out)

    def check_picture(self, path):
        content = path.read_bytes()
        if path.suffix == ".svg":
            self.assertEqual(xml.etree.ElementTree.fromstring(content).tag, "{http://www.w3.org/2000/svg}svg")
        else:
            self.assertTrue(content.startswith({".png": b"\x89PNG\r\n\x1a\n", ".pdf": b"%PDF-"}[path.suffix]), path)
        self.assertGreater(len(content), 5000)

    def make_word(self):
        """A second of sound in the layout of Speech Commands."""
        path = self.folder / "speech" / "left" / "0a1b2c3d_nohash_0.wav"
        path.parent.mkdir(parents=True)
        samples = array.array("h", (round(8000 * math.sin(i * i / 2e5)) for i in range(16000)))
        with wave.open(str(path), "wb") as out:
            out.setparams((1, 2, 16000, len(samples), "NONE", ""))
            out.writeframes(samples.tobytes())


class Figures(Case):
    def test_fig8_stands_beside_what_was_published(self):
        for name in ("mnist1d_e2e", "mnist1d_e2e_42k"):
            self.glesim(f"{name}.yaml", *TINY, "--seeds", "0-1", "--output", f"runs/{name}")
        self.make_word()
        written = self.plot("fig8", "--runs", "runs", "--speech", "speech", "--output", "pictures")
        self.assertEqual([path.name for path in written], ["fig8.svg", "fig8.pdf", "fig8.png"])
        text = text_of(written[0])
        for part in ("“left”, of speech", "GLE 15k, glesim", "GLE 42k, published: 93.5 ± 0.9",
                     "TCN, published: 96.7 ± 0.9", "GRU, published", "MLP, published", "Speech Commands, published:",
                     "91.4 ± 0.2", "mel bin"):
            self.assertIn(part, text)
        words = [text.strip() for text in xml.etree.ElementTree.parse(written[0]).getroot().itertext()]
        self.assertEqual(sorted(word for word in words if word.isalpha() and len(word) == 1), ["a", "b", "c", "d"])
        svg, = self.plot("fig8", "--runs", "runs", "--speech", "nothing", "--output", "pictures", "--format", "svg")
        self.assertIn("datasets/make_speech_corpus", text_of(svg))

    def test_runs_of_the_same_experiment_are_put_together_and_no_others(self):
        name = "mnist1d_static_lagnet"
        self.glesim(f"{name}.yaml", *TINY, "--seed", 1, "--set", "learning.optimizer.lr=1e-2", "--output", f"a/{name}")
        self.glesim(f"{name}.yaml", *TINY, "--seeds", "0-1", "--output", f"b/{name}")
        self.glesim(f"{name}.yaml", *TINY, "--seeds", "1-2", "--output", f"c/{name}")
        for roots, seeds in (("a", "1 seed"), ("abc", "3 seeds")):
            options = [option for root in roots for option in ("--runs", root)]
            svg, = self.plot("fig10", *options, "--output", roots, "--format", "svg")
            self.assertIn(f"({seeds})", text_of(svg))
        again, = self.plot("fig10", "--runs", "b", "--runs", "a", "--runs", "c", "--output", "again", "--format", "svg")
        self.assertEqual(again.read_bytes(), svg.read_bytes())

    def test_the_committed_reports_can_be_drawn(self):
        svg, = self.plot("fig10", "--output", ".", "--format", "svg")
        self.assertIn("glesim: 90.2 ± 0.6 (10 seeds)", text_of(svg))
        for figure, words in (("gradients", "eprop: MNIST-1D"), ("hardware", "test accuracy (%), 3 seeds")):
            svg, = self.plot(figure, "--output", ".", "--format", "svg")
            self.assertIn(words, text_of(svg))

    def test_errors_of_steps_are_of_first_order_or_rounding(self):
        self.glesim("integration.yaml", "--set", "sweep={dt: [0.125, 0.0625, 0.03125, 0.015625]}", "--output",
                    "runs/integration")
        svg, = self.plot("integration", "--runs", "runs", "--output", ".", "--format", "svg")
        text = text_of(svg)
        self.assertEqual((text.count("Euler: order 1.0"), text.count("exponential: order 1.0")), (4, 3))
        self.assertIn("exponential: rounding alone", text)

    def test_what_is_missing_is_said_at_once_with_what_makes_it(self):
        err = self.plot("fig8", "fig10", "--runs", "nothing", code=2)
        self.assertTrue(err.startswith("plot: runs are missing, which these commands make:\n"), err)
        for config in ("mnist1d_e2e.yaml --seeds 12,", "mnist1d_e2e_42k.yaml --seeds 12,",
                       "mnist1d_static_lagnet.yaml --seeds 0-9"):
            self.assertIn(f"    tools/glesim configs/{config}", err)

    def test_wrong_use_is_an_error_of_one_line(self):
        self.assertIn("no figure 'fig7'; there are fig", self.plot("fig7", code=2))
        self.assertIn("'gif' is none of svg, pdf, png", self.plot("fig10", "--format", "gif", code=2))
        self.assertIn("which run?", self.plot("run", code=2))
        (self.folder / "file").write_text("")
        self.assertRegex(self.plot("fig10", "--output", "file", code=3), r"\Aplot: .*: cannot write: .*\n\Z")


class Pages(Case):
    def test_a_run_by_epochs_and_its_seeds(self):
        self.glesim("xor.yaml", "--set", "training.epochs=2", "--seeds", "0-1", "--output", "xor")
        written = self.plot("run", "xor/seed_0", "xor", "xor/seed_1/", "--format", "png,svg")
        self.assertEqual([str(path.relative_to(self.folder)) for path in written],
                         [f"xor/{folder}run.{suffix}" for folder in ("seed_0/", "", "seed_1/")
                          for suffix in ("png", "svg")])
        self.assertIn("xor, seed 0: completed; test accuracy", text_of(written[1]))
        self.assertIn("prediction", text_of(written[1]))
        self.assertIn("2 of 2 seeds completed", text_of(written[3]))
        png, = self.plot("run", "xor/seed_0", "--output", "pictures")
        self.assertEqual(png.parent, self.folder / "pictures")

    def test_the_two_scores_of_the_training_set(self):
        self.glesim("xor.yaml", "--set", "training.epochs=2", "--set", "training.evaluate={train: all}", "--output",
                    "xor", "--seeds", "0-1")
        (run, seeds), _ = self.look("xor/seed_0", "xor")
        for page in run, seeds:
            for axes in page[:2]:
                lines = {line["label"]: line for line in axes["lines"]}
                self.assertEqual(list(lines), ["training, on the way", "training, after the epoch", "test"])
                self.assertEqual([line["points"] for line in lines.values()], [2, 3, 3])
                self.assertEqual(len({line["colour"] for line in lines.values()}), 3)

    def test_recordings_diagnostics_and_teachers(self):
        self.glesim("lagline.yaml", "--variant", "gle", "--output", "lagline",
                    "--set", "training.phases[2].duration=20",
                    "--set", "diagnose={gradient: bptt, window: 4.0, every: 400}")
        svg, = self.plot("run", "lagline/gle/seed_0", "--format", "svg")
        text = text_of(svg)
        for part in ("lagline / gle, seed 0", "first[0][0] second[0][0] teacher", "tau_m", "loss (mse)", "cosine to bptt", "ratio of norms", "prosp_u",
                     "first: r", "whole phase"):
            self.assertIn(part, text)
        (self.folder / "lagline/gle/seed_0/recording.npz").unlink()
        svg, = self.plot("run", "lagline/gle/seed_0", "--format", "svg")
        self.assertIn("value at the end", text_of(svg))

    def look(self, *folders):
        python = next(python for python in PYTHONS if can_draw(python))
        out, err = self.call(python, "-c", LOOK, *folders)
        self.assertEqual(err, "")
        return json.loads(out)

    def test_what_is_drawn_can_be_told_apart(self):
        self.glesim("lagline.yaml", "--variant", "gle", "--output", "lagline",
                    "--set", "training.phases[2].duration=50",
                    "--set", "diagnose={gradient: bptt, window: 0.1, every: 20}")
        names = [f"layer_{i}" for i in range(9)]
        layers = ", ".join(f"{{name: {name}, neurons: {{count: 2, tau_m: 1.0, tau_r: 1.0}}}}" for name in names)
        self.glesim("xor.yaml", "--set", "training.epochs=2", "--set", f"network.layers=[{layers}]", "--output", "xor",
                    "--set", "record={every: 20, variables: [r], parameters: [weight]}",
                    "--set", "diagnose={gradient: bptt, window: 1.0, every: 100}")
        self.glesim("lagnet.yaml", "--variant", "gle", "--output", "lagnet", "--seeds", "5-6", "--set",
                    "training.phases=[{duration: 5}]")
        (taught, deep, seeds), many = self.look("lagline/gle/seed_0", "xor/seed_1", "lagnet/gle")
        by_label = {axes["label"]: axes for axes in taught}
        loss = by_label["loss (mse)"]
        self.assertEqual((loss["scale"], loss["lines"][0]["label"]), ("log", "recorded"))
        # teacher and student, output and target, u and prosp_u: neither in colour nor in kind of line the same
        for axes in taught:
            if axes["label"] in ("weight", "tau_m") or axes["title"] in ("output", "first", "second"):
                first, second = [line for line in axes["lines"] if line["points"]][:2]
                self.assertNotEqual(first["colour"], second["colour"], axes)
                self.assertIn("'--'", second["look"], axes)
        binned = by_label["cosine to bptt\nmedian and quartiles"]["lines"]
        self.assertEqual([(line["label"], line["points"]) for line in binned[:2]], [("first", 60), ("second", 60)])
        for axes in taught + deep + seeds:
            colours = [line["colour"] for line in axes["lines"] if not line["label"].startswith("_")]
            self.assertEqual(len(set(colours)), len(colours), axes)
        cosine = next(axes for axes in deep if axes["label"] == "cosine to bptt")
        self.assertEqual([line["label"] for line in cosine["lines"][:-1]], names)
        self.assertEqual([len(set(colours)) for colours in many], list(range(1, 60)))
        self.assertFalse([colours for colours in many if "#000000" in colours])
        # a summary names its loss, too, and has the teacher's values
        self.assertIn("loss (mse)", [axes["label"] for axes in seeds])
        self.assertIn("teacher", [line["label"] for axes in seeds for line in axes["lines"]])
        # rows reach to the right
        for page in (taught, deep, seeds):
            self.assertFalse([axes for axes in page if axes["empty"]])
            for row in {axes["row"] for axes in page if axes["label"] != "truth"}:
                self.assertGreater(max(axes["right"] for axes in page if axes["row"] == row), 0.7, row)

    def test_evaluations_errors_and_gradients(self):
        self.glesim("xor.yaml", "--output", "xor", "--set", "training={batch_size: 2, test_batch_size: 4, phases: "
                    "[{duration: 20}], evaluate: {every: 2}}", "--set",
                    "record={variables: [r_prime, e, e_inst, v, e_below], gradients: [weight, bias]}", "--seeds", "0-1")
        svg, = self.plot("run", "xor/seed_1", "--format", "svg")
        text = text_of(svg)
        for part in ("xor, seed 1: completed; loss", "; test accuracy", "test accuracy (%)", "test loss (cross entropy)", "hidden: r_prime", "e_inst",
                     "readout: e_below", "hidden: grad_weight", "readout: grad_bias"):
            self.assertIn(part, text)
        svg, = self.plot("run", "xor", "--format", "svg")
        self.assertRegex(text_of(svg), r"2 of 2 seeds completed: mean ± s\.d\.; loss in the last steps \S+; test accuracy \S+ ± \S+ %")
        self.assertIn("accuracy (%)", text_of(svg))

    def test_steps_without_a_target_leave_gaps(self):
        config = self.folder / "delayed.yaml"
        config.write_text("glesim: 1\nname: delayed\nseed: 1\ndt: 0.1\ndataset: {type: delayed_xor, samples: 8}\n"
                          "network: {input: 1, layers: [{name: a, neurons: {count: 2, tau_m: 1.0, tau_r: 0.5}}]}\n"
                          "learning: {loss: cross_entropy}\ntraining: {batch_size: 4, phases: [{duration: 18}, "
                          "{duration: 1}]}\nrecord: {every: 1, sequences: [0]}\n", encoding="utf-8")
        self.glesim(config)
        svg, = self.plot("run", "results/delayed/seed_1", "--format", "svg")
        for part in ("delayed, seed 1: completed", "recorded whole phase last steps", "target"):
            self.assertIn(part, text_of(svg))

    def test_recordings_by_epochs_show_training(self):
        self.glesim("mnist1d_e2e.yaml", *TINY, "--output", "run",
                    "--set", "record={every: 5, neurons: [0, 9], variables: [r]}")
        svg, = self.plot("run", "run/seed_12", "--format", "svg")
        self.assertIn("readout: r", text_of(svg))

    def test_runs_that_came_to_no_good_end(self):
        self.glesim("lagline.yaml", "--variant", "gle", "--output", "lagline", "--set",
                    "learning.optimizer={type: sgd, lr: 1e6}", code=6)
        svg, = self.plot("run", "lagline/gle/seed_0", "--format", "svg")
        self.assertIn("seed 0: diverged (NaN or Inf in layer 'first' at step", text_of(svg))
        report = self.folder / "lagline/gle/seed_0/metrics.json"
        metrics = {**json.loads(report.read_text()), "phases": [], "final": None}
        report.write_text(json.dumps(metrics))
        (report.parent / "recording.npz").write_bytes(b"PK\3\4 cut off")
        self.assertIn("recording.npz: cannot be read as an npz file", self.plot("run", report.parent, code=4))
        (report.parent / "recording.npz").unlink()
        report.write_text(json.dumps({**metrics, "parameters": None}))
        self.assertIn("nothing to draw", self.plot("run", report.parent, code=4))

    def test_a_run_that_was_killed_is_broken_off(self):
        self.glesim("xor.yaml", "--set", "training.epochs=1", "--output", "xor")
        report = self.folder / "xor/seed_1/metrics.json"
        report.write_text(json.dumps({**json.loads(report.read_text()), "status": "running"}))
        svg, = self.plot("run", "xor/seed_1", "--format", "svg")
        self.assertIn("seed 1: broken off", text_of(svg))
        held = os.open(report.parent, os.O_RDONLY)
        self.addCleanup(os.close, held)
        fcntl.flock(held, fcntl.LOCK_EX)
        svg, = self.plot("run", "xor/seed_1", "--format", "svg")
        self.assertIn("seed 1: running", text_of(svg))

    def test_what_glesim_has_not_written_is_refused(self):
        self.glesim("xor.yaml", "--set", "training.epochs=2", "--output", "xor")
        good = json.loads((self.folder / "xor/seed_1/metrics.json").read_text())
        texts = ["[" * 100000, '"\\ud800"', "\0"]
        for key, forged in (("epochs", 3), ("epochs", [1, 2]), ("epochs", [{}]), ("phases", {}), ("name", None),
                            ("config", []), ("final", 1.5), ("parameters", [[1]]), ("parameters", {"a": {"b": 1}}),
                            ("confusion", {"matrix": 3}), ("confusion", {"split": "test", "matrix": [[1], [2, 3]]}),
                            ("diagnostics", {"comparisons": [3]}), ("dataset", None), ("seed", "one"), ("status", 7)):
            texts.append(json.dumps({**good, key: forged}))
        for i, text in enumerate(texts):
            (self.folder / f"forged_{i}").mkdir()
            (self.folder / f"forged_{i}/metrics.json").write_text(text)
        for name in ("metrics", "summary"):
            (self.folder / f"pipe_{name}").mkdir()
            os.mkfifo(self.folder / f"pipe_{name}/{name}.json")
        folders = [f"forged_{i}" for i in range(len(texts))] + ["pipe_metrics", "pipe_summary"]
        for folder, (code, _, err) in zip(folders, self.plot_each(["run", each] for each in folders), strict=True):
            self.assertEqual((code, err.count("\n")), (4, 1), (folder, err))
            self.assertRegex(err, rf"^plot: {folder}")
            self.assertEqual("not a regular file" in err, folder.startswith("pipe"), err)

    def test_folders_without_a_run(self):
        self.glesim("xor.yaml", "--set", "training.epochs=1", "--output", "xor")
        self.assertIn("xor: no run, neither metrics.json nor summary.json; did you mean xor/seed_1?",
                      self.plot("run", "xor", code=4))
        self.assertIn("nothing: no such folder", self.plot("run", "nothing", code=4))
        for wrong, message in (("{", "no JSON"), ("[]", "not the report"), ("{}", "the report of a run: no 'name'")):
            (self.folder / "metrics.json").write_text(wrong)
            self.assertIn(message, self.plot("run", ".", code=4))


if __name__ == "__main__":
    if not has_packages():
        sys.exit(77) # as meson knows it
    unittest.main(verbosity=2)
