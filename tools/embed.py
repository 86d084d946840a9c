#!/usr/bin/env python3
"""Writes text files, one after the other, as a string in C. usage: tools/embed.py NAME OUT.c FILE..."""

import json
import pathlib
import sys

name, out, *files = sys.argv[1:]
text = "".join(f'#line 1 "{pathlib.Path(file).name}"\n' + pathlib.Path(file).read_text(encoding="ascii") for file in files)
lines = "\n".join(f"    {json.dumps(line)}" for line in text.splitlines(keepends=True))
pathlib.Path(out).write_text(f"extern const char {name}[];\nconst char {name}[] =\n{lines};\n", encoding="ascii")
