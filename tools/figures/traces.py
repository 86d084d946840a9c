"""What networks that learn by duration recorded: read, cut, thinned, averaged; or recorded again by other settings."""

import numpy as np

from . import samples
from .failure import DATA, Failure
from .runs import shown


class Traces:
    """A recording of the first sequence: traces["first.e"] has the shape (records, neurons)."""

    def __init__(self, arrays, source):
        self.arrays, self.source = arrays, source
        self.time, self.phase = self["time"], self["phase"]

    def __getitem__(self, name):
        try:
            array = self.arrays[name]
        except KeyError:
            raise Failure(DATA, f"{self.source}: has no {name}, which the figure shows") from None
        of_parameter = name.rsplit(".", 1)[-1].removeprefix("grad_") in ("weight", "bias", "tau_m", "tau_r")
        return array if array.ndim < 3 or of_parameter else array[:, 0]

    def within(self, start, end):
        """The records of start <= time < end, as a mask."""
        return (self.time >= start) & (self.time < end)


def read(run):
    """The traces of a run that has a recording."""
    return Traces(dict(run.recording), shown(run.folder / "recording.npz"))


def rerun(run, settings):
    """Traces of a run of the same config with some keys set, which is made now and not kept."""
    return Traces(samples.record(run.folder.resolve() / "config.yaml", settings), f"{shown(run.folder)}, run again")


def log_spaced(x, n):
    """Indices of at most n elements of an increasing positive array, evenly spaced by its logarithm."""
    return np.unique(np.searchsorted(x, np.geomspace(x[0], x[-1], n)))


def mean_in_bins(x, y, edges):
    """Means of x and y in the bins between edges, as far as there is anything in them."""
    where = np.digitize(x, edges[1:-1])
    count = np.bincount(where)
    filled = count > 0
    return tuple(np.bincount(where, weights=values)[filled] / count[filled] for values in (x, y))


def thinned(n, *arrays):
    """Arrays of the same length, every so many elements of them, so that at most n are left."""
    step = -(-len(arrays[0]) // n)
    return tuple(array[::step] for array in arrays)
