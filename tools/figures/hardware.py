"""MNIST-1D on hardware that is not ideal: accuracy over mismatch of time constants, noise, and bits of weights."""

import numpy as np

from . import style
from .failure import Missing

NAME = "hardware"
CONFIG = "mnist1d_hardware"
IDEAL = "ideal"
# Panels: title, what is varied, and curves: label, colour, and variants by value.
PANELS = (
    ("time constants that are off", "standard deviation of factors (%)", (
        ("tau_m of membranes", style.BLUE, {s: f"tau_m_{s:02}" for s in (5, 10, 20, 40)}),
        ("tau_m, tau_r of errors", style.VERMILLION, {s: f"errors_{s:02}" for s in (5, 10, 20, 40)}))),
    ("noise", "standard deviation", (
        ("of potentials", style.BLUE, {float(s): f"membrane_{s}" for s in ("0.01", "0.03", "0.1", "0.3")}),
        ("of rates", style.VERMILLION, {float(s): f"rate_{s}" for s in ("0.01", "0.03", "0.1", "0.3")}))),
    ("weights of a few bits", "bits", (
        ("read by rates and errors", style.BLUE, {bits: f"bits_{bits}" for bits in range(2, 9)}),)),
)


def accuracy_of(summary):
    """Mean, standard deviation, and number of seeds after the last epoch, in percent."""
    final = summary["final"]["test"]["accuracy"]
    if not isinstance(final, dict): # of one seed, or the same in all
        return 100 * final, 0.0, summary["completed"]
    return 100 * final["mean"], 100 * final["std"], final["n"]


def draw(runs):
    wanted = [IDEAL] + [variant for _, _, curves in PANELS for _, _, of in curves for variant in of.values()]
    try:
        found = {variant: accuracy_of(runs.summary(CONFIG, variant)) for variant in wanted}
    except Missing:
        raise Missing(f"tools/glesim configs/{CONFIG}.yaml --seeds 12,34,56") from None
    figure = style.new_figure(height=65)
    panels = figure.subplots(1, len(PANELS), sharey=True)
    ideal, spread, seeds = found[IDEAL]
    for letter, axes, (title, label, curves) in zip("abc", panels, PANELS):
        axes.axhspan(ideal - spread, ideal + spread, color=style.GREY, alpha=0.2, linewidth=0)
        axes.axhline(ideal, color=style.GREY, linewidth=0.8, label=f"ideal: {ideal:.1f}" + (f" ± {spread:.1f}" if seeds > 1 else ""))
        for name, colour, of in curves:
            values = np.array([found[variant] for variant in of.values()])
            axes.errorbar(list(of), values[:, 0], values[:, 1], color=colour, marker="o", markersize=3, capsize=2,
                          linewidth=1.2, label=name)
        axes.set(xlabel=label, ylim=(0, 100))
        axes.legend(loc="lower left" if letter != "c" else "lower right")
        style.panel(axes, letter, title)
    panels[1].set_xscale("log")
    panels[0].set_ylabel(f"test accuracy (%), {seeds} seeds" if seeds > 1 else "test accuracy (%), one seed")
    return figure
