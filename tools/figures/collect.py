"""All runs below some folders, as little of each as a table or a page of many needs.

    entries, left_out = collect.below(["results"])
    entries[0].name, entries[0].seed, entries[0].accuracy   # (0.926, "test") or None
    collect.differences(entries)                            # for each: what sets it apart from others of its name
"""

import collections
import dataclasses
import json
import pathlib
import re

import numpy as np

from .failure import DATA, Failure
from .runs import NOT_THE_EXPERIMENT, Run, score_of, shown

SPLITS = ("test", "validation", "train_after", "train") # the first that a run has is what it is judged by
# What the two scores of the training set are called where both are drawn.
TRAINING = {"train": "training, on the way", "train_after": "training, after the epoch"}
LAST_STEPS = "training, last steps"
NUMBER = re.compile(r"((?<==)-?\d+(?:\.\d+)?(?:e[-+]?\d+)?|\d+)", re.ASCII)
NO_DIFFERENCE = ("name", "glesim", *NOT_THE_EXPERIMENT)
SAY_LITTLE = ("type", "init", "value", "count", "std", "mean", "file", "size") # keys, without the one above


@dataclasses.dataclass
class Entry:
    """One run. accuracy, loss, best_accuracy and best_loss: a number and what it is of, or None."""

    folder: pathlib.Path
    name: str
    variant: str
    point: str # of a sweep, like lr=0.001,beta=1
    seed: int
    status: str
    message: str
    description: str
    accuracy: tuple
    loss: tuple
    best_accuracy: tuple
    best_loss: tuple
    seconds: float # of training and evaluation
    config: dict   # flat: "learning.optimizer.lr" -> 0.001, without what changes no result
    curves: list   # (loss or accuracy, split, epoch or time, x, y)
    facts: list    # pairs of texts: where the run comes from


def number(value):
    """A number as a float, or None."""
    is_one = isinstance(value, (int, float)) and not isinstance(value, bool) and np.isfinite(value)
    return float(value) if is_one else None


def flat(value, path=""):
    """Pairs of path and value of all leaves of a config; lists of plain values are leaves."""
    if isinstance(value, dict) and value:
        for key, each in value.items():
            yield from flat(each, f"{path}.{key}" if path else key)
    elif isinstance(value, list) and any(isinstance(each, (dict, list)) for each in value):
        for i, each in enumerate(value):
            yield from flat(each, f"{path}[{i}]")
    else:
        yield path, value


def written(value):
    """A value of a config as one would write it there."""
    return value if isinstance(value, str) else json.dumps(value)


def judged(part, key):
    """Loss or accuracy in an epoch or phase of a report, and of what."""
    for split in SPLITS:
        value = number(((part or {}).get(split) or {}).get(key))
        if value is not None:
            return value, split
    value = number((part or {}).get("last_loss")) if key == "loss" else None
    return None if value is None else (value, LAST_STEPS)


def points(pairs):
    """x and y of those that have numbers."""
    known = [(x, y) for x, y in pairs if x is not None and y is not None]
    return [x for x, _ in known], [y for _, y in known]


def levels(phase, key):
    """Times and values of the corners of a phase's mean, and of the mean of its last steps where there is one."""
    start, end, value = phase["start"], phase["start"] + phase["duration"], number(phase[key])
    last, steps = number(phase.get("last_loss")) if key == "loss" else None, phase["steps"]
    if last is None or not 0 < phase["last_steps"] < steps:
        return [(start, value), (end, value)]
    turn = end - phase["last_steps"] * phase["duration"] / steps
    return [(start, value), (turn, value), (turn, last), (end, last)]


def curves_of(metrics):
    """What there is over epochs, or over time: there phases have their means, and losses those of their last steps."""
    for key in ("loss", "accuracy"):
        for split in SPLITS:
            x, y = points((number(e["epoch"]), number(e[split][key])) for e in metrics["epochs"]
                          if score_of(e, split))
            if y:
                yield key, split, "epoch", x, y
        x, y = points((number(e["time"]), number(e[key])) for e in metrics.get("evaluations") or [])
        if y:
            yield key, "test", "time", x, y
        x, y = points(pair for phase in metrics["phases"] for pair in levels(phase, key))
        if y:
            yield key, "train", "time", x, y


def facts_of(metrics):
    """Provenance, and the data set's checksum, as pairs of texts."""
    pairs = [(key, value) for key, value in (metrics.get("provenance") or {}).items() if value not in (None, [])]
    pairs += [("config, SHA-256", metrics.get("config_sha256")), ("data, SHA-256", metrics["dataset"].get("sha256")),
              ("parameters", (metrics.get("network") or {}).get("parameters"))]
    return [(str(key), written(value)) for key, value in pairs if value is not None]


def entry_of(folder):
    run = Run(folder)
    m, final, best = run.metrics, run.metrics["final"], run.metrics.get("best")
    timing = m.get("timing") or {}
    times = [number(timing.get(key)) for key in ("train_seconds", "eval_seconds")]
    return Entry(
        folder=folder, name=run.name, variant=run.variant or "", seed=run.seed, status=m["status"],
        point=",".join(f"{key.rpartition('.')[2]}={written(value)}" for key, value in (m.get("sweep") or {}).items()),
        message=m["message"] or "", description=written(m["config"].get("description") or ""),
        accuracy=judged(final, "accuracy"), loss=judged(final, "loss"),
        best_accuracy=judged(best, "accuracy"), best_loss=judged(best, "loss"),
        seconds=sum(filter(None, times)) if any(time is not None for time in times) else None,
        config={path: value for path, value in flat(m["config"])
                if path.partition(".")[0].partition("[")[0] not in NO_DIFFERENCE},
        curves=list(curves_of(m)), facts=facts_of(m))


def natural(folder):
    """A key to sort paths by, in which seed_2 comes before seed_10 and lr=1.0e-4 before lr=1.0e-3."""
    return [float(part) if i % 2 else part for i, part in enumerate(NUMBER.split(str(folder)))]


def below(roots):
    """All runs below folders, in the order of their paths, each once; and pairs of folder and reason for those whose
    reports cannot be read. Failure, where a folder is none, or has no run."""
    folders = {}
    for root in map(pathlib.Path, roots):
        if not root.is_dir():
            raise Failure(DATA, f"{shown(root)}: no such folder")
        found = sorted((path.parent for path in root.glob("**/metrics.json")), key=natural)
        if not found:
            raise Failure(DATA, f"{shown(root)}: no run below it, that is, no metrics.json")
        folders.update((folder.resolve(), folder) for folder in found)
    entries, left_out = [], []
    for folder in folders.values():
        try:
            entries.append(entry_of(folder))
        except Failure as failure:
            left_out.append((folder, str(failure)))
        except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
            words = " ".join(str(error).split())
            left_out.append((folder, f"not as glesim writes it: {type(error).__name__}: {words}"))
    return entries, left_out


# --- What sets runs apart

def ends(path):
    """Ends of a path that may stand for it, from the shortest, which says something, to the whole."""
    parts = path.split(".")
    least = 2 if parts[-1] in SAY_LITTLE and len(parts) > 1 else 1
    return [".".join(parts[-n:]) for n in range(least, len(parts) + 1)]


def shortest(paths):
    """For each path the shortest end of it that no other one has."""
    count = collections.Counter(end for path in paths for end in ends(path))
    return {path: next((end for end in ends(path) if count[end] == 1), path) for path in paths}


def differences(entries):
    """For each entry triples of short key, key and value: what is not the same in all runs of its name."""
    by_name = collections.defaultdict(list)
    for entry in entries:
        by_name[entry.name].append(entry)
    keys = {}
    for name, runs in by_name.items():
        values = collections.defaultdict(set)
        for run in runs:
            for path, value in run.config.items():
                values[path].add(json.dumps(value))
        count = collections.Counter(path for run in runs for path in run.config)
        keys[name] = shortest([path for path in values if len(values[path]) > 1 or count[path] < len(runs)])
    return [[(short, path, written(entry.config[path])) for path, short in keys[entry.name].items()
             if path in entry.config] for entry in entries]


def title(entry):
    return " / ".join(filter(None, (entry.name, entry.variant, entry.point)))


def groups(entries):
    """Lists of entries that differ in their seeds alone, by what they are called: by name, variant and point; where
    others are called so, by what sets them apart, too; and where a seed is there twice, by folder."""
    same, apart = collections.defaultdict(list), {}
    for entry, found in zip(entries, differences(entries)):
        same[title(entry), json.dumps(entry.config, sort_keys=True)].append(entry)
        apart[id(entry)] = found
    by_title = collections.defaultdict(list)
    for (called, _), runs in same.items():
        by_title[called].append(runs)
    found = {}
    for called, those in by_title.items():
        for runs in those:
            varying = [f"{short}={value}" for short, path, value in apart[id(runs[0])]
                       if len({json.dumps(others[0].config.get(path)) for others in those}) > 1]
            label = f"{called}: {', '.join(varying)}" if varying else called
            folders = {run.folder.parent for run in runs}
            if len({run.seed for run in runs}) == len(runs) or len(folders) == 1:
                found.setdefault(label, []).extend(runs)
                continue
            for folder in sorted(folders):
                found[f"{label} in {shown(folder)}"] = [run for run in runs if run.folder.parent == folder]
    return found
