"""src/kernel/equations.h is OpenCL C 1.2: clang compiles it as that, without extensions, and refuses what the file must
not use. Nothing is run. Without clang it is left out.
"""

import pathlib
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
        const float y = gle_##name##_y(u[i]), rate = gle_##name(u[i], y);                               \\
        r[i] = rate;                                                                                    \\
        dr[i] = gle_##name##_slope(u[i], y, rate);                                                      \\
    }
#define GLE_CURVATURE_LOOP(name)                                                                            \\
    __kernel void curve_##name(__global float *ddr, __global const float *u)                            \\
    {                                                                                                   \\
        const size_t i = get_global_id(0);                                                              \\
        const float y = gle_##name##_y(u[i]), r = gle_##name(u[i], y);                                  \\
        ddr[i] = gle_##name##_curvature(u[i], y, r, gle_##name##_slope(u[i], y, r));                        \\
    }
#include "kernel/equations.h"

__kernel void step(__global float *prosp_u, __global float *u, __global float *s, __global float *e, __global float *v,
                   __global const float *above, __global const float *dr, float b, float gamma, float look, float leak)
{
    const size_t i = get_global_id(0);

    gle_error_prospective(&e[i], &v[i], above[i], dr[i], look, leak);
    gle_error_instantaneous(&e[i], &v[i], above[i], dr[i]);
    gle_membrane(&prosp_u[i], &u[i], &s[i], e[i], b, gamma, look, leak);
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
    def compiled(self, text):
        return subprocess.run(COMMAND, input=text, capture_output=True, text=True, check=False)

    def test_the_equations_are_opencl_c(self):
        done = self.compiled(KERNELS)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_what_only_c_knows_is_refused(self):
        for text, word in FOREIGN.items():
            done = self.compiled(f"{KERNELS}\n{text}\n")
            self.assertNotEqual(done.returncode, 0, text)
            self.assertIn(word, done.stderr)


if __name__ == "__main__":
    unittest.main()
