#!/usr/bin/python3
"""Networks that are no chains: what the command shows of them, and that their runs are kept, resumed and begun from as
those of chains. The program is the one that GLESIM names.

Standard library only; Graphviz draws pictures where it is installed.
"""

import shutil
import struct
import subprocess
import unittest
import zipfile

from case import ROOT, XOR, load, without_times
from test_resume import Stopped

# Lateral, late, top-down, one-to-one, sparse, errors through weights of their own; the output is not the last layer.
NETWORK = """glesim: 1
name: round
dt: 0.1
seed: 7
dataset: {type: xor}
network:
  input: 2
  output: readout
  layers:
    - name: hidden
      neurons: {count: 8, tau_m: 1.0, tau_r: 0.5}
      activation: tanh
      from:
        - input
        - {layer: hidden, weight: {init: normal, std: 0.05}}
        - {layer: hidden, name: lateral, delay: 0.5, connect: one_to_one, weight: 0.02, plastic: false}
        - {layer: readout, delay: 0.4, feedback: none}
        - {layer: input, name: late, delay: 1.0, connect: {type: sparse, probability: 0.5}}
    - name: readout
      neurons: {count: 2, tau_m: 1.0, tau_r: 1.0}
      from: [hidden, {layer: side, feedback: {type: fixed, weight: {init: normal, std: 0.2}}}]
    - {name: side, neurons: {count: 4, tau_m: 1.0, tau_r: 1.0}, activation: tanh, from: [input]}
learning: {loss: mse, plastic: [weight, bias, tau_m], optimizer: {type: adam, lr: 1.0e-5}}
training: {epochs: 4, batch_size: 4}
"""
# Rates of the hidden layer grow by a tenth with each step, from batch to batch.
GROWING = """glesim: 1
name: growing
seed: 7
dt: 0.1
dataset: {type: xor}
network:
  input: 2
  layers:
    - name: hidden
      neurons: {count: 4, tau_m: 1.0, tau_r: 0.1}
      from: [input, {layer: hidden, connect: one_to_one, weight: 2.0, feedback: none}]
    - {name: readout, neurons: {count: 2, tau_m: 1.0, tau_r: 1.0}}
learning: {loss: mse, optimizer: {type: sgd, lr: 1.0e-30}}
training: {epochs: 1, batch_size: 100}
"""
BPTT = ["--set", "learning.rule=bptt", "--set", "learning.window=1.0"]
EPROP = ["--set", "learning.rule=eprop"]
SLOWLY = ["--set", "learning.optimizer.lr=1e-9"] # while a dry run measures the time of steps
RECORD = ["--set", "record={variables: [u, e_below], parameters: [weight]}"]
WEIGHTS = ["hidden.input.weight", "hidden.hidden.weight", "hidden.lateral.weight", "hidden.readout.weight",
           "hidden.late.weight", "readout.hidden.weight", "readout.side.weight", "readout.side.feedback", "side.weight"]


def shape_of(array):
    """Of the bytes of an .npy file, which are in C order."""
    text = array[:array.index(b"\n")].decode("latin-1")
    return tuple(int(n) for n in text.partition("'shape': (")[2].partition(")")[0].split(",") if n.strip())


def npy(rows):
    """The bytes of an .npy file with a matrix of small whole numbers."""
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({len(rows)}, {len(rows[0])}), }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(x for row in rows for x in row)


class Networks(Stopped):
    def setUp(self):
        super().setUp()
        self.config = self.write("round.yaml", NETWORK)

    def arrays(self, path):
        """Name -> the bytes of an array."""
        with zipfile.ZipFile(self.folder / path) as archive:
            return {name.removesuffix(".npy"): archive.read(name) for name in archive.namelist()}

    def weights(self, output):
        return self.arrays(f"{output}/seed_7/weights.npz")

    def metrics(self, output):
        return load(self.folder / output / "seed_7" / "metrics.json")

    def train(self, output, *args):
        self.run_glesim(*args, "--output", output, "--quiet")
        return self.weights(output)


class Shown(Networks):
    def test_projections_have_a_table(self):
        out = self.run_glesim(self.config, "--dry-run", "--quiet", *SLOWLY).out
        self.assertIn("  output            readout\n", out)
        rows = {line.split()[0]: line.split() for line in out.splitlines() if line.startswith("  ") and line.split()}
        self.assertEqual(rows["hidden.readout"],
                         ["hidden.readout", "readout", "hidden", "0.4", "none", "(8,", "2)", "yes", "dense"])
        self.assertEqual(rows["hidden.lateral"],
                         ["hidden.lateral", "hidden", "hidden", "0.5", "transpose", "(8)", "no", "one_to_one"])
        self.assertEqual(rows["hidden.late"][:5], ["hidden.late", "input", "hidden", "1", "-"])
        self.assertIn("sparse 56.2 % of 8 x 2", " ".join(rows["hidden.late"]))
        self.assertEqual(rows["readout.side"][4], "fixed")

    def test_shapes_and_settings_of_convolutions_are_shown(self):
        out = self.run_glesim(ROOT / "tests" / "good" / "channels.yaml", "--dry-run", "--quiet").out
        self.assertRegex(out, r"\n  c +2 +6  3 x 2 +tanh ")
        self.assertRegex(out, r"\n  c +input +c +0 +- +\(3, 1, 3\) +yes +conv 3, padding 1\n")
        self.assertRegex(out, r"\n  top .* dense, after mean pool 2\n")

    def test_a_network_that_diverges_while_it_is_measured_has_its_table(self):
        """It is an error where the run would have as many steps."""
        config = self.write("growing.yaml", GROWING)
        for epochs, code in ((1, 0), (1000, 6)):
            with self.subTest(epochs):
                done = self.run_glesim(config, "--dry-run", "--set", f"training.epochs={epochs}", code=code)
                self.assertRegex(done.out, r"\n  hidden .*\n  readout ")
                self.assertIn(f"\n  parameters        {2 * 4 + 4 + 4 + 4 * 2 + 2}, of which", done.out)
                self.assertRegex(done.out, r"\n  a learning step .* \(batch of \d+\)\n  evaluating step .*\)\n")
                self.assertRegex(done.out, r"\n  estimated time    unknown: the network diverged at step \d+ of the "
                                           r"measurement; the run has \d+ steps\n\Z")
                self.assertEqual("NaN or Inf in layer" in done.err, code == 6)

    def test_a_chain_has_no_such_table(self):
        self.assertNotIn("projection", self.run_glesim(XOR, "--dry-run").out)
        same = XOR.read_text(encoding="utf-8").replace("- {name: readout,", "- {name: readout, from: [hidden],")
        self.assertIn("from: [hidden]", same)
        self.assertNotIn("projection", self.run_glesim(self.write("same.yaml", same), "--dry-run").out)

    def test_a_picture_is_all_that_is_written(self):
        done = self.run_glesim(self.config, "--dry-run", "--graph")
        out = done.out
        self.assertEqual(done.err, "")
        self.assertTrue(out.startswith('digraph "round" {\n') and out.endswith("}\n"))
        self.assertEqual(out.count("digraph"), 1)
        self.assertEqual([path.name for path in self.folder.iterdir()], ["round.yaml"])
        self.assertIn('layer_1 [label="readout (output)\\n2 linear\\ntau_m 1, tau_r 1", peripheries=2];', out)
        # errors go back through the same weights, not at all, or through others
        self.assertIn('layer_0 -> layer_0 [label="one_to_one\\n8 weights\\ndelay 0.5", dir=both, arrowtail=odot];', out)
        self.assertIn('layer_1 -> layer_0 [label="dense\\n16 weights\\ndelay 0.4"];', out)
        self.assertIn('layer_2 -> layer_1 [label="dense\\n8 weights"];', out)
        self.assertIn('layer_1 -> layer_2 [label="errors, fixed", style=dashed, constraint=false];', out)

    @unittest.skipUnless(shutil.which("dot"), "Graphviz is not installed")
    def test_graphviz_draws_it(self):
        good = ROOT / "tests" / "good"
        for config in (self.config, good / "channels.yaml", good / "sources.yaml"):
            dot = self.run_glesim(config, "--dry-run", "--graph").stdout
            done = subprocess.run(["dot", "-Tsvg"], input=dot, capture_output=True, check=True, timeout=60)
            self.assertEqual(done.stderr, b"")
            self.assertIn(b"<svg", done.stdout)

    def test_each_variant_has_its_picture(self):
        out = self.run_glesim(ROOT / "tests" / "good" / "sources.yaml", "--dry-run", "--graph").out
        self.assertEqual([line for line in out.splitlines() if "digraph" in line],
                         ['digraph "sources chain" {', 'digraph "sources bptt" {'])

    def test_a_picture_goes_with_a_dry_run_alone(self):
        for args in ([], ["--check"]):
            self.assertEqual(self.run_glesim(self.config, "--graph", *args, code=2).err,
                             "glesim: --graph goes with --dry-run\n")


class Masks(Networks):
    def refused(self, mask):
        return self.run_glesim(self.config, "--check", "--set",
                               f"network.layers[0].from[4].connect={{type: sparse, mask: {mask}}}", code=4).err

    def test_what_is_wrong_with_a_file_names_it(self):
        place = r" \(network\.layers\[0\]\.from\[4\]\.connect, asked for (at|by) .*\)\n\Z"
        self.assertRegex(self.refused("none.npz"), r"\A\S*/none\.npz: cannot read: No such file or directory" + place)
        (self.folder / "mask.npy").write_bytes(npy([[1, 2]] * 8))
        self.assertRegex(self.refused("mask.npy"), r"\A\S*/mask\.npy: holds 2; a matrix \(8, 2\) of 0 and 1, "
                                                   r"\(neurons, sources\), is wanted" + place)


class Growing(Networks):
    LOOP = ["--set", "network.layers[0].from[1].weight=-0.25"]
    WARNING = (r"\A(\S*/)?round\.yaml:\d+:\d+: network\.layers: warning: errors can grow without bound round the loop "
               r"hidden -> hidden: on the initial weights each pass multiplies errors that change with each step by up "
               r"to [\d.]+\n\Z")

    def test_a_loop_is_warned_of(self):
        for action in ("--check", "--dry-run"):
            self.assertEqual(self.run_glesim(self.config, action, *SLOWLY).err, "")
            err = self.run_glesim(self.config, action, *self.LOOP, *SLOWLY, "--set",
                                  "network.layers[0].from[1].feedback=none").err
            self.assertEqual(err, "")
        err = self.run_glesim(self.config, "--check", *self.LOOP).err
        self.assertRegex(err, self.WARNING)
        # 8 x 8 of -1/4, whose eigenvalue is -2, and the other loop through the same layer
        self.assertAlmostEqual(float(err.split()[-1]), (2 - 0.02) * 1.9 / 0.9, delta=0.01)
        self.assertEqual(self.run_glesim(self.config, "--check", "--quiet", *self.LOOP).err, "")
        # exact gradients send no errors in steps, so that it does not matter through what they would go
        err = self.run_glesim(self.config, "--check", *self.LOOP, *BPTT).err
        self.assertEqual(["].feedback: has no effect: " in line for line in err.splitlines()], [True, True])

    def test_divergence_names_it(self):
        done = self.run_glesim(self.config, *self.LOOP, "--set", "training.epochs=40", *SLOWLY, "--output",
                               "out", "--quiet", code=6)
        self.assertRegex(done.err, r"NaN or Inf in layer '\w+' at step \d+, in epoch 1; errors go round the loop "
                                   r"hidden -> hidden, which on the initial weights multiplies errors that change with "
                                   r"each step by up to [\d.]+ each time\n")
        self.assertIn("; errors go round the loop hidden -> hidden", self.metrics("out")["message"])

    # Each loop alone has a gain below 1; errors of the second layer come back by errors_from.
    TOGETHER = """glesim: 1
name: together
dt: 0.1
dataset: {type: xor}
network:
  input: 2
  output: out
  layers:
    - name: a
      neurons: {count: 2, tau_m: 1.0, tau_r: 1.0}
      from: [input, {layer: a, connect: one_to_one, weight: 0.8}, {layer: out, connect: one_to_one, weight: 0.9}]
      errors_from: [{layer: out, weight: [[0.9, 0], [0, 0.9]]}]
    - {name: out, neurons: {count: 2, tau_m: 1.0, tau_r: 1.0}, from: [{layer: a, feedback: none}]}
learning: {rule: bp, loss: mse, optimizer: {type: sgd, lr: 1.0e-9}}
training: {epochs: 5, batch_size: 4}
"""

    def test_loops_that_grow_together_are_named_together(self):
        config = self.write("together.yaml", self.TOGETHER)
        growth = 0.4 + (0.4 ** 2 + 0.9 ** 2) ** 0.5
        err = self.run_glesim(config, "--check").err
        self.assertRegex(err, r"network\.layers: warning: errors can grow without bound in the loops among a and out: on "
                              r"the initial weights each step multiplies errors that last by up to [\d.]+\n\Z")
        self.assertAlmostEqual(float(err.split()[-1]), growth, delta=0.01)
        err = self.run_glesim(config, "--quiet", "--output", "out", "--set", "training.epochs=100", code=6).err
        self.assertRegex(err, r"; errors go round loops among a and out, which on the initial weights multiply errors "
                              r"that last by up to 1\.38 in each step\n")
        self.assertEqual(self.run_glesim(config, "--check", "--set", "network.layers[0].from[1].weight=0.1",
                                         "--set", "network.layers[0].from[2].weight=0.1").err, "")


class Eligibilities(Networks):
    # A layer of n neurons reads one of n, of a batch of four: floats of a trace and two eligibilities.
    LAYERS = """{name: a, neurons: {count: N, tau_m: 1, tau_r: 1}}, {name: b, neurons: [{count: 1, tau_m: 1, tau_r: 1},
        {count: REST, tau_m: 1, tau_r: 0.5}]}, {name: c, neurons: {count: 2, tau_m: 1, tau_r: 1}}"""

    def wide(self, n):
        layers = self.LAYERS.replace("N", str(n)).replace("REST", str(n - 1))
        return self.write("wide.yaml", "glesim: 1\nname: wide\nseed: 7\ndt: 0.1\ndataset: {type: xor}\n"
                          f"network: {{input: 2, layers: [{layers}]}}\nlearning: {{rule: eprop, loss: mse, "
                          "plastic: [weight], optimizer: {type: sgd, lr: 1.0e-9}}\n"
                          "training: {epochs: 1, batch_size: 4, test_batch_size: 4}\n")

    def test_a_dry_run_tells_what_they_take(self):
        n = 640 # b reads through one trace and two eligibilities of two copies each; a through 8 numbers, c through n
        size = 4 * 4 * (3 * 8 + 5 * n + 3 * n) / 2**20
        self.assertIn(f"  eligibilities     {size:.3g} MiB of that, for up to 4 samples side by side\n",
                      self.run_glesim(self.wide(n), "--dry-run").out)
        self.assertNotIn("eligibilities", self.run_glesim(self.wide(n), "--dry-run", "--set", "learning.rule=bp").out)

    def test_what_does_not_fit_is_refused_before_it_is_made(self):
        own = ["--set", "learning.plastic=[weight, tau_m]", "--set", "training.batch_size=100", "--output", "out"]
        err = self.run_glesim(self.wide(40000), *own, code=5).err
        self.assertRegex(err, r"\Aglesim: the eligibilities of rule eprop, and a checkpoint of them, take \d+ MiB for a "
                              r"batch of 100; this machine has \d+ MiB\. A smaller batch takes less, and fewer different "
                              r"tau_m and tau_r in a layer: 'b' has 40000, as tau_m learns\n\Z")
        self.assertAlmostEqual(float(err.split(" MiB")[0].split()[-1]), 5 * 400 * 40000**2 / 2**20, delta=2e3)
        self.assertFalse((self.folder / "out").exists())


class Runs(Networks):
    def test_killed_and_resumed(self):
        self.check(self.config, *RECORD, "--set", "training.epochs=60")

    def test_killed_in_windows_and_resumed(self):
        self.check(self.config, *BPTT, *RECORD, "--set", "training.epochs=60")

    def test_killed_with_eligibilities_and_resumed(self):
        self.check(self.config, *EPROP, *RECORD, "--set", "training.epochs=60")

    def test_threads_and_jobs_change_no_bit(self):
        for rule in ([], BPTT, EPROP):
            one = self.train("one", self.config, *rule, *RECORD, "--threads", "1", "--force")
            self.assertEqual(one, self.train("three", self.config, *rule, *RECORD, "--threads", "3", "--force"))
            self.run_glesim(self.config, *rule, *RECORD, "--seeds", "7,8", "--jobs", "2", "--output", "many", "--force",
                            "--quiet")
            self.assertEqual(one, self.weights("many"))
            for other in ("three", "many"):
                self.assertEqual(self.arrays("one/seed_7/recording.npz"), self.arrays(f"{other}/seed_7/recording.npz"))

    def test_the_resolved_config_runs_again_to_the_same_bits(self):
        for rule in ([], BPTT):
            first = self.train("first", self.config, *rule, "--force")
            self.assertEqual(first, self.train("again", "first/seed_7/config.yaml", "--force"))
            self.assertEqual(without_times(self.metrics("first")), without_times(self.metrics("again")))

    def test_names_in_files(self):
        weights = self.train("out", self.config, *RECORD)
        self.assertEqual([name for name in weights if name.endswith((".weight", ".feedback"))], WEIGHTS)
        recording = self.arrays("out/seed_7/recording.npz")
        for name in ("hidden.u", "hidden.hidden.e_below", "readout.side.e_below", "readout.hidden.e_below",
                     "hidden.late.weight"):
            self.assertIn(name, recording)

    def test_outputs_that_are_not_the_last_layer_are_recorded(self):
        for count in (1, 4): # neurons of the last layer; the output has 2
            self.train("out", self.config, "--set", "record={variables: [r], layers: [readout]}", "--set",
                       f"network.layers[2].neurons.count={count}", "--force")
            recording = self.arrays("out/seed_7/recording.npz")
            rates, output = (recording[name] for name in ("readout.r", "output"))
            for name in ("output", "target"):
                self.assertEqual(shape_of(recording[name])[1:], (4, 2), name)
            size = 4 * 4 * 2 # bytes of a record; a step reads the rates that the one before left
            self.assertEqual(output[-size:], rates[-2 * size:-size])

    def test_weights_are_recorded_in_the_shapes_of_files(self):
        grids = self.write("grids.yaml", (ROOT / "tests" / "good" / "channels.yaml").read_text(encoding="utf-8"))
        self.run_glesim(grids, "--set", "record={parameters: [weight], gradients: [weight]}", "--output", "out",
                        "--quiet")
        recording = self.arrays("out/seed_1/recording.npz")
        for name in ("c.weight", "c.grad_weight"):
            self.assertEqual(shape_of(recording[name])[1:], (3, 1, 3), name)

    def test_neurons_are_not_chosen_among_synapses(self):
        (self.folder / "mask.npy").write_bytes(npy([[1, 1]] * 4 + [[0, 0]] * 4)) # 8 neurons, 8 synapses
        self.train("out", self.config, "--set", "network.layers[0].from[4].connect={type: sparse, mask: mask.npy}",
                   "--set", "record={neurons: [0, 2], layers: [hidden], parameters: [weight, bias]}")
        shapes = {name: shape_of(array)[1:] for name, array in self.arrays("out/seed_7/recording.npz").items()}
        self.assertEqual(shapes["hidden.late.weight"], (8,))
        self.assertEqual(shapes["hidden.lateral.weight"], (2,))
        self.assertEqual(shapes["hidden.hidden.weight"], (2, 8))
        self.assertEqual(shapes["hidden.bias"], (2,))

    def test_weights_go_to_the_synapses_that_they_are_of(self):
        def late(mask):
            return ["--set", f"network.layers[0].from[4].connect={{type: sparse, mask: {mask}}}"]
        for name, row in (("one.npy", [0, 1]), ("other.npy", [1, 0])): # as many synapses
            (self.folder / name).write_bytes(npy([row] * 8))
        self.train("one", self.config, *late("one.npy"))
        file = "one/seed_7/weights.npz"
        for key in ("network.init", "network.layers[0].from[4].weight"):
            init = ["--set", f"{key}={{file: {file}}}", "--output", "out", "--quiet", "--force"]
            self.run_glesim(self.config, *late("one.npy"), *init)
            self.assertRegex(self.run_glesim(self.config, *late("other.npy"), *init, code=4).err,
                             r"\A\S*/weights\.npz: array 'hidden\.late\.weight' is of other synapses than the network "
                             r"has, see 'hidden\.late\.synapses'; this file as the mask of the link makes them the "
                             r"same \(" + key.replace("[", r"\[").replace("]", r"\]"))
            self.run_glesim(self.config, *late(file), *init)

    def test_weights_are_read_back(self):
        first = self.train("first", self.config)
        file = self.run_of("first", 7) / "weights.npz"
        err = self.run_glesim(self.config, "--set", f"network.init.file={file}", "--set", "training.epochs=0", "--seed",
                              "7", "--output", "again").err
        self.assertEqual([line for line in err.splitlines() if "nothing" in line or "unused" in line], [])
        self.assertEqual(first, self.weights("again"))
        # another seed: nothing is drawn that is in the file
        self.run_glesim(self.config, "--set", f"network.init.file={file}", "--set", "training.epochs=0", "--set",
                        f"network.layers[0].from[4].connect={{type: sparse, mask: {file}}}", "--seed", "8", "--output",
                        "other", "--quiet")
        self.assertEqual(first, self.arrays("other/seed_8/weights.npz"))
        # of one source alone
        one = self.train("one", self.config, "--set", f"network.layers[0].from[1].weight={{file: {file}}}", "--set",
                         "training.epochs=0")
        self.assertEqual(one["hidden.hidden.weight"], first["hidden.hidden.weight"])
        self.assertNotEqual(one["hidden.input.weight"], first["hidden.input.weight"])


if __name__ == "__main__":
    unittest.main()
