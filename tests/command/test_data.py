"""What the command says of data: what it leaves unused, whose scores it prints, and that it stops while it makes them.
The program is the one that GLESIM names. Standard library only.
"""

import os
import pty
import re
import signal
import struct
import subprocess
import time
import unittest
import zipfile

from case import Case, GLESIM, PATIENCE, load

CONFIG = """glesim: 1
name: small
seed: 3
dt: 0.1
dataset: {dataset}
network:
  input: {inputs}
  layers:
    - {{name: hidden, neurons: {{count: 3, tau_m: 1.0, tau_r: 0.5}}, activation: tanh}}
    - {{name: readout, neurons: {{count: {outputs}, tau_m: 1.0, tau_r: 1.0}}}}
learning: {{loss: {loss}}}
training: {{{training}}}
"""
X, Y = [0, 0, 0, 1, 1, 0, 1, 1], [0, 1, 1, 0]
FOUR = {"x": ("f4", (4, 2), X), "y": ("i8", (4,), Y)}
# A second and more of work for every kind of maker, with little memory.
LONG = {
    "mnist1d": ("{type: mnist1d, samples: 1000000, length: 2}", 1, 10, "epochs: 1, batch_size: 100"),
    "yinyang": ("{type: yinyang, train: 20000000, r_small: 0.05}", 4, 3, "epochs: 1, batch_size: 100"),
}


def npy(kind, shape, values):
    head = f"{{'descr': '<{kind}', 'fortran_order': False, 'shape': ({''.join(f'{n}, ' for n in shape)})}}"
    head = head.ljust(118 - 1) + "\n"
    packed = struct.pack(f"<{len(values)}{ {'f2': 'e', 'f4': 'f', 'i8': 'q'}[kind]}", *values)
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() + packed


class DataCase(Case):
    def config(self, dataset="{type: npz, file: d.npz, present: 1}", inputs=2, outputs=2, loss="cross_entropy",
               training="epochs: 2, batch_size: 4", more=""):
        return self.write("small.yaml", CONFIG.format(dataset=dataset, inputs=inputs, outputs=outputs, loss=loss,
                                                      training=training) + more)

    def npz(self, name="d.npz", files=(), **arrays):
        with zipfile.ZipFile(self.folder / name, "w") as archive:
            for array, (kind, shape, values) in arrays.items():
                archive.writestr(array + ".npy", npy(kind, shape, values))
            for file in files:
                archive.writestr(file, "no array")

    def refused(self, *args, code=2):
        before = sorted(self.folder.rglob("*"))
        done = self.run_glesim(*args, code=code)
        self.assertEqual(done.out, "")
        self.assertEqual(sorted(self.folder.rglob("*")), before)
        return done.err


class Files(DataCase):
    def test_a_test_set_under_another_name_is_an_error(self):
        self.npz(**FOUR, X_test=FOUR["x"], Y_test=FOUR["y"])
        self.assertIn("d.npz: nothing uses an array 'X_test' (did you mean 'x_test'?) (dataset, asked for at ",
                      self.refused(self.config(), code=4))

    def test_a_test_set_without_labels_is_an_error(self):
        self.npz(**FOUR, x_test=FOUR["x"])
        self.assertIn("d.npz: has x_test but no y_test (dataset, asked for at ", self.refused(self.config(), code=4))

    def test_arrays_that_nothing_uses_are_told_once(self):
        self.npz(**FOUR, files=["README.txt"], mean=("f4", (2,), [0, 0]))
        done = self.run_glesim(self.config(), "--output", "out")
        self.assertEqual(done.err.count("d.npz: nothing uses 'mean' (x, y or targets, mask and lengths, and the same with "
                                        "_validation and _test are used)\n"), 1)
        self.assertNotIn("README", done.err)
        done = self.run_glesim(self.config(), "--output", "out", "--force", "--quiet")
        self.assertEqual(done.err, "")

    def test_half_precision_gives_what_single_gives(self):
        for name, kind in ("half.npz", "f2"), ("single.npz", "f4"):
            self.npz(name, x=(kind, (4, 2), [0.5 * x for x in X]), y=("i8", (4,), Y))
            self.run_glesim(self.config(f"{{type: npz, file: {name}, present: 1}}"), "--output", name[:-4])
        half, single = (load(self.run_of(name, 3) / "metrics.json") for name in ("half", "single"))
        self.assertEqual(half["dataset"]["sha256"], single["dataset"]["sha256"])
        self.assertEqual(half["final"]["train"], single["final"]["train"])

    def test_initial_weights_of_half_precision(self):
        self.npz(**FOUR)
        self.npz("w.npz", **{"hidden.weight": ("f2", (3, 2), [0.5, 1, -2, 3, 0.25, -0.125]),
                             "hidden.bias": ("f2", (3,), [0, 0, 0]), "readout.weight": ("f2", (2, 3), [1] * 6),
                             "readout.bias": ("f2", (2,), [0, 0]), "readout.tau_r": ("f4", (2,), [1, 1]),
                             "lost.weight": ("f2", (1, 1), [7])})
        done = self.run_glesim(self.config(), "--set", "network.init.file=w.npz", "--set", "training.epochs=0",
                               "--output", "out")
        self.assertIn("w.npz: nothing uses 'lost.weight' (LAYER.weight, LAYER.bias, LAYER.tau_m and, where it "
                      "learns, LAYER.tau_r of the layers are used)\n", done.err)
        with zipfile.ZipFile(self.run_of("out", 3) / "weights.npz") as weights:
            self.assertEqual(struct.unpack("<6f", weights.read("hidden.weight.npy")[-24:]),
                             (0.5, 1, -2, 3, 0.25, -0.125))

    def test_images_and_arrays_are_the_same_samples_in_the_same_window(self):
        pixels = [7 * i % 256 for i in range(6 * 4 * 2)]
        for name, dims, values in (("images", (6, 4, 2), pixels), ("labels", (6,), [0, 1, 1, 0, 1, 0])):
            (self.folder / name).write_bytes(bytes([0, 0, 8, len(dims)]) + struct.pack(f">{len(dims)}I", *dims) +
                                             bytes(values))
        self.npz(x=("f4", (6, 4, 2), [p / 255 for p in pixels]), y=("i8", (6,), [0, 1, 1, 0, 1, 0]))
        weights = []
        for dataset in ("type: idx, images: images, labels: labels, as: rows, present: 0.3",
                        "type: npz, file: d.npz, hold: 3"):
            for more in (", target_window: [0.4, 1.1]", ""):
                self.run_glesim(self.config(f"{{{dataset}{more}}}"), "--output", "out", "--force", "--quiet")
                with zipfile.ZipFile(self.run_of("out", 3) / "weights.npz") as kept:
                    weights.append({name: kept.read(name) for name in kept.namelist()})
        self.assertEqual(weights[0], weights[2])
        self.assertEqual(weights[1], weights[3])
        self.assertNotEqual(weights[0], weights[1])

    def test_targets_of_a_regression_are_no_labels(self):
        self.npz(x=FOUR["x"], y=("f4", (4,), [0.5, 1, 1, 0]))
        self.assertIn("d.npz: y[0] = 0.5 is not a whole number, as labels are (targets of a regression are called "
                      "targets) (dataset", self.refused(self.config(outputs=1, loss="mse"), code=4))


class Settings(DataCase):
    def test_a_fraction_beside_a_validation_set_is_an_error(self):
        config = self.config("{type: yinyang, train: 50, validation: 20}", 4, 3, training="epochs: 1, validation: 0.2")
        self.assertRegex(self.refused(config), r"small\.yaml:12:\d+: training\.validation: 0\.2 of the training set is not "
                                               r"taken where the data set brings a validation set of its own, as here "
                                               r"\(20 samples\): leave one of the two out\n$")

    def test_a_fraction_that_is_too_small_is_shown_where_it_stands(self):
        self.npz(**FOUR)
        config = self.config(training="epochs: 1, validation: 0.01")
        why = "training.validation: a fraction of 0.01 of 4 training samples leaves none for validation\n"
        self.assertEqual(self.refused(config), f"{config}:12:35: {why}")
        self.assertEqual(self.refused(self.config(), "--set", "training.validation=0.01"),
                         f"--set training.validation=0.01: {why}")

    def test_a_test_set_that_is_not_there_is_not_evaluated(self):
        for test in "epochs", "end":
            config = self.config("{type: yinyang, train: 50, test: 0}", 4, 3, training=f"epochs: 1, test: {test}")
            self.assertRegex(self.refused(config), r"small\.yaml:12:\d+: training\.test: the data set has no test set\n$")

    def test_what_only_the_data_can_refuse(self):
        series = "{type: mackey_glass, train: 50, test: 50, length: 20, discard: 10}"
        loop = "epochs: 1, evaluate: {closed_loop: {after: 10, for: 5}}"
        for dataset, inputs, outputs, loss, training, words in (
                (series, 1, 1, "mse", "epochs: 1, decide: last",
                 "training.decide: says how one of several classes is decided on, and there are none: the data set has no "
                 "labels"),
                ("{type: xor}", 2, 2, "cross_entropy", loop,
                 "training.evaluate.closed_loop: as many target values as inputs are wanted, which are what inputs will be"),
                (series.replace("test: 50", "test: 0"), 1, 1, "mse", loop,
                 "training.evaluate.closed_loop: the data set has no test set"),
                (series, 1, 1, "mse", loop.replace("for: 5", "for: 11"),
                 "training.evaluate.closed_loop.for: after 100 steps, 110 are more than a sample has (200)"),
                (series[:-1] + ", washout: 16}", 1, 1, "mse", loop,
                 "training.evaluate.closed_loop.for: nothing is asked for then: there is no target")):
            config = self.config(dataset, inputs, outputs, loss=loss, training=training)
            self.assertRegex(self.refused(config), r"/small\.yaml:12:\d+: " + re.escape(words) + "\n$")

    def test_scores_of_a_regression(self):
        config = self.config("{type: mackey_glass, train: 50, test: 50, length: 20, discard: 10}", 1, 1, loss="mse",
                             training="epochs: 1, evaluate: {closed_loop: {after: 10, for: 5}}")
        done = self.run_glesim(config, "--output", "out", "--seed", "3")
        self.assertRegex(done.err, r"epoch 1/1 .* train \S+ \(NRMSE \S+\)  test \S+ \(NRMSE \S+\)\n")
        self.assertRegex(done.out, r"test loss \S+, test NRMSE \S+, closed loop sMAPE \S+ %, NRMSE \S+, ")
        test = load(self.folder / "out" / "seed_3" / "metrics.json")["final"]["test"]
        self.assertEqual(list(test), ["loss", "accuracy", "nrmse", "r2", "closed_loop"])
        self.assertIsNone(test["accuracy"])
        self.assertAlmostEqual(test["r2"], 1 - test["nrmse"] ** 2)
        self.assertEqual(set(test["closed_loop"]), {"smape", "nrmse", "open_loop"})
        traces = self.folder / "out" / "seed_3" / "closed_loop.npz"
        with zipfile.ZipFile(traces) as archive:
            self.assertEqual(archive.namelist(), ["time.npy", "target.npy", "open.npy", "closed.npy"])
            for name, shape in ("time", "(50,)"), ("target", "(2, 50, 1)"), ("closed", "(2, 50, 1)"):
                self.assertIn(f"'shape': {shape}".encode(), archive.read(name + ".npy"))
        self.run_glesim(config, "--output", "out", "--seed", "3", "--force", "--set",
                        "training={epochs: 1, batch_size: 4}")
        self.assertFalse(traces.exists())

    def test_a_batch_beyond_the_set_is_told(self):
        self.npz(**FOUR)
        done = self.run_glesim(self.config(training="epochs: 2, batch_size: 5"), "--output", "out")
        self.assertEqual(done.err.count("glesim: training.batch_size is 5, and the training set has 4 samples: all of "
                                        "them make one batch\n"), 1)
        done = self.run_glesim(self.config(), "--output", "out", "--force")
        self.assertNotIn("batch", done.err)


class Scores(DataCase):
    """Every score says which set it is of."""

    def test_the_closing_line_names_the_set(self):
        for test, validation, name in (("20", "0", "test"), ("0", "10", "validation"), ("0", "0", "train")):
            config = self.config(f"{{type: yinyang, train: 50, test: {test}, validation: {validation}}}", 4, 3)
            done = self.run_glesim(config, "--output", name)
            final = load(self.run_of(name, 3) / "metrics.json")["final"][name]
            self.assertIn(f": completed after epoch 2, {name} loss {final['loss']:.4g}, {name} accuracy "
                          f"{100 * final['accuracy']:.1f} %, ", done.out)

    def test_samples_that_are_played_are_the_training_set_s(self):
        self.npz(**FOUR)
        config = self.config(training="batch_size: 4, phases: [{duration: 10}]")
        self.assertRegex(self.run_glesim(config, "--output", "out").err, r"  train \S+ \(\d+\.\d %\)\n$")


class Delayed(DataCase):
    """Samples of nine steps, of which the last two have a target."""
    SET = "{type: delayed_xor, pulse: 0.2, pause: 0.3, answer: 0.2, samples: 8, test_samples: 4}"
    RECORD = "record: {every: 1}\n"

    def recorded(self, name, n):
        with zipfile.ZipFile(self.run_of("out", 3) / "recording.npz") as recording:
            values = recording.read(name + ".npy")[-8 * n:]
        return struct.unpack(f"<{n}d" if name == "loss" else f"<{2 * n}f", values)

    def test_dry_run_and_report_say_when_targets_come(self):
        done = self.run_glesim(self.config(self.SET, inputs=1), "--dry-run")
        self.assertIn("  data set delayed_xor: 8 training, 0 validation, 4 test samples of 9 steps x 1 channels, "
                      "2 targets in the last 2 steps\n", done.out)
        done = self.run_glesim(self.config("{type: xor}"), "--dry-run")
        self.assertIn("x 2 channels, 2 targets\n", done.out)
        self.run_glesim(self.config(self.SET, inputs=1), "--output", "out")
        dataset = load(self.run_of("out", 3) / "metrics.json")["dataset"]
        self.assertEqual((dataset["steps"], dataset["unasked_steps"]), (9, 7))

    def test_recordings_lack_targets_and_losses_that_are_not_there(self):
        self.run_glesim(self.config(self.SET, inputs=1, training="epochs: 1, batch_size: 8", more=self.RECORD),
                        "--output", "out")
        m = load(self.run_of("out", 3) / "metrics.json")
        steps = 3 * 9 # two tests and an epoch
        loss = self.recorded("loss", steps)
        self.assertEqual([t for t in range(steps) if loss[t] == loss[t]], [7, 8, 16, 17, 25, 26])
        self.assertAlmostEqual(m["epochs"][1]["train"]["loss"], (loss[16] + loss[17]) / 2, 12)
        target = self.recorded("target", 8 * steps)[-8 * 2 * 9:] # of the last test, rows 0 to 3 of 8
        for t in range(9):
            rows = target[16 * t:16 * t + 8]
            self.assertEqual(sum(x == x for x in rows), 8 if t > 6 else 0)

    def test_a_phase_without_targets_has_no_loss(self):
        config = self.config(self.SET, inputs=1, more=self.RECORD,
                             training="batch_size: 4, phases: [{duration: 1.8}, {duration: 0.3}]")
        done = self.run_glesim(config, "--output", "out")
        self.assertRegex(done.out, r"completed after 2\.1 time units, [^,l]*\n$")
        self.assertRegex(done.err, r"phase 1/2  .*  train \d\.\d+ \(.*\n.*phase 2/2  [^ ]+ [mun]?s\n$")
        first, second = load(self.run_of("out", 3) / "metrics.json")["phases"]
        self.assertGreater(first["loss"], 0)
        self.assertEqual([second[key] for key in ("loss", "last_loss", "accuracy")], [None] * 3)
        self.run_glesim(config, "--output", "seeds", "--seeds", "0-1", "--quiet")
        self.assertIsNone(load(self.folder / "seeds" / "summary.json")["final"]["loss"])


class Stops(DataCase):
    def test_a_signal_ends_the_making_of_data(self):
        for name, (dataset, inputs, outputs, training) in LONG.items():
            config = self.config(dataset, inputs, outputs, training=training)
            with self.subTest(name), subprocess.Popen([GLESIM, config, "--output", "out"], cwd=self.folder,
                                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
                time.sleep(1.0)
                self.assertIsNone(run.poll())
                start = time.monotonic()
                run.send_signal(signal.SIGTERM)
                out, err = run.communicate(timeout=PATIENCE)
                self.assertEqual(run.returncode, 128 + signal.SIGTERM)
                self.assertLess(time.monotonic() - start, 5.0 * PATIENCE / 60)
                self.assertEqual(out, b"")
                self.assertRegex(err.decode(), r"small\.yaml:5:10: dataset: stopped while \w+ samples\n")
        self.assertFalse((self.folder / "out" / "seed_3" / "metrics.json").exists())

    def test_a_terminal_shows_how_far_it_is(self):
        dataset, inputs, outputs, training = LONG["mnist1d"]
        outer, inner = pty.openpty()
        with subprocess.Popen([GLESIM, self.config(dataset, inputs, outputs, training=training)], cwd=self.folder,
                              stdout=subprocess.PIPE, stderr=inner) as run:
            os.close(inner)
            shown = b""
            while b"making samples  " not in shown:
                shown += os.read(outer, 4096)
            run.send_signal(signal.SIGINT)
            run.communicate(timeout=PATIENCE)
            self.assertEqual(run.returncode, 128 + signal.SIGINT)
        os.close(outer)
        self.assertRegex(shown.decode(), r"small seed 3 \[[=> ]+\] +\d+ %  making samples  \d+/1000000")


if __name__ == "__main__":
    unittest.main(verbosity=2)
