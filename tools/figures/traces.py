"""Recorded traces of networks that learn by duration: read, cut, thinned, averaged; and recorded again by other settings."""

import os
import pathlib
import subprocess
import tempfile

import numpy as np

from .failure import DATA, RESOURCES, Failure
from .runs import shown

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Traces:
    """A recording of one sequence: arrays of the first axis time, traces["first.e"] of shape (records, neurons).

    Between the second and the last axis stands the sequence, of which the first one is taken.
    """

    def __init__(self, arrays, source):
        self.arrays, self.source = arrays, source
        self.time, self.phase = self["time"], self["phase"]

    def __getitem__(self, name):
        try:
            array = self.arrays[name]
        except KeyError:
            raise Failure(DATA, f"{self.source}: has no {name}, which the figure shows") from None
        is_parameter = name.rsplit(".", 1)[-1] in ("weight", "bias", "tau_m", "tau_r")
        return array if array.ndim < 3 or is_parameter else array[:, 0]

    def within(self, start, end):
        """The records of start <= time < end, as a mask."""
        return (self.time >= start) & (self.time < end)


def read(run):
    """The traces of a run that has a recording."""
    return Traces(dict(run.recording), shown(run.folder / "recording.npz"))


def rerun(run, settings):
    """Traces of the same config with other settings, a dict of keys and values. The run is made now, and thrown away."""
    glesim = os.environ.get("GLESIM", ROOT / "tools" / "glesim")
    options = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    with tempfile.TemporaryDirectory(prefix="glesim-plot-") as folder:
        made = subprocess.run([glesim, run.folder / "config.yaml", *options, "--output", folder, "--quiet"],
                              capture_output=True, text=True, check=False)
        found = list(pathlib.Path(folder).glob("**/recording.npz"))
        if made.returncode or not found:
            raise Failure(made.returncode or RESOURCES, f"{shown(run.folder)}: cannot be run again: {made.stderr.strip()}")
        with np.load(found[0], allow_pickle=False) as arrays:
            return Traces(dict(arrays), f"{shown(run.folder)}, run again")


def log_spaced(x, n):
    """Indices of at most n elements of an increasing positive array, evenly spaced by its logarithm."""
    return np.unique(np.searchsorted(x, np.geomspace(x[0], x[-1], n)))


def mean_in_bins(x, y, edges):
    """Means of x and y in the bins between edges, as far as there is anything in them."""
    where = np.digitize(x, edges[1:-1])
    count = np.bincount(where)
    filled = count > 0
    return tuple(np.bincount(where, weights=values)[filled] / count[filled] for values in (x, y))
