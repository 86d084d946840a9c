"""Errors of the steps of Euler and of exponential ones over dt, beside what both tend to as dt goes to 0."""

import numpy as np

from . import style
from .failure import Missing

NAME = "integration"
CONFIG = "integration"
VARIANTS = {"euler": "Euler", "exponential": "exponential"}
COLOURS = {"euler": style.VERMILLION, "exponential": style.BLUE}
VARIABLES = {"first.u": ("potentials u, first layer", "o"), "second.u": ("potentials u, second layer", "s"),
             "readout.u": ("potentials u, third layer", "^"), "readout.e": ("errors e, third layer", "D")}
ROUNDING = 1e-5 # what is nearer than this to its limit is there
APART = 0.5 # times that are compared, in time units: those that all runs have


def read(runs, variant):
    """dt and what was recorded at the times that are compared, of each run by dt, the longest first."""
    found = []
    for run in runs.below(CONFIG, variant):
        if run.has_recording:
            dt = run.metrics["config"]["dt"]
            each = round(APART / dt)
            found.append((dt, {name: run.recording[name][each - 1::each].astype(float) for name in VARIABLES}))
    return sorted(found, key=lambda pair: -pair[0])


def limit(found, name):
    """What a variable tends to, by the two shortest dt: errors are of first order."""
    (long, coarse), (short, fine) = found[-2:]
    return fine[name] + (fine[name] - coarse[name]) * short / (long - short)


def size(values):
    return np.sqrt(np.mean(values ** 2))


def order_in_words(dts, errors):
    """By the second half, in which dt is short, but for the last, by which the limit goes."""
    if errors.max() < ROUNDING:
        return "rounding alone"
    first = (len(dts) - 1) // 2
    return f"order {np.log(errors[first] / errors[-2]) / np.log(dts[first] / dts[-2]):.2f}"


def draw(runs):
    found = {variant: read(runs, variant) for variant in VARIANTS}
    if any(len(each) < 4 for each in found.values()):
        raise Missing(f"tools/glesim configs/{CONFIG}.yaml")
    figure = style.new_figure(height=110)
    panels = figure.subplots(2, 2, sharey=True, sharex=True)
    for number, (axes, (name, (title, marker))) in enumerate(zip(panels.flat, VARIABLES.items())):
        exact = limit(found["exponential"], name)
        for variant, label in VARIANTS.items():
            dts = np.array([dt for dt, _ in found[variant]])
            errors = np.array([size(values[name] - exact) / size(exact) for _, values in found[variant]])
            axes.loglog(dts, errors, color=COLOURS[variant], marker=marker, markersize=3,
                        label=f"{label}: {order_in_words(dts, errors)}")
        axes.set(xlabel="dt (a.u.)", ylabel="error / size of the variable")
        axes.label_outer()
        axes.legend(loc="center right" if number == 0 else "lower right")
        style.panel(axes, "abcd"[number], title)
    return figure
