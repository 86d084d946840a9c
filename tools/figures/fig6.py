"""Fig. 6: a small LagNet learns two weights from a teacher, by GLE and by the adjoint method (configs/lagnet.yaml).

Errors before learning and spectra are those of the untrained network, for which the two runs are made again without
learning: over one long window, since adjoint variables start from zero at the end of each, and without the feedback of
errors (gamma 0), so that both see the same rates. Its neurons filter their instantaneous errors E, phi' times what comes
from above, as

    e      = (1 + i omega tau_m) / (1 + i omega tau_r) E           from  v + tau_r dv/dt = E,  e = v + tau_m dv/dt
    lambda = (1 - i omega tau_r) / (1 - i omega tau_m) E           from  lambda - tau_m dlambda/dt = E - tau_r dE/dt

the first of which turns phases by as much as the second, and amplifies what the second damps. Dots in the figure are
Fourier coefficients of recorded traces; lines are these formulas.
"""

import numpy as np

from . import style, traces

NAME = "fig6"
CONFIG = "lagnet"
SYMBOLS = {"gle": "$e$", "adjoint": r"$\lambda$"}
LABELS = {"gle": "GLE, errors $e$", "adjoint": r"adjoint method, $\lambda$"}
RECORDED = {"gle": "e", "adjoint": "lambda"}

# The untrained network: long enough to tell the sums of the input's frequencies from each other.
DURATION, EDGE = 750, 60 # time units; what is cut off at both ends, where states and adjoint variables settle
EVERY = 4                # steps between records
LOUD = 0.02              # of the largest Fourier coefficient: the ones shown
HIGHEST = 4.0            # angular frequency shown

STRETCH = 40.0           # time units of the traces
POINTS = 200             # of each of them
BINS = 100               # of the loss over time
RETROSPECTIVE, INSTANTANEOUS = 1, 0 # neurons of each hidden layer

TEACHER = {"color": style.COLOURS["teacher"], "linewidth": 1.0}


def untrained(run):
    """Traces of a run's network that does not learn. A window that ends with the run would not be swept back any more."""
    settings = {"training.phases": f"[{{duration: {DURATION + 1}, learn: false}}]", "learning.gamma": 0,
                "record.every": EVERY}
    if run.variant == "adjoint":
        settings["learning.window"] = DURATION
    return traces.rerun(run, settings)
