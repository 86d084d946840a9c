"""Fig. 8: samples of MNIST-1D and of speech, and how well networks learn to tell them apart."""

import numpy as np

from . import samples, style
from .failure import Missing
from .published import published
from .runs import mean_and_std

NAME = "fig8"
MNIST1D_SEEDS = "12,32,34,42,54,56,69,76,78,98"
# Published with the paper: the file, and what is ours beside it. The others saw the same samples, supersampled.
MNIST1D = {"mnist1d_e2e": "GLE 15k", "mnist1d_e2e_42k": "GLE 42k"}
OTHERS = {"mnist1d_cnn_supersampled": "TCN", "mnist1d_gru_supersampled": "GRU", "mnist1d_mlp_supersampled": "MLP"}
SPEECH = {"gsc_mel_gle": "Speech Commands", "synthetic_speech": "synthetic, 12 classes",
          "spoken_digits": "digits (FSDD), 10 classes"}


def plus_minus(mean, std):
    return f"{mean[-1]:.1f} ± {std[-1]:.1f}"


def draw_digits(axes):
    """One sample of each class, two columns of curves above each other."""
    time, curves = samples.mnist1d()
    half = (len(curves) + 1) // 2
    gap, step = 1.22 * time[-1], 1.1 * max(np.ptp(curve) for curve in curves)
    for label, curve in enumerate(curves):
        left, bottom = gap * (label // half), -step * (label % half)
        axes.plot(time + left, curve - curve.mean() + bottom, color=style.BLACK, linewidth=0.9)
        axes.text(left - 0.04 * gap, bottom, label, ha="right", va="center", color=style.GREY)
    bottom = -step * (half - 0.35)
    axes.plot([0, 20], [bottom, bottom], color=style.BLACK, linewidth=1.5)
    axes.text(10, bottom - 0.1 * step, "20 time units", ha="center", va="top", fontsize=7)
    axes.set_axis_off()


def draw_word(above, below, corpora):
    """Wave form and mel spectrogram of one word, or how to get one."""
    found = next(filter(None, (samples.word_in(corpus) for corpus in corpora)), None)
    if not found:
        above.set_axis_off()
        below.set_axis_off()
        below.text(0.5, 0.9, "no speech at hand, which\ndatasets/make_speech_corpus\nmakes", ha="center", va="center",
                   transform=below.transAxes)
        return
    word, path = found
    time, sound = samples.wave_form(path)
    above.plot(time, sound, color=style.BLACK, linewidth=0.4, rasterized=True)
    largest = 1.05 * np.abs(sound).max()
    above.set(ylim=(-largest, largest), ylabel="amplitude", yticks=[0])
    above.tick_params(labelbottom=False)
    above.set_title(style.plain(f"“{word}”"), loc="right")
    time, mel = samples.mel_spectrogram(path)
    image = below.imshow(mel.T, origin="lower", aspect="auto", interpolation="nearest",
                         extent=(time[0], time[-1], 0.5, mel.shape[1] + 0.5))
    below.set(xlabel="time (s)", ylabel="mel bin", yticks=[1, mel.shape[1] // 2, mel.shape[1]])
    above.sharex(below)
    below.figure.colorbar(image, ax=below, label="log power (z-score)", pad=0.02, aspect=12)


def draw_mnist1d(axes, runs):
    lines = []
    for key, label in MNIST1D.items():
        colour, theirs, ours = style.COLOURS[key], published(key), runs.all(key)
        epochs, mean, std = mean_and_std(ours, "test")
        mean, std = 100 * mean, 100 * std
        lines += [
            style.band(axes, epochs, mean, std, colour, label=f"{label}, ours: {plus_minus(mean, std)}", **style.OURS),
            style.band(axes, theirs.epochs, theirs.mean, theirs.std, style.COLOURS["published " + key],
                       label=f"{label}, published: {plus_minus(theirs.mean, theirs.std)}", **style.PUBLISHED)]
    last = epochs[-1]
    for key, label in OTHERS.items():
        theirs, colour = published(key), style.COLOURS[label.lower()]
        lines.append(style.band(axes, theirs.epochs, theirs.mean, theirs.std, colour, **style.PUBLISHED,
                                label=f"{label}, published: {plus_minus(theirs.mean, theirs.std)}"))
        axes.plot([theirs.epochs[-1], last], [theirs.mean[-1]] * 2, color=colour, linewidth=0.7, linestyle=":")
    axes.set(xlabel="epoch", ylabel="test accuracy (%)", xlim=(0, last), ylim=(0, 100))
    axes.legend(handles=lines, loc="lower right", title="mean ± s.d. over seeds after the last epoch",
                alignment="left")


def draw_speech(axes, runs):
    theirs = published("gsc_mel_gle")
    style.band(axes, theirs.epochs, theirs.mean, theirs.std, style.COLOURS["published"], **style.PUBLISHED,
               label=f"Speech Commands, published: {plus_minus(theirs.mean, theirs.std)}")
    for key, label in SPEECH.items():
        ours = runs.all(key)
        if not ours:
            continue
        epochs, mean, std = mean_and_std(ours, "validation")
        number = plus_minus(100 * mean, 100 * std) if len(ours) > 1 else f"{100 * mean[-1]:.1f}"
        style.band(axes, epochs, 100 * mean, 100 * std, style.COLOURS[key], label=f"{label}, ours: {number}",
                   **style.OURS)
    axes.set(xlabel="epoch", ylabel="validation accuracy (%)", xlim=(0, theirs.epochs[-1]), ylim=(0, 100))
    axes.legend(loc="lower right")


def draw(runs):
    missing = [key for key in MNIST1D if not runs.all(key)]
    if missing:
        raise Missing(*(f"tools/glesim configs/{key}.yaml --seeds {MNIST1D_SEEDS}" for key in missing))
    figure = style.new_figure(height=135)
    top, bottom = figure.subfigures(2, 1, height_ratios=[1, 1.15])
    digits, word = top.subfigures(1, 2, wspace=0.04)
    axes = digits.subplots()
    draw_digits(axes)
    style.panel(axes, "a", "MNIST-1D, a sample of each class")
    above, below = word.subplots(2, 1, height_ratios=[1, 2])
    draw_word(above, below, runs.speech)
    style.panel(above, "b", "a spoken word")
    left, right = bottom.subplots(1, 2, gridspec_kw={"width_ratios": [1.2, 1], "wspace": 0.06})
    draw_mnist1d(left, runs)
    style.panel(left, "d", "MNIST-1D")
    draw_speech(right, runs)
    style.panel(right, "e", "speech")
    return figure
