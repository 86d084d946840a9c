#!/usr/bin/python3
"""Prospective time constants that learn: back to a teacher's, and through files, records and reports. The program is
the one that GLESIM names. Standard library only.
"""

import re
import struct
import unittest
import zipfile

from case import CONFIGS, XOR, Case, load

LINE = CONFIGS / "lagline_tau_r.yaml"
FEW = ["--set", "dataset.sequences=20", "--quiet", "--force"]
LEARNS = ["--set", "learning.plastic=[weight, tau_r]", "--set", "learning.optimizer={type: sgd, lr: 0.2}"]


class TauR(Case):
    def arrays(self, path, names):
        """Arrays of single numbers from an archive, each as a list."""
        with zipfile.ZipFile(path) as archive:
            entries = {name: archive.read(name + ".npy") for name in names}
        texts = {name: entry[10:10 + struct.unpack("<H", entry[8:10])[0]].decode() for name, entry in entries.items()}
        for name, text in texts.items():
            self.assertIn("'descr': '<f4'", text, name)
        return {name: [x for x, in struct.iter_unpack("<f", entries[name][10 + len(texts[name]):])] for name in names}

    def learned(self, variant, *settings):
        self.run_glesim(LINE, "--variant", variant, "--output", "out", *FEW,
                        *(word for setting in settings for word in ("--set", setting)))
        return load(self.folder / "out" / variant / "seed_0/metrics.json")["parameters"]

    def assert_near(self, found, wanted, delta):
        for name, value in wanted.items():
            self.assertAlmostEqual(found[name][0], value, delta=delta, msg=name)

    def test_local_rules_find_the_teachers(self):
        for variant in "gle", "bp":
            found = self.learned(variant, "learning.optimizer.lr=5e-4", "training.phases[1].duration=500")
            self.assert_near(found, {"first.tau_r": 0.5, "second.tau_r": 1.0}, 0.01)

    def test_windows_find_the_teachers(self):
        exact = ["learning.window=4.0", "learning.optimizer.lr=0.05", "training.phases[1].duration=1200",
                 "teacher.first.weight=0.490093", "teacher.second.weight=0.896445", "learning.plastic=[tau_r]"]
        self.assert_near(self.learned("bptt", *exact), {"first.tau_r": 0.5, "second.tau_r": 1.0}, 0.03)
        self.assert_near(self.learned("bptt", *exact, "learning.rule=adjoint", "learning.gamma=0"),
                         {"first.tau_r": 0.5, "second.tau_r": 1.0}, 0.03)

    def test_what_is_recorded_ends_as_what_is_saved(self):
        self.learned("gle", "training.phases[1].duration=1", "record.every=1",
                     "record.gradients=[tau_r]")
        run = self.folder / "out/gle/seed_0"
        recorded = self.arrays(run / "recording.npz", ["first.tau_r", "first.grad_tau_r"])
        saved = self.arrays(run / "weights.npz", ["first.tau_r"])
        self.assertEqual(len(recorded["first.tau_r"]), 5100)
        self.assertEqual(recorded["first.tau_r"][-1], saved["first.tau_r"][0])
        self.assertNotEqual(saved["first.tau_r"][0], recorded["first.tau_r"][0])
        self.assertTrue(all(x != x for x in recorded["first.grad_tau_r"][:5000])) # nothing learns
        self.assertTrue(all(x == x for x in recorded["first.grad_tau_r"][5000:]))

    def test_a_phase_sets_it_and_gives_it_back(self):
        self.learned("gle", "training.phases=[{duration: 3, set: {first.tau_r: 0.7}}, {duration: 1, learn: false}]",
                     "record.every=1")
        values = self.arrays(self.folder / "out/gle/seed_0/recording.npz", ["first.tau_r", "second.tau_r"])
        tenth = struct.unpack("<f", struct.pack("<f", 0.1))[0]
        self.assertEqual(set(values["first.tau_r"][:300]), {struct.unpack("<f", struct.pack("<f", 0.7))[0]})
        self.assertEqual(set(values["first.tau_r"][300:]), {tenth})
        self.assertGreater(len(set(values["second.tau_r"][:300])), 50)

    def test_the_plan_counts_it(self):
        out = self.run_glesim(XOR, "--set", "network.layers[0].plastic=[weight, tau_r]", "--dry-run").out
        self.assertRegex(out, r"hidden .* weight tau_r\n")
        self.assertRegex(out, r"parameters        42, and 8 plastic time constants; 42 of all these learn")

    def test_learning_begins_from_a_file(self):
        self.run_glesim(XOR, *LEARNS, "--set", "training.epochs=3", "--output", "first", "--quiet")
        file = self.run_of("first") / "weights.npz"
        init = ["--set", f"network.init.file={file}", "--set", "training.epochs=0", "--force"]
        learned = self.arrays(file, ["hidden.tau_r", "readout.tau_r"])
        self.assertNotEqual(learned["hidden.tau_r"], [1.0] * 8)
        done = self.run_glesim(XOR, *LEARNS, *init, "--output", "again")
        self.assertNotIn("tau_r", done.err)
        self.assertEqual(self.arrays(self.run_of("again") / "weights.npz", list(learned)), learned)
        # where it does not learn, the config's counts, and one is told
        done = self.run_glesim(XOR, *LEARNS, *init, "--output", "other", "--set",
                               "network.layers[0].plastic=[weight]")
        self.assertEqual(re.findall(r"glesim: \S*weights\.npz: '(\S+)' is not used: tau_r does not learn in that layer "
                                    r"\(plastic\), which has what the config says\n", done.err), ["hidden.tau_r"])
        other = self.arrays(self.run_of("other") / "weights.npz", list(learned))
        self.assertEqual(other, {"hidden.tau_r": [1.0] * 8, "readout.tau_r": learned["readout.tau_r"]})


if __name__ == "__main__":
    unittest.main()
