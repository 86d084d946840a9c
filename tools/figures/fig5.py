"""Fig. 5: a chain of two neurons learns weights and time constants from a teacher, by five rules (lagline.yaml).

Of BPTT the errors are its lambda, which starts from zero at the end of each window.
"""

import numpy as np
from matplotlib.lines import Line2D

from . import style, traces
from .failure import DATA, Failure

NAME = "fig5"
CONFIG = "lagline"
LAYERS = ["first", "second"]
LABELS = {"gle": "GLE", "bp": "instantaneous errors", "bptt_tw4": r"BPTT, 4 $\tau$", "bptt_tw2": r"BPTT, 2 $\tau$",
          "bptt_tw1": r"BPTT, 1 $\tau$"}
# Whose errors are shown, and what the recording calls them. Shorter windows of BPTT show less of the same.
ERRORS = {"bptt_tw4": "lambda", "bp": "e", "gle": "e"}
COLUMNS = ["correct time constants", "before learning", "after learning"]
STRETCH = 8.0 # time units shown of each phase: two periods of the input
DECADES = 3.6 # of time shown since learning began
POINTS = 100  # of a line over logarithmic time

TEACHER = {"color": style.COLOURS["teacher"], "linewidth": 1.0}


class Chain:
    """What is drawn of the run of one rule."""

    def __init__(self, run):
        self.colour, self.label = style.COLOURS[run.variant], LABELS[run.variant]
        self.traces = traces.read(run)
        self.beta = run.metrics["config"]["learning"]["beta"]
        self.teacher = {(layer, parameter): values["value"]
                        for layer, its in run.metrics["config"]["teacher"].items() for parameter, values in its.items()}
        self.error = ERRORS.get(run.variant)

    def errors(self, layer):
        """On the scale of the target error, which `beta` is a factor of; lambda is on it as it is."""
        values = self.traces[f"{layer}.{self.error}"][:, 0]
        return values / self.beta if self.error == "e" else values

    def learning(self):
        """Times since learning began, and the indices of these records."""
        at = np.flatnonzero(self.traces.phase == self.traces.phase[-1])
        since = self.traces.time[at] - self.traces.time[at[0]]
        shown = since > since[-1] * 10**-DECADES
        return since[shown], at[shown]


def stretches(chain):
    """Start and end of what is shown of each phase: its last records that have errors, with and without a window."""
    t = chain.traces
    phases = np.unique(t.phase)
    if len(phases) != len(COLUMNS):
        raise Failure(DATA, f"{t.source}: has {len(phases)} phases in place of {len(COLUMNS)}")
    known = np.isfinite(chain.errors(LAYERS[0]))
    times = [t.time[(t.phase == phase) & known] for phase in phases]
    if min(map(len, times)) < 2:
        raise Failure(DATA, f"{t.source}: a phase is too short for a window")
    return [(max(time[-1] - STRETCH, time[0]), time[-1]) for time in times]


def draw_stretch(axes, chains, start, end, learned):
    """Input, rates and errors of a stretch of time, from the top down. Unlearned networks have the same rates."""
    def plot(row, chain, values, **line):
        at = chain.traces.within(start, end)
        axes[row].plot(chain.traces.time[at], values[at], **{"color": chain.colour, "linewidth": 1.1, **line})

    gle = chains["gle"]
    plot(0, gle, gle.traces["input"], color=style.COLOURS["input"])
    for chain in reversed(chains.values()) if learned else [gle]: # GLE on top
        plot(1, chain, chain.traces["first.r"])
        plot(2, chain, chain.traces["output"])
    plot(2, gle, gle.traces["target"], linestyle="--", **TEACHER)
    for variant in ERRORS:
        plot(3, chains[variant], chains[variant].errors("second"))
        plot(4, chains[variant], chains[variant].errors("first"))
    for each in axes[3:]:
        each.axhline(0, color=style.GREY, linewidth=0.5, zorder=0)
    axes[-1].set(xlim=(start, end), xlabel=r"time ($\tau$)")
    for each in axes[:-1]:
        each.tick_params(labelbottom=False)


def draw_traces(figure, chains):
    axes = figure.subplots(5, 3, sharex="col", sharey="row", gridspec_kw={"height_ratios": [0.7, 1, 1, 1, 1]})
    for column, (start, end), letter, title in zip(axes.T, stretches(chains["bptt_tw4"]), "abc", COLUMNS):
        draw_stretch(column, chains, start, end, learned=title == COLUMNS[-1])
        style.panel(column[0], letter, title)
    for row, label in zip(axes[:, 0], ["input", "rate $r_1$", "output $r_2$", r"$e_2/\beta$,  $\lambda_2$",
                                       r"$e_1/\beta$,  $\lambda_1$"]):
        row.set_ylabel(label)
    figure.align_ylabels(axes[:, 0])


def draw_parameter(axes, chains, layer, parameter, label):
    for chain in reversed(chains.values()):
        since, at = chain.learning()
        kept = traces.log_spaced(since, POINTS)
        values = chain.traces[f"{layer}.{parameter}"][at[kept]]
        axes.plot(since[kept], values.reshape(len(kept)), color=chain.colour)
    axes.axhline(chains["gle"].teacher[layer, parameter], linestyle=":", **TEACHER)
    axes.set(xscale="log", ylabel=label)
    axes.margins(x=0)


def draw_loss(axes, chains):
    for chain in reversed(chains.values()):
        since, at = chain.learning()
        edges = np.geomspace(since[0], since[-1], POINTS // 2)
        axes.plot(*traces.mean_in_bins(since, chain.traces["loss"][at], edges), color=chain.colour)
    axes.set(xscale="log", yscale="log", xlabel=r"time since learning began ($\tau$)")
    axes.margins(x=0)


def draw_learning(figure, chains):
    axes = figure.subplot_mosaic([["w2", "t2", "loss"], ["w1", "t1", "loss"]])
    for key, layer, parameter, label in [("w1", "first", "weight", "$w_1$"), ("w2", "second", "weight", "$w_2$"),
                                         ("t1", "first", "tau_m", r"$\tau_{\mathrm{m},1}$"),
                                         ("t2", "second", "tau_m", r"$\tau_{\mathrm{m},2}$")]:
        draw_parameter(axes[key], chains, layer, parameter, label)
    draw_loss(axes["loss"], chains)
    for key in ("w2", "t2"):
        axes[key].tick_params(labelbottom=False)
    for key in ("w1", "t1"):
        axes[key].set_xlabel(r"time since learning began ($\tau$)")
    for key, letter, title in [("w2", "d", "weights"), ("t2", "e", "time constants"),
                               ("loss", "f", "loss (mean squared error)")]:
        style.panel(axes[key], letter, title)


def draw_legend(figure, chains):
    handles = [Line2D([], [], color=chain.colour, label=chain.label) for chain in chains.values()]
    handles += [Line2D([], [], linestyle=line, label=label, **TEACHER)
                for line, label in [("--", "teacher"), (":", "teacher's value")]]
    figure.legend(handles=handles, loc="center", ncol=len(handles), columnspacing=1.2)


def draw(runs):
    chains = {variant: Chain(runs.one(CONFIG, variant, recording=True)) for variant in LABELS}
    figure = style.new_figure(style.WIDTH, 172)
    figure.get_layout_engine().set(wspace=0.05) # labels at the ends of neighbouring axes
    legend, top, bottom = figure.subfigures(3, 1, height_ratios=[0.05, 1.1, 0.7])
    draw_legend(legend, chains)
    draw_traces(top, chains)
    draw_learning(bottom, chains)
    return figure
