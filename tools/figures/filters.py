"""The filters of convolutions, as they are in the weights of a run: small grey images, or rows where kernels have one
dimension. What is white is positive, what is black is negative, by one scale for a layer."""

import matplotlib
import numpy as np

from . import style

MOST = 64         # filters of a layer
MOST_LAYERS = 6
SHAPE = 2.0       # width over height that the picture of a layer is to have
WEIGHT, GAP = 5, 2 # pixels of a weight, and between filters
MOST_TICKS = 8
BETWEEN = style.mixed(style.SKY, "white", 0.6) # a colour that no weight has


def layers_of(weights):
    """Names of the arrays that hold filters: (channels, channels of the source, kernel) or (..., rows, columns)."""
    return [name for name in (weights.files if weights else ()) if name.rpartition(".")[2] == "weight"
            and weights[name].ndim in (3, 4) and weights[name].size]


class Filters:
    """Some of the filters of a layer, side by side: those of the first channels over the first ones of the source."""

    def __init__(self, name, weights):
        self.name, self.kernel = name, weights.shape[2:]
        self.channels, self.sources = weights.shape[:2]
        weights = weights.reshape(self.channels, self.sources, -1, self.kernel[-1]) # a kernel of a line is one row
        self.high, self.wide = (n * WEIGHT + GAP for n in weights.shape[2:])
        columns = max(1, round(np.sqrt(SHAPE * min(MOST, self.channels * self.sources) * self.high / self.wide)))
        if self.sources == 1: # in the order of their channels, row by row
            self.n = min(MOST, self.channels)
            self.rows = max(1, round(self.n / columns))
            self.columns = -(-self.n // self.rows)
            self.tiles = weights[:self.n, 0]
        else: # channels from left to right, their sources from the top down
            self.rows = min(self.sources, MOST // min(columns, self.channels, MOST))
            self.columns = min(self.channels, MOST // self.rows)
            self.n = self.rows * self.columns
            self.tiles = weights[:self.columns, :self.rows].swapaxes(0, 1).reshape(self.n, *weights.shape[2:])
        self.largest = float(np.abs(weights[np.isfinite(weights)]).max(initial=0)) or 1.0

    @property
    def image(self):
        """With NaN between filters."""
        image = np.full((self.rows * self.high - GAP, self.columns * self.wide - GAP), np.nan)
        for i, tile in enumerate(self.tiles):
            top, left = i // self.columns * self.high, i % self.columns * self.wide
            image[top:top + self.high - GAP, left:left + self.wide - GAP] = np.kron(tile, np.ones((WEIGHT, WEIGHT)))
        return image

    @property
    def title(self):
        of = self.channels * self.sources
        how_many = f"{self.n} of {of}" if self.n < of else f"all {of}"
        return f"{self.name.rpartition('.')[0]}: {how_many} filters, kernel {' × '.join(map(str, self.kernel))}"


def ticks(n, each):
    """Places of the middles of some of n filters, and their numbers."""
    numbers = range(0, n, -(-n // MOST_TICKS))
    return [i * each + (each - GAP) / 2 for i in numbers], numbers


def draw(axes, filters, note=""):
    cmap = matplotlib.colormaps["gray"].with_extremes(bad=BETWEEN)
    image = axes.imshow(np.ma.masked_invalid(filters.image), cmap=cmap, vmin=-filters.largest, vmax=filters.largest,
                        interpolation="nearest")
    axes.set_title(style.plain(filters.title + note), loc="left")
    if filters.sources > 1:
        axes.set_xticks(*ticks(filters.columns, filters.wide))
        axes.set_yticks(*ticks(filters.rows, filters.high))
        axes.set(xlabel="channel", ylabel="source channel")
    else:
        axes.set(xticks=[], yticks=[], xlabel="by channel, row by row" if filters.rows > 1 else "by channel")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    beside = axes.inset_axes((1.02, 0, 0.025, 1)) # as high as the image, whatever its shape
    bar = axes.figure.colorbar(image, cax=beside, ticks=[-filters.largest, 0, filters.largest], format="%.2g",
                               label="weight")
    bar.outline.set_visible(False)


def panels_of(weights):
    """Functions that draw the layers that there are into axes, as far as they are shown."""
    names = layers_of(weights)
    few = names[:MOST_LAYERS]
    note = f" (layers 1 to {len(few)} of {len(names)})" if len(few) < len(names) else ""
    return [lambda axes, name=name: draw(axes, Filters(name, weights[name]), note * (name == few[-1]))
            for name in few]
