"""Warnings of configs that ask for trouble: each at its place, in these words, once, and only where it is so. The program
is the one that GLESIM names. Standard library only.
"""

import re
import unittest

from case import Case, load
from test_command import write_npz

DEEP = """glesim: 1
name: deep
dt: 0.1
dataset: {type: yinyang, train: 20, test: 10, present: 1.0}
network:
  input: 4
  layers:
    - {name: low, neurons: {count: 3, tau_m: 1.0, tau_r: 0.5}, activation: tanh}
    - {name: high, neurons: {count: 3, tau_m: 1.0, tau_r: 0.5}, activation: tanh}
    - {name: readout, neurons: {count: 3, tau_m: 1.0, tau_r: 1.0}}
learning: {loss: cross_entropy, optimizer: {type: adam, lr: 0.001}}
training: {epochs: 1, batch_size: 10}
"""
LOW, HIGH, TOP = (f"network.layers[{i}].neurons" for i in range(3))
BOTH = [f"{LOW}.tau_m=3.0", f"{LOW}.tau_r=0.1", f"{HIGH}.tau_m=2.5", f"{HIGH}.tau_r=0.1"]


def far(n, layers, gain):
    return (f"warning: errors look far ahead in {n} layers one behind the other, by a tau_m / tau_r (root mean square "
            f"of neurons) of {layers}: where they jump, they are multiplied by {gain} on the way, and updates may grow "
            "wild; ratios of up to 20 mend that, learning.clip or the rule eprop may")


def shortest(bound, layers):
    return (f"warning: tau_m, which is to be learned, begins with the shortest there is, {bound}, in {layers}: these "
            "remember nothing, and learning can but make it longer; a longer tau_m mends that")


TWO = far(2, "25 in 'high' and 30 in 'low'", 750)
DIRECT = ["network.layers[1].from=[{layer: low, feedback: none}]"]
TAUS = ["learning.plastic=[weight, tau_m]"]
# What is set; where and what is said of it; what is set beside it, or otherwise, so that nothing is.
AT_THE_START = [
    (BOTH, HIGH, TWO, [f"{HIGH}.tau_r=0.125"]),
    (BOTH, HIGH, TWO, ["learning.rule=bp"]),
    (BOTH, HIGH, TWO, ["learning.rule=bptt", "learning.window=0.5"]),
    (BOTH, HIGH, TWO, ["training.epochs=0"]),
    (BOTH, HIGH, TWO, [*DIRECT, "network.layers[0].plastic=[]"]),
    # a layer that does not learn passes errors on
    ([*BOTH, "network.layers[1].plastic=[]"], HIGH, TWO, ["network.layers[0].plastic=[]"]),
    # errors of both come straight from the output, or one after the other
    ([*BOTH, *DIRECT, "network.layers[0].errors_from=[high]"], HIGH, TWO, ["network.layers[0].errors_from=[readout]"]),
    ([*BOTH, f"{TOP}.tau_m=4.0", f"{TOP}.tau_r=0.1", "network.layers[1].from=[low, {layer: input, name: x}]",
      "network.layers[2].from=[high, {layer: low, delay: 0.3}]"], TOP,
     far(3, "40 in 'readout', 25 in 'high' and 30 in 'low'", "3e+04"),
     [f"{TOP}.tau_r=1.0", f"{LOW}.tau_r=1.0"]),
    # a few neurons that look far ahead among others do not make it 20
    ([f"{LOW}.tau_m=[3.0, 3.0, 1.0]", f"{LOW}.tau_r=0.1", *BOTH[2:]], HIGH, far(2, "25 in 'high' and 25.2 in 'low'", 629),
     [f"{LOW}.tau_m=[3.0, 1.0, 1.0]"]),
    # by factors that are drawn, of the errors' own time constants
    ([*BOTH[:2], f"{HIGH}.tau_m=1.0", f"{HIGH}.tau_r=0.1", "network.layers[1].mismatch={error_tau_m: 3.0}"], HIGH,
     None, ["network.layers[1].mismatch.error_tau_m=0.1"]),
    ([*TAUS, f"{LOW}.tau_m=[0.1, 2, 0.1]", f"{LOW}.tau_r=0.1"], LOW, shortest("dt = 0.1", "2 of 3 neurons of 'low'"),
     ["network.layers[0].plastic=[weight, tau_r]"]),
    ([*TAUS, f"{HIGH}.tau_m=0.1", f"{HIGH}.tau_r=0.1", f"{TOP}.tau_m=[0.1, 1, 1]"], HIGH,
     shortest("dt = 0.1", "3 of 3 neurons of 'high' and 1 of 3 of 'readout'"),
     [f"{HIGH}.tau_m=0.11", f"{TOP}.tau_m=0.11"]),
    ([*TAUS, "network.integration=exponential", f"{LOW}.tau_m=0.001"], LOW,
     shortest("dt / 100 = 0.001", "3 of 3 neurons of 'low'"), [f"{LOW}.tau_m=0.1"]),
]
FEW = ("warning: a sample has {} steps, fewer than three times the {} that an input takes to the output (each layer is "
       "read a step late), so that little can be learned of it; {} mends that")
SHOWN, HELD = "showing it for longer (present), or a shorter dt,", "holding each frame for more steps (hold, upsample)"
LATE = ["network.layers[1].from=[{layer: low, delay: 0.2}]"]
SKIP = ["network.layers[2].from=[high, {layer: input, delay: 0.1}]"]
# What is set, steps of a sample and of the way, what mends it; what is set beside it so that nothing is said.
WITH_THE_DATA = [
    (["dataset.present=0.8"], 8, 3, SHOWN, ["dataset.present=0.9"]),
    (["dataset.present=0.8"], 8, 3, SHOWN, ["training.epochs=0"]),
    (["dataset.present=1.1", *LATE], 11, 4, SHOWN, ["dataset.present=1.2"]),
    (["dataset.present=0.5", *SKIP], 5, 2, SHOWN, ["dataset.present=0.6"]),
    (["dataset={type: npz, file: frames.npz}"], 8, 3, HELD, ["dataset.hold=2"]),
    (["dataset={type: npz, file: series.npz}", "learning.loss=mse", "training.state=reset"], 8, 3, HELD,
     ["training.state=carry"]),
]


def options(*sets):
    return [word for change in {change.split("=")[0]: change for change in sets}.values() for word in ("--set", change)]


def warnings(done):
    return [line for line in done.err.splitlines() if "warning" in line]


class Trouble(Case):
    def setUp(self):
        super().setUp()
        self.write("c.yaml", DEEP)

    def test_each_is_told_at_its_place_and_only_where_it_is_so(self):
        for sets, path, text, harmless in AT_THE_START:
            with self.subTest(sets=sets, harmless=harmless):
                told = warnings(self.run_glesim("c.yaml", "--check", *options(*sets)))
                self.assertEqual(len(told), 1, told)
                found = re.fullmatch(r"glesim: (?:--set .*|c\.yaml:\d+:\d+): " + re.escape(path) + ": (warning: .*)",
                                     told[0])
                self.assertTrue(found, told)
                if text:
                    self.assertEqual(found[1], text)
                self.assertEqual(warnings(self.run_glesim("c.yaml", "--check", *options(*sets, *harmless))), [])

    def test_files_of_initial_values_count(self):
        """Time constants may have been learned by the run that left them."""
        grown = ["learning.plastic=[tau_m]", "learning.optimizer={type: sgd, lr: 0}"]
        self.run_glesim("c.yaml", "--output", "far", *options(*grown, *BOTH, "training.epochs=1"))
        done = self.run_glesim("c.yaml", "--check", *options("network.init.file=far/seed_0/weights.npz",
                                                             f"{LOW}.tau_r=0.1", f"{HIGH}.tau_r=0.1"))
        self.assertEqual([line.split("neurons: ")[1] for line in warnings(done)], [TWO])
        done = self.run_glesim("c.yaml", "--check", *options("network.init.file=nowhere.npz"))
        self.assertEqual(done.err, "")

    def test_each_is_told_once(self):
        line = f"glesim: c.yaml:9:29: {HIGH}: {TWO}"
        text = DEEP.replace("tau_m: 1.0, tau_r: 0.5", "tau_m: 3.0, tau_r: 0.1", 1)
        self.write("c.yaml", text.replace("tau_m: 1.0, tau_r: 0.5", "tau_m: 2.5, tau_r: 0.1", 1))
        for call in (["--check"], ["--dry-run"], ["--output", "one"], ["--output", "three", "--seeds", "0-2"]):
            self.assertEqual(warnings(self.run_glesim("c.yaml", *call)), [line])
        self.assertEqual(self.run_glesim("c.yaml", "--check", "--quiet").err, "")
        self.assertEqual(self.run_glesim("c.yaml", "--output", "quiet", "--quiet").err, "")
        self.write("c.yaml", DEEP + f'variants: {{first: {{}}, second: {{"{LOW}.tau_m": 4.0, "{HIGH}.tau_m": 4.0}}}}\n'
                   f'sweep: {{"{LOW}.tau_r": [0.2, 0.1, 0.125], "{HIGH}.tau_r": [0.1, 0.2]}}\n')
        done = self.run_glesim("c.yaml", "--check")
        self.assertEqual([told.split("neurons: ", 1)[1] for told in warnings(done)],
                         [far(2, "40 in 'high' and 40 in 'low'", "1.6e+03") +
                          "; so at the point layers_0_.neurons.tau_r=0.1,layers_1_.neurons.tau_r=0.1 of the sweep and at 1 more (in the variant 'second')"])

    def test_samples_of_few_steps(self):
        frames = ("f4", (4, 8, 4), [0.1] * 128)
        write_npz(self.folder / "frames.npz", x=frames, y=("i8", (4,), [0, 1, 2, 0]))
        write_npz(self.folder / "series.npz", x=frames, targets=("f4", (4, 8, 3), [0.1] * 96))
        short = ["--output", "short", "--force"]
        for sets, steps, way, mend, harmless in WITH_THE_DATA:
            with self.subTest(sets=sets, harmless=harmless):
                told = warnings(self.run_glesim("c.yaml", *short, *options(*sets)))
                self.assertEqual([line.split("dataset: ", 1)[1] for line in told], [FEW.format(steps, way, mend)])
                self.assertEqual(warnings(self.run_glesim("c.yaml", *short, *options(*sets, *harmless))), [])
        done = self.run_glesim("c.yaml", "--seeds", "0-2", "--output", "out", *options("dataset.present=0.8"))
        self.assertEqual([line.split("warning")[0] for line in warnings(done)],
                         ["seed 0: glesim: c.yaml:4:10: dataset: "])

    def test_what_was_learned_is_told_in_the_end(self):
        """Steps of 1 take all time constants, which may not pass dt, one way or the other."""
        sets = [*TAUS, "learning.bounds.tau_m=[0.1, 1.5]", "learning.optimizer.lr=1.0"]
        done = self.run_glesim("c.yaml", "--output", "out", *options(*sets))
        layers = load(self.folder / "out/seed_0/metrics.json")["network"]["layers"]
        counts = {layer["name"]: layer["tau_m_at_shortest"] for layer in layers if layer["tau_m_at_shortest"]}
        self.assertTrue(counts)
        words = [f"{n} of 3{'' if i else ' neurons'} of '{name}'" for i, (name, n) in enumerate(counts.items())]
        words = " and ".join([", ".join(words[:-1]), words[-1]] if words[1:] else words)
        self.assertEqual([line for line in done.err.splitlines() if "bound" in line],
                         [f"glesim: out/seed_0: tau_m, which is learned, is at its bound in the end, dt = 0.1, in {words}: "
                          "these remember nothing; learning.bounds.tau_m keeps it longer, and a smaller learning rate "
                          "may"])
        done = self.run_glesim("c.yaml", "--output", "bound", *options(*sets, "learning.bounds.tau_m=[0.2, 1.5]"))
        self.assertNotIn("bound", done.err.replace("bound/seed_0", ""))
        layers = load(self.folder / "bound/seed_0/metrics.json")["network"]["layers"]
        self.assertEqual([layer["tau_m_at_shortest"] for layer in layers], [0, 0, 0])
        self.run_glesim("c.yaml", "--output", "still")
        layers = load(self.folder / "still/seed_0/metrics.json")["network"]["layers"]
        self.assertFalse(any("tau_m_at_shortest" in layer for layer in layers))


if __name__ == "__main__":
    unittest.main()
