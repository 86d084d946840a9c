"""tools/plot tasks, closed loops and filters, from small runs of the program that GLESIM names.

Standard library only; skipped where tools/plot would have to install numpy or matplotlib first.
"""

import json
import math
import shutil
import statistics
import sys
import unittest

from test_plot import PYTHONS, ROOT, Case, can_draw, has_packages, text_of

TASK = """glesim: 1
name: tasks_{name}
seed: 1
dt: 0.2
dataset: {{type: {name}, samples: 40, test_samples: 20}}
network:
  input: {inputs}
  layers:
    - {{name: a, neurons: {{count: 4, tau_m: 1.0, tau_r: 0.4}}, activation: tanh}}
    - {{name: b, neurons: {{count: {outputs}, tau_m: 0.2, tau_r: 0.2}}}}
learning: {{loss: mse, optimizer: {{type: sgd, lr: 1e-2}}}}
training: {{epochs: 3, batch_size: 10, validation: 0.5, state: reset}}
variants: {{gle: {{learning.rule: gle}}, bp: {{learning.rule: bp}}}}
"""
LOOP = """glesim: 1
name: loop
seed: 1
dt: 1.0
dataset: {type: mackey_glass, train: 200, test: 120, length: 40, washout: 5}
network:
  input: 1
  layers:
    - {name: a, neurons: {count: 3, tau_m: 2.0, tau_r: 1.0}, activation: tanh}
    - {name: b, neurons: {count: 1, tau_m: 1.0, tau_r: 1.0}}
learning: {loss: mse, optimizer: {type: adam, lr: 1e-2}}
training: {epochs: 1, batch_size: 5, evaluate: {closed_loop: {after: 10, for: 24}}}
"""
CONVOLUTIONS = """glesim: 1
name: convolutions
seed: 1
dt: 0.1
dataset: {type: xor}
network:
  input: {channels: 1, size: [2]}
  layers:
    - name: few
      neurons: {channels: 30, tau_m: 1.0, tau_r: 1.0}
      from: [{layer: input, connect: {type: conv, kernel: 3, padding: 1}}]
    - name: many
      neurons: {channels: 12, tau_m: 1.0, tau_r: 1.0}
      from: [{layer: few, connect: {type: conv, kernel: 3, padding: 1}}]
    - {name: top, neurons: {count: 2, tau_m: 1.0, tau_r: 1.0}}
learning: {loss: mse, optimizer: {type: adam, lr: 1e-3}}
training: {epochs: 1, batch_size: 4}
"""
# Whether each tile of an image of filters is the filter that the order says; of kernels of one and of two dimensions.
TILES = f"""import sys
sys.path.insert(0, {str(ROOT / "tools")!r})
import numpy as np
from figures.filters import GAP, MOST, WEIGHT, Filters
for shape in ((3, 1, 5), (70, 1, 5, 4), (7, 1, 1, 1), (12, 30, 5), (2, 200, 3, 3), (200, 2, 3, 3), (64, 64, 40),
              (9, 3, 7, 7)):
    weights = np.random.default_rng(1).normal(size=shape)
    filters = Filters("layer.weight", weights)
    image, n = filters.image, 0
    assert filters.n <= MOST and filters.n <= shape[0] * shape[1] and filters.rows * filters.columns >= filters.n, shape
    assert filters.n >= min(shape[0] * shape[1], MOST // 2 + 1), (shape, filters.n)
    for i in range(filters.n):
        row, column = divmod(i, filters.columns)
        tile = weights[i, 0] if shape[1] == 1 else weights[column, row]
        tile = np.atleast_2d(tile)
        high, wide = (size * WEIGHT for size in tile.shape)
        part = image[row * (high + GAP):, column * (wide + GAP):][:high, :wide]
        assert (part == tile.repeat(WEIGHT, 0).repeat(WEIGHT, 1)).all(), (shape, i)
        n += part.size
    assert np.isfinite(image).sum() == n, shape
    assert filters.largest == abs(weights).max()
"""
# Lines of the panels of a closed loop beside what the file has.
LINES = f"""import json, sys
sys.path.insert(0, {str(ROOT / "tools")!r})
import numpy as np
from figures import closed_loop, run
from matplotlib.colors import to_hex
figure, there = run.draw(sys.argv[1]), np.load(sys.argv[1] + "/closed_loop.npz")
found = [axes for axes in figure.axes if axes.get_title(loc="left").startswith("sample ")]
for sample, axes in enumerate(found):
    lines = dict(zip(("target", "open", "closed"), axes.get_lines()))
    assert all((line.get_ydata() == there[name][sample, :, 0]).all() for name, line in lines.items())
    assert all((line.get_xdata() == there["time"]).all() for line in lines.values())
    assert len({{to_hex(line.get_color()) for line in lines.values()}}) == 3
    low, high = axes.get_ylim()
    truth = there["target"][sample]
    assert low <= truth.min() and truth.max() <= high and high - low <= 2.3 * np.ptp(truth)
truth = np.array([-1.0, 1.0, 0.0])
for grown, limits in ((0.0, (-1.1, 1.1)), (1.5, (-1.125, 1.625)), (1e9, (-1.15, 2.15)), (-1e9, (-2.15, 1.15)),
                      (np.nan, (-1.1, 1.1))):
    lines = {{"target": truth, "open": truth, "closed": np.array([0, 0, grown])}}
    assert np.allclose(closed_loop.limits(lines), limits), grown
print(json.dumps([[axes.get_title(loc="left") for axes in found], there["target"].shape]))
"""


class Tasks(Case):
    def make(self, name, *args, code=0, **sizes):
        path = self.folder / f"{name}.yaml"
        path.write_text(TASK.format(name=name, **sizes), encoding="utf-8")
        self.glesim(path, *args, code=code)

    def reports(self, folder):
        return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("seed_[12]/metrics.json"))]

    def best(self, rule, score):
        """What a cell has to say: mean and standard deviation of the test, and the rate, by the reports."""
        def loss(folder):
            return statistics.mean(m["final"]["validation"]["loss"] for m in self.reports(folder))
        folder = min((path for path in rule.iterdir() if path.is_dir()), key=loss)
        return [m["final"]["test"][score] for m in self.reports(folder)], float(folder.name.removeprefix("lr="))

    def rows(self, out):
        return {cells[0]: cells[1:] for cells in ([cell.strip() for cell in line.strip("| ").split("|")]
                                                  for line in out.splitlines() if line.startswith("| "))}

    def test_each_rule_is_told_at_its_best_rate_also_from_summaries(self):
        rates = "sweep={learning.optimizer.lr: [1e-3, 3e-2, 0.1]}"
        self.make("adding", "--set", rates, "--seeds", "1-2", inputs=2, outputs=1)
        self.make("delayed_xor", "--variant", "gle", "--set", "sweep={learning.optimizer.lr: [1e-2, 1e6]}", "--seeds",
                  "1-2", code=6, inputs=1, outputs=2)
        self.make("delayed_xor", "--variant", "bp", "--set", "sweep={learning.optimizer.lr: [1e6]}", code=6, inputs=1,
                  outputs=2)
        results = self.folder / "results"
        shutil.copytree(results, self.folder / "points", ignore=shutil.ignore_patterns("seed_*"))
        shutil.copytree(results, self.folder / "sweeps", ignore=shutil.ignore_patterns("lr=*"))
        (results / "tasks_adding/gle/lr=0.1/seed_7").mkdir()
        (results / "tasks_adding/gle/lr=0.1/seed_7/metrics.json").write_text("{")
        (results / "tasks_adding/late/seed_1").mkdir(parents=True)
        (self.folder / "empty").mkdir()
        calls = [["tasks", "results", "--format", "svg"],
                 ["tasks", "points", "--format", "svg", "--output", "pictures"],
                 ["tasks", "sweeps"], ["tasks", "sweeps", "results", "--output", "both"], ["tasks", "nothing"],
                 ["tasks", "empty"], ["tasks", "results", "--runs", "x"]]
        full, points, sweeps, both, *wrong = self.plot_each(calls)
        for call, folder, (code, out, err), words in ((*each, errors) for *each, errors in zip(
                calls, ("results", "pictures", "sweeps", "both"), (full, points, sweeps, both),
                ("plot: left out: results/tasks_adding/gle/lr=0.1/seed_7", "", "", ""))):
            self.assertEqual((code, err.count("\n")), (0, bool(words)), (call, err))
            self.assertTrue(err.startswith(words), err)
            picture = self.folder / out.rstrip("\n").rpartition("\n\n")[2]
            self.assertEqual(picture.parent.name, folder)
            self.check_picture(picture)
            rows = self.rows(out)
            self.assertEqual(list(rows), ["task", "delayed_xor", "adding"])
            self.assertEqual(rows["task"], ["test", "gle", "bp", "eprop", "bptt_short", "bptt"])
            for rule, cell in zip(("gle", "bp"), rows["adding"][1:]):
                values, rate = self.best(results / "tasks_adding" / rule, "nrmse")
                self.assertRegex(cell, rf"^\d\.\d+ ± 0\.\d+ \(n 2, lr {rate:g}\)$")
                mean, _, std, *_ = cell.split()
                for told, value in ((mean, statistics.mean(values)), (std, statistics.pstdev(values))):
                    rounding = 0.51 * 10.0 ** -len(told.partition(".")[2])
                    self.assertTrue(math.isclose(float(told), value, abs_tol=rounding), (cell, values))
            self.assertEqual(rows["adding"][3:], ["–"] * 3)
            self.assertRegex(rows["delayed_xor"][1], r"^\d+\.\d ± \d+\.\d \(n 2, lr 0\.01\)$")
            self.assertEqual(rows["delayed_xor"][2], "diverged")
            for line in ("- delayed_xor, gle, lr 1e+06: 2 of 2 seeds diverged: 1, 2",
                         "- delayed_xor, bp, lr 1e+06: 1 of 1 seeds diverged: 1",
                         "- left out: copy: no runs; `tools/glesim configs/tasks_copy.yaml --seeds 1-3` makes them",
                         "- left out: adding: no runs of eprop, bptt_short, bptt"):
                self.assertIn(line + "\n", out)
            self.assertIn("the least mean loss on the validation set;", out)
            self.assertEqual("adding: late, which is none of the rules" in out, folder in ("results", "both"))
            self.assertEqual("- no curve: adding, bp" in out, folder in ("sweeps", "both"))
        for folder in ("results", "pictures"):
            text = text_of(self.folder / folder / "tasks.svg")
            bp = f"bp, lr {self.best(results / 'tasks_adding/bp', 'nrmse')[1]:g}"
            for part in ("at the learning rate with the least mean loss on the validation set", "validation NRMSE", bp,
                         "mean of targets", "delayed XOR", "validation accuracy (%)", "chance", "bp: diverged",
                         "adding", "gle, lr 0.01"):
                self.assertIn(part, text)
        for (code, out, err), expected, words in zip(wrong, (4, 2, 2), (
                "nothing: no such folder", "tools/glesim configs/tasks_copy.yaml --seeds 1-3",
                "--runs means nothing to tasks"), strict=True):
            self.assertEqual((code, out, err.count("\n")), (expected, "", 1), err)
            self.assertIn(words, err)


    def test_points_that_diverged_and_tasks_without_a_validation_set(self):
        rates = "sweep={learning.optimizer.lr: [3e-2, 0.1]}"
        for where in ("good", "marred"):
            self.make("adding", "--variant", "gle", "--set", rates, "--seeds", "1-2", "--output",
                      where + "/tasks_adding", inputs=2, outputs=1)
        self.make("adding", "--set", rates, "--set", "training.validation=0", "--output", "good/tasks_of_one's_$own",
                  inputs=2, outputs=1)
        rate = self.best(self.folder / "good/tasks_adding/gle", "nrmse")[1]
        other, = {0.03, 0.1} - {rate}
        path, = self.folder.glob(f"marred/tasks_adding/gle/lr={str(rate).replace('0.03', '3e-2')}/seed_2/metrics.json")
        path.write_text(path.read_text(encoding="utf-8").replace('"completed"', '"diverged"', 1), encoding="utf-8")
        good, marred = self.plot_each([["tasks", where, "--format", "svg"] for where in ("good", "marred")])
        self.assertTrue(self.rows(good[1])["adding"][1].endswith(f"(n 2, lr {rate:g})"), good)
        self.assertTrue(self.rows(marred[1])["adding"][1].endswith(f"(n 2, lr {other:g})"), marred)
        self.assertIn(f"- adding, gle, lr {rate:g}: 1 of 2 seeds diverged: 2\n", marred[1])
        self.assertIn("(of_one's_$own: NRMSE on the training set);", good[1])
        own = {folder.name: self.reports(folder)[0]["final"] for folder in self.folder.glob("good/tasks_of*/bp/lr=*")}
        best = min(own, key=lambda name: own[name]["train"]["nrmse"])
        cell = self.rows(good[1])["of_one's_$own"][2]
        self.assertTrue(cell.endswith(f"(n 1, lr {float(best.removeprefix('lr=')):g})"), cell)
        self.assertAlmostEqual(float(cell.split()[0]), own[best]["test"]["nrmse"], places=3)
        for part in ("of one's $own", "training NRMSE"):
            self.assertIn(part, text_of(self.folder / "good/tasks.svg"))


class Pages(Case):
    def child(self, code, *args):
        return self.call(next(filter(can_draw, PYTHONS)), "-c", code, *args)[0]

    def test_closed_loops_and_filters(self):
        for name, text in (("loop", LOOP), ("convolutions", CONVOLUTIONS)):
            (self.folder / f"{name}.yaml").write_text(text, encoding="utf-8")
            self.glesim(self.folder / f"{name}.yaml")
        loop, filters = self.plot("run", "results/loop/seed_1", "results/convolutions/seed_1", "--format", "svg")
        scores = json.loads((loop.parent / "metrics.json").read_text())["final"]["test"]["closed_loop"]
        closed, opened = (f"NRMSE {each['nrmse']:.3g}, sMAPE {each['smape']:.3g} %"
                          for each in (scores, scores["open_loop"]))
        self.assertIn(f"Closed loop, test set: {closed}; open loop: {opened}", text_of(loop))
        titles, shape = json.loads(self.child(LINES, "results/loop/seed_1"))
        self.assertEqual(titles, [f"sample {i} of {shape[0]}" for i in range(1, 1 + min(3, shape[0]))])
        text = text_of(filters)
        self.assertIn("few: all 30 filters, kernel 3 ", text)
        self.assertRegex(text, r"many: [56]\d of 360 filters, kernel 3 ")
        self.assertNotIn("Closed loop", text)

    def test_images_of_filters_have_the_weights(self):
        self.assertEqual(self.child(TILES), "")


if __name__ == "__main__":
    if not has_packages():
        sys.exit(77) # as meson knows it
    unittest.main(verbosity=2)
