"""Fig. 10: MNIST-1D through a fixed LagNet, whose outputs a network without memory learns to classify."""

from . import style
from .failure import Missing
from .published import published
from .runs import mean_and_std

NAME = "fig10"
CONFIG = "mnist1d_static_lagnet"


def draw(runs):
    ours = runs.all(CONFIG)
    if not ours:
        raise Missing(f"tools/glesim configs/{CONFIG}.yaml --seeds 0-9")
    theirs = published(CONFIG)
    figure = style.new_figure(90, 65)
    axes = figure.subplots()
    style.band(axes, theirs.epochs, theirs.mean, theirs.std, style.COLOURS["published"], **style.PUBLISHED,
               label=f"published: {style.final(theirs.mean, theirs.std, len(theirs.seeds))}")
    epochs, mean, std = mean_and_std(ours, "test")
    mean, std = 100 * mean, 100 * std
    style.band(axes, epochs, mean, std, style.COLOURS["gle"], **style.OURS,
               label=f"glesim: {style.final(mean, std, len(ours))}")
    style.panel(axes, "f", "MNIST-1D, fixed LagNet")
    axes.set(xlabel="epoch", ylabel="test accuracy (%)", xlim=(0, theirs.epochs[-1]), ylim=(0, 100))
    axes.legend(loc="lower right")
    return figure
