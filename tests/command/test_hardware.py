#!/usr/bin/python3
"""Noise, mismatch and quantized weights from config to files: the same bits on any number of threads, factors in
weights.npz and back, reports, teachers without any of it. The program is the one that GLESIM names. Standard library
only.
"""

import unittest

from case import CONFIGS, XOR, Case, floats, load, without_times

NOISE = ["--set", "network.noise={input: {std: 0.1, tau: 0.5}, membrane: 0.1, rate: {std: 0.05, when: train}}",
         "--set", "network.mismatch={tau_m: 0.2, tau_r: 0.2, error_tau_m: 0.1}",
         "--set", "network.layers[1].quantize.weight={bits: 5, range: 1.5}"]
SHORT = ["--set", "training.epochs=3", "--quiet"]
WIDE = ["--set", "network.layers[0].neurons.count=600", "--set", "training.batch_size=100",
        "--set", "dataset={type: xor, present: 2.0, repeat: 100}"] # worth several threads


class Hardware(Case):
    def test_threads_jobs_and_seeds(self):
        for output, options in (("one", ["--threads", "1"]), ("two", ["--threads", "2"]),
                                ("side", ["--seeds", "1,2", "--jobs", "2"])):
            self.run_glesim(XOR, *NOISE, *WIDE, "--set", "training.epochs=1", "--quiet", *options, "--output", output)
        one, two, side = (self.run_of(output) for output in ("one", "two", "side"))
        for run in two, side:
            self.assertEqual((run / "weights.npz").read_bytes(), (one / "weights.npz").read_bytes())
            self.assertEqual(without_times(load(run / "metrics.json")), without_times(load(one / "metrics.json")))
        self.assertNotEqual(floats(self.run_of("side", 2) / "weights.npz")["hidden.tau_m_factor"],
                            floats(one / "weights.npz")["hidden.tau_m_factor"])

    def test_the_config_that_a_run_leaves_behind_says_it_all(self):
        self.run_glesim(XOR, *NOISE, *SHORT, "--output", "first")
        done = self.run_glesim(self.run_of("first") / "config.yaml", "--output", "again", "--quiet")
        self.assertEqual(done.err, "")
        self.assertEqual((self.run_of("again") / "weights.npz").read_bytes(),
                         (self.run_of("first") / "weights.npz").read_bytes())

    def test_beside_the_network_the_same_is_said(self):
        self.run_glesim(XOR, *SHORT, "--output", "below", "--set", "network.mismatch.tau_m=0.2", "--set",
                        "network.noise={input: {std: 0.1, when: train}, rate: {std: 0.2, when: always}}", "--set",
                        "network.quantize.weight={bits: 5, range: 1.5}")
        self.run_glesim(XOR, *SHORT, "--output", "beside", "--set", "mismatch.tau_m=0.2", "--set",
                        "noise={input: 0.1, rate: {std: 0.2, when: always}, when: train}", "--set",
                        "quantize.weight={bits: 5, range: 1.5}")
        self.run_glesim(self.run_of("beside") / "config.yaml", "--output", "again", "--quiet")
        self.run_glesim(XOR, *SHORT, "--output", "none", "--set", "mismatch={tau_m: 0.0, error_tau_m: 0.0}", "--set",
                        "noise={membrane: 0.0, rate: 0.0, when: always}")
        self.run_glesim(XOR, *SHORT, "--output", "plain")
        below, beside, again, none, plain = (floats(self.run_of(output) / "weights.npz")
                                             for output in ("below", "beside", "again", "none", "plain"))
        self.assertEqual(below, beside)
        self.assertEqual(beside, again)
        self.assertNotEqual(beside, plain)
        self.assertEqual({key: value for key, value in none.items() if key in plain}, plain)
        self.assertEqual(load(self.run_of("beside") / "metrics.json")["network"],
                         load(self.run_of("below") / "metrics.json")["network"])

    def test_the_report_says_what_there_was(self):
        self.run_glesim(XOR, *NOISE, *SHORT, "--output", "out")
        report = load(self.run_of("out") / "metrics.json")
        hidden, readout = report["network"]["layers"]
        self.assertEqual(hidden["noise"], {"input": {"std": 0.1, "tau": 0.5, "when": "always"},
                                           "membrane": {"std": 0.1, "tau": None, "when": "always"},
                                           "rate": {"std": 0.05, "tau": None, "when": "train"}})
        self.assertEqual(readout["quantize"], {"bits": 5, "range": 1.5, "step": 0.1})
        self.assertNotIn("quantize", hidden)
        self.assertEqual(list(hidden["mismatch"]), ["tau_m", "tau_r", "error_tau_m"])
        factors = floats(self.run_of("out") / "weights.npz")["hidden.tau_m_factor"]
        drawn = hidden["mismatch"]["tau_m"]
        self.assertEqual((drawn["std"], drawn["neurons_at_shortest"]), (0.2, 0))
        self.assertAlmostEqual(drawn["drawn_mean"], sum(factors) / 8)
        self.assertAlmostEqual(drawn["drawn_min"], min(factors))
        self.assertAlmostEqual(drawn["drawn_max"], max(factors))
        for found, wanted in zip(report["parameters"]["hidden.tau_m_factor"], factors, strict=True):
            self.assertAlmostEqual(found, wanted)
        self.run_glesim(XOR, *SHORT, "--output", "plain")
        for layer in load(self.run_of("plain") / "metrics.json")["network"]["layers"]:
            self.assertEqual(set(layer) & {"noise", "mismatch", "quantize"}, set())

    def test_time_constants_are_not_below_dt(self):
        self.run_glesim(XOR, "--set", "network.mismatch.tau_m=5", *SHORT, "--output", "out")
        factors = floats(self.run_of("out") / "weights.npz")["hidden.tau_m_factor"]
        drawn = load(self.run_of("out") / "metrics.json")["network"]["layers"][0]["mismatch"]["tau_m"]
        self.assertEqual(drawn["neurons_at_shortest"], sum(factor < 0.1 for factor in factors))
        self.assertGreater(drawn["neurons_at_shortest"], 0)

    def test_factors_are_read_back(self):
        self.run_glesim(XOR, *NOISE, *SHORT, "--output", "first")
        file = self.run_of("first") / "weights.npz"
        back = ["--set", f"network.init.file={file}", "--seed", "7", "--set", "training.epochs=0"]
        done = self.run_glesim(XOR, *NOISE, *back, "--output", "same")
        self.assertNotIn("factor", done.err)
        self.assertEqual(floats(self.run_of("same", 7) / "weights.npz"), floats(file))
        done = self.run_glesim(XOR, *back, "--output", "plain")
        self.assertIn("factor", done.err) # which are not used there
        self.assertNotIn("hidden.tau_m_factor", floats(self.run_of("plain", 7) / "weights.npz"))

    def test_the_plan_shows_it(self):
        out = self.run_glesim(XOR, *NOISE, "--dry-run").out
        self.assertIn("\n  hidden           noise of input 0.1 (tau 0.5), noise of membrane 0.1, noise of rate 0.05 in "
                      "training only, mismatch of tau_m 20 %, mismatch of tau_r 20 %, mismatch of error_tau_m 10 %\n",
                      out)
        self.assertRegex(out, r"\n  readout .* mismatch of error_tau_m 10 %, weights of 5 bits up to 1.5\n")

    def test_a_comparison_meets_the_same_noise(self):
        """So that a rule that is exact agrees with the copy of the network that looks for the exact gradient."""
        self.run_glesim(XOR, *NOISE, *SHORT, "--output", "out", "--set", "learning.rule=bptt", "--set",
                        "learning.window=1.0", "--set", "diagnose={gradient: bptt, window: 1.0, every: 100}", "--set",
                        "learning.plastic=[weight, bias, tau_m, tau_r]")
        comparisons = load(self.run_of("out") / "metrics.json")["diagnostics"]["comparisons"]
        self.assertGreater(len(comparisons), 5)
        for comparison in comparisons:
            for layer in comparison["layers"].values():
                self.assertAlmostEqual(layer["cosine"], 1.0)
                self.assertAlmostEqual(layer["norm_ratio"], 1.0)

    def test_a_teacher_has_none_of_it(self):
        line = [CONFIGS / "lagline.yaml", "--variant", "gle", "--quiet", "--set", "dataset.sequences=2", "--set",
                "training.phases=[{duration: 3}]", "--set", "record={every: 1, variables: [r], layers: [second]}"]
        self.run_glesim(*line, "--output", "plain")
        self.run_glesim(*line, "--output", "noisy", "--set", "network.noise.rate=0.1", "--set",
                        "network.mismatch.tau_m=0.3", "--set", "network.quantize.weight={bits: 2, range: 0.5}")
        plain, noisy = (floats(self.folder / output / "gle/seed_0/recording.npz") for output in ("plain", "noisy"))
        self.assertEqual(plain["target"], noisy["target"])
        self.assertNotEqual(plain["second.r"], noisy["second.r"])
        rates = noisy["second.r"] # of two sequences; an output is the rate of the step before, noise included
        self.assertEqual(noisy["output"][2:], rates[:-2])


if __name__ == "__main__":
    unittest.main()
