"""Yin-Yang with errors that travel through weights B of their own: accuracy over epochs, and how B and W come to lie."""

import numpy as np

from . import style
from .failure import Missing
from .runs import mean_and_std

NAME = "feedback"
CONFIG = "feedback_yinyang"
VARIANTS = {"transpose": "transpose of W", "kolen_pollack": "Kolen-Pollack", "pal": "PAL", "fixed": "fixed",
            "frozen": "hidden layer frozen"}
LAYER = "readout"


def draw_accuracy(axes, runs):
    for variant, label in VARIANTS.items():
        ours = runs.all(CONFIG, variant)
        epochs, mean, std = mean_and_std(ours, "test")
        mean, std = 100 * mean, 100 * std
        style.band(axes, epochs, mean, std, style.COLOURS[variant], label=f"{label}: {style.final(mean, std, len(ours))}",
                   **style.OURS)
    axes.set(xlabel="epoch", ylabel="test accuracy (%)", xlim=(0, epochs[-1]), ylim=(30, 100))
    axes.legend(loc="lower right", title="after the last epoch", alignment="left")


def angles_of(run):
    """Epochs and angles of the comparisons of a run, or None where W goes back itself."""
    timing, epochs = run.metrics["timing"], run.metrics["epochs"][-1]["epoch"]
    found = [(c["step"], c["layers"][LAYER].get("feedback")) for c in run.metrics["diagnostics"]["comparisons"]]
    found = [(step, feedback["angle"]) for step, feedback in found if feedback]
    if not found:
        return None
    each = (timing["train_steps"] + timing["eval_steps"]) / epochs
    return np.array([step / each for step, _ in found]), np.array([angle for _, angle in found])


def draw_angles(axes, runs):
    for variant, label in VARIANTS.items():
        curves = [curve for curve in map(angles_of, runs.all(CONFIG, variant)) if curve]
        if not curves:
            continue
        values = np.array([angles for _, angles in curves])
        style.band(axes, curves[0][0], values.mean(axis=0), values.std(axis=0), style.COLOURS[variant], label=label,
                   **style.OURS)
    axes.set(xlabel="epoch", ylabel="angle between B and W (degrees)", xlim=(0, None), ylim=(0, 95),
             yticks=[0, 30, 60, 90])
    axes.legend(loc="upper right", bbox_to_anchor=(1, 0.72))


def draw(runs):
    if not all(runs.all(CONFIG, variant) for variant in VARIANTS):
        raise Missing(f"tools/glesim configs/{CONFIG}.yaml --seeds 0-9")
    figure = style.new_figure(height=70)
    left, right = figure.subplots(1, 2, gridspec_kw={"wspace": 0.08})
    draw_accuracy(left, runs)
    style.panel(left, "a", "Yin-Yang, 10 seeds" if len(runs.all(CONFIG, "pal")) == 10 else "Yin-Yang")
    draw_angles(right, runs)
    style.panel(right, "b", "weights B of errors beside W")
    return figure
