"""Runs the command as a user does, each test in a folder of its own. The program is the one that GLESIM names.

Standard library only; where numpy is installed, it must open what is written, and what it writes must be read.
"""

import ast
import hashlib
import math
import os
import re
import shlex
import signal
import struct
import subprocess
import time
import unittest
import wave
import zipfile

from case import CONFIGS, Case, GLESIM, PATIENCE, XOR, load, timeless

try:
    import numpy
except ImportError:
    numpy = None

LAGLINE = CONFIGS / "lagline.yaml"
LAGNET = CONFIGS / "lagnet.yaml"
SHORT = ["--set", "training.epochs=2"]

# Filled in by Small.config().
CONFIG = """glesim: 1
name: small
seed: 3
dt: 0.1
dataset: {dataset}
network:
  input: {inputs}
  layers:
    - {{name: hidden, neurons: {{count: 6, tau_m: 1.0, tau_r: 0.5}}, activation: tanh}}
    - {{name: readout, neurons: {{count: {outputs}, tau_m: 1.0, tau_r: 1.0}}}}
learning: {{loss: {loss}, optimizer: {optimizer}}}
training: {{epochs: {epochs}, batch_size: 4}}
"""


def write_npz(path, **arrays):
    """numpy.savez without numpy: name=(type, shape, flat values); the type is 'f4' or 'i8', or wrong."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, (kind, shape, values) in arrays.items():
            head = f"{{'descr': '<{kind}', 'fortran_order': False, 'shape': ({''.join(f'{n}, ' for n in shape)})}}"
            head = head.ljust(118 - 1) + "\n"
            packed = struct.pack(f"<{len(values)}{'f' if kind == 'f4' else 'q'}", *values)
            data = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() + packed
            archive.writestr(name + ".npy", data)


def read_npy(path):
    """(type, shape, flat values) of every array that a run has written."""
    arrays = {}
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            data = archive.read(name)
            size = struct.unpack("<H", data[8:10])[0]
            head = ast.literal_eval(data[10:10 + size].decode())
            kind, values = head["descr"], data[10 + size:]
            code = {"<f4": "f", "<f8": "d", "<i8": "q"}[kind]
            arrays[name.removesuffix(".npy")] = (kind, head["shape"],
                                                 struct.unpack(f"<{len(values) // int(kind[2])}{code}", values))
    return arrays


def read_npz(path):
    """Flat values of every array."""
    return {name: values for name, (_, _, values) in read_npy(path).items()}


# Where the config asks for the file that an error is about.
ASKED_FOR = r" \((dataset|network\.\S+), asked for (at .*:\d+:\d+|by --set .*)\)\n$"


class Small(Case):
    def train(self, *args, seed=1, output="out", **kwargs):
        """A run's metrics."""
        self.run_glesim(*args, "--output", output, **kwargs)
        return load(self.folder / output / f"seed_{seed}" / "metrics.json")

    def weights(self, seed=1, output="out"):
        return (self.folder / output / f"seed_{seed}" / "weights.npz").read_bytes()

    def config(self, name="small.yaml", dataset="{type: xor}", inputs=2, outputs=2, loss="cross_entropy",
               optimizer="{type: adam, lr: 1e-2}", epochs=2):
        path = self.folder / name
        path.write_text(CONFIG.format(dataset=dataset, inputs=inputs, outputs=outputs, loss=loss, optimizer=optimizer,
                                      epochs=epochs), encoding="utf-8")
        return path

    def refused(self, *args, code=2):
        """The message of a command that must fail without a trace."""
        before = sorted(self.folder.rglob("*"))
        done = self.run_glesim(*args, code=code)
        self.assertEqual(done.out, "")
        self.assertEqual(sorted(self.folder.rglob("*")), before)
        return done.err


class Runs(Small):
    def test_the_command_in_the_report_can_be_pasted(self):
        args = [XOR, "--set", "training.epochs=1", "--set", "description=it's $HOME; two  words", "--set",
                "network.layers[0].gamma=0.5", "--output", "a folder"]
        self.run_glesim(*args)
        command = load(self.run_of("a folder") / "metrics.json")["provenance"]["command"]
        self.assertEqual(shlex.split(command), [GLESIM, *map(str, args)])
        subprocess.run(command + " --force", shell=True, cwd=self.folder, check=True, capture_output=True)
        m = load(self.run_of("a folder") / "metrics.json")
        self.assertEqual(m["config"]["description"], "it's $HOME; two  words")
        self.assertEqual(m["provenance"]["command"], command + " --force")

    def test_xor_is_learned_and_reported(self):
        done = self.run_glesim(XOR)
        folder = self.folder / "results" / "xor" / "seed_1"
        self.assertEqual(sorted(os.listdir(folder)), ["config.yaml", "metrics.json", "weights.npz"])
        m = load(folder / "metrics.json")
        self.assertEqual(m["final"]["test"]["accuracy"], 1.0)
        self.assertRegex(done.out, r"^results/xor/seed_1/metrics\.json: completed after epoch 40, "
                                   r"test loss \S+, test accuracy 100\.0 %, .*\n$")
        self.assertEqual(m["schema"], 1)
        self.assertEqual((m["status"], m["message"], m["diverged"]), ("completed", None, False))
        self.assertEqual((m["name"], m["variant"], m["seed"]), ("xor", None, 1))
        self.assertEqual(m["config"]["learning"]["optimizer"]["beta1"], 0.9)
        config, claims = (folder / "config.yaml").read_bytes().split(b"expect:\n")
        self.assertEqual(m["config_sha256"], hashlib.sha256(config).hexdigest())
        self.assertIn(b"final.test.accuracy", claims)
        p = m["provenance"]
        for key in ("version", "compiler", "blas", "cpu", "backend", "start", "end", "command"):
            self.assertTrue(p[key], key)
        self.assertIn("commit", p)
        self.assertGreaterEqual(p["threads"], 1)
        self.assertIn("xor.yaml", p["command"])
        self.assertLessEqual(p["start"], p["end"])
        self.assertEqual((m["dataset"]["type"], m["dataset"]["sizes"]),
                         ("xor", {"train": 100, "validation": 0, "test": 4}))
        self.assertRegex(m["dataset"]["sha256"], "^[0-9a-f]{64}$")
        self.assertEqual(m["network"]["parameters"], 8 * 2 + 8 + 2 * 8 + 2)
        self.assertEqual([(l["name"], l["neurons"], l["inputs"]) for l in m["network"]["layers"]],
                         [("hidden", 8, 2), ("readout", 2, 8)])
        self.assertEqual([e["epoch"] for e in m["epochs"]], list(range(41)))
        self.assertIsNone(m["epochs"][0]["train"])
        for e in m["epochs"]:
            self.assertEqual(e["lr"], 3e-3)
            self.assertGreaterEqual(e["seconds"], 0.0)
            self.assertIsNone(e["validation"])
            self.assertGreater(e["test"]["loss"], 0.0)
        self.assertEqual(m["final"], m["epochs"][-1])
        self.assertEqual((m["best"]["test"]["accuracy"], m["best"]["chosen_by"]), (1.0, "test_accuracy"))
        self.assertEqual(m["confusion"], {"split": "test", "matrix": [[2, 0], [0, 2]]})
        self.assertEqual(m["timing"]["train_steps"], 40 * 25 * 20)
        self.assertGreater(m["timing"]["train_steps_per_second"], 0.0)
        self.assertGreater(m["timing"]["train_gflops"], 0.0)
        shapes = {name: len(values) for name, values in read_npz(folder / "weights.npz").items()}
        self.assertEqual(shapes, {"hidden.weight": 16, "hidden.bias": 8, "hidden.tau_m": 8, "hidden.tau_r": 8,
                                  "readout.weight": 16, "readout.bias": 2, "readout.tau_m": 2, "readout.tau_r": 2})

    def test_the_resolved_config_runs_again_to_the_same_bits(self):
        first = self.train(XOR, *SHORT)
        again = self.train("out/seed_1/config.yaml", output="again")
        self.assertEqual(self.weights(), self.weights(output="again"))
        self.assertEqual(timeless(first["epochs"]), timeless(again["epochs"]))
        self.assertEqual(first["config_sha256"], again["config_sha256"])
        self.assertEqual(first["config"], again["config"])

    def test_any_number_of_threads_gives_the_same_bits(self):
        small = ["--set", "training.epochs=1", "--set", "dataset.samples=200", "--set", "dataset.length=40"]
        runs = {n: self.train(CONFIGS / "mnist1d_e2e.yaml", *small, "--threads", n, seed=12, output=f"threads_{n}")
                for n in (1, 2, 3, 4)}
        for n, m in runs.items():
            self.assertEqual(self.weights(12, f"threads_{n}"), self.weights(12, "threads_1"), n)
            self.assertEqual(timeless(m["epochs"]), timeless(runs[1]["epochs"]), n)
        self.assertEqual(runs[1]["provenance"]["threads"], 1)
        if (os.cpu_count() or 1) > 1: # else nothing was compared
            self.assertGreater(runs[2]["provenance"]["threads"], 1)

    def test_every_instruction_set_runs(self):
        losses = []
        for isa in ("base", "avx2"):
            m = self.train(XOR, *SHORT, output=isa, env={"GLESIM_ISA": isa})
            losses.append(m["final"]["test"]["loss"])
        self.assertAlmostEqual(losses[0], losses[1], delta=1e-3 * losses[0])

    def test_a_seed_changes_the_weights(self):
        self.train(XOR, *SHORT)
        m = self.train(XOR, *SHORT, "--seed", "2", seed=2)
        self.assertEqual((m["seed"], m["config"]["seed"]), (2, 2))
        self.assertNotEqual(read_npz(self.folder / "out/seed_1/weights.npz"),
                            read_npz(self.folder / "out/seed_2/weights.npz"))

    def test_no_epochs_report_the_untrained_network(self):
        m = self.train(XOR, "--set", "training.epochs=0")
        self.assertEqual(m["status"], "completed")
        self.assertEqual([e["epoch"] for e in m["epochs"]], [0])
        self.assertIsNone(m["final"]["train"])
        self.assertGreater(m["final"]["test"]["loss"], 0.0)
        self.assertIsNone(m["timing"]["train_steps_per_second"])

    def test_a_validation_set_steers_the_learning_rate(self):
        m = self.train(XOR, "--set", "training.validation=0.1", "--set", "training.epochs=6", "--set",
                       "learning.schedule={type: plateau, metric: validation_loss, patience: 0, threshold: 1, "
                       "factor: 0.5}")
        self.assertEqual(m["dataset"]["sizes"], {"train": 90, "validation": 10, "test": 4})
        self.assertEqual(m["best"]["chosen_by"], "validation_accuracy")
        # With patience 0 and a threshold that no loss can pass, every epoch halves it.
        self.assertEqual([e["lr"] for e in m["epochs"]], [3e-3] + [3e-3 * 0.5 ** n for n in range(6)])

    def test_schedules_change_the_learning_rate(self):
        m = self.train(XOR, "--set", "training.epochs=5", "--set",
                       "learning.schedule={type: step, every: 2, factor: 0.1}")
        for epoch, wanted in zip(m["epochs"], [3e-3, 3e-3, 3e-3, 3e-4, 3e-4, 3e-5], strict=True):
            self.assertAlmostEqual(epoch["lr"], wanted, delta=1e-12)
        m = self.train(XOR, "--set", "training.epochs=3", "--set", "learning.schedule={type: cosine, period: 2}",
                       output="cosine")
        for epoch, wanted in zip(m["epochs"], [3e-3, 3e-3, 1.5e-3, 0.0], strict=True):
            self.assertAlmostEqual(epoch["lr"], wanted, delta=1e-12)

    def test_a_run_without_labels_has_no_accuracy(self):
        write_npz(self.folder / "d.npz", x=("f4", (4, 2), [0, 0, 0, 1, 1, 0, 1, 1]),
                  targets=("f4", (4, 1), [0, 1, 1, 0]))
        m = self.train(self.config(dataset="{type: npz, file: d.npz, present: 1}", outputs=1, loss="mse"), seed=3)
        self.assertIsNone(m["final"]["train"]["accuracy"])
        self.assertIsNone(m["confusion"])
        self.assertEqual(m["best"]["chosen_by"], "train_loss")


class Durations(Small):
    """Training by duration: phases, teachers, signals, recordings, comparisons of gradients."""

    # A variant of its own makes a file whose keys can all be set.
    SHORT_LINE = ["--variant", "gle", "--set", "training.phases[2].duration=9.99"]
    FILES = ["config.yaml", "metrics.json", "recording.npz", "weights.npz"]

    def phases(self, config, *args, seed=0, output="out", **kwargs):
        """Metrics of a run of one variant."""
        self.run_glesim(config, *args, "--output", output, **kwargs)
        variant = args[args.index("--variant") + 1] if "--variant" in args else ""
        self.folder_of_run = self.folder / output / variant / f"seed_{seed}"
        return load(self.folder_of_run / "metrics.json")

    def read(self, name):
        return (self.folder_of_run / name).read_bytes()

    def test_lagline_is_reported(self):
        m = self.phases(LAGLINE, *self.SHORT_LINE)
        self.assertEqual(sorted(os.listdir(self.folder_of_run)), self.FILES)
        self.assertEqual((m["status"], m["variant"], m["epochs"], m["best"], m["confusion"]),
                         ("completed", "gle", [], None, None))
        self.assertEqual([(p["phase"], p["start"], p["duration"], p["steps"], p["learn"], p["set"])
                          for p in m["phases"]],
                         [(1, 0.0, 25.0, 2500, False, ["first.tau_m", "second.tau_m"]),
                          (2, 25.0, 25.01, 2501, False, []), (3, 50.01, 9.99, 999, True, [])])
        for p in m["phases"]:
            self.assertEqual((p["last_steps"], p["last_loss"], p["accuracy"]), (p["steps"], p["loss"], None))
            self.assertGreater(p["loss"], 0.01)
            self.assertGreater(p["seconds"], 0.0)
        self.assertEqual(m["final"], m["phases"][-1])
        self.assertEqual((m["timing"]["train_steps"], m["timing"]["eval_steps"]), (999, 5001))
        self.assertEqual((m["dataset"]["type"], m["dataset"]["sequences"], m["dataset"]["channels"]), ("step", 100, 1))
        self.assertEqual(m["network"]["plastic"], 4)
        weights = read_npz(self.folder_of_run / "weights.npz")
        self.assertEqual(sorted(m["parameters"]), ["first.tau_m", "first.weight", "second.tau_m", "second.weight"])
        for layer, before in (("first", (0.490093, 0.307423)), ("second", (0.896445, 0.634079))):
            w, tau = m["parameters"][layer + ".weight"][0][0], m["parameters"][layer + ".tau_m"][0]
            self.assertEqual((w, tau), tuple(float(f"{weights[layer + p][0]:.15g}") for p in (".weight", ".tau_m")))
            self.assertNotAlmostEqual(w, before[0], delta=1e-4) # it learned, if little,
            self.assertAlmostEqual(w, before[0], delta=0.2)
            self.assertAlmostEqual(tau, before[1], delta=0.2) # and came back from the values of phase 1

    def test_lagline_is_recorded(self):
        self.phases(LAGLINE, *self.SHORT_LINE)
        arrays = read_npy(self.folder_of_run / "recording.npz")
        wanted = {"time": ("<f8", (600,)), "loss": ("<f8", (600,)), "step": ("<i8", (600,)), "phase": ("<i8", (600,))}
        wanted |= {name: ("<f4", (600, 1, 1)) for name in ("input", "target", "output")}
        for layer in ("first", "second"):
            wanted |= {f"{layer}.{v}": ("<f4", (600, 1, 1)) for v in ("u", "v", "r", "e", "prosp_u", "weight")}
            wanted[layer + ".tau_m"] = ("<f4", (600, 1))
        self.assertEqual({name: (kind, shape) for name, (kind, shape, _) in arrays.items()}, wanted)
        r = {name: values for name, (_, _, values) in arrays.items()}
        self.assertEqual(r["step"], tuple(range(0, 6000, 10)))
        self.assertEqual(r["time"], tuple(step * 0.01 for step in r["step"]))
        self.assertEqual(r["phase"], (1,) * 250 + (2,) * 251 + (3,) * 99)
        self.assertEqual(set(r["first.tau_m"][:250] + r["second.tau_m"][:250]), {1.0, 2.0})
        self.assertEqual(len(set(r["first.tau_m"][250:500])), 1)
        self.assertAlmostEqual(r["first.tau_m"][250], 0.307423, delta=1e-6)
        self.assertGreater(len(set(r["first.tau_m"][500:])), 50)
        self.assertTrue(all(map(math.isfinite, (v for values in r.values() for v in values))))

    def first_change(self, config, variant, parameter, seed, *settings):
        """Step at whose end a parameter was first another than at its beginning, from a recording of every step."""
        self.phases(config, "--variant", variant, "--set", "record.every=1", *settings, seed=seed, output=variant)
        arrays = read_npy(self.folder_of_run / "recording.npz")
        steps, phases = (arrays[name][2] for name in ("step", "phase"))
        _, shape, flat = arrays[parameter]
        size = len(flat) // shape[0]
        values = [flat[size * i:size * (i + 1)] for i in range(shape[0])]
        start = phases.index(2) if max(phases) == 3 else 0 # when what phase 1 sets is over
        return next(steps[i] for i in range(start + 1, len(steps)) if values[i] != values[i - 1])

    def test_parameters_first_move_in_the_published_step(self):
        line = ("--set", "record.parameters=[weight]", "--set", "training.phases[2].duration=5")
        self.assertEqual(self.first_change(LAGLINE, "gle", "second.weight", 0, *line), 5001)
        self.assertEqual(self.first_change(LAGLINE, "bp", "second.weight", 0, *line), 5001)
        # a window of 200 steps and one more, from step 5000 on
        self.assertEqual(self.first_change(LAGLINE, "bptt_tw2", "second.weight", 0, *line), 5200)
        net = ("--set", "training.phases[1].duration=5")
        self.assertEqual(self.first_change(LAGNET, "gle", "hidden_1.weight", 5, *net), 8001)
        self.assertEqual(self.first_change(LAGNET, "adjoint", "hidden_1.weight", 5, *net), 8100)

    def test_whole_published_runs_have_the_steps_that_they_had(self):
        for config, steps in ((LAGLINE, 405000), (LAGNET, 100100)):
            runs = self.run_glesim(config, "--dry-run").out.split(", seed ")[1:]
            self.assertEqual({sum(map(int, re.findall(r" (\d+) steps", run))) for run in runs}, {steps}, config)

    def test_lagnet_is_learned_by_both_rules(self):
        self.run_glesim(LAGNET)
        for variant, wanted, delta, loss in (("gle", (-0.498, 1.001), 2e-3, 1e-6),
                                             ("adjoint", (-0.5, 1.0), 1e-4, 1e-8)):
            m = load(self.folder / "results/lagnet" / variant / "seed_5/metrics.json")
            (first,), (second,) = m["parameters"]["hidden_1.weight"]
            self.assertAlmostEqual(first, wanted[0], delta=delta)
            self.assertAlmostEqual(second, wanted[1], delta=delta)
            self.assertLess(m["final"]["last_loss"], loss)
            self.assertEqual(m["final"]["last_steps"], 10000)
            self.assertGreater(m["phases"][0]["loss"], 0.5)
            self.assertEqual(m["parameters"]["hidden_2.weight"], [[0.5, 0.0], [0.0, 1.0]])

    def test_the_resolved_config_of_a_variant_gives_the_same_bits(self):
        line = self.SHORT_LINE[2:]
        for config, variant, seed, more in (
                (LAGNET, "adjoint", 5, ["--set", "record.variables=[e, lambda]"]),
                (LAGNET, "gle", 5, []),
                (LAGLINE, "bptt_tw2", 0, [*line, "--set", "diagnose={window: 2, every: 500}"])):
            first = self.phases(config, "--variant", variant, *more, seed=seed, output="first_" + variant)
            before = [self.read(name) for name in self.FILES if name != "metrics.json"]
            again = self.phases(self.folder_of_run / "config.yaml", seed=seed, output="again_" + variant)
            self.assertEqual([self.read(name) for name in self.FILES if name != "metrics.json"], before)
            self.assertEqual(timeless(first["phases"]), timeless(again["phases"]))
            for key in ("parameters", "diagnostics", "config", "config_sha256", "dataset", "network"):
                self.assertEqual(first[key], again[key], key)

    def wide(self, rule, more=""):
        """A config that has work for several threads."""
        path = self.folder / f"{rule}.yaml"
        path.write_text(f"""glesim: 1
name: wide
dt: 0.1
dataset: {{type: ornstein_uhlenbeck, sequences: 64, channels: 8}}
network:
  input: 8
  layers:
    - {{name: lag, repeat: 3, neurons: {{count: 64, tau_m: 1.0, tau_r: 0.3}}, activation: tanh}}
    - {{name: top, neurons: {{count: 5, tau_m: 1.0, tau_r: 0.5}}}}
teacher: {{lag_1: {{weight: {{init: normal, std: 0.5}}, bias: 0.3}}}}
learning: {{rule: {rule}, window: 3, loss: mse, plastic: [weight, bias, tau_m], optimizer: {{type: adam, lr: 1e-3}}}}
training: {{phases: [{{duration: 5, learn: false}}, {{duration: 25}}]}}
record: {{variables: [r, e{more}], parameters: [weight, bias, tau_m], sequences: [3, 1], neurons: [63, 4, 0]}}
diagnose: {{window: 6, every: 70}}
""", encoding="utf-8")
        return path

    def test_any_number_of_threads_gives_the_same_bits(self):
        for rule in ("gle", "bptt", "adjoint"):
            runs = []
            for n in (1, 2, 3):
                m = self.phases(self.wide(rule), "--threads", n, output=f"{rule}_{n}")
                runs.append([self.read("weights.npz"), self.read("recording.npz"), timeless(m["phases"]),
                             m["diagnostics"]])
            self.assertEqual(runs[1:], runs[:1] * 2, rule)
            self.assertIsNone(m["parameters"]) # a large network's are in weights.npz

    def test_some_neurons_and_sequences_are_recorded(self):
        self.phases(self.wide("adjoint", ", lambda"))
        arrays = read_npy(self.folder_of_run / "recording.npz")
        shapes = {name: shape for name, (_, shape, _) in arrays.items()}
        self.assertEqual((shapes["input"], shapes["output"]), ((300, 2, 8), (300, 2, 5)))
        self.assertEqual((shapes["lag_1.r"], shapes["lag_1.lambda"], shapes["top.r"]),
                         ((300, 2, 3), (300, 2, 3), (300, 2, 2))) # top has no neuron 63
        self.assertEqual((shapes["lag_1.weight"], shapes["lag_2.weight"], shapes["lag_2.tau_m"]),
                         ((300, 3, 8), (300, 3, 64), (300, 3)))
        # Step t reads what step t - 1 left: neurons 4 and 0, in the order asked for.
        output, top = arrays["output"][2], arrays["top.r"][2]
        for t in (1, 100, 299):
            for row in (0, 1):
                read = output[(2 * t + row) * 5:][:5]
                self.assertEqual(top[(2 * (t - 1) + row) * 2:][:2], (read[4], read[0]))
        # Windows of 30 steps end with steps 30, 60, ..., those that a phase cuts short never.
        lam = arrays["lag_1.lambda"][2]
        nan = [t for t in range(300) if math.isnan(lam[6 * t])]
        self.assertEqual(nan, [*range(31, 50), *range(271, 300)])

    def test_comparisons_of_gradients_are_reported(self):
        m = self.phases(LAGNET, "--variant", "adjoint", "--set", "diagnose={window: 3, every: 9000, gradient: adjoint}",
                        seed=5)
        d = m["diagnostics"]
        self.assertEqual((d["gradient"], d["steps"], d["exact_norm_ratio"]), ("adjoint", 300, 1.0))
        self.assertGreaterEqual(len(d["comparisons"]), 10)
        for c in d["comparisons"]:
            self.assertAlmostEqual(c["time"], 0.01 * c["step"])
            self.assertEqual(list(c["layers"]), ["hidden_1"]) # nothing else learns
            self.assertEqual(list(c["layers"]["hidden_1"]), ["cosine", "norm_ratio", "weight"])
        for c in d["comparisons"][1:]: # a window of the rule, which gives its own gradient
            self.assertAlmostEqual(c["layers"]["hidden_1"]["cosine"], 1.0, delta=1e-3)
            self.assertAlmostEqual(c["layers"]["hidden_1"]["norm_ratio"], 1.0, delta=1e-3)
        self.assertIsNone(self.phases(LAGNET, "--variant", "gle", seed=5)["diagnostics"])

    def test_divergence_leaves_a_report_and_a_recording(self):
        done = self.run_glesim(LAGLINE, *self.SHORT_LINE, "--set", "learning.optimizer={type: sgd, lr: 1e6}", "--set",
                               "learning.beta=1", "--set", "record.every=1", "--output", "out", code=6)
        self.assertRegex(done.err, r"(?m)^out/gle/seed_0: .*layer '(first|second)'.* step \d+, in phase 3$")
        folder = self.folder / "out/gle/seed_0"
        m = load(folder / "metrics.json")
        self.assertEqual((m["status"], m["diverged"], len(m["phases"])), ("diverged", True, 3))
        self.assertEqual(sorted(os.listdir(folder)), self.FILES)
        arrays = read_npy(folder / "recording.npz")
        self.assertEqual(arrays["time"][1], (5001 + m["final"]["steps"],))
        for values in read_npz(folder / "weights.npz").values():
            self.assertTrue(all(map(math.isfinite, values)))

    def test_a_file_that_a_later_phase_wants_is_missed_before_the_first_step(self):
        config = self.folder / "late.yaml"
        text = LAGLINE.read_text(encoding="utf-8")
        late = text.replace("{duration: 3999.99}", "{duration: 3999.99, set: {first.weight: {file: none.npz}}}")
        self.assertNotEqual(late, text)
        config.write_text(late, encoding="utf-8")
        done = self.run_glesim(config, "--variant", "gle", "--output", "out", code=4)
        self.assertRegex(done.err, r"^/.*none\.npz: .*\(training\.phases\[2\]\.set\.first\.weight, "
                                   r"asked for at .*\.yaml:\d+:\d+\)\n$")
        self.assertFalse((self.folder / "out/gle/seed_0/metrics.json").exists())

    def test_an_interrupt_in_a_phase_leaves_report_and_recording(self):
        args = [GLESIM, str(LAGLINE), "--variant", "gle", "--set", "training.phases[2].duration=1e6", "--output", "out"]
        with subprocess.Popen(args, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as run:
            folder = self.folder / "out/gle/seed_0"
            self.assertIn(b"phase 1/3", run.stderr.readline())
            time.sleep(1.0) # phase 2 takes a hundredth of it, too little to be worth a report or a word
            self.assertNotIn("recording.npz", os.listdir(folder)) # whole or not at all
            run.send_signal(signal.SIGINT)
            out, err = run.communicate(timeout=PATIENCE)
        self.assertEqual(run.returncode, 130, err)
        self.assertIn(b"interrupted after", out)
        m = load(folder / "metrics.json")
        self.assertEqual((m["status"], m["message"]), ("interrupted", "stopped by a signal in phase 3"))
        self.assertEqual([p["phase"] for p in m["phases"]], [1, 2, 3])
        self.assertGreater(m["final"]["steps"], 0)
        self.assertAlmostEqual(m["final"]["duration"], 0.01 * m["final"]["steps"])
        self.assertEqual(sorted(os.listdir(folder)), sorted([*self.FILES, "checkpoint.npz", "recording.part"]))
        arrays = read_npy(folder / "recording.npz")
        self.assertEqual(arrays["step"][2], tuple(range(0, 5001 + m["final"]["steps"], 10)))
        self.assertEqual({shape[0] for _, shape, _ in arrays.values()}, {len(arrays["step"][2])})

    def test_a_kill_leaves_what_was_whole(self):
        self.phases(LAGLINE, *self.SHORT_LINE)
        args = [GLESIM, str(LAGLINE), "--variant", "gle", "--set", "training.phases[1].duration=1e6", "--output", "out",
                "--force", "--quiet"]
        with subprocess.Popen(args, cwd=self.folder, stdin=subprocess.DEVNULL) as run:
            end = time.monotonic() + PATIENCE
            while load(self.folder_of_run / "metrics.json")["status"] != "running" and time.monotonic() < end:
                time.sleep(0.01)
            run.kill()
            run.wait(timeout=PATIENCE)
        self.assertEqual(len(load(self.folder_of_run / "metrics.json")["phases"]), 1)
        # The former run's recording is gone, and nothing half-written is left but what --resume would need.
        self.assertEqual(sorted(set(os.listdir(self.folder_of_run)) - {"checkpoint.npz", "recording.part"}),
                         [f for f in self.FILES if f != "recording.npz"])

    def test_a_forced_run_without_a_recording_removes_the_former_one(self):
        self.phases(LAGLINE, *self.SHORT_LINE)
        former = self.read("recording.npz")
        self.phases(LAGLINE, *self.SHORT_LINE, "--set", "record.every=100", "--force")
        self.assertLess(len(self.read("recording.npz")), len(former))
        text = LAGLINE.read_text(encoding="utf-8")
        config = self.folder / "lagline.yaml"
        config.write_text(text[:text.index("record:")] + text[text.index("variants:"):], encoding="utf-8")
        self.phases(config, *self.SHORT_LINE, "--force")
        self.assertEqual(sorted(os.listdir(self.folder_of_run)), [f for f in self.FILES if f != "recording.npz"])

    @unittest.skipUnless(os.path.exists("/proc/self/limits"), "needs a limit on the size of files")
    def test_a_recording_that_cannot_be_written_is_an_error(self):
        run = (f'trap "" XFSZ; ulimit -f 16; exec "{GLESIM}" "{LAGLINE}" --variant gle --output out '
               '--set training.phases[2].duration=1')
        done = subprocess.run(["bash", "-c", run], cwd=self.folder, stdin=subprocess.DEVNULL, capture_output=True,
                              check=False)
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertIn(b"recording.npz: ", done.stderr)
        self.assertNotIn("recording.npz", os.listdir(self.folder / "out/gle/seed_0"))
        (self.folder / "dir/gle/seed_0/recording.npz").mkdir(parents=True)
        done = self.run_glesim(LAGLINE, *self.SHORT_LINE, "--output", "dir", code=3)
        self.assertEqual(done.err, "dir/gle/seed_0/recording.npz: cannot write: Is a directory\n")

    def test_samples_are_played_as_streams(self):
        x = [math.sin(0.7 * i) for i in range(24)] # 3 samples of 4 steps of 2 channels
        write_npz(self.folder / "d.npz", x=("f4", (3, 4, 2), x), y=("i8", (3,), [0, 1, 0]))
        config = self.config(dataset="{type: npz, file: d.npz}")
        text = config.read_text(encoding="utf-8").replace("{epochs: 2, batch_size: 4}", "{phases: [{duration: 0.7, "
                                                          "learn: false}, {duration: 1.7}], batch_size: 2}")
        config.write_text(text + "record: {variables: [r]}\n", encoding="utf-8")
        m = self.phases(config, seed=3)
        self.assertEqual([p["steps"] for p in m["phases"]], [7, 17])
        for p, played in zip(m["phases"], (2, 10), strict=True):
            self.assertAlmostEqual(p["accuracy"] * played, round(p["accuracy"] * played))
        shown = read_npy(self.folder_of_run / "recording.npz")["input"]
        self.assertEqual(shown[1], (24, 2, 2))
        for t in range(24):
            for stream in (0, 1): # which play 0, 2, 1, ... and 1, 0, 2, ...
                sample = (t // 4 * 2 + stream) % 3
                for channel in (0, 1):
                    self.assertAlmostEqual(shown[2][(2 * t + stream) * 2 + channel],
                                           x[(sample * 4 + t % 4) * 2 + channel], delta=1e-6)
        # Beside a teacher, neither labels nor targets are needed.
        write_npz(self.folder / "d.npz", x=("f4", (3, 4, 2), x))
        self.assertRegex(self.refused(config, "--output", "no", code=4), r"d\.npz: has neither labels y nor targets: it has x"
                         + ASKED_FOR)
        m = self.phases(config, "--set", "teacher={hidden: {weight: 1.0}}", "--set", "learning.loss=mse", seed=3,
                        output="taught")
        self.assertGreater(m["final"]["loss"], 0.0)
        self.assertIsNone(m["final"]["accuracy"])

    def evaluated(self):
        """A config that evaluates at the times 0, 2, 4, and 5."""
        config = self.config()
        text = config.read_text(encoding="utf-8").replace(
            "{epochs: 2, batch_size: 4}", "{phases: [{duration: 3}, {duration: 2}], batch_size: 2, test_batch_size: 3, "
                                          "evaluate: {every: 2}}")
        config.write_text(text, encoding="utf-8")
        return config

    def test_the_test_set_is_evaluated_on_the_way(self):
        config = self.evaluated()
        m = self.phases(config, seed=3)
        self.assertEqual([(e["time"], e["step"], e["split"]) for e in m["evaluations"]],
                         [(0.0, 0, "test"), (2.0, 20, "test"), (4.0, 40, "test"), (5.0, 50, "test")])
        for e in m["evaluations"]:
            self.assertEqual(list(e), ["time", "step", "split", "loss", "accuracy"])
            self.assertIn(e["accuracy"], (0.0, 0.25, 0.5, 0.75, 1.0)) # of four samples
        self.assertEqual(m["final"]["test"], {key: m["evaluations"][-1][key] for key in ("loss", "accuracy")})
        self.assertEqual((m["timing"]["train_steps"], m["timing"]["eval_steps"]), (50, 4 * 2 * 20))
        done = self.run_glesim(config, "--output", "again")
        score = f"{m['final']['test']['loss']:.4f} ({100 * m['final']['test']['accuracy']:.1f} %)"
        self.assertRegex(done.err, r"(?m)^small seed 3  phase 1/2  \S+ \S+  time 0  test \d\S* \(\d\S* %\)$")
        self.assertRegex(done.err, rf"(?m)^small seed 3  phase 2/2  \S+ \S+  time 5  test {re.escape(score)}$")
        self.assertRegex(done.out, r", test loss \d\S*, test accuracy \d\S* %, ")
        plan = self.run_glesim(config, "--dry-run", "--set", "record={every: 10, offset: 11}").out
        self.assertRegex(plan, r"\n  evaluations +4 of 4 test samples, [1-9]\S* \S+\n")
        self.assertRegex(plan, r"\n  recording +4 records, ")
        without = self.phases(config, "--set", "training={phases: [{duration: 3}, {duration: 2}], batch_size: 2}",
                              seed=3, output="without")
        self.assertEqual((without["evaluations"], without["parameters"]), ([], m["parameters"]))
        self.assertNotIn("test", without["final"])

    def test_evaluations_of_seeds_have_a_mean(self):
        config = self.evaluated()
        self.run_glesim(config, "--seeds", "0-2", "--output", "out", "--quiet")
        losses = [load(self.folder / f"out/seed_{n}/metrics.json")["evaluations"][2]["loss"] for n in range(3)]
        s = load(self.folder / "out/summary.json")
        self.assertEqual((s["evaluations"][2]["time"]["mean"], s["evaluations"][2]["split"]), (4.0, "test"))
        self.assertAlmostEqual(s["evaluations"][2]["loss"]["mean"], sum(losses) / 3)
        self.assertAlmostEqual(s["final"]["test"]["loss"]["mean"],
                               sum(load(self.folder / f"out/seed_{n}/metrics.json")["final"]["test"]["loss"]
                                   for n in range(3)) / 3)

    def test_data_without_a_test_set_cannot_be_evaluated(self):
        write_npz(self.folder / "d.npz", x=("f4", (3, 2), [0.5] * 6), y=("i8", (3,), [0, 1, 0]))
        config = self.evaluated()
        err = self.refused(config, "--set", "dataset={type: npz, file: d.npz, present: 1.0}", "--output", "no")
        self.assertRegex(err, r"small\.yaml:\d+:\d+: training\.evaluate: the data set has no test set\n$")

    def test_gradients_are_recorded_where_windows_end(self):
        self.phases(LAGLINE, "--variant", "bptt_tw1", "--set", "training.phases[2].duration=10", "--set",
                    "record={every: 50, offset: 2500, variables: [e_inst, e_below, r_prime], gradients: [weight, tau_m]}")
        arrays = read_npy(self.folder_of_run / "recording.npz")
        steps = arrays["step"][2]
        self.assertEqual(steps[:3], (2500, 2550, 2600))
        for name in ("first.grad_weight", "second.grad_tau_m"):
            each = len(arrays[name][2]) // len(steps)
            self.assertEqual(each, 1)
            for step, value in zip(steps, arrays[name][2], strict=True): # those of 100 steps, while it learns
                self.assertEqual(math.isnan(value), not (step > 5000 and step % 100 == 0), (name, step))
        self.assertEqual(arrays["second.e_below"][1], (len(steps), 100, 1))
        self.assertTrue(all(math.isnan(value) for value in arrays["first.e_below"][2]))
        self.assertFalse(any(math.isnan(value) for value in arrays["first.e_inst"][2]))

    def test_windowed_rules_learn_by_epochs(self):
        for rule in ("bptt", "adjoint"):
            m = self.train(XOR, "--set", f"learning.rule={rule}", "--set", "learning.window=2", "--set",
                           "learning.optimizer.lr=1e-2", output=rule)
            self.assertEqual(m["final"]["test"]["accuracy"], 1.0)

    def test_a_recording_by_epochs_tells_them_and_the_split(self):
        self.train(XOR, *SHORT, "--set", "record={every: 7, variables: [u], layers: [hidden]}")
        arrays = read_npy(self.folder / "out/seed_1/recording.npz")
        shapes = {name: shape for name, (_, shape, _) in arrays.items()}
        n = -(-(3 * 20 + 2 * 25 * 20) // 7)
        self.assertEqual(shapes, {"time": (n,), "loss": (n,), "step": (n,), "epoch": (n,), "split": (n,),
                                  "input": (n, 4, 2), "target": (n, 4, 2), "output": (n, 4, 2), "hidden.u": (n, 4, 8)})
        for step, epoch, split in zip(*(arrays[name][2] for name in ("step", "epoch", "split")), strict=True):
            evaluated = (step - 20) % 520 >= 500 or step < 20
            self.assertEqual((epoch, split), ((step + 500) // 520, 2 if evaluated else 0), step)

    def test_the_last_of_several_variants_runs_whatever_becomes_of_the_others(self):
        config = self.folder / "lagnet.yaml"
        config.write_text(LAGNET.read_text(encoding="utf-8").replace("variants:", "variants:\n  none: "
                          "{learning.rule: gle, teacher.hidden_1.weight: {file: none.npz}}"), encoding="utf-8")
        done = self.run_glesim("lagnet.yaml", code=4)
        self.assertRegex(done.err, r"(?m)none\.npz: cannot read: No such file or directory "
                                   r"\(teacher\.hidden_1\.weight, asked for at lagnet\.yaml:\d+:\d+\)$")
        for variant, left in (("none", []), ("gle", self.FILES), ("adjoint", self.FILES)):
            self.assertEqual(sorted(os.listdir(self.folder / "results/lagnet" / variant / "seed_5")), left)

    def test_dry_run_shows_phases(self):
        done = self.run_glesim(LAGLINE, "--variant", "bptt_tw4", "--dry-run")
        for pattern in (r"data set step: 100 sequences x 1 channel, without end", r"teacher +.* 4 parameters",
                        r"parameters +2, and 2 plastic time constants; 4 ", r"recording +40500 records, about 4\.37 MB",
                        r"phase 1 +25 time units, 2500 steps, not learning, some parameters set",
                        r"phase 3 +4000 time units, 400000 steps, learning", r"estimated time +\d"):
            self.assertRegex(done.out, pattern)
        self.assertEqual((done.err, os.listdir(self.folder)), ("", []))

    @unittest.skipUnless(numpy, "numpy is not installed")
    def test_numpy_opens_recordings(self):
        self.phases(LAGNET, "--variant", "adjoint", "--set", "record.variables=[r, e, lambda]", seed=5)
        with numpy.load(self.folder_of_run / "recording.npz", allow_pickle=False) as archive:
            r = dict(archive)
        self.assertEqual((r["hidden_1.r"].shape, r["hidden_1.r"].dtype), ((100100, 1, 2), numpy.float32))
        self.assertEqual((r["time"].dtype, r["phase"].dtype), (numpy.float64, numpy.int64))
        self.assertTrue(numpy.allclose(r["loss"], numpy.mean((r["target"] - r["output"]) ** 2, (1, 2)), atol=1e-6))
        # What step t reads is what step t - 1 left.
        self.assertTrue(numpy.array_equal(r["output"][1:], r["top.r"][:-1]))


class Endings(Small):
    def test_divergence_is_a_result(self):
        config = self.config(loss="mse", optimizer="{type: sgd, lr: 1e6}", epochs=3)
        done = self.run_glesim(config, "--output", "out", code=6)
        self.assertRegex(done.err, r"(?m)^out/seed_3: .*layer '?(hidden|readout)'?.* step \d+.*, in epoch 1$")
        m = load(self.folder / "out/seed_3/metrics.json")
        self.assertEqual((m["status"], m["diverged"]), ("diverged", True))
        self.assertIn(m["message"], done.err)
        for values in read_npz(self.folder / "out/seed_3/weights.npz").values():
            self.assertTrue(all(map(math.isfinite, values)))

    def interrupt(self, number, output):
        args = [GLESIM, str(XOR), "--set", "training.epochs=1000000", "--output", output]
        with subprocess.Popen(args, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as run:
            report = self.folder / output / "seed_1" / "metrics.json"
            end = time.monotonic() + PATIENCE
            while not report.exists() and run.poll() is None and time.monotonic() < end:
                time.sleep(0.01)
            time.sleep(0.1)
            run.send_signal(number)
            out, err = run.communicate(timeout=PATIENCE)
        self.assertEqual(run.returncode, 128 + number, err)
        m = load(report)
        self.assertEqual(m["status"], "interrupted")
        self.assertIn("signal", m["message"])
        self.assertTrue(m["provenance"]["end"])
        self.assertEqual([e["epoch"] for e in m["epochs"]], list(range(len(m["epochs"]))))
        self.assertEqual(m["final"], m["epochs"][-1])
        self.assertIn(b"interrupted", out)
        read_npz(report.with_name("weights.npz"))
        self.assertEqual(sorted(os.listdir(report.parent)),
                         ["checkpoint.npz", "config.yaml", "metrics.json", "weights.npz"])

    def test_an_interrupt_ends_a_run_with_its_report(self):
        self.interrupt(signal.SIGINT, "out")

    def test_a_termination_ends_a_run_with_its_report(self):
        self.interrupt(signal.SIGTERM, "out")

    def test_a_signal_ends_the_variants_that_are_left(self):
        config = self.config(epochs=1000000)
        config.write_text(config.read_text() + "variants: {a: {}, b: {}}\n")
        with subprocess.Popen([GLESIM, "small.yaml"], cwd=self.folder, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL) as run:
            report = self.folder / "results/small/a/seed_3/metrics.json"
            end = time.monotonic() + PATIENCE
            while not report.exists() and run.poll() is None and time.monotonic() < end:
                time.sleep(0.01)
            run.send_signal(signal.SIGINT)
            run.wait(timeout=PATIENCE)
        self.assertEqual(run.returncode, 130)
        self.assertFalse((self.folder / "results/small/b").exists())

    def test_a_former_run_is_not_overwritten(self):
        self.train(XOR, *SHORT)
        before = self.weights()
        err = self.refused(XOR, *SHORT, "--output", "out", "--seed", "1", code=3)
        self.assertRegex(err, r"^glesim: out/seed_1 holds a run already \(completed\); --force .*\n$")
        self.train(XOR, "--set", "training.epochs=3", "--force")
        self.assertNotEqual(self.weights(), before)

    def test_a_forced_run_that_cannot_begin_leaves_the_former_one_whole(self):
        self.train(XOR, *SHORT)
        names = ["config.yaml", "metrics.json", "weights.npz"]
        before = [(self.folder / "out/seed_1" / name).read_bytes() for name in names]
        self.refused(XOR, *SHORT, "--output", "out", "--seed", "1", "--force",
                     "--set", "network.init={file: none.npz}", code=4)
        self.assertEqual([(self.folder / "out/seed_1" / name).read_bytes() for name in names], before)

    def test_a_file_in_the_way_is_an_error(self):
        (self.folder / "out").write_text("in the way")
        self.assertEqual(self.refused(XOR, *SHORT, "--output", "out", code=3).count("\n"), 1)
        (self.folder / "deep" / "seed_1" / "weights.npz").mkdir(parents=True)
        done = self.run_glesim(XOR, *SHORT, "--output", "deep", code=3)
        self.assertIn("weights.npz", done.err)
        self.assertEqual(sorted(os.listdir(self.folder / "deep/seed_1")), ["weights.npz"]) # before the first step

    def test_standard_output_that_cannot_be_written_is_an_error(self):
        with open("/dev/full", "wb") as full:
            self.assertIn("standard output", self.run_glesim("--list", code=3, stdout=full).err)
            self.assertIn("standard output", self.run_glesim("--check", XOR, code=3, stdout=full).err)
        closed = subprocess.run(f'"{GLESIM}" --list >&-', shell=True, cwd=self.folder, stderr=subprocess.PIPE,
                                check=False)
        self.assertEqual(closed.returncode, 3, closed.stderr)

    def test_a_closed_output_does_not_spoil_a_run(self):
        done = subprocess.run(f'"{GLESIM}" "{XOR}" --set training.epochs=1 --output out >&- 2>&-', shell=True,
                              cwd=self.folder, check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertEqual(load(self.folder / "out/seed_1/metrics.json")["status"], "completed")
        self.assertEqual(len(read_npz(self.folder / "out/seed_1/weights.npz")), 8)


class Options(Small):
    def test_set_overrides_the_file(self):
        m = self.train(XOR, *SHORT, "--set", "learning.optimizer.lr=1e-4", "--set", "network.layers[0].neurons.count=3",
                       "--set", "learning.rule=bp")
        self.assertEqual(m["config"]["learning"]["optimizer"]["lr"], 1e-4)
        self.assertEqual(m["config"]["learning"]["rule"], "bp")
        self.assertEqual(m["network"]["layers"][0]["neurons"], 3)
        self.assertEqual(m["epochs"][1]["lr"], 1e-4)

    def test_errors_of_set_name_it(self):
        for change, message in (
                ("learning.optimizer.rl=1", "learning.optimizer.rl: unknown key 'rl' (did you mean 'lr'?)"),
                ("training.epochs=many", "training.epochs: a whole number is wanted, not 'many'"),
                ("dt=[0.1", "this '[' is never closed"),
                ("network.layers[7].repeat=2", "network.layers[7].repeat: no list item 7: there are 2"),
                ("dt=0.1.2", "dt: a number is wanted, not '0.1.2'")):
            self.assertEqual(self.refused("--check", XOR, "--set", change), f"--set {change}: {message}\n")
        for change in ("dt", "dt=", "=3"):
            self.assertEqual(self.refused("--check", XOR, "--set", change),
                             f"glesim: --set {change}: key=value is wanted, as in learning.optimizer.lr=1e-4\n")

    def test_output_goes_elsewhere(self):
        self.train(XOR, *SHORT, output="some/where")
        self.assertEqual(os.listdir(self.folder), ["some"])

    def test_quiet_says_nothing(self):
        done = self.run_glesim(XOR, *SHORT, "--quiet")
        self.assertEqual((done.out, done.err), ("", ""))
        self.assertTrue((self.folder / "results/xor/seed_1/metrics.json").exists())
        done = self.run_glesim("--check", XOR, "--quiet")
        self.assertEqual((done.out, done.err), ("", ""))

    def test_progress_in_a_pipe_has_no_control_characters(self):
        done = self.run_glesim(XOR)
        self.assertIsNone(re.search(r"[^\n -~]", done.err), done.err)
        self.assertRegex(done.err, r"^xor seed 1  epoch 0/40 .*\n")
        self.assertRegex(done.err, r"xor seed 1  epoch 40/40 .* test \S+ \(100\.0 %\)\n$")

    def test_list_names_everything(self):
        out = self.run_glesim("--list").out
        for word in ("mnist1d", "xor", "tanh", "gle", "cross_entropy", "adam", "plateau", "linear", "carry", "beta1",
                     "phases", "duration", "teacher", "every", "sequences", "diagnose", "window"):
            self.assertRegex(out, rf"(?m)^ +{word} ", word)

    def test_help_and_version(self):
        done = self.run_glesim("--help")
        self.assertTrue(done.out.startswith("usage: glesim CONFIG.yaml"))
        self.assertLessEqual(max(map(len, done.out.splitlines())), 120)
        self.assertRegex(self.run_glesim("--version").out, r"^glesim \d+\.\d+\.\d+")

    def test_wrong_usage_is_told(self):
        for args, message in (
                (["--treads", "2", XOR], "unknown option --treads (did you mean --threads?)"),
                (["--xyz", XOR], "unknown option --xyz; glesim --help lists them"),
                (["-x", XOR], "unknown option -x; glesim --help lists them"),
                ([XOR, "--threads"], "--threads wants a value"),
                ([XOR, "--out"], "--output wants a value"),
                ([XOR, "--check=yes"], "--check takes no value"),
                ([XOR, "--threads", "0"], "--threads 0: a number from 1 to 4096 is wanted"),
                ([XOR, "--seed", "-1"], "--seed -1: a whole number is wanted"),
                ([XOR, "--output", ""], "--output: a directory is wanted"),
                ([], "a config file is wanted; glesim --help tells more")):
            self.assertEqual(self.refused(*args), f"glesim: {message}\n")
        self.assertEqual(self.refused("none.yaml"), "none.yaml: cannot be read: No such file or directory\n")
        self.assertEqual(self.refused(self.folder), f"{self.folder}: is a directory, not a config file\n")

    def test_every_config_of_the_command_line_is_checked(self):
        bad = self.config("bad.yaml", loss="croos_entropy")
        done = self.run_glesim("--check", bad, XOR, self.folder / "none.yaml", code=2)
        self.assertEqual(done.out, f"{XOR}: ok\n")
        self.assertEqual(done.err.count("\n"), 2)

    def test_dry_run_shows_and_writes_nothing(self):
        done = self.run_glesim(XOR, "--dry-run")
        for word in ("hidden", "readout", "tanh", "parameters", "memory", "a learning step", "evaluating step",
                     "500 learning and 20 evaluating steps", "estimated time"):
            self.assertIn(word, done.out)
        self.assertEqual(os.listdir(self.folder), [])


SPEECH = """{type: speech_commands, path: words, task: {words: [low, high]}, split: {type: hashed, validation: 0},
  sample_rate: 8000, features: {type: mel, bins: 8, window: 256, hop: 200}}"""


class Sounds(Small):
    def words(self, speakers=10):
        """Two words, which are tones."""
        for word, period in ("low", 40), ("high", 8):
            (self.folder / "words" / word).mkdir(parents=True)
            for i in range(speakers):
                with wave.open(str(self.folder / "words" / word / f"s{i}_nohash_0.wav"), "wb") as file:
                    file.setparams((1, 2, 8000, 0, "NONE", ""))
                    file.writeframes(struct.pack("<1000h", *(9000 if k % period < period / 2 else -9000 - i
                                                             for k in range(1000))))

    def test_names_of_files_leave_the_terminal_alone(self):
        self.words()
        name = b"x\x1b[31m\r\n\xc2\x9b\x7f\xff_nohash_0.wav"
        with open(os.fsencode(self.folder) + b"/words/low/" + name, "wb"):
            pass
        config = self.config(dataset=SPEECH, inputs=8)
        shown = rb"words/low/x\?\[31m\?\?\?\?\?\xff_nohash_0.wav: not a sound file: it is empty"
        done = subprocess.run([GLESIM, config], cwd=self.folder, capture_output=True, timeout=PATIENCE, check=False)
        self.assertEqual(done.returncode, 4)
        self.assertRegex(done.stderr, shown)
        done = subprocess.run([GLESIM, config, "--set", "dataset.skip_bad=true"], cwd=self.folder,
                              capture_output=True, timeout=PATIENCE, check=False)
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stderr, b"^glesim: 1 file left out; the first: [^\n]*" + shown)
        skipped = load(self.folder / "results" / "small" / "seed_3" / "metrics.json")["dataset"]["skipped"]
        self.assertEqual(skipped["files"], 1)
        self.assertRegex(skipped["first"], r"words/low/x\?\[31m\?+_nohash_0.wav: not a sound file: it is empty")

    def test_a_set_that_is_not_there_cannot_be_watched(self):
        self.words()
        config = self.config(dataset=SPEECH, inputs=8)
        watch = "learning.schedule={type: plateau, metric: validation_loss}"
        self.assertIn("validation_loss cannot be watched: there is no such set (dataset.split makes one)",
                      self.refused(config, "--set", watch))


class Variants(Small):
    def setUp(self):
        super().setUp()
        config = self.config()
        config.write_text(config.read_text() + "variants:\n  slow: {learning.optimizer.lr: 1e-5}\n"
                                               "  bp: {learning.rule: bp, seed: 4}\n")

    def test_each_variant_has_its_folder(self):
        self.run_glesim("small.yaml")
        slow = load(self.folder / "results/small/slow/seed_3/metrics.json")
        bp = load(self.folder / "results/small/bp/seed_4/metrics.json")
        self.assertEqual((slow["variant"], slow["config"]["learning"]["optimizer"]["lr"]), ("slow", 1e-5))
        self.assertEqual((bp["variant"], bp["config"]["learning"]["rule"]), ("bp", "bp"))
        self.assertNotIn("variants", bp["config"])

    def test_variant_picks(self):
        self.run_glesim("small.yaml", "--variant", "bp", "--output", "out")
        self.assertEqual(os.listdir(self.folder / "out"), ["bp"])
        self.run_glesim("small.yaml", "--variant", "slow,bp", "--output", "both")
        self.assertEqual(sorted(os.listdir(self.folder / "both")), ["bp", "slow"])

    def test_set_and_seed_have_the_last_word(self):
        self.run_glesim("small.yaml", "--set", "learning.rule=gle", "--set", "variants.slow={learning.gamma: 0.5}",
                        "--seed", "7")
        slow = load(self.folder / "results/small/slow/seed_7/metrics.json")
        bp = load(self.folder / "results/small/bp/seed_7/metrics.json")
        self.assertEqual((bp["seed"], bp["config"]["learning"]["rule"]), (7, "gle"))
        self.assertEqual((slow["config"]["learning"]["gamma"], slow["config"]["learning"]["optimizer"]["lr"]),
                         (0.5, 1e-2))
        self.assertEqual(self.refused("small.yaml", "--variant", "slow", "--set", "dt=x").count("\n"), 1)

    def test_an_unknown_variant_is_told(self):
        self.assertRegex(self.refused("small.yaml", "--variant", "slwo"),
                         r"^small\.yaml:\d+:\d+: variants: --variant slwo: no such variant "
                         r"\(did you mean 'slow'\?\)\n$")
        self.assertIn("--variant a: the file has no variants", self.refused(XOR, "--variant", "a"))

    def test_a_resolved_variant_runs_by_itself(self):
        self.run_glesim("small.yaml", "--variant", "bp", "--output", "out")
        self.run_glesim("out/bp/seed_4/config.yaml", "--output", "again")
        self.assertEqual(self.weights(4, "out/bp"), self.weights(4, "again"))


class Data(Small):
    X = [0, 0, 0, 1, 1, 0, 1, 1]

    def npz(self, loss="cross_entropy", outputs=2, more=", present: 1", epochs=2):
        return self.config(dataset="{type: npz, file: d.npz" + more + "}", loss=loss, outputs=outputs, epochs=epochs)

    def test_a_missing_file_is_bad_data(self):
        err = self.refused(self.npz(), code=4)
        self.assertRegex(err, r"d\.npz: cannot read: No such file or directory" + ASKED_FOR)

    def test_a_file_of_something_else_is_bad_data(self):
        (self.folder / "d.npz").write_text("no archive")
        self.assertIn("d.npz: ", self.refused(self.npz(), code=4))

    def test_shapes_that_do_not_fit_are_told(self):
        write_npz(self.folder / "d.npz", x=("f4", (4, 2), self.X), y=("x8", (4,), [0, 1, 1, 0]))
        self.assertRegex(self.refused(self.npz(), code=4), r"d\.npz: .*\by\b.*" + ASKED_FOR)
        write_npz(self.folder / "d.npz", x=("f4", (4, 3), [0] * 12), y=("i8", (4,), [0, 1, 1, 0]))
        self.assertRegex(self.refused(self.npz()),
                         r"small\.yaml:7:10: network\.input: 2, where the data set has 3 channels\n$")
        write_npz(self.folder / "d.npz", x=("f4", (4, 2), self.X), y=("i8", (4,), [0, 1, 2, 0]))
        self.assertRegex(self.refused(self.npz()),
                         r"small\.yaml:10:\d+: network\.layers\[1\]\.neurons: 2 .* 3 targets\n$")
        write_npz(self.folder / "d.npz", x=("f4", (4, 2), self.X), y=("i8", (3,), [0, 1, 1]))
        self.assertRegex(self.refused(self.npz(), code=4), r"d\.npz: y has shape \(3\) where x has \(4, 2\)" + ASKED_FOR)
        write_npz(self.folder / "d.npz", x=("f4", (4, 2), self.X), targets=("f4", (4, 2), self.X))
        self.assertRegex(self.refused(self.npz()),
                         r"small\.yaml:11:18: learning\.loss: cross_entropy wants labels.*\n$")

    def test_values_that_are_not_finite_are_told(self):
        write_npz(self.folder / "d.npz", x=("f4", (4, 2), self.X[:7] + [math.nan]), y=("i8", (4,), [0, 1, 1, 0]))
        self.assertRegex(self.refused(self.npz(), code=4), r"d\.npz: x\[3, 1\] = -?nan is not a finite number")

    def test_labels_of_held_points(self):
        write_npz(self.folder / "d.npz", x=("f4", (4, 2), self.X), y=("i8", (4,), [0, 1, 1, 0]))
        m = self.train(self.npz(epochs=150), seed=3)
        self.assertEqual(m["dataset"]["sizes"], {"train": 4, "validation": 0, "test": 0})
        self.assertEqual((m["dataset"]["steps"], m["dataset"]["channels"], m["dataset"]["targets"]), (10, 2, 2))
        self.assertLess(m["final"]["train"]["loss"], m["epochs"][1]["train"]["loss"])

    def test_labels_of_moving_inputs_with_all_sets(self):
        x, y = ("f4", (4, 3, 2), [i % 5 for i in range(24)]), ("i8", (4,), [0, 1, 1, 0])
        write_npz(self.folder / "d.npz", x=x, y=y, x_test=x, y_test=y, x_validation=x, y_validation=y)
        m = self.train(self.npz(more=""), seed=3)
        self.assertEqual(m["dataset"]["sizes"], {"train": 4, "validation": 4, "test": 4})
        self.assertEqual(m["dataset"]["steps"], 3)

    def test_targets_held_and_moving_under_mse(self):
        write_npz(self.folder / "d.npz", x=("f4", (4, 2), self.X), targets=("f4", (4, 1), [0, 1, 1, 0]))
        held = self.train(self.npz("mse", 1, epochs=30), seed=3)
        self.assertLess(held["final"]["train"]["loss"], held["epochs"][1]["train"]["loss"])
        write_npz(self.folder / "d.npz", x=("f4", (4, 3, 2), [i % 3 for i in range(24)]),
                  targets=("f4", (4, 3, 1), [0.1 * (i % 3) for i in range(12)]))
        moving = self.train(self.npz("mse", 1, "", epochs=30), seed=3, output="moving")
        self.assertLess(moving["final"]["train"]["loss"], moving["epochs"][1]["train"]["loss"])

    def test_paths_are_relative_to_the_config(self):
        (self.folder / "sub").mkdir()
        write_npz(self.folder / "sub/d.npz", x=("f4", (4, 2), self.X), y=("i8", (4,), [0, 1, 1, 0]))
        self.npz().rename(self.folder / "sub/small.yaml")
        m = self.train("sub/small.yaml", seed=3)
        self.assertEqual(m["config"]["dataset"]["file"], "../../sub/d.npz")

    def test_parameters_of_a_former_run_are_read_back(self):
        former = self.train(XOR, *SHORT)["final"]["test"]
        whole = self.train(XOR, "--set", "training.epochs=0", "--set", "network.init={file: out/seed_1/weights.npz}",
                           "--set", "training.state=reset", output="whole")["final"]["test"]
        layers = [f"network.layers[{i}].{p}={{file: {self.folder}/out/seed_1/weights.npz}}"
                  for i in (0, 1) for p in ("weight", "bias")]
        each = self.train(XOR, "--set", "training.epochs=0", *(a for l in layers for a in ("--set", l)),
                          "--set", "training.state=reset", output="each")["final"]["test"]
        self.assertEqual(whole, each)
        again = self.train("out/seed_1/config.yaml", "--set", "training.state=reset", output="again")["final"]["test"]
        self.assertEqual(set(former), set(again))
        self.assertEqual(read_npz(self.folder / "whole/seed_1/weights.npz"),
                         read_npz(self.folder / "out/seed_1/weights.npz"))

    def test_the_evaluation_of_read_parameters_is_that_of_the_run(self):
        reset = ["--set", "training.state=reset"]
        former = self.train(XOR, *SHORT, *reset)["final"]["test"]
        again = self.train(XOR, *reset, "--set", "training.epochs=0", "--set",
                           "network.init={file: out/seed_1/weights.npz}", output="again")["final"]["test"]
        self.assertEqual(former, again)

    def test_parameters_that_do_not_fit_are_told(self):
        self.train(XOR, "--set", "training.epochs=0")
        init = ["--set", "network.init={file: out/seed_1/weights.npz}"]
        done = self.run_glesim(XOR, *init, "--set", "network.layers[0].neurons.count=5", "--output", "other", code=4)
        self.assertRegex(done.err,
                         r"weights\.npz: array 'hidden\.weight' has shape \(8, 2\), where \(5, 2\) is wanted" + ASKED_FOR)
        done = self.run_glesim(XOR, "--set", "network.layers[1].bias={file: out/seed_1/weights.npz, array: hiden.bias}",
                               "--output", "other", code=4)
        self.assertRegex(done.err, r"weights\.npz: no array 'hiden\.bias' \(did you mean 'hidden\.bias'\?\)" + ASKED_FOR)
        done = self.run_glesim(XOR, "--set", "network.init={file: none.npz}", "--output", "other", code=4)
        self.assertRegex(done.err, r"none\.npz: cannot read: No such file or directory" + ASKED_FOR)
        self.assertFalse((self.folder / "other/seed_1/metrics.json").exists())

    @unittest.skipUnless(numpy, "numpy is not installed")
    def test_numpy_reads_and_writes(self):
        self.train(XOR, *SHORT)
        with numpy.load(self.folder / "out/seed_1/weights.npz", allow_pickle=False) as weights:
            arrays = dict(weights)
        self.assertEqual((arrays["hidden.weight"].shape, arrays["hidden.weight"].dtype), ((8, 2), numpy.float32))
        self.assertEqual(arrays["hidden.tau_m"].tolist(), [1.0] * 8)
        for save in (numpy.savez, numpy.savez_compressed):
            save(self.folder / "copy.npz", **arrays)
            output = save.__name__
            self.train(XOR, "--set", "training.epochs=0", "--set", "network.init={file: copy.npz}", output=output)
            self.assertEqual(self.weights(output=output), self.weights())
        numpy.savez(self.folder / "d.npz", x=numpy.asfortranarray(numpy.reshape(self.X, (4, 2)).astype(numpy.float64)),
                    y=numpy.array([0, 1, 1, 0], numpy.uint8))
        self.train(self.npz(), seed=3, output="data")


if __name__ == "__main__":
    unittest.main()
