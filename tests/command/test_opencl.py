"""src/kernel/equations.h and the kernels of devices are OpenCL C 1.2: clang compiles them as that, without extensions, and
refuses what they must not use. Nothing is run. Without clang it is left out.
"""

import pathlib
import re
import shutil
import subprocess
import unittest

SRC = pathlib.Path(__file__).resolve().parents[2] / "src"
CLANG = shutil.which("clang")
COMMAND = [CLANG, "-x", "cl", "-cl-std=CL1.2", "-target", "spir64", "-Xclang", "-finclude-default-header",
           "-Xclang", "-cl-ext=-all", "-fsyntax-only", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-I", str(SRC), "-"]

# A kernel for each activation, as the loops of the processor are made, and one for each group of other equations.
KERNELS = """
#define GLE_ACTIVATION_LOOP(name)                                                                       \\
    __kernel void eval_##name(__global float *r, __global float *dr, __global const float *u)           \\
    {                                                                                                   \\
        const size_t i = get_global_id(0);                                                              \\
        const struct gle_act_numbers p = {u[0], u[1], u[2], u[3]};                                      \\
        const float y = gle_##name##_y(u[i], p), rate = gle_##name(u[i], y, p);                         \\
        r[i] = rate;                                                                                    \\
        dr[i] = gle_##name##_slope(u[i], y, rate, p);                                                   \\
    }
#define GLE_CURVATURE_LOOP(name)                                                                            \\
    __kernel void curve_##name(__global float *ddr, __global const float *u)                            \\
    {                                                                                                   \\
        const size_t i = get_global_id(0);                                                              \\
        const struct gle_act_numbers p = {u[0], u[1], u[2], u[3]};                                      \\
        const float y = gle_##name##_y(u[i], p), r = gle_##name(u[i], y, p);                            \\
        ddr[i] = gle_##name##_curvature(u[i], y, r, gle_##name##_slope(u[i], y, r, p), p);              \\
    }
#include "kernel/equations.h"

__kernel void step(__global float *prosp_u, __global float *u, __global float *s, __global float *e, __global float *v,
                   __global const float *above, __global const float *dr, float b, float gamma, float look, float leak)
{
    const size_t i = get_global_id(0);

    gle_error_prospective(&e[i], &v[i], above[i], dr[i], look, leak);
    gle_error_instantaneous(&e[i], &v[i], above[i], dr[i]);
    gle_membrane(&prosp_u[i], &u[i], &s[i], e[i], b, gamma, look, leak);
    gle_trace(&e[i], &v[i], s[i], look, leak);
    gle_trace_tau_m(&e[i], &v[i], s[i], b, look, leak, look, leak);
    gle_trace_tau_r(&e[i], s[i], b, look);
}

__kernel void back(__global float *lambda, __global float *u_bar, __global float *above_bar, __global float *dr_bar,
                   __global float *v_bar, __global float *lag, __global const float *a, float look, float leak)
{
    const size_t i = get_global_id(0);

    gle_membrane_back(&lambda[i], &u_bar[i], look, leak, a[i]);
    gle_error_prospective_back(&above_bar[i], &dr_bar[i], &v_bar[i], &lag[i], a[i], a[i], a[i], a[i], look, leak);
    gle_error_instantaneous_back(&above_bar[i], &dr_bar[i], &lag[i], a[i], a[i], a[i]);
}

__kernel void update(__global float *p, __global float *m, __global float *v, __global const float *g, float c)
{
    const size_t i = get_global_id(0);

    m[i] = gle_adam_mean(m[i], g[i], c, c);
    v[i] = gle_adam_square(v[i], g[i], c, c);
    p[i] = gle_adam(p[i], m[i], v[i], c, c, c);
    m[i] = gle_sgd_sum(m[i], g[i], c);
    p[i] = gle_sgd(p[i], m[i], c);
}
"""

# What the program fills in: a row of each table is enough here.
LISTS = """
#define ACTIVATION_FUNCTIONS GLE_ACTIVATION_FUNCTION(tanh)
#define ACTIVATIONS case 0: GLE_ACTIVATE(tanh); break;
#define CURVATURE_FUNCTIONS GLE_CURVATURE_FUNCTION(tanh)
#define CURVATURES case 0: GLE_CURVE(tanh); break;
#define OPTIMIZER_FUNCTIONS GLE_OPTIMIZER_FUNCTION(adam) GLE_OPTIMIZER_FUNCTION(sgd)
#define OPTIMIZERS case 0: GLE_OPTIMIZE(adam); break; case 1: GLE_OPTIMIZE(sgd); break;
"""
SIZES = (
    {"ITEMS": 64, "TILE_ROWS": 32, "TILE_COLS": 32, "TILE_DEPTH": 16, "MICRO_ROWS": 4, "MICRO_VECTORS": 1, "VECTOR": 4},
    {"ITEMS": 1, "TILE_ROWS": 128, "TILE_COLS": 32, "TILE_DEPTH": 64, "MICRO_ROWS": 8, "MICRO_VECTORS": 2,
     "VECTOR": 16},
)

# What C takes and OpenCL C 1.2 does not, and what clang says of it.
FOREIGN = {
    "static inline double twice(double x) { return x + x; }": "double",
    "#include <string.h>": "string.h",
    "static inline float of(float (*f)(float), float x) { return f(x); }": "pointers to functions",
    "static inline float root(float x) { return sqrtf(x); }": "sqrtf",
    "__kernel void k(__global float *u) { float x = 1.0f; gle_error_instantaneous(u, &x, x, x); }": "address space",
}


@unittest.skipUnless(CLANG, "there is no clang")
class OpenCL(unittest.TestCase):
    def compiled(self, text, *flags):
        return subprocess.run(COMMAND[:-1] + [*flags, "-"], input=text, capture_output=True, text=True, check=False)

    def test_the_equations_are_opencl_c(self):
        done = self.compiled(KERNELS)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_the_kernels_are_opencl_c(self):
        """For each loss, with the sizes that GPUs have and those of processors (src/solver/convoy.c)."""
        names = ("equations.h", "draw.h", "device_tables.h", "device_products.cl", "device_losses.cl",
                 "device_traces.cl", "device_step.cl", "device_learn.cl", "device_clip.cl", "device_sweep.cl")
        source = LISTS + "".join((SRC / "kernel" / name).read_text() for name in names)
        losses = re.findall(r"float loss_of_(\w+)\(float r", source)
        self.assertGreater(len(losses), 3)
        for loss in losses:
            for sizes in SIZES:
                macros = "".join(f"#define {name} {value}\n" for name, value in sizes.items())
                done = self.compiled(f"#define SWEEPS\n#define CLIPS\n#define LOSS {loss}\n{macros}{source}", "-Wno-unused",
                                     "-Wno-unused-parameter", "-Wno-sign-conversion")
                self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_what_only_c_knows_is_refused(self):
        for text, word in FOREIGN.items():
            done = self.compiled(f"{KERNELS}\n{text}\n")
            self.assertNotEqual(done.returncode, 0, text)
            self.assertIn(word, done.stderr)


if __name__ == "__main__":
    unittest.main()
