"""The curves that were published with the paper, from results/published/."""

import dataclasses
import pathlib

import numpy as np

from .runs import read_json

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "results" / "published"


@dataclasses.dataclass
class Curve:
    """Accuracy in percent after each epoch, from epoch 0: mean and standard deviation (over n) over seeds."""

    label: str
    seeds: list
    epochs: np.ndarray
    mean: np.ndarray
    std: np.ndarray


def published(key):
    """The curve of results/published/<key>.json."""
    content = read_json(FOLDER / f"{key}.json")
    mean, std = np.array(content["accuracy_mean"]), np.array(content["accuracy_std"])
    return Curve(content["label"], content["seeds"], np.arange(len(mean)), mean, std)
