"""What a network that foretells its input says on its own, beside the truth and beside what it says with the input."""

import numpy as np

from . import style

MOST_PANELS = 3 # outputs, of the first samples, that are shown
ROW = 30        # mm
LINES = {"target": {"color": style.BLACK, "linewidth": 1.8, "alpha": 0.45, "label": "truth"},
         "open": {"color": style.BLUE, "linewidth": 0.9, "linestyle": style.DASHED, "label": "open loop"},
         "closed": {"color": style.VERMILLION, "linewidth": 1.1, "label": "closed loop"}}
BEYOND = 0.5 # of the truth's range: how far beyond it a picture goes at most; a loop may grow without end


def scores_of(metrics):
    """Those of the last evaluation of the test set, as the report has them, or None."""
    parts = [(metrics["final"] or {}).get("test"), *(e["test"] for e in reversed(metrics["epochs"])),
             *reversed(metrics.get("evaluations") or [])]
    return next((part["closed_loop"] for part in parts if part and part.get("closed_loop")), None)


def in_words(scores):
    """NRMSE and sMAPE of a loop."""
    return ", ".join(f"{word} {'null' if scores[key] is None else f'{scores[key]:.3g}{unit}'}"
                     for key, word, unit in (("nrmse", "NRMSE", ""), ("smape", "sMAPE", " %")))


def panels_of(traces):
    """Pairs of sample and output that have a panel each."""
    samples, _, outputs = traces["target"].shape
    return [(sample, output) for sample in range(samples) for output in range(outputs)][:MOST_PANELS]


def height(traces):
    return ROW * len(panels_of(traces)) + 14


def limits(lines):
    """The truth's range, and as much of the loops beyond it as there is room for."""
    truth, known = lines["target"], np.concatenate([line[np.isfinite(line)] for line in lines.values()])
    low, high = np.nanmin(truth), np.nanmax(truth)
    room = BEYOND * (high - low or 1.0)
    low, high = max(low - room, known.min()), min(high + room, known.max())
    margin = 0.05 * (high - low or 1.0)
    return low - margin, high + margin


def draw(figure, traces, metrics):
    arrays, time, panels = {name: traces[name] for name in LINES}, traces["time"], panels_of(traces)
    samples, _, outputs = arrays["target"].shape
    grid = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (sample, output) in zip(grid, panels):
        lines = {name: array[sample, :, output] for name, array in arrays.items()}
        for name, look in LINES.items():
            axes.plot(time, lines[name], **look)
        axes.set(xlim=(time[0], time[-1]), ylim=limits(lines))
        if samples * outputs > 1:
            axes.set_title(f"sample {sample + 1} of {samples}" + f", output {output + 1} of {outputs}" * (outputs > 1),
                           loc="left")
    grid[0].legend(loc="lower right", bbox_to_anchor=(1, 1), ncol=3, columnspacing=1, borderpad=0)
    grid[-1].set_xlabel(style.TIME)
    scores = scores_of(metrics)
    figure.suptitle("Closed loop, test set" + (f": {in_words(scores)}; open loop: {in_words(scores['open_loop'])}"
                                               if scores else ""), fontsize=8)
