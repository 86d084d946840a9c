"""Early stopping, as users see it. The program is the one that GLESIM names. Standard library only."""

import statistics
import unittest

from case import Case, SMALL_CONFIG, load

STOP = ["--set", "training.epochs=30", "--set", "training.stop={metric: train_loss, patience: 2, min_delta: 0.02}"]
REGRESSION = """glesim: 1
name: small
dt: 0.5
dataset: {type: mackey_glass, train: 24, test: 12, length: 4, washout: 1, discard: 10}
network: {input: 1, layers: [{name: b, neurons: {count: 1, tau_m: 0.7, tau_r: 0.5}}]}
learning: {loss: mse}
training: {epochs: 4, batch_size: 4}
"""


class Stopping(Case):
    def setUp(self):
        super().setUp()
        self.config = self.write("small.yaml", SMALL_CONFIG)

    def test_what_is_said_of_one_run(self):
        done = self.run_glesim(self.config, *STOP, "--seed", 1)
        m = load(self.run_of("results/small") / "metrics.json")
        last = m["final"]["epoch"]
        self.assertTrue(3 <= last < 30, last)
        self.assertEqual((m["status"], len(m["epochs"])), ("completed", last + 1))
        self.assertEqual(m["stopped_early"], {"epoch": last, "metric": "train_loss", "improved_last": last - 2})
        self.assertEqual(m["message"], f"stopped early after epoch {last}: train_loss has not fallen by more than 0.02 "
                                       "for 2 epochs")
        self.assertIn(f"seed_1/metrics.json: completed, stopped early by train_loss after epoch {last}, test loss",
                      done.out)
        self.assertIn(f"epoch {last}/{last}", done.err.splitlines()[-1])
        # it is there, with all of its epochs
        self.assertIn("there already", self.run_glesim(self.config, *STOP, "--seed", 1, "--resume").out)
        # all epochs are made
        done = self.run_glesim(self.config, *STOP, "--seed", 1, "--set", "training.stop.patience=28", "--force")
        m = load(self.run_of("results/small") / "metrics.json")
        self.assertEqual((m["final"]["epoch"], m["stopped_early"], m["message"]), (30, None, None))
        self.assertNotIn("early", done.out)

    def test_a_dry_run_says_at_most(self):
        out = self.run_glesim(self.config, *STOP, "--set", "record={every: 10}", "--dry-run").out
        self.assertRegex(out, r"(?m)^  estimated time    at most .* for at most 30 epochs$")
        self.assertRegex(out, r"(?m)^  recording         at most [0-9]+ records")

    def test_a_summary_is_of_the_runs_that_reach_an_epoch(self):
        self.run_glesim(self.config, *STOP, "--seeds", "3-5,8", "--quiet")
        runs = [load(self.run_of("results/small", seed) / "metrics.json") for seed in (3, 4, 5, 8)]
        s = load(self.folder / "results/small/summary.json")
        lengths = [len(m["epochs"]) for m in runs]
        self.assertGreater(len(set(lengths)), 1, lengths)
        self.assertNotEqual(lengths[0], max(lengths), "the first run is not to be the longest")
        self.assertEqual([e["epoch"] for e in s["epochs"]], list(range(max(lengths))))
        for epoch in s["epochs"]:
            there = [m["epochs"][epoch["epoch"]] for m in runs if len(m["epochs"]) > epoch["epoch"]]
            self.assertEqual((epoch["runs"], epoch["test"]["loss"]["n"]), (len(there), len(there)))
            self.assertAlmostEqual(epoch["test"]["loss"]["mean"], statistics.fmean(e["test"]["loss"] for e in there))
        self.assertEqual(s["final"]["test"]["loss"]["n"], 4)
        self.assertAlmostEqual(s["final"]["test"]["loss"]["mean"],
                               statistics.fmean(m["epochs"][-1]["test"]["loss"] for m in runs))
        self.assertEqual((s["final"]["epoch"]["min"], s["final"]["epoch"]["max"]), (min(lengths) - 1, max(lengths) - 1))
        self.assertEqual((s["stopped_early"]["metric"], s["stopped_early"]["epoch"]["n"]), ("train_loss", 4))

    def test_metrics_that_cannot_be_measured_are_refused(self):
        regression = self.write("regression.yaml", REGRESSION)
        for config, metric, why in (
                (self.config, "validation_loss", "there is no such set (training.validation makes one)"),
                (self.config, "test_nrmse", "the data set has labels"),
                (regression, "test_accuracy", "the data set has no labels"),
                (regression, "validation_nrmse", "there is no such set")):
            done = self.run_glesim(config, "--set", f"training.stop={{metric: {metric}}}", code=2)
            self.assertRegex(done.err, rf"training\.stop\.metric: {metric} cannot be watched: " +
                                       why.replace("(", r"\(").replace(")", r"\)"))
            self.assertFalse((self.folder / "results").exists())


if __name__ == "__main__":
    unittest.main()
