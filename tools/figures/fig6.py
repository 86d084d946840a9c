"""Fig. 6: a small LagNet learns two weights from a teacher, by GLE and by the adjoint method (configs/lagnet.yaml).

Errors before learning and spectra are those of the untrained network, for which the two runs are made again without
learning: over one long window, since adjoint variables start from zero at the end of each, and without the feedback of
errors (gamma 0), so that both see the same rates. Its neurons filter their instantaneous errors E, phi' times what
comes from above, as

    e      = (1 + i omega tau_m) / (1 + i omega tau_r) E           from  v + tau_r dv/dt = E,  e = v + tau_m dv/dt
    lambda = (1 - i omega tau_r) / (1 - i omega tau_m) E           from  lambda - tau_m dlambda/dt = E - tau_r dE/dt

the first of which turns phases by as much as the second, and amplifies what the second damps. The published adjoint
is not quite that: it puts lambda to tau_r / tau_m times a scalar error, without W, at the end of each window, and lets it
decay by exp(-dt / tau_m). This is not copied; its curves here are those of the equations. Dots in the figure are
Fourier coefficients of recorded traces; lines are these formulas.
"""

import numpy as np
from matplotlib.lines import Line2D

from . import style, traces
from .failure import DATA, Failure

NAME = "fig6"
CONFIG = "lagnet"
SYMBOLS = {"gle": "$e$", "adjoint": r"$\lambda$"}
LABELS = {"gle": "GLE, errors $e$", "adjoint": r"adjoint method, $\lambda$"}
RECORDED = {"gle": "e", "adjoint": "lambda"}

# The untrained network: long enough to tell the sums of the input's frequencies from each other.
DURATION, EDGE = 750, 60 # time units; what is cut off at both ends, where states and adjoint variables settle
EVERY = 4                # steps between records
LOUD = 0.02              # of the largest Fourier coefficient: the ones shown
HIGHEST = 4.0            # angular frequency shown

STRETCH = 40.0           # time units of the traces
POINTS = 200             # of each of them
BINS = 100               # of the loss over time
RETROSPECTIVE, INSTANTANEOUS = 1, 0 # neurons of each hidden layer

# Whose errors are shown over time.
ERRORS = [("hidden_2", RETROSPECTIVE, "layer 2, retrospective"), ("hidden_1", RETROSPECTIVE, "layer 1, retrospective"),
          ("hidden_1", INSTANTANEOUS, "layer 1, instantaneous")]

TEACHER = {"color": style.COLOURS["teacher"], "linewidth": 1.0}
ZERO = {"color": style.GREY, "linewidth": 0.5, "zorder": 0}
WIDTHS = {"gle": 1.7, "adjoint": 0.9} # so that one is seen behind the other
SIZES = {"gle": 4.2, "adjoint": 2.4}


def untrained(run):
    """Traces of a run's network that does not learn. The run goes on after the window, which is swept back then."""
    settings = [f"training.phases=[{{duration: {DURATION + 1}, learn: false}}]", "learning.gamma=0",
                f"record.every={EVERY}"]
    if run.variant == "adjoint":
        settings.append(f"learning.window={DURATION}")
    return traces.rerun(run, settings)


class Method:
    """What is drawn of one of the two runs."""

    def __init__(self, run):
        self.run = run
        self.colour, self.symbol = style.COLOURS[run.variant], SYMBOLS[run.variant]
        self.line = {"color": self.colour, "linewidth": WIDTHS[run.variant]}
        self.trained, self.untrained = traces.read(run), untrained(run)

    def errors(self, recorded, layer):
        return recorded[f"{layer}.{RECORDED[self.run.variant]}"]

    def instantaneous_errors(self, layer, above):
        """Of the untrained network: phi' = 1 - tanh^2, times what comes from above."""
        return (1 - self.untrained[f"{layer}.r"]**2) * (
            self.errors(self.untrained, above) @ self.run.weights[f"{above}.weight"])

    def filter(self, layer, omega):
        """By what a neuron of tau_m and tau_r multiplies its instantaneous errors at an angular frequency."""
        tau_m, tau_r = (self.run.weights[f"{layer}.{tau}"][RETROSPECTIVE] for tau in ("tau_m", "tau_r"))
        if self.run.variant == "adjoint":
            return (1 - 1j * omega * tau_r) / (1 - 1j * omega * tau_m)
        return (1 + 1j * omega * tau_m) / (1 + 1j * omega * tau_r)


def stretches(adjoint):
    """Start and end of what is shown of the untrained and of the trained network."""
    known = adjoint.trained.time[np.isfinite(adjoint.errors(adjoint.trained, "hidden_1")[:, 0])]
    if len(known) < 2:
        raise Failure(DATA, f"{adjoint.trained.source}: the run is too short for a window")
    return [(EDGE, EDGE + STRETCH), (max(known[-1] - STRETCH, known[0]), known[-1])]


def rms(values):
    """Of what is known. As "0.16" or, below 0.01, as "5e-7"."""
    value = np.sqrt(np.nanmean(values**2))
    return f"{value:.2g}" if value >= 0.01 else f"{value:.0e}".replace("e-0", "e-")


def draw_errors(axes, methods, which, stretch, layer, neuron):
    """Returns their sizes as a text."""
    sizes = []
    for method in methods:
        recorded = getattr(method, which)
        at = recorded.within(*stretch)
        values = method.errors(recorded, layer)[at, neuron]
        axes.plot(*traces.thinned(POINTS, recorded.time[at], values), **method.line)
        sizes.append(f"{method.symbol}: {rms(values)}")
    axes.axhline(0, **ZERO)
    return "rms " + ", ".join(sizes)


def draw_stretch(axes, methods, which, stretch):
    """Input, outputs and errors of some neurons, from the top down."""
    gle = getattr(methods[0], which)
    at = gle.within(*stretch)
    axes[0].plot(*traces.thinned(POINTS, gle.time[at], gle["input"][at]), color=style.COLOURS["input"])
    for method in methods:
        recorded = getattr(method, which)
        at = recorded.within(*stretch)
        axes[1].plot(*traces.thinned(POINTS, recorded.time[at], recorded["output"][at]), **method.line)
    axes[1].plot(*traces.thinned(POINTS, gle.time[at], gle["target"][at]), linestyle="--", **TEACHER)
    for row, (layer, neuron, name) in zip(axes[2:], ERRORS):
        sizes = draw_errors(row, methods, which, stretch, layer, neuron)
        row.set_title(name if which == "untrained" else sizes, fontsize=7, loc="left", pad=2)
    axes[-1].set(xlim=stretch, xlabel=r"time ($\tau$)")


def draw_traces(figure, methods):
    axes = figure.subplots(2 + len(ERRORS), 2, sharex="col", sharey="row")
    for column, which, stretch, letter, title in zip(axes.T, ["untrained", "trained"], stretches(methods[1]), "ab",
                                                     ["before learning", "after learning"]):
        draw_stretch(column, methods, which, stretch)
        style.panel(column[0], letter, title)
    for row, label in zip(axes[:, 0], ["input", "output"] + [r"$e$,  $\lambda$"] * len(ERRORS)):
        row.set_ylabel(label)
    figure.align_ylabels(axes[:, 0])


def draw_learning(figure, methods):
    """Loss and the two weights that learn, over the time of the run."""
    loss, weights = figure.subplots(2, 1, sharex=True)
    for method in methods:
        t = method.trained
        edges = np.linspace(t.time[0], t.time[-1], BINS + 1)
        loss.plot(*traces.mean_in_bins(t.time, t["loss"], edges), **method.line)
        for neuron in (RETROSPECTIVE, INSTANTANEOUS):
            weights.plot(*traces.thinned(POINTS, t.time, t["hidden_1.weight"][:, neuron, 0]), **method.line)
    teacher = methods[0].run.metrics["config"]["teacher"]["hidden_1"]["weight"]["value"]
    for neuron, name in [(RETROSPECTIVE, "retrospective"), (INSTANTANEOUS, "instantaneous")]:
        (value,) = teacher[neuron]
        weights.axhline(value, linestyle=":", **TEACHER)
        weights.annotate(name, (t.time[-1], value), (0, 3), textcoords="offset points", fontsize=7, ha="right")
    start = t.time[t.phase == t.phase[-1]][0]
    for axes in (loss, weights):
        axes.axvline(start, **ZERO)
    loss.annotate("learning begins", (start, 0), (4, 4), xycoords=("data", "axes fraction"), textcoords="offset points",
                  fontsize=7, color=style.GREY)
    loss.set(yscale="log")
    weights.set(xlabel=r"time ($\tau$)")
    weights.margins(x=0)
    style.panel(loss, "c", "loss (mean squared error)")
    style.panel(weights, "d", "weights of layer 1")


def spectrum(values, time):
    """Angular frequencies and Fourier coefficients, between the edges, as amplitudes and phases of cosines."""
    at = (time >= EDGE) & (time < DURATION - EDGE)
    window = np.hanning(np.count_nonzero(at))
    coefficients = np.fft.rfft((values[at] - values[at].mean()) * window) * (2 / window.sum())
    return 2 * np.pi * np.fft.rfftfreq(len(window), time[1] - time[0]), coefficients


def peaks(omega, coefficients):
    """Indices of the frequencies that signals of sums and differences of a few frequencies consist of."""
    size = np.abs(coefficients)
    highest = np.flatnonzero((size[1:-1] > size[:-2]) & (size[1:-1] >= size[2:])) + 1
    return highest[(size[highest] > LOUD * size.max()) & (omega[highest] < HIGHEST)]


def draw_spectra(axes, methods, layer, above):
    """Amplitudes; and gains and phases, both against instantaneous errors."""
    amplitude, gain, phase = axes
    curve = np.linspace(0, HIGHEST, POINTS)
    for method in methods:
        time = method.untrained.time
        omega, inst = spectrum(method.instantaneous_errors(layer, above)[:, RETROSPECTIVE], time)
        _, error = spectrum(method.errors(method.untrained, layer)[:, RETROSPECTIVE], time)
        at = peaks(omega, inst)
        ratio, expected = error[at] / inst[at], method.filter(layer, curve)
        dots = {"color": method.colour, "marker": "o", "markersize": SIZES[method.run.variant], "markeredgewidth": 0,
                "linestyle": "none"}
        amplitude.plot(omega[at], np.abs(error[at]), **dots)
        gain.plot(omega[at], np.abs(ratio), **dots)
        gain.plot(curve, np.abs(expected), color=method.colour, linewidth=0.9)
        phase.plot(omega[at], np.angle(ratio, deg=True), **dots)
        phase.plot(curve, np.angle(expected, deg=True), color=method.colour, linewidth=0.9)
    amplitude.set(yscale="log", ylabel="amplitude")
    gain.axhline(1, **ZERO)
    gain.set(yscale="log", ylabel="gain", yticks=[0.3, 1, 3], yticklabels=["0.3", "1", "3"])
    phase.set(ylabel="phase (degrees)")
    for each in axes:
        each.set(xlim=(0, HIGHEST))


def draw(runs):
    methods = [Method(runs.one(CONFIG, variant, recording=True)) for variant in LABELS]
    figure = style.new_figure(style.WIDTH, 168)
    legend, top, bottom = figure.subfigures(3, 1, height_ratios=[0.05, 1, 0.7])
    left, right = top.subfigures(1, 2, width_ratios=[2, 1])
    draw_traces(left, methods)
    draw_learning(right, methods)
    axes = bottom.subplots(2, 3, sharex=True, sharey="col")
    draw_spectra(axes[0], methods, "hidden_2", "top")
    draw_spectra(axes[1], methods, "hidden_1", "hidden_2")
    titles = [text for n in (2, 1) for text in (f"layer {n}, retrospective: spectrum", "gain", "phase")]
    for each, letter, title in zip(axes.flat, "efghij", titles):
        style.panel(each, letter, title)
    for each in axes[1]:
        each.set_xlabel(r"angular frequency ($1/\tau$)")
    handles = [Line2D([], [], label=LABELS[method.run.variant], **method.line) for method in methods]
    handles += [Line2D([], [], linestyle=line, label=label, **TEACHER)
                for line, label in [("--", "teacher"), (":", "teacher's value")]]
    handles += [Line2D([], [], color=style.GREY, marker="o", markersize=3, linewidth=0.9,
                       label="recorded (dots), expected (lines)")]
    handles += [Line2D([], [], label="0, or gain 1", **{**ZERO, "linewidth": 0.8})]
    legend.legend(handles=handles, loc="center", ncol=len(handles), columnspacing=1.2)
    return figure
