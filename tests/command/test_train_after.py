"""The training set measured after each epoch (training.evaluate.train), as users see it. The program is the one that
GLESIM names. Standard library only."""

import hashlib
import math
import statistics
import unittest

from case import SMALL_CONFIG, XOR, load
from test_data import DataCase, FOUR

AFTER = ["--set", "training.evaluate={train: all}"]
FIRST = ["--set", "training.evaluate={train: {type: first, samples: 7}}"]


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


class TrainAfter(DataCase):
    def setUp(self):
        super().setUp()
        self.small = self.write("small.yaml", SMALL_CONFIG)

    def metrics(self, output, seed=1):
        return load(self.run_of(output, seed) / "metrics.json")

    def assert_no_trace(self, *args, output="with"):
        """Weights with it have the checksum of those without, and so have all other scores."""
        self.run_glesim(*args, "--output", "without", "--quiet", "--force")
        self.run_glesim(*args, *AFTER, "--output", output, "--quiet", "--force")
        for run in sorted(self.folder.glob("without/**/seed_*")):
            other = self.folder / output / run.relative_to(self.folder / "without")
            self.assertEqual(sha256(other / "weights.npz"), sha256(run / "weights.npz"))
            one, two = load(run / "metrics.json"), load(other / "metrics.json")
            for before, after in zip(one["epochs"], two["epochs"], strict=True):
                self.assertNotIn("train_after", before)
                self.assertGreater(after["train_after"]["loss"], 0)
                self.assertEqual([before[split] for split in ("train", "validation", "test")],
                                 [after[split] for split in ("train", "validation", "test")])

    def test_weights_have_the_same_checksum(self):
        self.assert_no_trace(XOR, "--set", "training.epochs=3")
        self.assert_no_trace(XOR.parent / "mnist1d_e2e.yaml", "--set", "training.epochs=2", "--set",
                             "dataset.samples=200", "--set", "dataset.length=40", "--set", "training.validation=0.2",
                             "--threads", "2")

    def test_sweeps_and_seeds(self):
        self.assert_no_trace(self.small, "--set", "sweep={learning.optimizer.lr: [0.01, 0.02]}", "--seeds", "1-2")
        self.assertEqual(len(list(self.folder.glob("with/*/seed_*/weights.npz"))), 4)
        for point in load(self.folder / "with/summary.json")["points"]:
            self.assertEqual(point["final"]["train_after"]["loss"]["n"], 2)

    def test_what_is_told(self):
        done = self.run_glesim(self.small, *AFTER, "--seed", 1, "--output", "out")
        last = self.metrics("out")["final"]
        self.assertRegex(done.err.splitlines()[0], r"epoch 0/2 .*  train_after [0-9.]+ \([0-9.]+ %\)  test ")
        self.assertRegex(done.err.splitlines()[-1], r"epoch 2/2 .*  train [0-9.]+ \([0-9.]+ %\)  train_after [0-9.]+ "
                                                    r"\([0-9.]+ %\)  test ")
        self.assertIn(f"train_after {last['train_after']['loss']:.4f} ({100 * last['train_after']['accuracy']:.1f} %)",
                      done.err.splitlines()[-1])
        self.assertNotEqual(last["train_after"]["loss"], last["train"]["loss"])
        # its time and its steps are told: 25 batches of 20 steps, thrice; and the test set's
        self.assertEqual(self.metrics("out")["timing"]["eval_steps"], 3 * (25 + 1) * 20)
        self.assertEqual(self.run_glesim(self.run_of("out") / "config.yaml", "--check").out.count("ok"), 1)
        self.run_glesim(self.run_of("out") / "config.yaml", "--output", "again", "--quiet")
        self.assertEqual(self.metrics("again")["epochs"][2]["train_after"], last["train_after"])

    def test_a_dry_run_counts_it(self):
        for args, steps in (((), 20), (AFTER, 520), (FIRST, 60)):
            out = self.run_glesim(self.small, *args, "--dry-run").out
            self.assertIn(f"an epoch          500 learning and {steps} evaluating steps", out)

    def test_a_summary_has_it_over_seeds(self):
        self.run_glesim(self.small, *FIRST, "--seeds", "1-3", "--output", "out", "--quiet")
        summary = load(self.folder / "out/summary.json")
        for i, epoch in enumerate(summary["epochs"]):
            for key in "loss", "accuracy":
                values = [self.metrics("out", seed)["epochs"][i]["train_after"][key] for seed in (1, 2, 3)]
                self.assertAlmostEqual(epoch["train_after"][key]["mean"], statistics.fmean(values))
                self.assertAlmostEqual(epoch["train_after"][key]["std"], statistics.pstdev(values))
        self.assertEqual(summary["final"]["train_after"], {**summary["epochs"][2]["train_after"]})

    def test_the_first_samples_are_those_of_the_file(self):
        """What the test set is, too; and of a regression, R^2."""
        y = ("f4", (4, 1), [0.5, -1, 2, 7])
        self.npz(x=FOUR["x"], targets=y, x_test=("f4", (3, 2), FOUR["x"][2][:6]), targets_test=("f4", (3, 1), y[2][:3]))
        config = self.config(outputs=1, loss="mse", training="epochs: 3, batch_size: 2, evaluate: {train: {type: first, "
                                                             "samples: 3}}")
        self.run_glesim(config, "--output", "out")
        for epoch in self.metrics("out", 3)["epochs"]:
            self.assertEqual(epoch["train_after"], epoch["test"])
            self.assertAlmostEqual(epoch["train_after"]["r2"], 1 - epoch["train_after"]["nrmse"] ** 2)
            variance = statistics.pvariance(y[2][:3])
            self.assertAlmostEqual(epoch["train_after"]["nrmse"], math.sqrt(epoch["train_after"]["loss"] / variance), 6)
        for n, why in ((5, r"5, where the training set has 4 samples"), (0, "0 is below the smallest allowed value 1")):
            done = self.run_glesim(config, "--set", f"training.evaluate.train.samples={n}", "--output", "no", code=2)
            self.assertIn(f"training.evaluate.train.samples: {why}\n", done.err)
        # what validation takes is no training sample any more
        done = self.run_glesim(config, "--set", "training.validation=0.5", "--output", "no", code=2)
        self.assertRegex(done.err, r"small\.yaml:\d+:\d+: training\.evaluate\.train\.samples: 3, where the training set "
                                   r"has 2 samples\n")
        self.assertFalse((self.folder / "no").exists())

    def test_it_chooses_and_stops(self):
        done = self.run_glesim(self.small, *AFTER, "--seed", 1, "--output", "out", "--set", "training.epochs=30", "--set",
                               "training.best=train_after_loss", "--set",
                               "training.stop={metric: train_after_loss, patience: 2, min_delta: 0.1}")
        m = self.metrics("out")
        values = [e["train_after"]["loss"] for e in m["epochs"]]
        self.assertTrue(3 <= len(values) - 1 < 30, len(values))
        self.assertEqual((m["best"]["chosen_by"], m["best"]["value"], m["best"]["epoch"]),
                         ("train_after_loss", min(values), values.index(min(values))))
        self.assertEqual(m["stopped_early"]["metric"], "train_after_loss")
        self.assertIn("stopped early by train_after_loss", done.out)
        self.assertTrue((self.run_of("out") / "best_weights.npz").exists())
        self.run_glesim(self.small, *AFTER, "--seed", 1, "--output", "less", "--quiet", "--set",
                        f"training.epochs={len(values) - 1}")
        self.assertEqual(sha256(self.run_of("less") / "weights.npz"), sha256(self.run_of("out") / "weights.npz"))

    def test_without_other_sets_it_is_what_a_run_is_judged_by(self):
        config = self.config("{type: yinyang, train: 40, test: 0, present: 1}", 4, 3,
                             training="epochs: 2, batch_size: 8, evaluate: {train: all}")
        done = self.run_glesim(config, "--output", "out")
        m = self.metrics("out", 3)
        self.assertEqual(m["confusion"]["split"], "train_after")
        self.assertEqual(m["best"]["chosen_by"], "train_after_accuracy")
        matrix = m["confusion"]["matrix"]
        self.assertEqual(sum(map(sum, matrix)), 40)
        self.assertAlmostEqual(sum(matrix[i][i] for i in range(3)) / 40, m["final"]["train_after"]["accuracy"])
        self.assertIn(f"after epoch 2, train_after loss {m['final']['train_after']['loss']:.4g}, train_after accuracy",
                      done.out)
        out = self.run_glesim(config, "--dry-run").out
        self.assertRegex(out, r"evaluating step .*\(batch of 8\)")

    def test_a_batch_larger_than_it_is_told(self):
        args = [self.small, *AFTER, "--force", "--output", "out", "--set"]
        self.assertIn("training.test_batch_size: is larger than the measured part of the training set (100 samples), "
                      "which makes one batch", self.run_glesim(*args, "training.test_batch_size=101").err)
        self.assertNotIn("larger", self.run_glesim(*args, "training.test_batch_size=100").err)

    def test_stopped_in_its_middle_it_is_made_once_more(self):
        config = self.config("{type: yinyang, train: 200, test: 0, present: 2}", 4, 3, training="epochs: 300, batch_size: "
                             "200, test_batch_size: 4, evaluate: {train: all}") # almost all of its steps
        self.run_glesim(config, "--output", "whole", "--quiet")
        self.interrupted(config)
        self.run_glesim(config, "--output", "out", "--resume", "--quiet")
        whole, resumed = (self.metrics(output, 3) for output in ("whole", "out"))
        self.assertEqual([(e["train_after"], e["train"]) for e in whole["epochs"]],
                         [(e["train_after"], e["train"]) for e in resumed["epochs"]])
        self.assertEqual(sha256(self.run_of("out", 3) / "weights.npz"), sha256(self.run_of("whole", 3) / "weights.npz"))
        self.assertEqual(whole["timing"]["eval_steps"], resumed["timing"]["eval_steps"])


if __name__ == "__main__":
    unittest.main()
