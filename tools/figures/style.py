"""How all pictures look: a palette that is safe for the colour-blind, sizes for a printed page, files without dates."""

import os
import pathlib
import re

import matplotlib
import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from .failure import WRITE, Failure

matplotlib.use("Agg")

# M. Okabe and K. Ito, "Color universal design", 2008.
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILLION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
GREY = "#7F7F7F"
CYCLE = [BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY, BLACK]

# What has the same name has the same colour in every figure.
COLOURS = {
    "gle": BLUE, "bp": VERMILLION, "bptt": GREEN, "adjoint": ORANGE, "eprop": ORANGE, "bptt_short": PURPLE,
    "bptt_tw4": GREEN, "bptt_tw2": ORANGE, "bptt_tw1": PURPLE,
    "mnist1d_e2e": BLUE, "mnist1d_e2e_42k": VERMILLION, "published mnist1d_e2e": SKY,
    "published mnist1d_e2e_42k": ORANGE, "tcn": GREEN, "gru": PURPLE, "mlp": GREY,
    "transpose": BLUE, "kolen_pollack": GREEN, "pal": VERMILLION, "fixed": ORANGE, "frozen": GREY,
    "gsc_mel_gle": BLUE, "synthetic_speech": VERMILLION, "spoken_digits": GREEN,
    "train": SKY, "train_after": GREEN, "validation": ORANGE, "test": BLUE,
    "input": GREY, "target": BLACK, "teacher": BLACK, "published": "#505050",
}
DASHED = (0, (3, 1.5))
OURS = {"linestyle": "-", "linewidth": 1.4}
PUBLISHED = {"linestyle": DASHED, "linewidth": 1.1, "zorder": 3} # above ours, which shows between dashes
TIME = "time (a.u.)" # of the config
WIDTH = 180 # mm, both columns of a page
MM = 1 / 25.4 # inches

matplotlib.rcParams.update({
    "font.family": "sans-serif", "font.sans-serif": ["DejaVu Sans", "Arial", "Helvetica"],
    "font.size": 8, "axes.titlesize": 8, "axes.labelsize": 8,
    "xtick.labelsize": 7, "ytick.labelsize": 7, "legend.fontsize": 7,
    "axes.spines.top": False, "axes.spines.right": False, "axes.linewidth": 0.7,
    "xtick.major.width": 0.7, "ytick.major.width": 0.7, "xtick.minor.width": 0.5, "ytick.minor.width": 0.5,
    "axes.prop_cycle": matplotlib.cycler(color=CYCLE), "lines.linewidth": 1.2, "lines.solid_joinstyle": "round",
    "legend.title_fontsize": 7, "legend.frameon": False, "legend.handlelength": 1.8,
    "legend.borderaxespad": 0.3,
    "image.cmap": "cividis", "figure.dpi": 100, "savefig.dpi": 180,
    "figure.constrained_layout.use": True,
    "svg.hashsalt": "glesim", "svg.fonttype": "none", "pdf.fonttype": 42, # text stays text
})

# What the backends would add, which differs from day to day or from machine to machine.
NO_METADATA = {"svg": {"Date": None, "Creator": None}, "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
               "png": {"Software": None}}
SMALL = {"png": {"pil_kwargs": {"optimize": True}}}


def new_figure(width=WIDTH, height=100):
    """An empty figure of a size in mm."""
    return Figure(figsize=(width * MM, height * MM))


def plain(text):
    """Text from files, in which a dollar sign starts no formula."""
    return text.replace("$", r"\$")


def panel(axes, letter, title=""):
    """Writes the letter of a panel, and a title beside it, above the axes to the left."""
    text = axes.set_title(letter, loc="left", fontweight="bold")
    if title:
        axes.annotate(title, (1, 0), xycoords=text, xytext=(5, 0), textcoords="offset points", va="bottom")


def band(axes, x, mean, std, colour, **line):
    """A mean as a line, with a band of one standard deviation around it. Returns the line."""
    axes.fill_between(x, mean - std, mean + std, color=colour, alpha=0.18, linewidth=0)
    return axes.plot(x, mean, color=colour, **line)[0]


def colours(n, without=()):
    """As many, none of them twice: those of the cycle, if they suffice, or else those of a rainbow."""
    few = [colour for colour in CYCLE if colour not in without]
    return few[:n] if n <= len(few) else [matplotlib.colormaps["turbo"](share) for share in np.linspace(0.03, 0.97, n)]


def mixed(colour, other, share):
    """A colour with some of another one."""
    return tuple((1 - share) * np.array(to_rgb(colour)) + share * np.array(to_rgb(other)))


def behind(colour):
    """How a line is drawn that another one of the same colour may lie upon: light and wide."""
    return {"color": mixed(colour, "white", 0.45), "linewidth": 2.4}


def upon(colour):
    """How a line is drawn that is to be seen upon the other one: dark, and narrow (the dashes are the caller's)."""
    return {"color": mixed(colour, "black", 0.55), "linewidth": 0.9, "zorder": 3}


def legend_outside(axes):
    """A legend where there is no data: above the axes if it is short, or else to the right."""
    labels = axes.get_legend_handles_labels()[1]
    if labels and sum(len(label) + 6 for label in labels) <= 52:
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncol=len(labels), columnspacing=1, borderpad=0)
    elif labels:
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1))


def set_scale(axes, values, axis="y"):
    """Logarithmic where values are positive and span decades."""
    values = np.concatenate([np.ravel(each) for each in values])
    values = values[np.isfinite(values)]
    if len(values) and values.min() > 0 and values.max() > 30 * values.min():
        axes.set(**{f"{axis}scale": "log"})


def final(mean, std, seeds):
    """What a curve over so many seeds ends with, in words."""
    return f"{mean[-1]:.1f} ± {std[-1]:.1f} ({seeds} seeds)" if seeds > 1 else f"{mean[-1]:.1f} (1 seed)"


def settle(path):
    """Takes out of an SVG what hangs on digits that the layout's solver does not repeat: names of clip paths, which
    become numbers, and the sign of zero."""
    text = path.read_text(encoding="utf-8")
    names = {name: f"clip{i}" for i, name in enumerate(re.findall(r'<clipPath id="(\w+)"', text))}
    text = re.sub(r'(?<=<clipPath id=")\w+|(?<=url\(#)\w+', lambda name: names.get(name[0], name[0]), text)
    path.write_text(re.sub(r'(?<=[ "(,])-0(?=[ ",)])', "0", text), encoding="utf-8")


def save(figure, path, formats):
    """Writes path.<format> for each format, whole or not at all. Returns the paths."""
    path = pathlib.Path(path)
    written = []
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for suffix in formats:
            target = path.with_name(f"{path.name}.{suffix}")
            temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
            try:
                figure.savefig(temporary, format=suffix, metadata=NO_METADATA[suffix], **SMALL.get(suffix, {}))
                if suffix == "svg":
                    settle(temporary)
                os.replace(temporary, target)
            finally:
                temporary.unlink(missing_ok=True)
            written.append(target)
    except OSError as error:
        raise Failure(WRITE, f"{error.filename or path}: cannot write: {error.strerror or error}") from None
    return written
