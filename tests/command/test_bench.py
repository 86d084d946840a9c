"""Runs tools/bench as a user does, shortly. No speed is asserted. The program is the one that GLESIM_BENCH names.
"""

import os
import subprocess
import unittest

from case import CONFIGS, InFolder, ROOT, load

BENCH = os.path.abspath(os.environ["GLESIM_BENCH"])
SHORT = ["--quick", "--seconds", "0.004"]
MISSING = """glesim: 1
name: missing
dataset: {type: npz, file: nowhere.npz, present: 1.0}
network: {input: 3, layers: [{name: readout, neurons: {count: 2, tau_m: 1.0, tau_r: 1.0}}]}
dt: 0.1
learning: {loss: cross_entropy, optimizer: {type: adam, lr: 1.0e-3}}
training: {epochs: 1, batch_size: 4}
"""


class Bench(InFolder):
    def bench(self, *args, threads="1"):
        """The tables as text, and the JSON."""
        path = self.folder / "bench.json"
        done = subprocess.run([BENCH, *map(str, args), *SHORT, "--threads", threads, "--json", path], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout, load(path)

    def check_speed(self, speed):
        for key in ("us_least", "us_median", "us_mean", "mflop", "gflops", "of_fma_peak", "of_sgemm_peak"):
            self.assertGreater(speed[key], 0.0, key)
        self.assertLessEqual(speed["us_least"], speed["us_median"])
        split = speed["split"]
        self.assertGreater(split["products_us"], 0.0)
        self.assertGreater(split["elementwise_us"], 0.0)
        self.assertAlmostEqual(sum(v for k, v in split.items() if k != "us"), split["us"], delta=0.01 * split["us"])

    def check_row(self, row):
        self.assertEqual((row["threads_asked"], row["threads"]), (1, 1))
        self.check_speed(row["learn"])
        self.check_speed(row["eval"])
        self.assertGreater(row["learn"]["split"]["optimizer_us"], 0.0)
        self.assertEqual(row["eval"]["split"]["optimizer_us"], 0.0)

    def test_says_the_same_of_itself_before_it_is_built(self):
        script = subprocess.run([ROOT / "tools/bench", "--help"], capture_output=True, check=True).stdout
        self.assertIn(b"usage: bench ", script)
        for word in ("--help", "-h"):
            self.assertEqual(subprocess.run([BENCH, word], capture_output=True, check=True).stdout, script)

    def test_measures_steps_against_the_peaks(self):
        text, report = self.bench(CONFIGS / "xor.yaml", CONFIGS / "lagnet.yaml", "--whole", "--no-scaling")
        self.assertEqual([(c["config"], c["variant"], c["by"]) for c in report["configs"]],
                         [("xor", None, "epochs"), ("lagnet", "gle", "phases"), ("lagnet", "adjoint", "phases")])
        for row in report["configs"][:2]:
            self.check_row(row)
        for row in report["configs"]:
            self.assertFalse(row["random_data"])
            self.assertGreater(row["estimated_seconds"], 0.0)
            self.assertGreater(row["measured_seconds"], 0.0)
            self.assertIn(row["config"], text)
        peak, = report["peaks"]
        self.assertEqual(peak["threads"], 1)
        self.assertGreater(peak["fma_gflops"], 0.0)
        self.assertGreater(peak["sgemm_gflops"], 0.0)
        for key in ("date", "version", "commit", "compiler", "blas"):
            self.assertIsInstance(report[key], str)
        for key in ("load_at_start", "load_at_end"):
            self.assertEqual(len(report["machine"][key]), 3)
        self.assertGreater(report["machine"]["processors"], 0)
        self.assertEqual((report["side_by_side"], report["scaling"], report["products"]), ([], [], []))

    def test_measures_networks_side_by_side(self):
        text, report = self.bench(CONFIGS / "xor.yaml", "--no-scaling", threads="1,3")
        row, = report["side_by_side"]
        self.assertEqual((row["config"], row["random_data"], len(row["copies"])), ("xor", False, 3))
        least = [copy["us_least"] for copy in row["copies"]]
        self.assertGreater(min(least), 0.0)
        self.assertAlmostEqual(row["us_a_step"], 1.0 / sum(1.0 / us for us in least), delta=1e-3 * row["us_a_step"])
        self.assertIn("SIDE BY SIDE", text)

    def test_takes_random_data_where_there_is_none(self):
        config = self.folder / "missing.yaml"
        config.write_text(MISSING)
        text, report = self.bench(config, "--no-scaling")
        row, = report["configs"]
        self.assertTrue(row["random_data"])
        self.assertIsNone(row["estimated_seconds"])
        self.check_row(row)
        self.assertRegex(text, r"missing \* +1 \(1\)")

    def test_shows_how_the_cost_grows(self):
        _, report = self.bench("--scaling")
        self.assertEqual(report["configs"], [])
        for axis in ("width", "depth", "batch"):
            rows = [row for row in report["scaling"] if row["axis"] == axis]
            self.assertGreater(len(rows), 4)
            self.assertEqual([row[axis] for row in rows], sorted(row[axis] for row in rows))
            self.assertGreater(rows[-1]["learn"]["mflop"], rows[0]["learn"]["mflop"])
            for row in rows:
                self.check_row(row)

    def test_measures_links(self):
        text, report = self.bench("--links")
        self.assertEqual((report["configs"], report["scaling"]), ([], []))
        calls = {(row["connect"], row["call"]) for row in report["links"]}
        for connect in ("{type: conv, kernel: 5}", "{type: sparse, probability: 0.1}", "dense", "one_to_one"):
            for call in ("forward", "back", "gradient"):
                self.assertIn((connect, call), calls)
        self.assertEqual({row["call"] for row in report["links"] if "pool" in row["connect"]},
                         {"forward", "back", "gradient", "pool", "pool_back"})
        for row in report["links"]:
            self.assertGreater(row["us"], 0.0)
            self.assertEqual(row["gflops"] is None, row["call"].startswith("pool"))
            self.assertIn(row["connect"], text)


if __name__ == "__main__":
    unittest.main(verbosity=2)
