#!/usr/bin/python3
"""Spikes in HDF5 files, which h5py makes (Debian's python3-h5py): what a network is shown of them, and what is said of
files that are none.
"""

import os
import unittest

from case import Case, load

try:
    import h5py
    import numpy
except ImportError:
    h5py = None

HAS_HDF5 = os.environ.get("GLE_HDF5") == "1"
UNITS, PER_CHANNEL, CHANNELS, BIN, STEPS = 7, 3, 3, 2.0, 4 # of a bin
CONFIG = """\
glesim: 1
name: spikes
dt: 0.5
dataset: {type: events, train: train.h5, test: test.h5, units: 7, units_per_channel: 3, second: 1000, bin: 2.0}
network:
  input: 3
  layers: [{name: top, neurons: {count: 4, tau_m: 1.0, tau_r: 1.0}, activation: linear}]
learning: {loss: cross_entropy}
training: {epochs: 1, batch_size: 4}
record: {layers: [top], variables: [r]}
"""


def samples(seed, n):
    """Times of 1/4096 seconds, which half precision has exactly, and units, of n samples; the second has no spike."""
    rng = numpy.random.default_rng(seed)
    for i in range(n):
        count = 0 if i == 1 else 5 + 3 * i
        yield numpy.sort(rng.integers(0, 80, count)) / 4096, rng.integers(0, UNITS, count), i % 4


def put(path, lists, times="float16", units="uint16", labels="uint16"):
    with h5py.File(path, "w") as file:
        lists = list(lists)
        spikes = file.create_group("spikes")
        for name, kind, k in (("times", times, 0), ("units", units, 1)):
            data = spikes.create_dataset(name, (len(lists),), h5py.vlen_dtype(numpy.dtype(kind)))
            for i, each in enumerate(lists):
                data[i] = each[k]
        file["labels"] = numpy.array([each[2] for each in lists], labels)


def frames(times, units, bins=None):
    last = int(max(times, default=0) * 1000 // BIN) + 1
    out = numpy.zeros((bins or last, CHANNELS), "f4")
    for t, unit in zip(times, units):
        if t * 1000 // BIN < len(out):
            out[int(t * 1000 // BIN), unit // PER_CHANNEL] += 1
    return out


@unittest.skipIf(HAS_HDF5, "this glesim has HDF5")
class WithoutHdf5(Case):
    def test_what_to_install_is_told(self):
        done = self.run_glesim(self.write("spikes.yaml", CONFIG), code=4)
        self.assertIn("train.h5: this glesim was built without HDF5, which reads such files: install it (Debian: "
                      "tools/setup --packages libhdf5-dev), remove the build folder, and build it anew", done.err)


@unittest.skipUnless(HAS_HDF5, "this glesim was built without HDF5")
@unittest.skipUnless(h5py, "h5py is not installed (tools/setup --packages python3-h5py)")
class Events(Case):
    def setUp(self):
        super().setUp()
        self.config = self.write("spikes.yaml", CONFIG)
        put(self.folder / "train.h5", samples(1, 4))
        put(self.folder / "test.h5", samples(2, 3), "float64", "int64", "int8")

    def shown(self, *options):
        """All inputs, (steps, samples, channels), and what the report says of the data."""
        self.run_glesim(self.config, "--force", "--quiet", *options)
        with numpy.load(self.run_of("results/spikes", 0) / "recording.npz") as archive:
            return archive["input"], load(self.run_of("results/spikes", 0) / "metrics.json")["dataset"]

    def assert_shown(self, got, bins=None):
        """The test set, the training set in any order, and the test set again; each sample is followed by zeros."""
        end = 0
        for seed, n in ((2, 3), (1, 4), (2, 3)):
            wanted = [frames(times, units, bins) for times, units, _ in samples(seed, n)]
            longest = max(map(len, wanted))
            padded = [numpy.pad(each, ((0, longest - len(each)), (0, 0))).repeat(STEPS, 0) for each in wanted]
            begin, end = end, end + longest * STEPS
            shown = [got[begin:end, i].tolist() for i in range(n)]
            self.assertEqual(sorted(shown), sorted(each.tolist() for each in padded))
        self.assertEqual(len(got), end)

    def test_spikes_are_counted_in_bins_of_time_and_units(self):
        got, told = self.shown()
        self.assert_shown(got)
        self.assertEqual((told["type"], told["sizes"]["train"], told["sizes"]["test"]), ("events", 4, 3))
        self.assertRegex(told["sha256"], "^[0-9a-f]{64}$")
        other, _ = self.shown("--set", "dataset.scale=0.25", "--set", "training.validation=0")
        self.assertTrue(numpy.array_equal(other * 4, got, equal_nan=True))

    def test_every_sample_may_last_as_long(self):
        self.config = self.write("spikes.yaml", CONFIG.replace("bin: 2.0", "bin: 2.0, duration: 8.0"))
        done = self.run_glesim(self.config, "--dry-run")
        late = sum(t * 1000 // BIN >= 4 for k, n in ((1, 4), (2, 3)) for times, _, _ in samples(k, n) for t in times)
        every = sum(len(times) for k, n in ((1, 4), (2, 3)) for times, _, _ in samples(k, n))
        self.assertIn(f"{late} of {every} spikes come later than duration = 8, and are left out", done.out + done.err)
        self.assertIn("samples of 16 steps x 3 channels, 4 targets", done.out)
        got, _ = self.shown()
        self.assert_shown(got, 4)
        err = self.run_glesim(self.config, "--check", "--set", "dataset.duration=7", code=2).err
        self.assertIn("dataset.duration: must be a whole number of bins", err)

    def test_a_validation_set_is_brought_or_taken(self):
        _, told = self.shown("--set", "dataset.validation=test.h5")
        self.assertEqual(told["sizes"], {"train": 4, "validation": 3, "test": 3})
        _, told = self.shown("--set", "training.validation=0.25")
        self.assertEqual(told["sizes"], {"train": 3, "validation": 1, "test": 3})
        err = self.run_glesim(self.config, "--force", "--set", "dataset.validation=test.h5", "--set",
                              "training.validation=0.25", code=2).err
        self.assertIn("a validation set of its own", err)

    def refused(self, text, code=4):
        """What is said of train.h5."""
        err = self.run_glesim(self.config, "--quiet", "--force", "--set", "training.epochs=0", code=code).err
        self.assertIn("train.h5: " + text, err)
        self.assertEqual(err.count("\n"), 1, err)

    def test_spikes_that_cannot_be_are_told_with_their_place(self):
        good = list(samples(1, 4))
        train = self.folder / "train.h5"
        for change, text in (
                ((0, ([0.5, -0.25], [0, 1], 0)), "spikes/times[0][1] is -0.25, where times are not negative"),
                ((2, ([0.5, float("nan")], [0, 1], 0)), "spikes/times[2][1] is nan, where times are not negative"),
                ((2, ([200.0], [0], 0)),
                 "spikes/times[2][0] is 200 s, 100000 bins after the beginning, where 65536 are possible"),
                ((3, ([0.5], [7], 0)), "spikes/units[3][0] is 7, where units are 0 ... 6"),
                ((3, ([0.5], [-1], 0)), "spikes/units[3][0] is -1, where units are 0 ... 6"),
                ((3, ([0.5], [1], -1)), "labels[3] is -1, where labels are 0 ... 999999"),
                ((1, ([0.5, 0.5], [1], 0)), "spikes/times[1] has 2 spikes, where spikes/units[1] has 1")):
            changed = list(good)
            changed[change[0]] = change[1]
            put(train, changed, "float32", "int32", "int32")
            with self.subTest(text):
                self.refused(text)

    def test_files_of_other_contents_are_told(self):
        train = self.folder / "train.h5"
        with h5py.File(train, "a") as file:
            del file["labels"]
        self.refused("has no dataset 'labels'")
        for labels, text in ((numpy.zeros((4, 1), int), "labels does not have one dimension: (samples)"),
                             (numpy.zeros(4), "labels does not hold whole numbers"),
                             (numpy.zeros(0, int), "labels is empty"),
                             (numpy.zeros(3, int), "has 3 labels, 4 spikes/times and 4 spikes/units; as many of each "
                                                   "are wanted")):
            with h5py.File(train, "a") as file:
                file["labels"] = labels
            self.refused(text)
            with h5py.File(train, "a") as file:
                del file["labels"]
        with h5py.File(train, "a") as file:
            file["labels"] = numpy.zeros(4, int)
            del file["spikes/times"]
            file["spikes/times"] = numpy.zeros(4)
        self.refused("spikes/times does not hold lists of numbers")
        # Many samples that no byte stands behind.
        with h5py.File(train, "w") as file:
            file.create_dataset("labels", (1 << 40,), "i4", chunks=(1024,))
        self.refused("labels cannot have 1099511627776 entries in 0 bytes")

    def test_files_that_are_none_are_told(self):
        train = self.folder / "train.h5"
        whole = train.read_bytes()
        for content, text in ((b"", "cannot be opened as an HDF5 file"), (b"no spikes", "cannot be opened as an HDF5"),
                              (b"\x1f\x8b\x08\x00", "is packed: gunzip gives the HDF5 file"),
                              (b"PK\3\4", "is packed: unzip gives the HDF5 file"),
                              (whole[:len(whole) // 2], "cannot be opened as an HDF5 file: ")):
            train.write_bytes(content)
            self.refused(text)
        train.unlink()
        self.refused("cannot read: No such file or directory (datasets/fetch_events fetches Spiking Heidelberg Digits "
                     "and Spiking Speech Commands)")
        train.mkdir()
        self.refused("is a folder, not a file")

    def test_damaged_files_are_errors_whatever_the_library_does(self):
        """Each byte in turn is another; either the data are other data, or the file is named."""
        train = self.folder / "train.h5"
        whole = train.read_bytes()
        step = max(1, len(whole) // 25)
        for at in range(0, len(whole), step):
            train.write_bytes(whole[:at] + bytes([whole[at] ^ 0xff]) + whole[at + 1:])
            process = self.start(self.config, "--quiet", "--force", "--set", "training.epochs=0")
            _, err = process.communicate(timeout=60)
            self.assertIn(process.returncode, (0, 4), (at, err))
            if process.returncode:
                self.assertIn("train.h5: ", err)


if __name__ == "__main__":
    unittest.main()
