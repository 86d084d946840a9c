"""A page for one run, or for the seeds of a config: whatever its folder has to show."""

import collections
import contextlib
import functools
import pathlib

import numpy as np

from . import closed_loop, filters, style
from .collect import TRAINING
from .failure import DATA, Failure
from .runs import KEYS, NONE, Run, check_kinds, read_json, score_of, shown

PARAMETERS = ("weight", "bias", "tau_m", "tau_r")
SPLITS = ("train", "train_after", "validation", "test")
GRADIENTS = tuple(f"grad_{name}" for name in PARAMETERS)
# What every summary has, and of which kind.
SUMMARY = {**{key: KEYS[key] for key in ("name", "variant", "final", "parameters")}, "sweep": (str, NONE),
           "completed": (int,), "runs": (list,), "epochs": (list, NONE), "phases": (list, NONE)}
# Variables that share a panel.
TOGETHER = (("u", "prosp_u"), ("r",), ("r_prime",), ("e", "e_inst", "v", "lambda"), ("e_below",),
            *((name,) for name in GRADIENTS))
DASHES = "-", style.DASHED, ":", (0, (5, 1, 1, 1)) # as many as the longest of these
BAND = {"alpha": 0.18, "linewidth": 0}
# What a page shows at most of things that there may be thousands of.
MOST_POINTS, MOST_LINES, MOST_NEURONS, MOST_LAYERS, MOST_NAMES = 1000, 8, 3, 4, 40
MOST_SINGLE, BINS = 120, 60 # comparisons of gradients that are drawn one by one; bins of more
SMALL_MATRIX = 12 # classes, up to which a confusion matrix is a panel like others
FONT_SIZES = (8, 7, 7), (10, 7, 5), (SMALL_MATRIX, 6, 5), (MOST_NAMES, 5, 4) # classes; names, counts in points
ROW = 48 # mm, the height of a row of panels


class Summary:
    """The folder above the seeds of a config. What is a number in a run has mean and std here."""

    recording = weights = confusion = closed_loop = None

    def __init__(self, folder):
        self.metrics = read_json(folder / "summary.json")
        if "points" in self.metrics:
            raise Failure(DATA, f"{shown(folder)}: a sweep; which of its folders?")
        check_kinds(self.metrics, SUMMARY, folder / "summary.json")
        m = self.metrics
        m["config"] = self.config_of(folder)
        self.title = " / ".join(filter(None, (m["name"], m["variant"], m["sweep"])))
        self.title += f", {m['completed']} of {len(m['runs'])} seeds completed: mean ± s.d." + outcome(m["final"])

    def config_of(self, folder):
        """That of the first run whose report can be read; they differ in their seeds. Empty, if there is none."""
        for entry in self.metrics["runs"]:
            with contextlib.suppress(Failure):
                return Run(folder / pathlib.PurePath(entry["directory"]).name).metrics["config"]
        return {}


def title_of(run):
    m = run.metrics
    sweep = ",".join(f"{key.rpartition('.')[2]}={value}" for key, value in (m.get("sweep") or {}).items())
    title = " / ".join(filter(None, (run.name, run.variant, sweep))) + f", seed {run.seed}: {m['status']}"
    return title + (f" ({m['message']})" if m["message"] else "") + outcome(m["final"])


def outcome(final):
    """In words: accuracy of the last epoch, or loss at the end of the last phase, if there is any."""
    last = mean_of((final or {}).get("last_loss"))
    words = f"; loss in the last steps {last:.2g}" if np.isfinite(last) else ""
    for split in reversed(SPLITS):
        value = ((final or {}).get(split) or {}).get("accuracy")
        if value is not None:
            spread = f" ± {100 * std_of(value):.1f}" if isinstance(value, dict) else ""
            what = f"accuracy ({TRAINING[split]})" if split == "train_after" else f"{split} accuracy"
            return f"{words}; {what} {100 * mean_of(value):.1f}{spread} %"
    return words


def loss_of(config):
    """What the loss is called on axes."""
    loss = (config.get("learning") or {}).get("loss")
    name = loss.get("type") if isinstance(loss, dict) else loss
    return f"loss ({name.replace('_', ' ')})" if name else "loss"


def is_number(value):
    return value is None or isinstance(value, (int, float)) or "mean" in value


def mean_of(value):
    """Of a number, or of one in a summary; what is none is NaN."""
    value = value["mean"] if isinstance(value, dict) else value
    return np.nan if value is None else value


def std_of(value):
    return value["std"] if isinstance(value, dict) and value["std"] is not None else 0.0


def flat(name, value):
    """Pairs of name and number for all elements of a parameter."""
    if is_number(value):
        return [(name, value)]
    return [pair for i, each in enumerate(value) for pair in flat(f"{name}[{i}]", each)]


def thinned(n, most=MOST_POINTS):
    """A slice that leaves at most so many of n."""
    return slice(None, None, -(-n // most) or 1)


# --- Curves over epochs or phases

def draw_epochs(axes, epochs, key, loss):
    drawn = []
    names = TRAINING if any(e.get("train_after") for e in epochs) else {}
    for split in SPLITS:
        points = [(e["epoch"], e[split][key]) for e in epochs if score_of(e, split) and e[split][key] is not None]
        if not points:
            continue
        scale = 100 if key == "accuracy" else 1
        mean, std = (scale * np.array([of(value) for _, value in points]) for of in (mean_of, std_of))
        style.band(axes, [epoch for epoch, _ in points], mean, std, style.COLOURS[split],
                   label=names.get(split, split),
                   marker="o" if len(points) < 20 else None, markersize=2.5)
        drawn.append(mean)
    last = max(1, epochs[-1]["epoch"])
    axes.set(xlabel="epoch", ylabel="accuracy (%)" if key == "accuracy" else loss, xlim=(-0.03 * last, 1.03 * last))
    axes.xaxis.get_major_locator().set_params(integer=True)
    if key == "accuracy":
        axes.set_ylim(0, 102)
    else:
        style.set_scale(axes, drawn)
    style.legend_outside(axes)


def draw_evaluations(axes, evaluations, key, loss):
    """Of the test set, over the time of training by duration."""
    scale = 100 if key == "accuracy" else 1
    mean, std = (scale * np.array([of(e[key]) for e in evaluations]) for of in (mean_of, std_of))
    style.band(axes, [mean_of(e["time"]) for e in evaluations], mean, std, style.COLOURS["test"],
               marker="o" if len(evaluations) < 20 else None, markersize=2.5)
    axes.set(xlabel=style.TIME, ylabel="test accuracy (%)" if key == "accuracy" else f"test {loss}")
    if key == "accuracy":
        axes.set_ylim(0, 102)
    else:
        style.set_scale(axes, [mean])


def draw_learning_rate(axes, epochs):
    rates = np.array([mean_of(e["lr"]) for e in epochs])
    axes.step([e["epoch"] for e in epochs], rates, where="post", color=style.BLACK)
    axes.set(xlabel="epoch", ylabel="learning rate")
    axes.xaxis.get_major_locator().set_params(integer=True)
    style.set_scale(axes, [rates])


def draw_phases(axes, phases, recording, loss_name):
    """Mean losses of phases, of their last steps, and the recorded ones in between."""
    levels = []
    if recording and "loss" in recording:
        known = ~np.isnan(recording["loss"]) # steps that had a target
        time, loss = recording["time"][known], recording["loss"][known]
        parts = np.array_split(np.arange(len(time)), max(1, min(len(time), MOST_POINTS // 2)))
        means = [loss[part].mean() for part in parts if len(part)]
        axes.plot([time[part].mean() for part in parts if len(part)], means, color=style.SKY, linewidth=0.8,
                  label="recorded")
        levels += means
    for i, phase in enumerate(phases):
        start, end = mean_of(phase["start"]), mean_of(phase["start"]) + mean_of(phase["duration"])
        last = end - phase["last_steps"] * (end - start) / max(1, phase["steps"])
        for key, left, colour, width, label in (("loss", start, style.BLACK, 2.6, "whole phase"),
                                                ("last_loss", last, style.VERMILLION, 1.2, "last steps")):
            level, spread = mean_of(phase[key]), std_of(phase[key])
            levels.append(level)
            axes.plot([left, end], [level] * 2, color=colour, label=None if i else label, linewidth=width,
                      marker="o", markersize=width) # seen also where it is short
            axes.fill_between([left, end], level - spread, level + spread, color=colour, **BAND)
        if i:
            axes.axvline(start, color=style.GREY, linewidth=0.5, linestyle=":")
    axes.set(xlabel=style.TIME, ylabel=loss_name)
    style.set_scale(axes, levels)
    style.legend_outside(axes)


def draw_confusion(axes, matrix, split, classes):
    matrix = np.array(matrix)
    n = len(matrix)
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    if n <= MOST_NAMES:
        name_size, count_size = next(sizes for most, *sizes in FONT_SIZES if n <= most)
        names = [style.plain(str(name)) for name in classes or range(n)]
        axes.set_xticks(range(n), names, rotation=90 if classes else 0, fontsize=name_size)
        axes.set_yticks(range(n), names, fontsize=name_size)
        for row, column in np.argwhere(matrix):
            axes.text(column, row, matrix[row, column], ha="center", va="center", fontsize=count_size,
                      color="white" if share[row, column] > 0.5 else "black")
    axes.set(xlabel="prediction", ylabel="truth", title=f"{split} samples")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(True)


# --- Parameters

def teacher_values(config):
    """Numbers by name of what a teacher has been given as such."""
    values = {}
    for layer, parameters in (config.get("teacher") or {}).items():
        for name, source in parameters.items():
            if isinstance(source, dict) and "value" in source:
                values.update(flat(f"{layer}.{name}", source["value"]))
    return values


def taught(teacher, name):
    """The teacher's value of an element: its own, or that of all, or None."""
    return teacher.get(name, teacher.get(name.partition("[")[0]))


def moving_parameters(recording, kind):
    """Some of the values over time, by name, that move, and how many do."""
    keys = [key for key in recording.files if key.endswith(f".{kind}")] if recording else []
    lines, count = {}, 0
    for key in keys:
        values = recording[key]
        moving = np.argwhere(np.ptp(values, axis=0) > 0)
        count += len(moving)
        for index in moving[:max(1, MOST_LINES // len(keys))]:
            lines[key + "".join(f"[{i}]" for i in index)] = values[(slice(None), *index)]
    return lines, count


def draw_parameters(axes, time, lines, count, kind, teacher):
    few, some = thinned(len(time)), dict(list(lines.items())[:MOST_LINES])
    taught_some = any(taught(teacher, name) is not None for name in some)
    for (name, values), colour in zip(some.items(), style.colours(len(some))):
        line, given = style.behind(colour) if taught_some else {"color": colour}, taught(teacher, name)
        axes.plot(time[few], values[few], label=name.replace(f".{kind}", "", 1), **line)
        if given is not None:
            axes.axhline(given, linestyle=style.DASHED, **style.upon(colour))
    if taught_some:
        axes.plot([], [], linestyle=style.DASHED, label="teacher", **style.upon(style.GREY))
    axes.set(xlabel=style.TIME, ylabel=kind + f" ({len(some)} of {count} that move)" * (len(some) < count))
    style.legend_outside(axes)


def draw_final(axes, values, teacher):
    names = list(values)
    axes.errorbar(range(len(names)), [mean_of(v) for v in values.values()], [std_of(v) for v in values.values()],
                  fmt="o", color=style.BLUE, markersize=3.5, label="learned")
    given = [(i, taught(teacher, name)) for i, name in enumerate(names) if taught(teacher, name) is not None]
    if given:
        axes.plot(*zip(*given), "_", color=style.BLACK, markersize=12, label="teacher")
        style.legend_outside(axes)
    axes.set_xticks(range(len(names)), [name.replace("[0]", "") for name in names], rotation=45, ha="right")
    axes.set(ylabel="value at the end", xlim=(-0.5, len(names) - 0.5))


# --- Diagnostics

def angle_names(diagnostics):
    """(layer, parameter) of the weights B that errors go back through."""
    return [(layer, name) for layer, of in diagnostics["comparisons"][0]["layers"].items()
            for name, value in of.items() if isinstance(value, dict) and "angle" in value]


def draw_compared(axes, time, values, colour, label):
    """One line for few comparisons; of many the median and the quartiles of each bin."""
    known = np.isfinite(values)
    time, values = time[known], values[known]
    if len(values) <= MOST_SINGLE:
        axes.plot(time, values, marker="." if len(values) < 60 else None, color=colour, label=label, linewidth=0.9)
        return
    parts = np.array_split(np.arange(len(values)), BINS)
    low, middle, high = np.transpose([np.quantile(values[part], (0.25, 0.5, 0.75)) for part in parts])
    middles = [time[part].mean() for part in parts]
    axes.plot(middles, middle, color=colour, label=label, linewidth=1.1)
    axes.fill_between(middles, low, high, color=colour, **BAND)


def draw_comparisons(axes, comparisons, series, what):
    """Values of all comparisons by name. Black is left to what they are held against."""
    time = np.array([c["time"] for c in comparisons], dtype=float)
    for (label, values), colour in zip(series.items(), style.colours(len(series), without=[style.BLACK])):
        draw_compared(axes, time, np.array(values, dtype=float), colour, label)
    binned = len(comparisons) > MOST_SINGLE
    axes.set(xlabel=style.TIME, ylabel=what + "\nmedian and quartiles" * binned)


def draw_angles(axes, diagnostics):
    comparisons = diagnostics["comparisons"]
    draw_comparisons(axes, comparisons, {f"{layer}.{name}": [c["layers"][layer][name]["angle"] for c in comparisons]
                                         for layer, name in angle_names(diagnostics)}, "angle of B and W (degrees)")
    axes.set(ylim=(0, 180), yticks=[0, 45, 90, 135, 180])
    style.legend_outside(axes)


def draw_diagnostics(axes, diagnostics, key):
    comparisons = diagnostics["comparisons"]
    series = {layer: [mean_of(c["layers"].get(layer, {}).get(key)) for c in comparisons]
              for layer in comparisons[0]["layers"]}
    if key == "cosine":
        draw_comparisons(axes, comparisons, series, f"cosine to {diagnostics['gradient']}")
        axes.set_ylim(-1.05, 1.05)
        axes.axhline(1, color=style.BLACK, **style.PUBLISHED)
    else:
        draw_comparisons(axes, comparisons, series, "ratio of norms")
        style.set_scale(axes, [np.array(values, dtype=float) for values in series.values()])
        if diagnostics["exact_norm_ratio"]:
            axes.axhline(diagnostics["exact_norm_ratio"], color=style.BLACK, label="exact errors", **style.PUBLISHED)
    style.legend_outside(axes)


# --- Traces

def last_records(run):
    """The numbers of the records of some time at the end, of training where there are such."""
    recording, m = run.recording, run.metrics
    time = recording["time"]
    which = np.arange(len(time))
    if "split" in recording and (recording["split"] == 0).any():
        which = np.flatnonzero(recording["split"] == 0)
    taus = [run.weights[key].max() for key in (run.weights.files if run.weights else ()) if key.endswith(".tau_m")]
    steps = m["dataset"]["steps"]
    span = 2 * steps * m["config"]["dt"] if steps else 30 * max(taus, default=1.0)
    which = which[time[which] > time[which[-1]] - span]
    return which[thinned(len(which), 2 * MOST_POINTS)]


def traces_of(recording):
    """Title and names of arrays of each panel."""
    panels = [("input", ["input"]), ("output", ["output", "target"]), ("loss", ["loss"])]
    layers = dict.fromkeys(key.rpartition(".")[0] for key in recording.files
                           if "." in key and key.rpartition(".")[2] not in PARAMETERS)
    layers = sorted(layers, key=lambda layer: "." in layer) # what is of a single source of a layer comes last
    for layer in layers if len(layers) <= MOST_LAYERS else [*layers[:MOST_LAYERS - 1], layers[-1]]:
        for together in TOGETHER:
            names = [name for name in together if f"{layer}.{name}" in recording.files
                     and np.isfinite(recording[f"{layer}.{name}"]).any()] # errors may never have been computed
            if names:
                panels.append((f"{layer}: {names[0]}" if len(names) == 1 else layer,
                               [f"{layer}.{name}" for name in names]))
    return panels


def line_of(i, colour, several):
    """How the i-th of the arrays of a panel is drawn. The second and so on are to be seen where they lie on the first."""
    if not several:
        return {"color": colour, "linewidth": 0.9}
    return {**(style.upon(colour) if i else style.behind(colour)), "linestyle": DASHES[i]}


def draw_trace(axes, time, which, arrays, recording):
    """Neurons of the first sequence by colour, arrays by kind of line."""
    several, drawn = len(arrays) > 1, []
    for i, array in enumerate(arrays):
        values = recording[array][which]
        by_sequence = values.ndim == 3 and array.rpartition(".")[2] not in GRADIENTS
        values = values[:, 0] if by_sequence else values.reshape(len(values), -1)
        for neuron in range(min(values.shape[1], MOST_NEURONS)):
            known = np.isfinite(values[:, neuron]) # gradients, where windows end; errors, where they were computed
            axes.plot(time[known], values[known, neuron], **line_of(i, style.CYCLE[neuron], several),
                      marker="." if 0 < known.sum() < 20 else None, markersize=3)
            drawn.append(values[known, neuron])
        if several:
            axes.plot([], [], label=array.rpartition(".")[2], **line_of(i, style.GREY, several))
    if several:
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncol=4, columnspacing=0.8, handlelength=1.4,
                    handletextpad=0.4, borderpad=0)
    if arrays == ["loss"]:
        style.set_scale(axes, drawn)


def row_lengths(n):
    """How many panels each row has, three at most, so that rows are full."""
    rows = -(-n // 3)
    return [n // rows + (row < n % rows) for row in range(rows)]


def draw_traces(figure, run, panels):
    which = last_records(run)
    time, left = run.recording["time"][which], iter(panels)
    counts = collections.Counter(row_lengths(len(panels)))
    parts = np.ravel(figure.subfigures(len(counts), 1, height_ratios=list(counts.values())))
    for part, (length, rows) in zip(parts, counts.items()):
        grid = part.subplots(rows, length, sharex=True, squeeze=False)
        for axes in grid.flat:
            title, arrays = next(left)
            draw_trace(axes, time, which, arrays, run.recording)
            axes.set_title(title if arrays != ["loss"] else loss_of(run.metrics["config"]), loc="left")
        for axes in grid[-1]:
            axes.set_xlabel(style.TIME)
    figure.suptitle("Recorded traces at the end of training, first sequence, first neurons by colour", fontsize=8)


# --- The page

def panels_of(run):
    """What there is to show, as functions that draw into axes."""
    m, recording = run.metrics, run.recording
    config, epochs, phases = m["config"], m["epochs"], m["phases"]
    panels, loss = [], loss_of(config)
    if epochs:
        panels.append(functools.partial(draw_epochs, epochs=epochs, key="loss", loss=loss))
        if any(score_of(e, split) and e[split]["accuracy"] is not None for e in epochs for split in SPLITS):
            panels.append(functools.partial(draw_epochs, epochs=epochs, key="accuracy", loss=loss))
        if len({mean_of(e["lr"]) for e in epochs}) > 1:
            panels.append(functools.partial(draw_learning_rate, epochs=epochs))
    if phases:
        panels.append(functools.partial(draw_phases, phases=phases, recording=recording, loss_name=loss))
    evaluations = m.get("evaluations") or []
    for key in ("loss", "accuracy"):
        if any(e[key] is not None for e in evaluations):
            panels.append(functools.partial(draw_evaluations, evaluations=evaluations, key=key, loss=loss))
    if run.confusion and len(run.confusion["matrix"]) <= SMALL_MATRIX:
        panels.append(functools.partial(draw_confusion, **run.confusion, classes=m["dataset"].get("classes")))
    teacher, moving = teacher_values(config), 0
    for kind in PARAMETERS:
        lines, count = moving_parameters(recording, kind)
        moving += count
        if lines:
            panels.append(functools.partial(draw_parameters, time=recording["time"], lines=lines, count=count,
                                            kind=kind, teacher=teacher))
    final = dict(pair for name, value in (m["parameters"] or {}).items() for pair in flat(name, value)
                 if name.rpartition(".")[2] != "tau_r")
    if 0 < len(final) <= 2 * MOST_LINES and not moving:
        panels.append(functools.partial(draw_final, values=final, teacher=teacher))
    diagnostics = m.get("diagnostics") or {}
    if diagnostics.get("comparisons"): # a summary has none, one by one
        for key in ("cosine", "norm_ratio"):
            panels.append(functools.partial(draw_diagnostics, diagnostics=diagnostics, key=key))
        if angle_names(diagnostics):
            panels.append(functools.partial(draw_angles, diagnostics=diagnostics))
    return panels + filters.panels_of(run.weights)


def load(folder):
    """The run of a folder, or the summary of several, with a title."""
    folder = pathlib.Path(folder)
    if (folder / "metrics.json").exists():
        run = Run(folder)
        run.title = title_of(run)
        return run
    if (folder / "summary.json").exists():
        return Summary(folder)
    if not folder.is_dir():
        raise Failure(DATA, f"{shown(folder)}: no such folder")
    below = sorted(shown(path.parent) for path in folder.glob("**/metrics.json"))
    raise Failure(DATA, f"{shown(folder)}: no run, neither metrics.json nor summary.json"
                  + (f"; did you mean {below[0]}?" if below else ""))


def draw_pair(figure, panels):
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels): # a last one has the whole row
        panel(axes)


def blocks_of(run):
    """Heights in mm, and functions that draw into a figure of that height."""
    m, recording, panels = run.metrics, run.recording, panels_of(run)
    blocks = [(ROW, functools.partial(draw_pair, panels=panels[i:i + 2])) for i in range(0, len(panels), 2)]
    if run.confusion and len(run.confusion["matrix"]) > SMALL_MATRIX:
        blocks.append((3 * ROW, lambda figure: draw_confusion(figure.subplots(), **run.confusion,
                                                              classes=m["dataset"].get("classes"))))
    if run.closed_loop:
        blocks.append((closed_loop.height(run.closed_loop),
                       functools.partial(closed_loop.draw, traces=run.closed_loop, metrics=m)))
    if recording and len(recording["time"]) > 1:
        traces = traces_of(recording)
        blocks.append((8 + 0.6 * ROW * len(row_lengths(len(traces))),
                       functools.partial(draw_traces, run=run, panels=traces)))
    return blocks


def draw(folder):
    """The page, as a figure."""
    run = load(folder)
    blocks = blocks_of(run)
    if not blocks:
        raise Failure(DATA, f"{shown(folder)}: nothing to draw: no epoch or phase was completed")
    heights = [height for height, _ in blocks]
    figure = style.new_figure(height=sum(heights) + 8)
    figure.suptitle(style.plain(run.title), fontsize=9, wrap=True)
    for part, (_, draw_block) in zip(np.ravel(figure.subfigures(len(blocks), 1, height_ratios=heights)), blocks):
        draw_block(part)
    return figure
