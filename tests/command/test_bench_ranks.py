"""tools/bench_ranks: what it works out of what a dry run says, and that it can be run. No speed is asserted. The program
is the one that GLESIM names, built with MPI if GLE_MPI is 1.

Standard library only.
"""

import os
import subprocess
import sys
import unittest

from case import CONFIGS, Case, GLESIM, PATIENCE, ROOT, XOR, load
from test_ranks import LONG_ONES, has_mpirun

BENCH = ROOT / "tools/bench_ranks"
# What mpirun would show: 100 us and 60 us of computation, sums of 20 us, and a model of networks.
SAID = """  parameters        1000, of which 1000 learn
  sums of gradients 1008 numbers in 20 us here; a message takes 4 us and 1 s for 5 GB, adding a number 0.5 ns
    ranks   rows  computation        here faster   10 Gbit/s faster  100 Gbit/s faster
        1    100       100 us        0 us   1.00        0 us   1.00        0 us   1.00
        2     50        60 us       20 us   1.25      0.1 ms   0.62        5 us   1.54
"""


class BenchRanks(Case):
    def bench(self, *args, code=0, path=os.environ["PATH"]):
        done = subprocess.run([sys.executable, BENCH, *map(str, args)], cwd=self.folder, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=4 * PATIENCE, env={**os.environ, "PATH": path},
                              check=False)
        self.assertEqual(done.returncode, code, done.stderr)
        return done.stdout if not code else done.stderr

    def test_batches_are_worked_out_of_what_a_dry_run_says(self):
        said = self.write("said", SAID)
        self.write("mpirun", f"#!/bin/sh\nexec cat {said}\n").chmod(0o755)
        out = self.bench(XOR, "--glesim", GLESIM, "--ways", "shared", "--rounds", "2", "--json", "out.json",
                         path=f"{self.folder}:{os.environ['PATH']}")
        self.assertIn("xor: 1000 parameters, batches of 100\n  one rank          100 us a step; of 50 rows 60 us\n", out)
        # a row takes 0.8 us; half of 50 rows take 20 us
        self.assertIn("  shared memory     20 us a sum; two ranks are 1.25 times as fast as one; they pay from batches of "
                      "50 on\n", out)
        one = load(self.folder / "out.json")["configs"][0]
        for name, batch in (("shared", 50.0), ("10 Gbit/s", 250.0), ("100 Gbit/s", 12.5)):
            self.assertAlmostEqual(one["pays_from"][name], batch, places=6)
        self.assertEqual(one["messages"], {"shared": 4e-6})

    def test_what_is_refused(self):
        self.assertIn("missing.yaml: no such file", self.bench("missing.yaml", code=2))
        self.assertIn("--ways air: shared and tcp are there", self.bench("--ways", "air", code=2))
        self.assertIn("--rounds 0: at least one", self.bench("--rounds", 0, code=2))

    def test_numbers_stand_in_for_speech_that_is_not_there(self):
        bench = {"__name__": "bench_ranks", "__file__": str(BENCH)}
        exec(compile(BENCH.read_text(encoding="utf-8"), BENCH, "exec"), bench) # it has no suffix to be imported by
        text = (CONFIGS / "gsc_mel_gle.yaml").read_text(encoding="utf-8")
        config = self.write("gsc_mel_gle.yaml", text.replace("../datasets/", "nowhere/"))
        (self.folder / "made").mkdir()
        copy, made = bench["with_data"](config, self.folder / "made")
        self.assertTrue(made)
        self.run_glesim(copy, "--check", "--quiet")
        if not LONG_ONES: # of what stands in, the data are not read
            return
        out = self.run_glesim(copy, "--dry-run", "--set", "training.batch_size=2", "--set",
                              "training.test_batch_size=2").out
        self.assertIn("  data set npz: 256 training, 12 validation, 12 test samples of 80 steps x 32 channels, 12 targets", out)
        self.assertIn("  parameters        1160262, ", out)

    @unittest.skipUnless(LONG_ONES and os.environ.get("GLE_MPI") == "1" and has_mpirun(), "one of tests/long, with mpirun")
    def test_it_measures(self):
        out = self.bench(XOR, "--glesim", GLESIM, "--rounds", "1", "--json", "out.json")
        self.assertIn("loopback TCP", out)
        one = load(self.folder / "out.json")["configs"][0]
        self.assertEqual((one["parameters"], one["batch"], one["half"]), (42, 4, 2))
        for cost in (one["step"], one["half_step"], *one["sums"].values(), *one["messages"].values()):
            self.assertGreater(cost, 0.0)


if __name__ == "__main__":
    unittest.main()
