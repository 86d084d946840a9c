#!/usr/bin/python3
"""The schema that `glesim --schema` prints accepts and refuses the same files as glesim does.

usage: GLESIM=path/to/glesim test_schema.py    needs python3-yaml and python3-jsonschema; exit code 77 without them
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import unittest

try:
    import jsonschema
    import yaml
except ImportError:
    print("python3-yaml and python3-jsonschema are needed")
    sys.exit(77)

ROOT = pathlib.Path(__file__).resolve().parents[2]
GLESIM = os.path.abspath(os.environ["GLESIM"])
SCHEMA = json.loads(subprocess.run([GLESIM, "--schema"], capture_output=True, check=True).stdout)
VALIDATOR = jsonschema.Draft7Validator(SCHEMA)
BAD = sorted((ROOT / "tests" / "bad").glob("*.yaml"))
GOOD = sorted((ROOT / "tests" / "good").glob("*.yaml")) + sorted((ROOT / "configs").glob("*.yaml"))
README = (ROOT / "configs" / "README.md").read_text(encoding="utf-8")


class Loader(yaml.SafeLoader):
    """Reads scalars as glesim, and YAML 1.2, do: 1e-3 is a number, `no` and 12:30 are texts."""

    yaml_implicit_resolvers = {}


for tag, pattern, first in (
        ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
        ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
        ("int", r"[-+]?[0-9]+", list("-+0123456789")),
        ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
         list("-+0123456789.")),
        ("merge", r"<<", ["<"])):
    Loader.add_implicit_resolver("tag:yaml.org,2002:" + tag, re.compile(f"^(?:{pattern})$"), first)


def read_int(loader, node):
    return int(loader.construct_scalar(node))


def read_float(loader, node):
    text = loader.construct_scalar(node).lower()
    return float(text.replace(".inf", "inf").replace(".nan", "nan"))


Loader.add_constructor("tag:yaml.org,2002:int", read_int)
Loader.add_constructor("tag:yaml.org,2002:float", read_float)


def load(path):
    return yaml.load(path.read_text(encoding="utf-8-sig"), Loader)


def errors(value):
    return sorted(VALIDATOR.iter_errors(value), key=lambda error: list(map(str, error.absolute_path)))


if __name__ == "__main__":
    for path in GOOD:
        for e in errors(load(path)):
            print("GOOD", path.name, e.json_path, e.message[:200])
    for path in BAD:
        try:
            value = load(path)
        except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as e:
            print("yaml", path.name)
            continue
        if not errors(value):
            print("ACCEPTED", path.name, path.with_suffix(".err").read_text().splitlines()[0][:170])
