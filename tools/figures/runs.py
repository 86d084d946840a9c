"""Run directories, found and read.

    runs = Runs(["results", "results/reproduced"])
    run = runs.one("lagline", "gle", recording=True)        # Missing, if there is none
    run.metrics["final"]["loss"], run.recording["first.tau_m"], run.weights["first.weight"]
    accuracies = [r.metrics["final"]["test"]["accuracy"] for r in runs.all("mnist1d_e2e")]
"""

import collections
import collections.abc
import contextlib
import fcntl
import functools
import json
import os
import pathlib
import stat
import zipfile
import zlib

import numpy as np

from .failure import DATA, Failure, Missing

# Keys of a config in which runs may differ that show the same thing.
NOT_THE_EXPERIMENT = ("seed", "description", "record", "diagnose", "compute")
# What every report has, and of which kind.
NONE = type(None)
KEYS = {"name": (str,), "variant": (str, NONE), "seed": (int,), "status": (str,), "message": (str, NONE),
        "config": (dict,), "dataset": (dict,), "epochs": (list,), "phases": (list,), "final": (dict, NONE),
        "parameters": (dict, NONE)}
WORDS = {str: "a text", NONE: "null", int: "a whole number", dict: "an object", list: "a list"}


def shown(path):
    """As short as it gets: below the working directory without its name."""
    path = pathlib.Path(os.path.abspath(path))
    return str(path.relative_to(pathlib.Path.cwd()) if path.is_relative_to(pathlib.Path.cwd()) else path)


def read_json(path):
    """The object in a file. Failure, if there is none."""
    try:
        # a pipe that lies there is not waited for
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), encoding="utf-8") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise Failure(DATA, f"{shown(path)}: not a regular file")
            content = json.load(file)
    except OSError as error:
        raise Failure(DATA, f"{shown(path)}: cannot read: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error: # wrong UTF-8, too
        raise Failure(DATA, f"{shown(path)}: no JSON: {error}") from None
    if not isinstance(content, dict):
        raise Failure(DATA, f"{shown(path)}: not the report of a run")
    return content


def check_kinds(content, kinds, path):
    """Whether an object has all keys, with values of these kinds."""
    for key, of in kinds.items():
        if key not in content:
            raise Failure(DATA, f"{shown(path)}: not the report of a run: no '{key}'")
        if type(content[key]) not in of:
            raise Failure(DATA, f"{shown(path)}: not the report of a run: '{key}' is not "
                          + " or ".join(WORDS[each] for each in of))


def is_held(folder):
    """Whether a process is at work on the run of a folder; also where nobody can tell."""
    try:
        held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return True
    try:
        fcntl.flock(held, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except OSError:
        return True
    finally:
        os.close(held)


class Arrays(collections.abc.Mapping):
    """The arrays of an npz file by name, each read from the disk whenever it is asked for."""

    def __init__(self, path):
        self.path = path
        with self._failures():
            self._content = np.load(path, allow_pickle=False)
            self.files = self._content.files

    @contextlib.contextmanager
    def _failures(self):
        try:
            yield
        except (OSError, EOFError, ValueError, AttributeError, zipfile.BadZipFile, zlib.error) as error:
            raise Failure(DATA, f"{shown(self.path)}: cannot be read as an npz file: {error}") from None

    def __getitem__(self, name):
        with self._failures():
            return self._content[name]

    def __contains__(self, name):
        return name in self.files

    def __iter__(self):
        return iter(self.files)

    def __len__(self):
        return len(self.files)


def read_npz(path):
    """The arrays of a file, or None without the file."""
    return Arrays(path) if path.is_file() else None


class Run:
    """One run directory: folder (a path), name, variant (None or text), seed, metrics (what metrics.json holds)."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.metrics = read_json(self.folder / "metrics.json")
        check_kinds(self.metrics, KEYS, self.folder / "metrics.json")
        if self.metrics["status"] == "running" and not is_held(self.folder):
            self.metrics["status"] = "broken off"
        self.name, self.variant, self.seed = (self.metrics[key] for key in ("name", "variant", "seed"))
        self.completed = self.metrics["status"] == "completed"

    @property
    def has_recording(self):
        return (self.folder / "recording.npz").is_file()

    @functools.cached_property
    def recording(self):
        """The arrays of recording.npz by name, or None."""
        return read_npz(self.folder / "recording.npz")

    @functools.cached_property
    def confusion(self):
        """{"split", "matrix"}, or None. A large matrix lies in a file beside the report."""
        found = self.metrics.get("confusion")
        if not found or not found.get("file"):
            return found
        arrays = read_npz(self.folder / "confusion.npz")
        if not arrays or "matrix" not in arrays:
            raise Failure(DATA, f"{shown(self.folder / 'confusion.npz')}: no confusion matrix, which the report names")
        return {"split": found["split"], "matrix": arrays["matrix"]}

    @functools.cached_property
    def weights(self):
        """The arrays of weights.npz by name, or None."""
        return read_npz(self.folder / "weights.npz")

    @functools.cached_property
    def closed_loop(self):
        """The arrays of closed_loop.npz by name, or None."""
        return read_npz(self.folder / "closed_loop.npz")

    @functools.cached_property
    def experiment(self):
        """A text that is the same for runs that may be averaged."""
        config = {key: value for key, value in self.metrics["config"].items() if key not in NOT_THE_EXPERIMENT}
        return json.dumps(config, sort_keys=True)

    def curve(self, split, key="accuracy"):
        """Epochs and values of a key of "train", "train_after", "validation" or "test", where there are any."""
        pairs = [(e["epoch"], e[split][key]) for e in self.metrics["epochs"] if score_of(e, split)]
        pairs = [(epoch, value) for epoch, value in pairs if value is not None]
        return np.array([epoch for epoch, _ in pairs]), np.array([value for _, value in pairs], dtype=float)


def score_of(epoch, split):
    """That of an epoch, or None. Not all reports have "train_after"; they have all others."""
    return epoch.get(split) if split == "train_after" else epoch[split]


class Runs:
    """All runs below some folders, each of which holds <name>[/<variant>]/seed_<n>.

    speech: folders in the layout of Speech Commands, for figures that show a word.
    """

    def __init__(self, roots, speech=()):
        self.roots = [pathlib.Path(root) for root in roots]
        self.speech = [pathlib.Path(folder) for folder in speech]

    def _completed(self, name, variant):
        """In the order of the roots, then by seed."""
        for root in self.roots:
            above = root / name / variant if variant else root / name
            found = [Run(path.parent) for path in above.glob("seed_*/metrics.json")]
            yield from sorted((run for run in found if run.completed), key=lambda run: run.seed)

    def all(self, name, variant=None):
        """The completed runs by seed, one for each. Where configs differ, the one with most seeds counts."""
        by_experiment = collections.defaultdict(dict)
        for run in self._completed(name, variant):
            by_experiment[run.experiment].setdefault(run.seed, run)
        if not by_experiment:
            return []
        most = max(by_experiment.values(), key=len) # the first of equals
        return [most[seed] for seed in sorted(most)]

    def below(self, name, variant=None):
        """All completed runs of the points of a sweep, in the first folder that has any."""
        for root in self.roots:
            above = root / name / variant if variant else root / name
            found = [Run(path.parent) for path in sorted(above.glob("*/seed_*/metrics.json"))]
            found = [run for run in found if run.completed]
            if found:
                return found
        return []

    def summary(self, name, variant=None):
        """The first summary.json of a config, or of a variant of it. Raises Missing."""
        for root in self.roots:
            path = (root / name / variant if variant else root / name) / "summary.json"
            if path.is_file():
                return read_json(path)
        raise Missing(f"tools/glesim configs/{name}.yaml")

    def one(self, name, variant=None, recording=False):
        """The first completed run, with a recording if asked for. Raises Missing."""
        found = list(self._completed(name, variant))
        for run in found:
            if run.has_recording or not recording:
                return run
        in_the_way = any(run.folder.is_relative_to(self.roots[0] / name) for run in found)
        raise Missing(f"tools/glesim configs/{name}.yaml" + (" --force" if in_the_way else ""))


def mean_and_std(runs, split, key="accuracy"):
    """Epochs, mean and standard deviation (over n, as in the paper) of what all runs have in common."""
    curves = [run.curve(split, key) for run in runs]
    n = min(len(epochs) for epochs, _ in curves)
    values = np.array([value[:n] for _, value in curves])
    return curves[0][0][:n], values.mean(axis=0), values.std(axis=0)
