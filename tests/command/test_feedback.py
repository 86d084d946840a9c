#!/usr/bin/python3
"""Weights of their own through which errors go back: what a run keeps and tells of them. The program is the one that
GLESIM names. Standard library only.
"""

import math
import struct
import unittest
import zipfile

from case import floats, load
from test_resume import Stopped

CONFIG = """glesim: 1
name: back
dt: 0.1
seed: 3
dataset: {type: yinyang, train: 40, test: 20, present: 1.0}
network:
  input: 4
  layers:
    - {name: hidden, neurons: {count: 6, tau_m: 1.0, tau_r: 0.8}, activation: tanh}
    - name: readout
      neurons: {count: 3, tau_m: 1.0, tau_r: 1.0}
      from: [{layer: hidden, feedback: FEEDBACK}]
learning: {loss: cross_entropy}
training: {epochs: 4, batch_size: 10}
record: {every: 1, layers: [readout], parameters: [weight, feedback]}
diagnose: {gradient: bptt, window: 0.5, every: 20}
"""
KOLEN_POLLACK = "{type: kolen_pollack, decay: 0.1}"
PAL = "{type: pal, lr: 10, decay: 0.04, std: 0.2, tau: 0.3, tau_hp: 0.1}"
# What is written, and whether it moves.
WAYS = [
    ("fixed", False),
    (KOLEN_POLLACK, True),
    (PAL, True),
]


def angle(w, b):
    cosine = sum(x * y for x, y in zip(w, b)) / math.sqrt(sum(x * x for x in w) * sum(y * y for y in b))
    return math.degrees(math.acos(cosine))


def whole_numbers(path, name):
    with zipfile.ZipFile(path) as archive:
        data = archive.read(name + ".npy")
    begin = 10 + struct.unpack("<H", data[8:10])[0]
    return struct.unpack(f"<{(len(data) - begin) // 8}q", data[begin:])


class Feedback(Stopped):
    def run_config(self, *args):
        self.run_glesim(*args, "--output", "out", "--force", "--quiet")
        folder = self.run_of("out", 3)
        return load(folder / "metrics.json"), folder

    def test_angles_are_those_of_the_weights(self):
        for feedback, moves in WAYS:
            with self.subTest(feedback):
                m, folder = self.run_config(self.write("back.yaml", CONFIG.replace("FEEDBACK", feedback)))
                arrays = floats(folder / "recording.npz")
                w, b = arrays["readout.weight"], arrays["readout.feedback"]
                steps = whole_numbers(folder / "recording.npz", "step")
                of = {step: (w[18 * i:][:18], b[18 * i:][:18]) for i, step in enumerate(steps)}
                comparisons = m["diagnostics"]["comparisons"]
                self.assertGreaterEqual(len(comparisons), 6)
                for c in comparisons: # after an evaluation, at least
                    self.assertAlmostEqual(c["layers"]["readout"]["feedback"]["angle"], angle(*of[c["step"] - 1]),
                                           delta=1e-3)
                    self.assertNotIn("feedback", c["layers"]["hidden"])
                angles = [c["layers"]["readout"]["feedback"]["angle"] for c in comparisons]
                self.assertEqual(of[min(of)][1] != of[max(of)][1], moves)
                if moves:
                    self.assertLess(angles[-1], angles[0])
                self.assertEqual(m["network"]["plastic"], 5 * 6 + 7 * 3 + 6 * 3 * moves)
                self.assertEqual(floats(folder / "weights.npz")["readout.feedback"], of[max(of)][1])

    # B of a source, and those of errors that come directly, in phases: set for one, and then back.
    PHASES = """glesim: 1
name: phases
dt: 0.1
seed: 3
dataset: {type: ornstein_uhlenbeck, tau: 1.0, sequences: 4, channels: 2}
network:
  input: 2
  layers:
    - {name: a, neurons: {count: 3, tau_m: 1.0, tau_r: 0.8}, activation: tanh, errors_from: [top, b]}
    - {name: b, neurons: {count: 3, tau_m: 1.0, tau_r: 0.8}, from: [{layer: a, feedback: WAY}, input]}
    - {name: top, neurons: {count: 2, tau_m: 1.0, tau_r: 1.0}, from: [b]}
teacher: {a: {weight: 0.7}}
learning: {loss: mse, optimizer: {type: adam, lr: 1.0e-2}, beta: 1.0}
training:
  phases:
    - {duration: 1}
    - {duration: 2, set: {b.a.feedback: 0.5, a.top.errors_from: [[1, 2], [3, 4], [5, 6]]}}
    - {duration: 1}
record: {every: 1, parameters: [weight, feedback, errors_from]}
"""

    def test_phases_set_them_and_put_them_back(self):
        for way, moves in WAYS:
            with self.subTest(way):
                text = self.PHASES.replace("WAY", way)
                _, folder = self.run_config(self.write("phases.yaml", text))
                arrays = floats(folder / "recording.npz")
                b, direct, w = ([arrays[name][n * t:][:n] for t in range(40)] for name, n in
                                (("b.a.feedback", 9), ("a.top.errors_from", 6), ("b.a.weight", 9)))
                self.assertEqual([t for t in range(40) if b[t] == (0.5,) * 9], list(range(10, 30)))
                self.assertEqual([t for t in range(40) if direct[t] == (1, 2, 3, 4, 5, 6)], list(range(10, 30)))
                self.assertEqual({direct[t] for t in range(40) if not 10 <= t < 30}, {direct[0]})
                self.assertEqual(len(set(w[10:])), 30) # what is set does not keep W from learning
                self.assertEqual(b[30] == b[9], not moves)
                self.assertLess(max(abs(x - y) for x, y in zip(b[30], b[9])), 0.1)
                self.assertEqual(len(set(b[30:])), 10 if moves else 1)

    def test_errors_can_come_directly(self):
        config = CONFIG.replace("feedback: FEEDBACK", "feedback: none").replace("activation: tanh}", "activation: tanh, "
                                                                               "errors_from: [readout]}")
        config = config.replace("parameters: [weight, feedback]", "parameters: [weight, errors_from]").replace(
            "layers: [readout]", "layers: [hidden, readout]")
        m, folder = self.run_config(self.write("direct.yaml", config))
        weights, recorded = floats(folder / "weights.npz"), floats(folder / "recording.npz")
        b = weights["hidden.errors_from"] # (6, 3)
        self.assertEqual(recorded["hidden.errors_from"][:18], b)
        self.assertNotEqual(recorded["hidden.weight"][:24], recorded["hidden.weight"][-24:])
        self.assertEqual(m["network"]["layers"][0]["errors_from"], [{"layer": "readout", "parameters": 18}])
        of = dict(zip(whole_numbers(folder / "recording.npz", "step"),
                      (recorded["readout.weight"][at:][:18] for at in range(0, 10 ** 9, 18))))
        turned = [b[3 * k + i] for i in range(3) for k in range(6)]
        for c in m["diagnostics"]["comparisons"]:
            self.assertAlmostEqual(c["layers"]["hidden"]["errors_from"]["angle"], angle(of[c["step"] - 1], turned),
                                   delta=1e-3)
        self.assertIn("hidden.errors_from       hidden gets the errors of readout, weights (6, 3)\n",
                      self.run_glesim(folder / "config.yaml", "--dry-run", "--output", "x").out)
        # What they are drawn from comes last: the other weights begin as without.
        self.run_glesim(self.write("without.yaml", config.replace(", errors_from: [readout]", "").replace(
            ", errors_from]", "]")), "--set", "training.epochs=0", "--output", "without", "--quiet")
        self.run_glesim(self.folder / "direct.yaml", "--set", "training.epochs=0", "--output", "with", "--quiet")
        one, other = (floats(self.run_of(name, 3) / "weights.npz") for name in ("without", "with"))
        self.assertEqual(one, {name: other[name] for name in one})

    def go_on(self, feedback):
        config = CONFIG.replace("FEEDBACK", feedback).replace("epochs: 4", "epochs: 80")
        self.check(self.write("back.yaml", config))

    def test_runs_that_are_killed_go_on_to_the_same_bits(self):
        self.go_on(KOLEN_POLLACK)

    def test_noise_goes_on_to_the_same_bits(self):
        self.go_on(PAL)


if __name__ == "__main__":
    unittest.main()
