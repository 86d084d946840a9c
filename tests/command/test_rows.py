"""One run whose rows are spread over ranks (compute.ranks: rows). The program is the one that GLESIM names, built with
MPI if GLE_MPI is 1.

Standard library only.
"""

import signal
import time
import unittest

from case import PATIENCE, SMALL_CONFIG, floats, load, without_times
from test_command import write_npz
from test_ranks import UnderMpirun

# Eleven samples in batches of four leave three for the last one, and the test set has another number: states are
# carried from batches to larger ones and smaller ones.
CONFIG = """glesim: 1
name: rows
dt: 0.2
dataset: {type: npz, file: data.npz}
network:
  input: 2
  layers:
    - {name: hidden, neurons: {count: 7, tau_m: 1.0, tau_r: 0.5}, activation: tanh, plastic: [weight, bias, tau_m, tau_r]}
    - {name: readout, neurons: {count: 3, tau_m: 1.0, tau_r: 1.0}}
learning: {loss: cross_entropy, optimizer: {type: adam, lr: 1e-2}}
compute: {ranks: rows}
training: {epochs: 2, batch_size: 4, test_batch_size: 5}
variants:
  gle: {learning.rule: gle, learning.clip: 0.5, noise: {input: {std: 0.1, when: always}}}
  gathered: {learning.rule: bp, learning.update: {every: 3}}
  eprop: {learning.rule: eprop, training.state: reset}
  swept: {learning.rule: bptt, learning.window: 1.0, training.decide: last}
"""
PLAYED = CONFIG.replace("epochs: 2, batch_size: 4, test_batch_size: 5",
                        "batch_size: 4, phases: [{duration: 4}, {duration: 2, learn: false}]")
ENDLESS = ["--set", "training.epochs=1000000"]


def spread(values, n):
    """Numbers that differ, by a rule that stays."""
    return [((i * 7919 + values) % 1013) / 506.0 - 1.0 for i in range(n)]


class Rows(UnderMpirun):
    def setUp(self):
        super().setUp()
        n, n_test, steps, inputs = 11, 5, 10, 2
        write_npz(self.folder / "data.npz",
                  x=("f4", (n, steps, inputs), spread(1, n * steps * inputs)),
                  y=("i8", (n,), [i % 3 for i in range(n)]),
                  x_test=("f4", (n_test, steps, inputs), spread(2, n_test * steps * inputs)),
                  y_test=("i8", (n_test,), [i * 2 % 3 for i in range(n_test)]))
        self.config = self.write("rows.yaml", CONFIG)

    def result(self, output, name="metrics.json"):
        """A file of the only run in a folder."""
        return next((self.folder / output).glob(f"**/{name}"))

    def weights(self, output):
        return floats(self.result(output, "weights.npz"))

    def assert_close(self, ours, theirs):
        for name, values in theirs.items():
            scale = max(map(abs, values)) or 1.0
            off = max(abs(a - b) for a, b in zip(ours[name], values))
            self.assertLess(off, 1e-5 * scale, name)

    def test_ranks_make_the_run_of_one_process(self):
        played = self.write("played.yaml", PLAYED)
        for variant, n in (("gle", 3), ("gathered", 2), ("eprop", 2), ("swept", 3), ("played", 2)):
            with self.subTest(variant):
                args = [played, "--variant", "gle"] if variant == "played" else [self.config, "--variant", variant]
                args.append("--quiet")
                self.run_glesim(*args, "--output", f"{variant}_alone")
                self.run_ranks(n, *args, "--output", f"{variant}_spread")
                one, all_ = (load(self.result(f"{variant}_{of}")) for of in ("alone", "spread"))
                self.assert_close(self.weights(f"{variant}_spread"), self.weights(f"{variant}_alone"))
                self.assertEqual((one["provenance"]["ranks"], all_["provenance"]["ranks"]), (1, n))
                self.assertEqual(all_["config"]["compute"]["ranks"], "rows")
                self.assertEqual(all_.get("confusion"), one.get("confusion"))
                for a, b in zip(all_.get("epochs", []), one.get("epochs", [])):
                    for split in ("train", "test"):
                        if b[split]:
                            self.assertAlmostEqual(a[split]["loss"], b[split]["loss"], delta=1e-5 * b[split]["loss"])
                            self.assertEqual(a[split]["accuracy"], b[split]["accuracy"])
