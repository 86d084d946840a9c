"""configs/lagline.yaml and lagnet.yaml along the first stretch of their runs, step by step, beside the published
experiments written anew: from the equations, in double precision, with exact gradients by forward differentiation.
Standard library only.
"""

import math
import random
import struct
import unittest

from case import CONFIGS, Case
from test_command import read_npz

DT = 0.01


class Dual:
    """A number with its derivatives."""

    __slots__ = ("v", "d")

    def __init__(self, v, d):
        self.v, self.d = v, d

    def chain(self, value, slope):
        return Dual(value, [slope * d for d in self.d])

    def __add__(self, other):
        if isinstance(other, Dual):
            return Dual(self.v + other.v, [a + b for a, b in zip(self.d, other.d)])
        return Dual(self.v + other, self.d)

    def __mul__(self, other):
        if isinstance(other, Dual):
            return Dual(self.v * other.v, [a * other.v + self.v * b for a, b in zip(self.d, other.d)])
        return self.chain(self.v * other, other)

    def __truediv__(self, other):
        if isinstance(other, Dual):
            return self * other.chain(1.0 / other.v, -1.0 / other.v**2)
        return self * (1.0 / other)

    def __rtruediv__(self, other):
        return self.chain(1.0 / self.v, -1.0 / self.v**2) * other

    def __neg__(self):
        return self * -1.0

    def __sub__(self, other):
        return self + -other

    def __rsub__(self, other):
        return -self + other

    __radd__, __rmul__ = __add__, __mul__


def plain(x):
    return x.v if isinstance(x, Dual) else x


def elementwise(x, value, slope, curve):
    """f(x) and f'(x)."""
    if isinstance(x, Dual):
        return x.chain(value, slope), x.chain(slope, curve)
    return value, slope


def softplus(x):
    sigmoid = 1.0 / (1.0 + math.exp(-plain(x)))
    return elementwise(x, math.log1p(math.exp(plain(x))), sigmoid, sigmoid * (1.0 - sigmoid))


def tanh(x):
    r = math.tanh(plain(x))
    return elementwise(x, r, 1.0 - r * r, -2.0 * r * (1.0 - r * r))


def linear(x):
    return elementwise(x, plain(x), 1.0, 0.0) if isinstance(x, Dual) else (x, 1.0)


class Layer:
    def __init__(self, weight, tau_m, tau_r, activation, gamma):
        self.weight, self.tau_m, self.tau_r, self.activation, self.gamma = weight, tau_m, tau_r, activation, gamma


class Row:
    """What one sequence has in a network, all of it zero at first: of each layer u, v, r, phi', and the errors that it
    sent below, W^T e."""

    def __init__(self, layers):
        self.u, self.v, self.r, self.dr = ([[0.0] * len(layer.weight) for layer in layers] for _ in range(4))
        self.sent = [[0.0] * len(layer.weight[0]) for layer in layers]

    def detach(self):
        for name in ("u", "v", "r", "dr", "sent"):
            setattr(self, name, [[plain(x) for x in layer] for layer in getattr(self, name)])


def step(layers, row, x, error, prospective):
    """One step of all layers, each of which reads the others' old state. Returns e, u_dot and inputs of each layer."""
    inputs, above, found = [x, *row.r[:-1]], [*row.sent[1:], error], []
    for i, layer in enumerate(layers):
        errors, slopes = [], []
        for j, weights in enumerate(layer.weight):
            e = above[i][j] * row.dr[i][j]
            if prospective:
                v_dot = (e - row.v[i][j]) / layer.tau_r[j]
                e = row.v[i][j] + layer.tau_m[j] * v_dot
                row.v[i][j] = row.v[i][j] + DT * v_dot
            s = sum(w * y for w, y in zip(weights, inputs[i]))
            u_dot = (s + layer.gamma * e - row.u[i][j]) / layer.tau_m[j]
            errors.append(e)
            slopes.append(u_dot)
        found.append((errors, slopes, inputs[i]))
    row.r = [list(r) for r in row.r] # what was read stays as it was
    for i, (layer, (errors, slopes, _)) in enumerate(zip(layers, found)):
        for j, u_dot in enumerate(slopes):
            row.r[i][j], row.dr[i][j] = layer.activation(row.u[i][j] + layer.tau_r[j] * u_dot)
            row.u[i][j] = row.u[i][j] + DT * u_dot
        row.sent[i] = [sum(e * w[k] for e, w in zip(errors, layer.weight)) for k in range(len(layer.weight[0]))]
    return found


# --- LagLine ---

SEQUENCES = 3
WIDTH, SMOOTH = 200, 5 # steps
STRETCH = 2500         # steps with the teacher's time constants, and as many before learning


def single(x):
    return struct.unpack("f", struct.pack("f", x))[0]


def published_edges(n):
    """int(linspace(0, n, n // (2 w) + 1)) in single precision: vectors of eight elements in pairs, then single ones."""
    m = n // (2 * WIDTH) + 1
    length, edges = single(n / (m - 1)), []
    while len(edges) < m:
        i = len(edges)
        first = single(length * i if i < m // 2 else n - length * (m - 1 - i))
        edges += [int(single(first + single(k * length))) for k in range(8 if i < m // 16 * 16 else 1)]
    return edges


def torch_draws(seed):
    """MT19937 as torch.manual_seed() starts it."""
    state = [seed]
    for i in range(1, 624):
        state.append((1812433253 * (state[-1] ^ (state[-1] >> 30)) + i) & 0xffffffff)
    generator = random.Random()
    generator.setstate((3, (*state, 624), None))
    return lambda: generator.getrandbits(32)


def line_input(n):
    """[sequence][step]"""
    draw = torch_draws(0)
    for _ in range(8): # weights and time constants that are overwritten
        draw()
    raw = [-1.0] * n
    for edge in published_edges(n):
        for i in range(edge, min(edge + WIDTH, n)):
            raw[i] = 1.0
    radius = 4 * SMOOTH
    kernel = [math.exp(-0.5 * (k / SMOOTH)**2) for k in range(-radius, radius + 1)]
    kernel = [weight / sum(kernel) for weight in kernel]
    rows = []
    for _ in range(SEQUENCES):
        shift = draw() % WIDTH
        rolled = raw[-shift:] + raw[:-shift] if shift else raw
        padded = rolled[radius - 1::-1] + rolled + rolled[:-radius - 1:-1]
        rows.append([single(sum(map(float.__mul__, kernel, padded[i:i + 2 * radius + 1]))) for i in range(n)])
    return rows


def chain(weights, tau_m):
    return [Layer([[w]], [tau], [0.1], softplus, 1.0) for w, tau in zip(weights, tau_m)]


class Adam:
    def __init__(self, lr):
        self.lr, self.t, self.m, self.s = lr, 0, [0.0] * 4, [0.0] * 4

    def moved(self, values, gradients):
        self.t += 1
        self.m = [0.9 * m + 0.1 * g for m, g in zip(self.m, gradients)]
        self.s = [0.999 * s + 0.001 * g * g for s, g in zip(self.s, gradients)]
        return [x - self.lr / (1 - 0.9**self.t) * m / (math.sqrt(s / (1 - 0.999**self.t)) + 1e-8)
                for x, m, s in zip(values, self.m, self.s)]


def line(n, rule, lr, window):
    """Of every step: output of sequence 0, weights, time constants."""
    inputs = line_input(n)
    teacher = chain([1.0, 2.0], [1.0, 2.0])
    values = [0.490093, 0.896445, 0.307423, 0.634079] # weights, time constants
    student = chain(values[:2], [1.0, 2.0])
    rows, teachers = ([Row(teacher) for _ in range(SEQUENCES)] for _ in range(2))
    adam, start, sums, records = Adam(lr), 2 * STRETCH, [0.0] * 4, []
    for t in range(n):
        gradients = [0.0] * 4
        if t == STRETCH:
            student = chain(values[:2], values[2:])
        if window and t == start:
            student = chain(*seeds(values))
        records.append([plain(rows[0].r[1][0])])
        for x, row, its_teacher in zip(inputs, rows, teachers):
            target = its_teacher.r[1][0]
            step(teacher, its_teacher, [x[t]], [0.0], False)
            output = row.r[1][0]
            if isinstance(output, Dual):
                sums = [g + 2 * (output.v - target) * d / SEQUENCES for g, d in zip(sums, output.d)]
            found = step(student, row, [x[t]], [0.01 * (target - output)], rule == "gle")
            for i, (errors, slopes, below) in enumerate(found if not window else []):
                gradients[i] -= errors[0] * below[0] / SEQUENCES
                gradients[2 + i] += errors[0] * slopes[0] / SEQUENCES
        ends = window and t > start and t % window == 0
        if ends or (not window and t > start):
            values = adam.moved(values, sums if window else gradients)
            values[2:] = [max(tau, 0.1) for tau in values[2:]]
            student = chain(*(seeds(values) if window else (values[:2], values[2:])))
        if ends:
            sums = [0.0] * 4
            for row in rows:
                row.detach()
        records[-1] += [plain(layer.weight[0][0]) for layer in student] + [plain(layer.tau_m[0]) for layer in student]
    return records


def seeds(values):
    duals = [Dual(x, [float(i == k) for k in range(4)]) for i, x in enumerate(values)]
    return duals[:2], duals[2:]


# --- LagNet ---

NET_START, NET_WINDOW = 8001, 300 # first step in which weights move; steps


def net(first, gamma):
    two = ([1.0, 1.0], [1.0, 0.1]) # tau_m; tau_r: an instantaneous neuron, and a retrospective one
    return [Layer([[w] for w in first], *two, tanh, gamma), Layer([[0.5, 0.0], [0.0, 1.0]], *two, tanh, gamma),
            Layer([[0.5, 1.0]], [1.0], [1.0], linear, 0.0)]


def swept(layers, tape):
    """Gradient of the first layer's weights: lambda back in time from 0, by Euler's steps of
    tau_m d lambda/dt = lambda - (1 - tau_r d/dt) a,  a = phi' W_above^T lambda_above."""
    lambdas, later = ([[0.0] * len(layer.weight) for layer in layers] for _ in range(2))
    gradients, error = [0.0, 0.0], 0.0
    for x, slopes, error_before in reversed(tape):
        above = [error]
        for layer, its, a_later, dr in zip(reversed(layers), reversed(lambdas), reversed(later), reversed(slopes)):
            for j, (tau_m, tau_r) in enumerate(zip(layer.tau_m, layer.tau_r)):
                a = above[j] * dr[j]
                its[j] += DT / tau_m * (a_later[j] - its[j]) + tau_r / tau_m * (a - a_later[j])
                a_later[j] = a
            above = [sum(y * w[k] for y, w in zip(its, layer.weight)) for k in range(len(layer.weight[0]))]
        gradients = [g - 2 * DT * y * x for g, y in zip(gradients, lambdas[0])]
        error = error_before
    return gradients


def lag_net(n, rule, lr):
    """Of every step: output, the two weights that learn."""
    teacher, weights = net([-0.5, 1.0], 0.0), [0.66050375, -0.7477782]
    gamma = 1e-3 if rule == "gle" else 0.0
    student, row, its_teacher = net(weights, gamma), Row(teacher), Row(teacher)
    moment, tape, records = [0.0, 0.0], [], []
    for t in range(n):
        time = t * n * DT / (n - 1)
        x = sum(math.sin(omega * time) for omega in (0.49, 1.07, 1.98))
        error, gradients = its_teacher.r[2][0] - row.r[2][0], None
        records.append([row.r[2][0]])
        step(teacher, its_teacher, [x], [0.0], False)
        found = step(student, row, [x], [error], rule == "gle")
        if rule == "gle" and t >= NET_START:
            gradients = [-e * x for e in found[0][0]]
        elif t >= NET_START:
            tape.append((x, [list(dr) for dr in row.dr], error))
            if t % NET_WINDOW == 0 and t > NET_START:
                gradients, tape = swept(student, tape), []
        if gradients:
            moment = [0.9 * m + g for m, g in zip(moment, gradients)]
            weights = [w - lr * m for w, m in zip(weights, moment)]
            student = net(weights, gamma)
        records[-1] += weights
    return records


class Curves(Case):
    def compare(self, config, variant, seed, phase, n, names, wanted):
        """Every step's recording with [step][column]: outputs to 3e-6 of their range; parameters, which are of the
        order of 1 and rounded to 3e-8 as often as they move, to 1e-5."""
        self.run_glesim(CONFIGS / config, "--variant", variant, *phase, "--set", "record.every=1", "--set",
                        "record.sequences=[0]", "--output", "out")
        recorded = read_npz(self.folder / "out" / variant / f"seed_{seed}" / "recording.npz")
        self.assertEqual((len(recorded["step"]), len(wanted)), (n, n))
        for column, (name, neuron, neurons) in enumerate(names):
            want, got = [record[column] for record in wanted], recorded[name][neuron::neurons]
            span = max(want) - min(want)
            self.assertGreater(span, 5e-3, name) # it moved
            worst = max(range(n), key=lambda t: abs(got[t] - want[t]))
            self.assertLess(abs(got[worst] - want[worst]), 3e-6 * span if name == "output" else 1e-5,
                            f"{variant}, {name}, step {worst}: {got[worst]}, not {want[worst]}")

    def check_line(self, variant, rule, lr, window=0):
        n = 8150 # twenty periods of 407.5 steps
        names = [(name, 0, 1) for name in ("output", "first.weight", "second.weight", "first.tau_m", "second.tau_m")]
        last = "31.5" if window else "31.49"
        self.compare("lagline.yaml", variant, 0,
                     ["--set", f"training.phases[2].duration={last}", "--set", f"dataset.sequences={SEQUENCES}"], n,
                     names, line(n, rule, lr, window))

    def test_lagline_by_gle(self):
        self.check_line("gle", "gle", 1e-4)

    def test_lagline_by_instantaneous_errors(self):
        self.check_line("bp", "bp", 1e-4)

    def test_lagline_by_exact_gradients_over_windows(self):
        self.check_line("bptt_tw4", "bptt", 4e-2, 400)
        self.check_line("bptt_tw2", "bptt", 2e-2, 200)
        self.check_line("bptt_tw1", "bptt", 1e-2, 100)

    def check_net(self, variant, lr):
        n = 11001
        self.compare("lagnet.yaml", variant, 5, ["--set", "training.phases[1].duration=30"], n,
                     [("output", 0, 1), ("hidden_1.weight", 0, 2), ("hidden_1.weight", 1, 2)], lag_net(n, variant, lr))

    def test_lagnet_by_gle(self):
        self.check_net("gle", 2e-4)

    def test_lagnet_by_the_adjoint_equations(self):
        self.check_net("adjoint", 3.5e-2)


if __name__ == "__main__":
    unittest.main()
