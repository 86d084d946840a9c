"""Variants, points of sweeps and seeds in one table and one picture: what the runs below some folders came to."""

import numpy as np

from . import collect, style
from .failure import DATA, Failure
from .runs import shown

MOST_CURVES = 30 # configs whose curves are drawn, and named beside them
MOST_DOTS = 60   # configs whose final values are drawn
WORDS = {collect.LAST_STEPS: "in the last steps of training"}


class Group:
    """The runs of one config that differ in their seeds."""

    def __init__(self, called, entries):
        self.called = "".join(letter if letter.isprintable() else "?" for letter in called)
        self.entries, self.completed = entries, [entry for entry in entries if entry.status == "completed"]

    def values(self, which, of):
        """Of the completed runs, those of "accuracy", "best_loss" and so on that are of "test" or so."""
        pairs = [getattr(entry, which) for entry in self.completed]
        return np.array([pair[0] for pair in pairs if pair and pair[1] == of])

    def curve(self, key, split, over):
        """x, mean and standard deviation (over n) of what the completed runs have in common, or None."""
        found = [(x, y) for entry in self.completed for *what, x, y in entry.curves if what == [key, split, over]]
        if not found:
            return None
        n = min(len(x) for x, _ in found)
        values = np.array([y[:n] for _, y in found])
        return np.array(found[0][0][:n]), values.mean(axis=0), values.std(axis=0)


def judged_by(groups, key):
    """What accuracies or losses are of, in the order of the groups."""
    pairs = [getattr(entry, key) for group in groups for entry in group.completed]
    return list(dict.fromkeys(pair[1] for pair in pairs if pair))


# --- The table

def duration(seconds):
    for most, unit, divisor in ((1, "ms", 1e-3), (120, "s", 1), (7200, "min", 60)):
        if seconds < most:
            return f"{seconds / divisor:.3g} {unit}"
    return f"{seconds / 3600:.3g} h"


def mean_and_std(values, scale, digits):
    if not len(values):
        return "-"
    mean, std = scale * values.mean(), scale * values.std()
    return f"{mean:{digits[0]}}" + (f" ± {std:{digits[1]}}" if len(values) > 1 else "")


def table(groups):
    """Rows of texts, of which the first is the head."""
    columns = []
    for key, unit, scale, digits in (("accuracy", " (%)", 100, (".1f", ".1f")), ("loss", "", 1, (".4g", ".2g"))):
        for of in judged_by(groups, key):
            for which, word in ((key, "final"), (f"best_{key}", "best epoch")):
                values = [group.values(which, of) for group in groups]
                if any(map(len, values)):
                    what = f"{key} {WORDS[of]}" if of in WORDS else f"{of} {key}, {word}"
                    columns.append([what + unit, *(mean_and_std(each, scale, digits) for each in values)])
    seeds = ["seeds", *(str(len(group.entries)) if len(group.completed) == len(group.entries)
                        else f"{len(group.completed)} of {len(group.entries)}" for group in groups)]
    times = [[entry.seconds for entry in group.completed if entry.seconds is not None] for group in groups]
    time = ["time a run", *(duration(np.mean(each)) if each else "-" for each in times)]
    return list(zip(["config", *(group.called for group in groups)], seeds, *columns, time))


def text_of(rows):
    """The rows as lines, the first column to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join("  ".join([first.ljust(widths[0]), *map(str.rjust, rest, widths[1:])]) for first, *rest in rows)


# --- The picture

def draw_curves(axes, groups, key, splits, over):
    """Of one split; or the two scores of the training set, told apart by kinds of lines."""
    scale = 100 if key == "accuracy" else 1
    drawn = []
    for split, dashes in zip(splits, ("-", style.DASHED)):
        for group, colour in zip(groups, style.colours(len(groups))):
            curve = group.curve(key, split, over)
            if curve:
                style.band(axes, curve[0], scale * curve[1], scale * curve[2], colour, linewidth=1.2, linestyle=dashes)
                drawn.append(curve[1])
        if len(splits) > 1:
            axes.plot([], [], color=style.GREY, linestyle=dashes, label=collect.TRAINING[split])
    if len(splits) > 1:
        style.legend_outside(axes)
    what = "training" if len(splits) > 1 else splits[0]
    axes.set(xlabel="epoch" if over == "epoch" else style.TIME, ylabel=f"{what} {key}" + " (%)" * (scale > 1))
    axes.margins(x=0.01)
    if over == "epoch":
        axes.xaxis.get_major_locator().set_params(integer=True)
    if key == "accuracy":
        axes.set_ylim(0, 102)
    else:
        style.set_scale(axes, drawn)


def draw_final(axes, groups, key, of):
    """A dot for each seed, and mean and standard deviation, from the top down."""
    scale = 100 if key == "accuracy" else 1
    for row, (group, colour) in enumerate(zip(groups, style.colours(len(groups)))):
        values = scale * group.values(key, of)
        if len(values):
            axes.plot(values, [row] * len(values), "o", color=colour, markersize=2.5, alpha=0.5, markeredgewidth=0)
            axes.errorbar(values.mean(), row, xerr=values.std(), fmt="o", color=colour, markersize=4.5, capsize=2)
    axes.set_yticks(range(len(groups)), [style.plain(group.called) for group in groups])
    axes.set(ylim=(len(groups) - 0.5, -0.5), xlabel=f"{key} {WORDS[of]}" if of in WORDS else
             f"{of} {key}" + " (%)" * (scale > 1) + " at the end")
    if key == "loss":
        style.set_scale(axes, [group.values(key, of) for group in groups], axis="x")


def panels_of(groups):
    """Functions that draw into axes: curves, which have no names, and final values, whose rows are named."""
    curves, final = [], []
    few = groups[:MOST_CURVES]
    for key in ("accuracy", "loss"):
        there = dict.fromkeys(tuple(what) for group in few for entry in group.completed
                              for kind, *what, _, _ in entry.curves if kind == key)
        for over in ("epoch", "time"):
            split = next((split for split in collect.SPLITS if (split, over) in there), None)
            both = ("train_after", "train")
            if split and split not in both:
                curves.append(lambda axes, what=(key, (split,), over): draw_curves(axes, few, *what))
            if ("train_after", over) in there:
                curves.append(lambda axes, what=(key, both, over): draw_curves(axes, few, *what))
            elif split == "train":
                curves.append(lambda axes, what=(key, (split,), over): draw_curves(axes, few, *what))
        for of in judged_by(groups, key):
            final.append(lambda axes, what=(key, of): draw_final(axes, groups[:MOST_DOTS], *what))
    return curves, final


def picture(groups):
    curves, final = panels_of(groups)
    rows = -(-len(curves) // 2)
    heights = [50] * rows + [12 + 4.5 * min(len(groups), MOST_DOTS)] * bool(final)
    figure = style.new_figure(height=sum(heights) + 6)
    notes = [f"{len(groups)} configs"]
    notes += [f"curves of the first {MOST_CURVES}"] * (len(groups) > MOST_CURVES)
    notes += [f"dots of the first {MOST_DOTS}"] * (len(groups) > MOST_DOTS)
    figure.suptitle(", ".join(notes) + ": mean ± s.d. over seeds", fontsize=9)
    parts = np.ravel(figure.subfigures(len(heights), 1, height_ratios=heights))
    for part, i in zip(parts, range(0, len(curves), 2)):
        these = curves[i:i + 2]
        for axes, draw_panel in zip(np.ravel(part.subplots(1, len(these))), these):
            draw_panel(axes)
    if final:
        for axes, draw_panel in zip(np.ravel(parts[-1].subplots(1, len(final), sharey=True)), final):
            draw_panel(axes)
    return figure


def draw(folders):
    """The table as text, the picture, and pairs of folder and reason of runs that cannot be read."""
    entries, left_out = collect.below(folders)
    groups = [Group(*pair) for pair in collect.groups(entries).items()]
    if not any(group.completed for group in groups):
        raise Failure(DATA, f"{', '.join(map(shown, folders))}: no completed run to compare")
    return text_of(table(groups)), picture(groups), left_out
