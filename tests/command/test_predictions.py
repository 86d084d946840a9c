"""predictions.npz: what is in it, and that it agrees with the report. The program is the one that GLESIM names.
Standard library only.
"""

import ast
import collections
import math
import re
import struct
import unittest
import zipfile

from case import load
from test_data import DataCase

def arrays(path):
    """Of each name the shape and the values, one after the other."""
    found = {}
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            data = archive.read(name)
            begin = 10 + struct.unpack("<H", data[8:10])[0]
            head = ast.literal_eval(data[10:begin].decode())
            code = {"<f4": "f", "<f8": "d", "<i4": "i", "<i8": "q"}[head["descr"]]
            values = struct.unpack(f"<{(len(data) - begin) // struct.calcsize(code)}{code}", data[begin:])
            found[name.removesuffix(".npy")] = (head["shape"], values)
    return found


class Predictions(DataCase):
    def file(self, output="out", seed=3):
        return self.run_of(output, seed) / "predictions.npz"

    def labelled(self, wanted="true", epochs=3):
        return self.config("{type: yinyang, train: 16, test: 12, present: 1}", 4, 3,
                           training=f"epochs: {epochs}, batch_size: 4, test_batch_size: 3, validation: 0.25, "
                                    f"test: epochs, evaluate: {{predictions: {wanted}}}",
                           more="compute: {backend: cpu}\n")

    def assert_agrees(self, output="out", seed=3):
        """With accuracies and the confusion matrix."""
        metrics, found = load(self.run_of(output, seed) / "metrics.json"), arrays(self.file(output, seed))
        for split in "test", "validation":
            _, labels = found[split + ".label"]
            _, answers = found[split + ".answer"]
            shape, scores = found[split + ".score"]
            self.assertEqual(shape, (len(labels), 3))
            rows = [scores[3 * i:3 * i + 3] for i in range(len(labels))]
            self.assertEqual(list(answers), [row.index(max(row)) for row in rows])
            right = sum(a == b for a, b in zip(labels, answers))
            self.assertAlmostEqual(right / len(labels), metrics["final"][split]["accuracy"])
        counts = collections.Counter(zip(found["test.label"][1], found["test.answer"][1]))
        self.assertEqual(metrics["confusion"]["split"], "test")
        self.assertEqual(metrics["confusion"]["matrix"], [[counts[t, a] for a in range(3)] for t in range(3)])
        return found

    def test_answers_agree_with_the_report(self):
        self.run_glesim(self.labelled(), "--output", "out", "--threads", "1")
        found = self.assert_agrees()
        self.assertEqual(found["test.sample"], ((12,), tuple(range(12))))
        taken = found["validation.sample"][1]
        self.assertEqual((len(taken), len(set(taken))), (4, 4))
        self.assertTrue(list(taken) == sorted(taken) != [0, 1, 2, 3] and taken[-1] < 16)
        bits = self.file().read_bytes()
        self.run_glesim(self.labelled(), "--output", "side", "--seeds", "3-4", "--jobs", "2", "--threads", "2")
        self.assertEqual(self.file("side").read_bytes(), bits)
        self.assert_agrees("side", 4)
        self.run_glesim(self.labelled("false"), "--output", "out", "--force")
        self.assertFalse(self.file().exists())

    def test_a_run_that_goes_on_leaves_the_same(self):
        self.run_glesim(self.labelled(epochs=1500), "--output", "whole")
        self.interrupted(self.labelled(epochs=1500))
        self.assert_agrees()
        self.run_glesim(self.labelled(epochs=1500), "--output", "out", "--resume")
        self.assert_agrees()
        self.assertEqual(self.file().read_bytes(), self.file("whole").read_bytes())

    def test_what_is_not_asked_is_no_number(self):
        x, nan = [0.1 * i for i in range(12)], math.nan
        self.npz(x=("f4", (2, 3, 2), x), targets=("f4", (2, 3, 1), x[:6]),
                 x_test=("f4", (2, 3, 2), x), targets_test=("f4", (2, 3, 1), [1, 2, 3, 4, nan, nan]),
                 lengths=("i8", (2,), [3, 3]), mask=("f4", (2, 3), [1] * 6),
                 lengths_test=("i8", (2,), [3, 2]), mask_test=("f4", (2, 3), [1, 0, 0.5, 2, 0, 0]))
        files = []
        for size in 1, 2: # the second sample lasts as long as the first beside it
            config = self.config("{type: npz, file: d.npz}", outputs=1, loss="mse",
                                 training=f"epochs: 0, state: reset, batch_size: 1, test_batch_size: {size}, "
                                          "evaluate: {predictions: true}")
            self.run_glesim(config, "--output", f"out{size}")
            files.append(arrays(self.file(f"out{size}")))
        found = files[0]
        self.assertEqual(found["test.time"], ((3,), (0.0, 0.1, 0.2)))
        self.assertEqual(found["test.weight"], ((2, 3), (1.0, 0.0, 0.5, 2.0, 0.0, 0.0)))
        self.assertEqual(repr(found["test.target"]), repr(((2, 3, 1), (1.0, nan, 3.0, 4.0, nan, nan))))
        self.assertEqual([math.isnan(value) for value in found["test.output"][1]],
                         [math.isnan(value) for value in found["test.target"][1]])
        self.assertEqual(repr(files[1]), repr(found))
        error = sum(w * (a - b) ** 2 for w, a, b in zip(*(found["test." + key][1] for key in
                                                         ("weight", "output", "target"))) if w) / 3.5
        self.assertAlmostEqual(load(self.run_of("out1", 3) / "metrics.json")["final"]["test"]["loss"], error, places=5)

    def test_what_cannot_be_kept_is_refused(self):
        asked = "epochs: 1, evaluate: {predictions: true}"
        nothing = self.config("{type: yinyang, train: 50, test: 0}", 4, 3, training=asked)
        self.assertRegex(self.refused(nothing), r"small\.yaml:12:\d+: training\.evaluate\.predictions: the data set "
                         r"has neither a test nor a validation set \(training\.validation makes one\)\n$")
        much = self.config("{type: xor, present: 1000000}", loss="mse", training=asked,
                           more="teacher: {hidden: {tau_m: 2.0}}\n")
        self.assertRegex(self.refused(much), r"small\.yaml:12:\d+: training\.evaluate\.predictions: predictions\.npz "
                         r"would have \S+ MiB, and may have 256 MiB: ")

    def test_a_plan_tells_the_size(self):
        plan = self.run_glesim(self.labelled(), "--dry-run").out
        self.assertTrue(re.search(r"^  predictions       predictions\.npz of about \S+ MiB, and twice as much of that "
                                  r"memory$", plan, re.M), plan)


if __name__ == "__main__":
    unittest.main(verbosity=2)
