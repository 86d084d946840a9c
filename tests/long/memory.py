#!/usr/bin/env python3
"""Watches the memory of a long run that records and writes checkpoints: memory.py GLESIM [MINUTES].

Prints the resident memory over time, and ends with 1 if it grows by more than 3 % from the first tenth of the time (but
the first minute) to the last, or if the run, when told to end, does not leave whole files. Standard library only.
"""

import json
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile

CONFIG = pathlib.Path(__file__).resolve().parents[2] / "configs" / "lagline.yaml"
WARM_UP = 60 # seconds, in which the buffers of the recording, 4 MiB, are filled for the first time
GROWTH = 0.03


def resident(pid):
    """KiB"""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    sys.exit("memory.py: the run has ended too early")


def watch(run, seconds):
    """[(seconds, KiB)], once a second"""
    start, seen, told = time.monotonic(), [], -1
    while (now := time.monotonic() - start) < seconds:
        seen.append((now, resident(run.pid)))
        if now // (seconds / 20) > told:
            told = now // (seconds / 20)
            print(f"{now:8.0f} s {seen[-1][1] / 1024:8.2f} MiB", flush=True)
        time.sleep(1)
    return seen


def check_left(folder):
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    with zipfile.ZipFile(folder / "recording.npz") as archive:
        damaged = archive.testzip()
        n_bytes = sum(info.file_size for info in archive.infolist())
    steps = metrics["final"]["steps"]
    print(f"{metrics['status']} after {steps} steps of the last phase; a recording of {n_bytes / 2**20:.1f} MiB")
    return metrics["status"] == "interrupted" and not damaged and steps > 0


def main():
    if len(sys.argv) not in (2, 3) or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    seconds = 60 * float(sys.argv[2] if len(sys.argv) > 2 else 10)
    with tempfile.TemporaryDirectory(prefix="glesim-memory-") as folder:
        with subprocess.Popen([sys.argv[1], str(CONFIG), "--variant", "gle", "--set", "training.phases[2].duration=1e9",
                               "--set", "record.every=200", "--set", "checkpoint.minutes=0.5", "--quiet", "--threads",
                               "1", "--output", folder]) as run:
            seen = watch(run, seconds)
            run.send_signal(signal.SIGTERM)
            code = run.wait()
        whole = check_left(pathlib.Path(folder) / "gle" / "seed_0")
    first = statistics.median(kib for at, kib in seen if WARM_UP < at < WARM_UP + (seconds - WARM_UP) / 10)
    last = statistics.median(kib for at, kib in seen if at > 0.9 * seconds)
    print(f"{first / 1024:.2f} MiB at first, {last / 1024:.2f} MiB at last: {100 * (last / first - 1):+.2f} %")
    sys.exit(0 if last <= (1 + GROWTH) * first and whole and code == 128 + signal.SIGTERM else 1)


if __name__ == "__main__":
    main()
