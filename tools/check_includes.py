#!/usr/bin/env python3
"""Holds the direction of includes between the folders of src/, and what a look at the text can hold besides. Prints
file:line: what is wrong; the exit code is 1 if anything is.
"""

import argparse
import pathlib
import re
import sys

COLUMNS = 120

# Folder -> what its files may include besides their own folder: folders, or single headers. base is there for everybody
# but the kernels, which know plain arrays only.
MAY_INCLUDE = {
    "base": [],
    "yaml": ["base"],
    "kernel": [],
    "parts": ["base", "yaml", "kernel"],
    "data": ["base", "yaml", "kernel"],
    "config": ["base", "yaml", "parts", "data"],
    "graph": ["base", "config"],
    "backend": ["base"],
    "solver": ["base", "graph", "kernel", "parts", "backend", "comm"],
    "train": ["base", "comm", "solver", "parts", "data", "config"],
    "report": ["base", "config", "train/metrics.h", "train/observer.h"],
    "schema": ["base", "yaml", "config"],
    "comm": ["base"],
    "cli": ["base", "yaml", "kernel", "comm", "backend", "parts", "data", "config", "graph", "solver", "train", "report"],
    "main.c": ["base", "yaml", "kernel", "comm", "parts", "data", "config", "graph", "solver", "train", "report", "schema", "cli"],
}

# Single headers beyond these lines, each with what it is needed for. All point downwards.
BEYOND = {
    "graph/graph.h": {"parts/feedback.h": "how weights B move", "parts/link.h": "plans of links"},
    "graph/graph.c": {
        "kernel/kernel.h": "gle_padded(): rows of the slabs are as long as the kernels want them",
        "parts/rule.h": "whether steps need errors",
    },
    "graph/place.c": {"kernel/kernel.h": "gle_padded() likewise"},
    "train/train.c": {"yaml/node.h": "keys of the config that errors about the data point at"},
    "train/train.h": {"graph/graph.h": "a run is given the graph beside its net"},
    "train/measure.h": {"graph/graph.h": "a measurement is given it likewise"},
    "train/diagnosis.h": {"graph/graph.h": "the shadow has a graph of its own"},
    "report/report.h": {
        "data/data.h": "sizes and checksum of the data set",
        "graph/graph.h": "shapes of the layers",
        "solver/net.h": "copies of the parameters",
    },
    "report/former.c": {"yaml/key.h": "compares the config that is there with this one"},
    "report/report.c": {"yaml/node.h": "writes the resolved config"},
    "report/diagnostics.c": {
        "parts/loss.h": "scale of the gradients that a diagnosis compares",
        "parts/rule.h": "names of rows",
    },
    "report/json.c": {
        "yaml/node.h": "the config in the report",
        "parts/activation.h": "names of rows",
        "parts/feedback.h": "names of rows",
    },
    "schema/schema.c": {"report/json.h": "how a document is begun and ended"},
    "report/collect.c": {"yaml/node.h": "values of swept keys"},
    "report/inputs.c": {
        "parts/feedback.h": "its weights are parameters",
        "parts/init.h": "which initialisers read a file",
    },
    "report/recording.h": {"graph/graph.h": "shapes of the layers"},
    "report/provenance.c": {
        "kernel/kernel.h": "name of the instruction set and of the BLAS library",
        "version.h": "made by the build",
    },
}

# System headers -> where: folders or files.
LIBRARIES = {
    "yaml.h": ["yaml"],
    "zip.h": ["base/npz.c", "base/npz_stream.c", "base/npz_zip.h"],
    "zlib.h": ["base/npz_stream.c", "data/idx_file.c"],
    "hdf5.h": ["data/events_hdf5.c"],
    "sha1.h": ["data/corpus.c"],
    "sha2.h": ["base/file.c"],
    "utf8proc.h": ["base/unicode.c"],
    "sndfile.h": ["data/sound.c"],
    "samplerate.h": ["data/sound.c"],
    "kiss_fftr.h": ["data/features.c"],
    "mpi.h": ["comm/mpi.c"],
    "poll.h": ["cli/accelerator.c", "cli/crews.c", "data/events_hdf5.c", "main.c"],
    "sys/mman.h": ["cli/origins.c"],
    "sys/wait.h": ["cli/accelerator.c", "cli/apart.c", "cli/crews.c", "cli/limits.c", "data/events_hdf5.c"],
    "sys/prctl.h": ["cli/apart.c", "cli/crews.c"],
    "pthread.h": ["base/npz_write.c", "cli/accelerator.h", "cli/crews.c", "cli/limits.c", "data/feed.c", "solver/device_inside.h"],
    "ftw.h": ["cli/again.c"],
    "dirent.h": ["backend/cache.c", "base/file.c", "data/corpus_files.c", "report/collect.c", "report/folder.c"],
    "sys/file.h": ["report/hold.c"],
    "sys/vfs.h": ["report/hold.c"],
    "blis.h": ["kernel/gemm.c"],
    "CL/cl.h": ["backend"],
    "dlfcn.h": ["backend"],
    "jansson.h": ["schema", "report"],
    "omp.h": ["cli/limits.c", "solver/team.c"],
    "sched.h": ["comm/mpi.c", "solver/team.c"],
    "sys/ioctl.h": ["cli/progress.c"],
}
LIBC = set("""assert ctype errno fcntl float getopt inttypes limits locale math setjmp signal stdalign stdarg stdatomic
    stdbool stddef stdint stdio stdlib string strings time unistd sys/resource sys/stat sys/types""".split())

INCLUDE = re.compile(r'\s*#\s*include\s*(["<])([^">]+)[">]')


def may_include(path, folder, target):
    allowed = [folder] + MAY_INCLUDE[folder]
    return target in allowed or target.split("/")[0] in allowed or target in BEYOND.get(path, {})


def check_include(path, kind, target):
    """What is wrong with an include in src/<path>, or None."""
    folder = path.split("/")[0]
    if folder not in MAY_INCLUDE:
        return f"{folder} has no line in check_includes.py"
    if kind == '"':
        return None if may_include(path, folder, target) else f'{folder} must not include "{target}"'
    if target in LIBRARIES:
        places = LIBRARIES[target]
        return None if path in places or folder in places else f"<{target}> belongs into {', '.join(places)} only"
    return None if target.removesuffix(".h") in LIBC else f"<{target}> has no line in check_includes.py"


def check_guard(path, lines):
    guard = "GLE_" + re.sub(r"\W", "_", path.upper())
    code = [line for line in lines if line.startswith("#")]
    if code[:2] != [f"#ifndef {guard}", f"#define {guard}"] or code[-1] != "#endif":
        return f"include guard {guard} is missing"
    return None


def check_columns(lines):
    for number, line in enumerate(lines, 1):
        if len(line) > COLUMNS:
            yield number, f"{len(line)} columns, where {COLUMNS} are possible"
        if line != line.rstrip():
            yield number, "blanks at the end of the line"


def check_src(path, lines):
    if path.endswith(".h") and (wrong := check_guard(path, lines)):
        yield 1, wrong
    for number, line in enumerate(lines, 1):
        if (match := INCLUDE.match(line)) and (wrong := check_include(path, *match.groups())):
            yield number, wrong


def check_beyond(src):
    """Entries of BEYOND that nothing needs any more."""
    for path, headers in BEYOND.items():
        file = src / path
        text = file.read_text(encoding="utf-8") if file.exists() else ""
        for header in headers:
            if f'#include "{header}"' not in text:
                yield f"tools/check_includes.py: BEYOND names {header} for {path}, which does not include it"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", metavar="ROOT", type=pathlib.Path, help="the folder that src/ is in")
    root = parser.parse_args().root
    complaints = list(check_beyond(root / "src"))
    n_files = 0
    for top in ("src", "tests", "tools"):
        for file in sorted([*(root / top).rglob("*.[ch]"), *(root / top).rglob("*.cl")]):
            path = file.relative_to(root / top).as_posix()
            lines = file.read_text(encoding="utf-8").splitlines()
            found = list(check_columns(lines))
            if top == "src" and file.suffix != ".cl":
                found += check_src(path, lines)
            complaints += [f"{top}/{path}:{number}: {wrong}" for number, wrong in sorted(found)]
            n_files += 1
    for complaint in complaints:
        print(complaint)
    print(f"{n_files} files, {len(complaints)} complaints")
    return 1 if complaints or not n_files else 0


if __name__ == "__main__":
    sys.exit(main())
