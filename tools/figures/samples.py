"""Samples as the network sees them, recorded by the program in a run of a second that learns nothing."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import wave

import numpy as np

from .failure import DATA, RESOURCES, Failure
from .runs import Run, shown

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("GLESIM", ROOT / "tools" / "glesim")
HOW_MANY = 60 # samples, among which all classes are found
WORDS = ("left", "seven", "yes") # which to show, the first that a corpus has
FRAME = 0.025 # s, of configs/synthetic_speech.yaml: hop / rate


def record(config, settings):
    """What a run of a config with some keys set records, as arrays by name."""
    with tempfile.TemporaryDirectory(prefix="glesim-plot-") as folder:
        call = [PROGRAM, ROOT / "configs" / config, "--quiet", "--output", folder]
        for setting in settings:
            call += ["--set", setting]
        try:
            done = subprocess.run(call, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                  text=True, check=False)
        except OSError as error:
            raise Failure(RESOURCES, f"{shown(PROGRAM)}: {error.strerror or error}") from None
        if done.returncode:
            raise Failure(done.returncode, f"{config} could not be run for its samples:\n{done.stderr.strip()}")
        run = Run(next(pathlib.Path(folder).glob("seed_*")))
        return {name: run.recording[name] for name in run.recording.files}


def mnist1d():
    """The time of each step, and for each class in order the first of its test samples (steps)."""
    arrays = record("mnist1d_e2e.yaml", [
        "training.epochs=0", "network.layers=[{name: readout, neurons: {count: 10, tau_m: 1.0, tau_r: 1.0}}]",
        f"record={{every: 1, sequences: {list(range(HOW_MANY))}, variables: [], parameters: []}}"])
    labels = arrays["target"][0].argmax(axis=1)
    return arrays["time"], [arrays["input"][:, np.flatnonzero(labels == label)[0], 0] for label in np.unique(labels)]


def word_in(corpus):
    """A sound file of a folder in the layout of Speech Commands, and its word; None, if there is none."""
    for word in (*WORDS, *sorted(path.name for path in corpus.glob("[!_.]*") if path.is_dir())):
        files = sorted((corpus / word).glob("*_nohash_*.wav"))
        if files:
            return word, files[0]
    return None


def wave_form(path):
    """Times in s, and samples from -1 to 1."""
    try:
        with wave.open(str(path)) as file:
            if file.getsampwidth() != 2:
                raise Failure(DATA, f"{shown(path)}: not in 16 bits")
            channels, rate = file.getnchannels(), file.getframerate()
            samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").reshape(-1, channels)[:, 0]
    except (OSError, EOFError, wave.Error) as error:
        raise Failure(DATA, f"{shown(path)}: cannot read: {error}") from None
    return np.arange(len(samples)) / rate, samples / 32768


def mel_spectrogram(path):
    """The network's input (steps, bins) for a file, and the time in s at which each step is."""
    with tempfile.TemporaryDirectory(prefix="glesim-plot-") as folder:
        for word in ("one", "other"): # a task has two classes at least, here with the same sound
            (pathlib.Path(folder) / word).mkdir()
            shutil.copy(path, pathlib.Path(folder) / word)
        arrays = record("synthetic_speech.yaml", [
            f"dataset.path={folder}", "dataset.task={words: [one, other]}", "dataset.augment={}",
            "dataset.split={type: hashed, validation: 0, test: 0}", "learning.schedule={type: constant}",
            "training.epochs=1", "training.batch_size=2",
            "network.layers=[{name: readout, neurons: {count: 2, tau_m: 2.4, tau_r: 2.4}}]",
            "record={every: 1, sequences: [0], variables: [], parameters: []}"])
    # One unit of time is a frame, whose middle is its window's.
    return (arrays["time"] - 0.5) * FRAME, arrays["input"][:, 0]
