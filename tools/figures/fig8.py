"""Fig. 8: samples of MNIST-1D and of speech, and how well networks learn to tell them apart."""

import numpy as np

from . import samples, style
from .failure import Missing
from .published import published
from .runs import mean_and_std

NAME = "fig8"
MNIST1D_SEEDS = "12,32,34,42,54,56,69,76,78,98"
# Files of what was published, which have the names of configs where there is one.
MNIST1D = {"mnist1d_e2e": "GLE 15k", "mnist1d_e2e_42k": "GLE 42k"}
OTHERS = {"mnist1d_cnn_supersampled": "TCN", "mnist1d_gru_supersampled": "GRU", "mnist1d_mlp_supersampled": "MLP"}
# Ours have other words than the paper's, unless the first is there.
SPEECH = {"gsc_mel_gle": "Speech Commands", "synthetic_speech": "synthetic speech, 12 classes",
          "spoken_digits": "digits (FSDD), 10 classes"}


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
    """Wave form and mel spectrogram of one word, or how to get one. Returns a title."""
    found = next(filter(None, (samples.word_in(corpus) for corpus in corpora)), None)
    if not found:
        above.set_axis_off()
        below.set_axis_off()
        below.text(0.5, 0.9, "no sounds here;\ndatasets/make_speech_corpus\nmakes some", ha="center", va="center",
                   transform=below.transAxes)
        return "a spoken word"
    word, path = found
    time, sound = samples.wave_form(path)
    above.plot(time, sound, color=style.BLACK, linewidth=0.4, rasterized=True)
    largest = 1.05 * np.abs(sound).max()
    above.set(ylim=(-largest, largest), ylabel="amplitude", yticks=[0])
    above.tick_params(labelbottom=False)
    time, mel = samples.mel_spectrogram(path)
    image = below.imshow(mel.T, origin="lower", aspect="auto", interpolation="nearest",
                         extent=(time[0], time[-1], 0.5, mel.shape[1] + 0.5))
    below.set(xlabel="time (s)", ylabel="mel bin", yticks=[1, mel.shape[1] // 2, mel.shape[1]])
    above.sharex(below)
    below.figure.colorbar(image, ax=below, label="log power (z-score)", pad=0.02, aspect=12)
    return style.plain(f"“{word}”, of {path.parent.parent.resolve().name}")


def draw_published(axes, key, label, colour):
    curve = published(key)
    style.band(axes, curve.epochs, curve.mean, curve.std, colour, **style.PUBLISHED,
               label=label + style.final(curve.mean, curve.std, len(curve.seeds)))
    return curve


def draw_ours(axes, runs, split, label, colour):
    epochs, mean, std = mean_and_std(runs, split)
    mean, std = 100 * mean, 100 * std
    style.band(axes, epochs, mean, std, colour, label=label + style.final(mean, std, len(runs)), **style.OURS)


def draw_mnist1d(axes, runs):
    for key, label in MNIST1D.items():
        draw_ours(axes, runs.all(key), "test", f"{label}, glesim: ", style.COLOURS[key])
        last = draw_published(axes, key, f"{label}, published: ", style.COLOURS[f"published {key}"]).epochs[-1]
    for key, label in OTHERS.items():
        colour = style.COLOURS[label.lower()]
        curve = draw_published(axes, key, f"{label}, published: ", colour)
        axes.plot([curve.epochs[-1], last], [curve.mean[-1]] * 2, color=colour, linewidth=0.7, linestyle=":")
    axes.set(xlabel="epoch", ylabel="test accuracy (%)", xlim=(0, last), ylim=(0, 100))
    axes.legend(loc="lower right", title="after the last epoch", alignment="left")


def draw_speech(axes, runs):
    last = draw_published(axes, "gsc_mel_gle", "Speech Commands, published:\n",
                          style.COLOURS["published"]).epochs[-1]
    for key, label in SPEECH.items():
        ours = runs.all(key)
        if ours and all(len(run.curve("validation")[0]) for run in ours):
            draw_ours(axes, ours, "validation", f"{label}, glesim:\n", style.COLOURS[key])
    axes.set(xlabel="epoch", ylabel="validation accuracy (%)", xlim=(0, last), ylim=(0, 100))
    axes.legend(loc="lower right", title="after the last epoch", alignment="left")


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
    style.panel(above, "b", draw_word(above, below, runs.speech))
    left, right = bottom.subplots(1, 2, gridspec_kw={"width_ratios": [1.2, 1], "wspace": 0.06})
    draw_mnist1d(left, runs)
    style.panel(left, "c", "MNIST-1D")
    draw_speech(right, runs)
    style.panel(right, "d", "speech")
    return figure
