"""What PyTorch calls the activations of glesim that have settings. A state dict holds none of them, but for the slope
of a PReLU, which is an array beside the weights. Standard library only."""

import json
import re

ROW = re.compile(r"^  (\S+) +activation (\w+): (.*)$", re.M)


def _number(value):
    return format(float(value), ".9g")


def _hard_sigmoid(low, high):
    if (low, high) == (-3.0, 3.0):
        return "torch.nn.Hardsigmoid()"
    return f"torch.clamp((x - {_number(low)}) / ({_number(high)} - {_number(low)}), 0, 1)"


# The settings of each, in order, and what it is in PyTorch.
CALLED = {
    "leaky_relu": (("slope",), lambda slope: f"torch.nn.LeakyReLU({_number(slope)})"),
    "elu": (("alpha",), lambda alpha: f"torch.nn.ELU({_number(alpha)})"),
    "hard_sigmoid": (("low", "high"), _hard_sigmoid),
}


def of_table(text):
    """Layer -> (activation, settings), of those with settings, from what glesim --dry-run shows."""
    return {layer: (kind, {name: float(value) for name, value in (setting.split() for setting in settings.split(","))})
            for layer, kind, settings in ROW.findall(text)}


def of_run(folder):
    """The same of the run that left its metrics.json in a folder; None: there is none that can be read."""
    try:
        layers = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["config"]["network"]["layers"]
        found = {}
        for layer in layers:
            activation, repeat = layer.get("activation"), layer.get("repeat", 1)
            names = [layer["name"]] if repeat == 1 else [f"{layer['name']}_{i + 1}" for i in range(repeat)]
            if isinstance(activation, dict) and len(activation) > 1:
                settings = {name: float(value) for name, value in activation.items() if name != "type"}
                found |= {name: (activation["type"], settings) for name in names}
        return found
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def notes(activations):
    """A line for each layer whose activation has settings."""
    lines = []
    for layer, (kind, settings) in activations.items():
        keys, call = CALLED.get(kind, ((), None))
        values = ", ".join(f"{name} {_number(value)}" for name, value in settings.items())
        known = call and settings.keys() == set(keys)
        in_torch = f", {call(*(settings[key] for key in keys))} in PyTorch" if known else ""
        lines.append(f"{layer}: activation {kind} of {values}{in_torch}: no state dict says so")
    return lines


def slope_of(activations, layer):
    """That of a leaky_relu; None: the layer has another activation."""
    kind, settings = activations.get(layer, ("", {}))
    return settings["slope"] if kind == "leaky_relu" else None


def split_slopes(shapes, n_weights):
    """The arrays without the slopes of PReLUs, and slope -> name of the weights in front of it. A slope is a NAME.weight
    of one dimension with nothing else of its module beside it, where there are so many weights more than n_weights."""
    def module(name):
        return name.rpartition(".")[0]
    weights = [name for name, shape in shapes.items() if name.split(".")[-1] == "weight" and 1 <= len(shape) <= 4]
    slopes = [name for name in weights[1:] if len(shapes[name]) == 1 and
              not any(module(other) == module(name) for other in shapes if other != name)]
    if len(weights) - len(slopes) != n_weights:
        return shapes, {}
    behind, last = {}, None
    for name in weights:
        if name in slopes:
            behind[name] = last
        else:
            last = name
    return {name: shape for name, shape in shapes.items() if name not in slopes}, behind
