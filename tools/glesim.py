"""glesim from Python: run configs, read what they left. One file, which needs numpy alone: copy it, or put it on your
path.

    import glesim

    run = glesim.run("configs/xor.yaml", set={"learning.optimizer.lr": 1e-2, "training.epochs": 20})
    run.accuracy, run.loss                      # of the test set, or what there is: 1.0, 0.52
    epochs, loss = run.curve("loss", "train")
    run.weights["hidden.weight"]                # (neurons, inputs)

    runs = glesim.run("configs/xor.yaml", seeds="0-9")
    run = glesim.load("results/xor/seed_1")     # one that is there; glesim.runs("results") are all below a folder
    glesim.summary("results/xor")["final"]["test"]["accuracy"]["mean"]
    glesim.to_dataframe("results")              # pandas, one row a run

The command is the one that the environment variable GLESIM names, or `glesim` beside this file, or on the PATH. What it
refuses is an Error with its messages and exit code.
"""

import functools
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import threading
import warnings

import numpy as np

__all__ = ["ConfigError", "Diverged", "Error", "Run", "load", "run", "runs", "summary", "to_dataframe"]

SPLITS = ("test", "validation", "train_after", "train")  # the first that a run has is what it is judged by
CONFIG, DIVERGED = 2, 6                   # exit codes
PROGRESS = re.compile(r"  (?:epoch|phase) \d+/\d+  ")
CLOSING = re.compile(r"^(?:.*? seed -?\d+: |seed -?\d+: )?(?P<folder>.+)/metrics\.json: ")
NUMBER = re.compile(r"(\d+(?:\.\d+)?(?:e[-+]?\d+)?)")


class Error(Exception):
    """What went wrong. code: the exit code of the command, or None where it was not started; messages: its lines;
    runs: the runs that it completed nevertheless."""

    def __init__(self, messages, code=None, runs=()):
        super().__init__("\n".join(messages))
        self.messages, self.code, self.runs = list(messages), code, list(runs)


class ConfigError(Error):
    """The config, or what was set, is wrong: one message for each fault, with file, line and column."""


class Diverged(Error):
    """A network came to NaN or Inf; runs has its report, up to there."""


# --- What is there

def read_json(path):
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Error([f"{path}: cannot read: {error.strerror or error}"]) from error
    except ValueError as error:
        raise Error([f"{path}: no JSON: {error}"]) from error
    if not isinstance(content, dict):
        raise Error([f"{path}: not what glesim writes"])
    return content


def read_npz(path):
    try:
        return np.load(path, allow_pickle=False) if path.is_file() else None
    except Exception as error: # numpy's are many
        raise Error([f"{path}: cannot be read as an npz file: {error}"]) from error


class Run:
    """One run directory. What metrics.json has is read at once, arrays when they are first asked for.

    folder (a path), metrics (all of metrics.json), name, variant (or None), seed, sweep (keys and values of its point),
    status ("completed", "diverged", "interrupted", "running"), message (or None), config, epochs, phases, final, best.
    """

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.metrics = m = read_json(self.folder / "metrics.json")
        try:
            self.name, self.variant, self.seed, self.status = m["name"], m["variant"], m["seed"], m["status"]
            self.message, self.config, self.epochs, self.phases = m["message"], m["config"], m["epochs"], m["phases"]
            self.final = m["final"]
        except KeyError as error:
            raise Error([f"{self.folder / 'metrics.json'}: not the report of a run: no {error}"]) from error
        self.sweep, self.best = m.get("sweep") or {}, m.get("best")

    def _judged(self, part, key):
        for split in SPLITS:
            value = ((part or {}).get(split) or {}).get(key)
            if value is not None:
                return value, split
        return None, None

    @property
    def accuracy(self):
        """At the end, from 0 to 1: of the test set, or else the validation set, or else the training set, after the
        epoch where it was measured then, or else in training. None without any."""
        return self._judged(self.final, "accuracy")[0]

    @property
    def loss(self):
        """At the end, of the same; by duration, where nothing was evaluated, the mean of the last steps of training."""
        value = self._judged(self.final, "loss")[0]
        return (self.final or {}).get("last_loss") if value is None else value

    @property
    def seconds(self):
        """What training and evaluation took."""
        timing = self.metrics.get("timing") or {}
        return sum(timing.get(key) or 0 for key in ("train_seconds", "eval_seconds"))

    def curve(self, key="accuracy", split=None):
        """x and y of "loss" or "accuracy" of "train", "train_after", "validation" or "test" (default: the first of
        test, validation, train_after, train that there is): over epochs; by duration over time, the evaluations of
        "test", or the means of phases of "train" at their ends. "train" is measured while weights change, "train_after"
        after each epoch (training.evaluate.train)."""
        for each in (split,) if split else SPLITS:
            pairs = [(e["epoch"], e[each][key]) for e in self.epochs if e.get(each)]
            if not self.epochs and each == "test":
                pairs = [(e["time"], e[key]) for e in self.metrics.get("evaluations") or []]
            if not self.epochs and each == "train":
                pairs = [(p["start"] + p["duration"], p[key]) for p in self.phases]
            if any(y is not None for _, y in pairs) or split:
                known = [(x, y) for x, y in pairs if y is not None]
                return np.array([x for x, _ in known]), np.array([y for _, y in known], dtype=float)
        return np.array([]), np.array([])

    @functools.cached_property
    def weights(self):
        """The arrays of weights.npz by name, each read when it is asked for; None without the file."""
        return read_npz(self.folder / "weights.npz")

    @functools.cached_property
    def recording(self):
        """Likewise those of recording.npz, which a config with `record:` leaves."""
        return read_npz(self.folder / "recording.npz")

    @functools.cached_property
    def predictions(self):
        """Likewise those of predictions.npz, which a config with `evaluate: {predictions: true}` leaves."""
        return read_npz(self.folder / "predictions.npz")

    @functools.cached_property
    def confusion(self):
        """The confusion matrix (rows: truth), or None."""
        found = self.metrics.get("confusion")
        if found and found.get("file"):
            return read_npz(self.folder / found["file"])["matrix"]
        return np.array(found["matrix"]) if found else None

    def __repr__(self):
        where = " / ".join(filter(None, (self.name, self.variant, *(f"{k}={v}" for k, v in self.sweep.items()))))
        words = [f"<glesim.Run {where}, seed {self.seed}: {self.status}"]
        words += [f"accuracy {100 * self.accuracy:.1f} %"] * (self.accuracy is not None)
        words += [f"loss {self.loss:.4g}"] * (self.loss is not None)
        return ", ".join(words) + f"; {self.folder}>"


def load(folder):
    """The run of a folder results/<name>[/<variant>][/<point>]/seed_<n>."""
    folder = pathlib.Path(folder)
    folder = folder.parent if folder.name == "metrics.json" else folder
    if not (folder / "metrics.json").exists() and folder.is_dir():
        below = sorted(folder.glob("**/metrics.json"))
        hint = f"; did you mean {below[0].parent}, or glesim.runs({str(folder)!r})?" if below else ""
        raise Error([f"{folder}: no run, that is, no metrics.json{hint}"])
    return Run(folder)


def natural(path):
    """A key to sort paths by, in which seed_2 comes before seed_10."""
    return [float(part) if i % 2 else part for i, part in enumerate(NUMBER.split(str(path)))]


def runs(folder):
    """All runs below a folder, in the order of their paths: seed_2 before seed_10."""
    if not pathlib.Path(folder).is_dir():
        raise Error([f"{folder}: no such folder"])
    return [Run(path.parent) for path in sorted(pathlib.Path(folder).glob("**/metrics.json"), key=natural)]


def summary(folder):
    """summary.json of a folder above seeds: mean, std and so on over them; above the points of a sweep: these."""
    path = pathlib.Path(folder) / "summary.json"
    if not path.exists():
        raise Error([f"{path}: no such file; runs of several seeds, or of a sweep, leave one"])
    return read_json(path)


def to_dataframe(source, epochs=False):
    """A pandas.DataFrame with a row for each run of a folder, or of a list of runs; or for each epoch of each."""
    import pandas # what nobody needs who does not ask for it

    found = runs(source) if isinstance(source, (str, os.PathLike)) else [source] if isinstance(source, Run) else source
    rows = []
    for one in found:
        which = {"name": one.name, "variant": one.variant, "seed": one.seed, **one.sweep}
        for part in one.epochs if epochs else [one.final or {}]:
            row = {**which, "epoch": part["epoch"], "lr": part["lr"]} if epochs else {**which, "status": one.status}
            for split in reversed(SPLITS):
                row.update({f"{split}_{key}": value for key, value in (part.get(split) or {}).items()})
            if "last_loss" in part:
                row["last_loss"] = part["last_loss"]
            rows.append(row if epochs else {**row, "seconds": one.seconds, "folder": str(one.folder)})
    return pandas.DataFrame(rows)


# --- The command

def program():
    """The command, as a path or a name that can be started."""
    if os.environ.get("GLESIM"):
        return os.environ["GLESIM"]
    beside = pathlib.Path(__file__).resolve().parent / "glesim"
    if beside.is_file() and os.access(beside, os.X_OK):
        return str(beside)
    found = shutil.which("glesim")
    if not found:
        raise Error(["no command glesim: neither beside glesim.py nor on the PATH; the environment variable GLESIM may "
                     "name it"])
    return found


def written(value):
    """A value as one writes it behind --set: text as it is, everything else as YAML's flow style."""
    return value if isinstance(value, str) else flow(value)


def flow(value):
    if isinstance(value, (np.ndarray, np.generic)):
        value = value.tolist()
    if isinstance(value, float) and not np.isfinite(value):
        return ".nan" if value != value else "-.inf" if value < 0 else ".inf"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(str(key))}: {flow(each)}" for key, each in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(flow, value)) + "]"
    return json.dumps(str(value) if isinstance(value, os.PathLike) else value)


def seeds_of(seeds):
    return seeds if isinstance(seeds, str) else ",".join(str(int(seed)) for seed in np.atleast_1d(seeds))


def listen(lines, progress, messages):
    for line in lines:
        line = line.rstrip("\n")
        if not PROGRESS.search(line):
            messages.append(line)
        elif progress:
            progress(line)


def start(call, progress):
    """Exit code, standard output, and what standard error has beside progress. An interrupt goes on to the command,
    which leaves a checkpoint then."""
    try:
        process = subprocess.Popen(call, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   encoding="utf-8", errors="replace", start_new_session=True)
    except OSError as error:
        raise Error([f"{call[0]}: cannot be started: {error.strerror or error}"]) from error
    messages, out = [], []
    listeners = [threading.Thread(target=listen, args=(process.stderr, progress, messages)),
                 threading.Thread(target=out.extend, args=(process.stdout,))]
    for each in listeners:
        each.start()
    try:
        code = process.wait()
    except KeyboardInterrupt:
        process.send_signal(signal.SIGINT)
        process.wait()
        raise
    finally:
        for each in listeners:
            each.join()
        process.stdout.close()
        process.stderr.close()
    return code, [line.rstrip("\n") for line in out], [message for message in messages if message]


def run(config, set=None, seeds=None, output=None, *, variant=None, force=False, resume=False, jobs=None, threads=None,
        progress=None):
    """Runs a config, as the command does. Returns its Run; a list of them where seeds are given, and where variants or
    a sweep make several. Of several, those that are there already, completed by the same config, are kept; a single run
    that is there is an Error, unless `force` says that it is to be replaced.

    set: values by key, as {"learning.optimizer.lr": 1e-2, "network.layers[0].activation": "relu"}; numbers, lists,
        maps and arrays are written as YAML, and a text is what one writes behind --set
    seeds: "0-9,12", a number, or several
    output: a folder in place of results/<name>
    variant: the names of some variants, as a text with commas or a list
    force: replaces runs of other configs that are in the way; resume: goes on with those that were broken off
    jobs, threads: how many runs at a time, and threads
    progress: called with each line that the command says on the way: progress=print

    Raises ConfigError, Diverged, or Error; warns of what the command remarks.
    """
    call = [program(), os.fspath(config)]
    for key, value in (set or {}).items():
        call += ["--set", f"{key}={written(value)}"]
    if seeds is not None:
        call += ["--seeds", seeds_of(seeds)]
    if variant is not None:
        call += ["--variant", variant if isinstance(variant, str) else ",".join(variant)]
    for option, value in (("--output", output), ("--jobs", jobs), ("--threads", threads)):
        if value is not None:
            call += [option, os.fspath(value) if option == "--output" else str(value)]
    call += ["--force"] * bool(force) + ["--resume"] * bool(resume)
    code, out, messages = start(call, progress)
    folders = [found["folder"] for found in map(CLOSING.match, out) if found]
    found = [Run(folder) for folder in folders]
    if code:
        kind = {CONFIG: ConfigError, DIVERGED: Diverged}.get(code, Error)
        raise kind(messages or [f"{call[0]}: ended with exit code {code}"], code, found)
    for message in messages:
        warnings.warn(message, stacklevel=2)
    if seeds is not None or len(found) != 1:
        return sorted(found, key=lambda one: natural(one.folder))
    return found[0]
