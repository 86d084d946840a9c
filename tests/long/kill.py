#!/usr/bin/env python3
"""Kills a run at random moments, resumes it until it is over, and compares it with one that was left alone.

usage: kill.py GLESIM CONFIG [--kills N] [--folder DIR] [--seed N] [-- OPTION...]

The options go to glesim. Weights and recording must be the same bytes, metrics the same but for times. While the runs
go on, every metrics.json that exists must be valid. Exit code 0: all the same.
"""

import argparse
import json
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

FILES = ("weights.npz", "best_weights.npz", "predictions.npz", "recording.npz", "config.yaml")
LEFT = {*FILES, "metrics.json"} # of a run that is over


def load(path):
    return json.loads(path.read_text(encoding="utf-8"), parse_constant=lambda word: 1 / 0)


def timeless(path):
    """Metrics without what no two runs have in common."""
    m = {key: value for key, value in load(path).items() if key not in ("provenance", "timing")}
    for part in [*m["epochs"], *m["phases"], m["final"] or {}, m["best"] or {}]:
        part.pop("seconds", None)
    return m


def folder_of_run(output):
    """Of the only run under an output folder; None while there is none."""
    return next((path.parent for path in output.rglob("config.yaml")), None)


def difference(one, other):
    """What two runs that are over differ in; None: nothing."""
    for name in FILES:
        paths = one / name, other / name
        if paths[0].exists() != paths[1].exists() or (paths[0].exists() and
                                                      paths[0].read_bytes() != paths[1].read_bytes()):
            return name
    if timeless(one / "metrics.json") != timeless(other / "metrics.json"):
        return "metrics.json"
    left = {path.name for path in other.iterdir()} - LEFT
    return f"{sorted(left)} left over" if left else None


def run(command, seconds, number):
    """Runs it for so long (None: to its end) and sends the signal; its exit code, None if the signal has ended it."""
    with subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
                          text=True) as process:
        try:
            _, err = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(number)
            _, err = process.communicate(timeout=600)
            if process.returncode not in (0, -number, 128 + number): # -number also before it listens to signals
                raise AssertionError(f"exit code {process.returncode} after signal {number}: {err}") from None
            return None if process.returncode else 0
        if process.returncode not in (0, 6):
            raise AssertionError(f"exit code {process.returncode}: {err}")
    return process.returncode


def kill_and_resume(command, output, kills, longest, choice, signals=(signal.SIGKILL,), threads=(1, 2, 3)):
    """Runs `command --output output --resume` until it is over, with so many signals on the way at most, each within
    `longest` seconds. Returns how many there were, and the folder of the run."""
    sent = 0
    while True:
        seconds = choice.uniform(0.0, longest) if sent < kills else None
        ended = run([*command, "--output", output, "--resume", "--quiet", "--threads", choice.choice(threads)], seconds,
                    choice.choice(signals))
        folder = folder_of_run(output)
        if folder and (folder / "metrics.json").exists():
            load(folder / "metrics.json")
        if ended is not None:
            return sent, folder
        sent += 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("glesim", type=pathlib.Path)
    parser.add_argument("config", type=pathlib.Path)
    parser.add_argument("--kills", type=int, default=50, help="in all, over as many runs as that takes")
    parser.add_argument("--folder", type=pathlib.Path, default=None, help="where the runs go; default: a new one")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    at = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    args = parser.parse_args(sys.argv[1:at])
    folder = args.folder or pathlib.Path(tempfile.mkdtemp(prefix="glesim-kill-"))
    command = [args.glesim.resolve(), args.config.resolve(), *sys.argv[at + 1:]]
    choice = random.Random(args.seed)
    start = time.monotonic()
    run([*command, "--output", folder / "whole", "--quiet"], None, None)
    seconds = time.monotonic() - start
    whole = folder_of_run(folder / "whole")
    kills = runs = resumed = 0
    while kills < args.kills:
        output = folder / f"run_{runs}"
        sent, killed = kill_and_resume(command, output, args.kills - kills, 0.5 * seconds, choice)
        wrong = difference(whole, killed)
        if wrong:
            sys.exit(f"{killed}: after {sent} kills, {wrong} is not that of {whole}")
        kills += sent
        runs += 1
        resumed += len(load(killed / "metrics.json")["provenance"]["resumed"])
        shutil.rmtree(output)
    print(f"{args.config.name}: a run of {seconds:.2f} s; {kills} kills in {runs} runs, {resumed} times gone on from a "
          f"checkpoint; all the same")
    if not args.folder:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
