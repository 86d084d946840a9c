"""How near the updates of local rules come to the exact gradient, by depth and time constants: cosines of the lowest
layer as heat maps, where errors follow a signal, and where they stay for a sample and then jump."""

import numpy as np

from . import style
from .failure import Missing

NAME = "gradients"
CONFIGS = {"gradients_signal": "a teacher's signals", "gradients_mnist1d": "MNIST-1D"}
RULES = ("gle", "bp", "eprop")
DEPTH, TAU = "network.layers[0].repeat", "network.layers[0].neurons.tau_m"
LAYER = "lag_1"
# Of these tasks: the ratio of norms that exact errors have under mse, for ten outputs, and under cross entropy.
EXACT = {"gradients_signal": 5.0, "gradients_mnist1d": 1.0}
LARGE = 10 # times: such ratios are written


def table_of(points, what):
    """Depths, time constants, and means (depths, time constants) of "cosine" or "norm_ratio", NaN where there are none."""
    depths = sorted({point["values"][DEPTH] for point in points})
    taus = sorted({point["values"][TAU] for point in points})
    table = np.full((len(depths), len(taus)), np.nan)
    for point in points:
        found = ((point["diagnostics"] or {}).get(LAYER) or {}).get(what)
        if found:
            table[depths.index(point["values"][DEPTH]), taus.index(point["values"][TAU])] = found["mean"]
    return depths, taus, table


def ratio_in_words(ratio):
    """"x40", "x3e5"."""
    return f"×{ratio:.0f}" if ratio < 999.5 else "×" + f"{ratio:.0e}".replace("e+0", "e")


def draw_map(axes, points, exact, dt):
    depths, taus, cosines = table_of(points, "cosine")
    ratios = table_of(points, "norm_ratio")[2] / exact
    image = axes.imshow(cosines, vmin=-1, vmax=1, cmap="RdBu", aspect="auto", origin="lower")
    for (row, column), cosine in np.ndenumerate(cosines):
        large = ratios[row, column] >= LARGE
        words = "–" if np.isnan(cosine) else f"{cosine:.2f}" + (f"\n{ratio_in_words(ratios[row, column])}" if large else "")
        axes.annotate(words.replace("-", "−"), (column, row), ha="center", va="center", fontsize=5.5, linespacing=1.0,
                      color="white" if abs(cosine) > 0.7 else "black")
    axes.set_xticks(range(len(taus)), [f"{tau / dt:.0f}" for tau in taus])
    axes.set_yticks(range(len(depths)), depths)
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    return image


def draw(runs):
    summaries, missing = {}, []
    for config in CONFIGS:
        for rule in RULES:
            try:
                summaries[config, rule] = runs.summary(config, rule)
            except Missing:
                missing.append(f"tools/glesim configs/{config}.yaml --seeds 1-3")
    if missing:
        raise Missing(*dict.fromkeys(missing))
    figure = style.new_figure(height=110)
    grid = figure.subplots(len(CONFIGS), len(RULES), sharex=True, sharey=True)
    for row, (config, title) in enumerate(CONFIGS.items()):
        for column, rule in enumerate(RULES):
            axes = grid[row, column]
            points = summaries[config, rule]["points"]
            dt = min(point["values"][TAU] for point in points) # the shortest time constant is a step
            image = draw_map(axes, points, EXACT[config], dt)
            style.panel(axes, "abcdef"[row * len(RULES) + column], f"{rule}: {title}")
            axes.label_outer()
            if row == len(CONFIGS) - 1:
                axes.set_xlabel("tau_m / dt")
            if column == 0:
                axes.set_ylabel("layers that lag")
    bar = figure.colorbar(image, ax=grid, shrink=0.6, pad=0.01)
    bar.set_label("cosine between update and exact gradient, lowest layer\n(×n: the update is n times as long as it should be)")
    bar.outline.set_visible(False)
    return figure
