#!/usr/bin/env python3
"""The format of configs in words: Markdown made from the JSON Schema. Writes REFERENCE with what follows its MARK made anew
to standard output.
"""

import argparse
import json
import pathlib
import re
import sys

MARK = "<!-- What follows is made by tools/refresh. -->\n"
KINDS = {"number": "number", "integer": "whole number", "boolean": "true or false"}


class Reference:
    def __init__(self, schema):
        self.schema = schema
        self.lines = []
        self.sections = {}  # name of a definition -> title of the section that explains it

    def resolve(self, schema):
        """The name of the definition (or None) and the schema itself."""
        if "$ref" in schema:
            name = schema["$ref"].rsplit("/", 1)[1]
            return name, self.schema["definitions"][name]
        return None, schema

    def shapes(self, schema):
        """Type of JSON -> schema of a value that has it."""
        body = self.resolve(schema)[1]
        types = body.get("type", "string" if "enum" in body else [])
        if isinstance(types, str):
            return {types: body}
        if "allOf" in body:
            return {branch["if"]["type"]: branch["then"] for branch in body["allOf"]}
        return {"string": {}}  # any scalar is text

    # --- cells of tables ---

    def kind(self, schema):
        words = []
        shapes = self.shapes(schema)
        for shape, body in shapes.items():
            if shape == "number" and "enum" not in shapes.get("string", {"enum": []}) and "minimum" not in body:
                continue # a text that looks like one
            if shape == "array" and "anyOf" in body:
                words.append("list of numbers or of rows")
            elif shape == "array":
                words.append("list of " + self.plural(body["items"]))
            elif shape == "object":
                words.append("map")
            elif shape == "string":
                words.append("name" if "enum" in body else "text")
            else:
                words.append(KINDS[body.get("type", shape)])
        return " or ".join(words)

    def plural(self, schema):
        kind = self.kind(schema)
        return re.sub(r"\b(text|number|name|map)\b", r"\1s", kind)

    def range(self, schema):
        for body in self.shapes(schema).values():
            body = body.get("items", body)
            low, high = body.get("minimum"), body.get("maximum")
            if low is not None or high is not None:
                return (number(low) if low == high else f"from {number(low)} on" if high is None else
                        f"{number(low)} to {number(high)}")
        return ""

    def names(self, schema):
        """The names that a value can be, with what they mean."""
        for body in self.shapes(schema).values():
            body = self.resolve(body.get("items", {}))[1] if "items" in body else body
            if "enum" in body:
                return list(zip(body["enum"], body["enumDescriptions"]))
        return []

    @staticmethod
    def default(key, schema, body):
        if key in body.get("required", []):
            return "required"
        if "default" not in schema:
            return ""
        return f"`{yaml_text(schema['default'])}`"

    # --- sections ---

    def table(self, body, path, hidden=()):
        """Keys of a map, and then the names that they can have."""
        properties = {key: value for key, value in body.get("properties", {}).items() if key not in hidden}
        if not properties:
            return
        self.lines += ["| key | type | range | unit | default | meaning |", "|---|---|---|---|---|---|"]
        for key, schema in properties.items():
            help_text = re.sub(r" \(unit: [^()]*\)$", "", schema.get("description", ""))
            cells = [f"`{key}`", self.kind(schema), self.range(schema), schema.get("x-unit", ""),
                     self.default(key, schema, body), plain(help_text) + self.link(schema, path, key)]
            self.lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        self.lines.append("")
        for key, schema in properties.items():
            if not self.is_section(schema):
                self.list_names(schema, f"`{key}`:")

    def list_names(self, schema, title, but=()):
        names = [f"- `{name}`: {plain(words)}" for name, words in self.names(schema) if name not in but]
        if names:
            self.lines += [title, "", *names, ""]

    def is_section(self, schema):
        return any(self.has_keys(body) for body in self.shapes(schema).values())

    def has_keys(self, body):
        if body.get("type") == "array":
            return self.is_section(body.get("items", {}))
        return "properties" in body or "patternProperties" in body or "$ref" in body

    def link(self, schema, path, key):
        if not self.is_section(schema):
            return ""
        name = self.resolve(schema)[0]
        title = self.sections.setdefault(name, f"{path}.{key}" if path else key)
        return f"; see [{title}]({anchor(title)})"

    def follow(self, body, path, done):
        """Sections for the values of the keys of a map."""
        for key, schema in body.get("properties", {}).items():
            name = self.resolve(schema)[0]
            if name not in done and self.is_section(schema):
                done.add(name)
                title = self.sections[name]
                self.lines += [f"### {title}", ""]
                self.value(schema, title, done)

    def value(self, schema, path, done):
        """What a section says of a value."""
        shapes = self.shapes(schema)
        for shape, body in shapes.items():
            if shape == "array" and "items" in body and "object" not in shapes and self.is_section(body["items"]):
                self.lines += ["A list, of which each item is a map:", ""]
                self.value(body["items"], path, done)
        body = shapes.get("object")
        if not body:
            return
        name, body = self.resolve(body)
        if name:
            self.list_names(schema, f"As [{self.sections[name]}]({anchor(self.sections[name])}), or:",
                            [word for word, _ in self.names({"$ref": f"#/definitions/{name}"})])
            return
        if "then" in body:
            self.lines += ["`init` can be left out beside `value` or `file`." +
                           (" Numbers, and a name that needs no setting, can stand by themselves, too."
                            if "number" in shapes else ""), ""]
            self.rows(body["then"]["allOf"], "init", path, done)
        elif "allOf" in body:
            self.rows(body["allOf"], "type", path, done)
        elif "patternProperties" in body and body.get("properties"):
            self.lines += [("A list of values for any key" if "minProperties" in body else "A value for any key") +
                           " of the file by its dotted path, such as `learning.optimizer.lr` or "
                           "`network.layers[1].neurons.count` (items of a list are counted from 0).", ""]
        elif "patternProperties" in body:
            self.patterns(body["patternProperties"], path, done)
        else:
            if "array" in shapes:
                self.lines += ["One such map, or a list of them:", ""]
            self.list_names(schema, "A name:")
            if self.names(schema):
                self.lines += ["Or a map:", ""]
            self.table(body, path)
            self.follow(body, path, done)

    def patterns(self, patterns, path, done):
        for pattern, schema in patterns.items():
            words = f"; {plain(schema['description'])}" if "description" in schema else ""
            self.lines.append(f"- `{placeholder(pattern)}`: {self.kind(schema)}{words}")
        self.lines.append("")
        for schema in patterns.values():
            if self.is_section(schema) and self.resolve(schema)[0] not in done | set(self.sections):
                done.add(self.resolve(schema)[0])
                self.value(schema, path, done)

    def rows(self, branches, selector, path, done):
        names = {}
        for branch in branches:
            condition = branch["if"].get("properties", {}).get(selector, {})
            if "const" in condition:
                names[condition["const"]] = branch["then"]
        help_of = dict(self.help_of_rows(names))
        for name, body in names.items():
            self.lines += [f"**`{selector}: {name}`** {plain(help_of.get(name, ''))}", ""]
            self.table(body, path, hidden=(selector,))
        for body in names.values():
            self.follow(body, path, done)

    def help_of_rows(self, names):
        """What the schema says of names, where it lists all of them."""
        for node in nodes(self.schema):
            if isinstance(node, dict) and set(node.get("enum", [])) == set(names):
                return zip(node["enum"], node["enumDescriptions"])
        return []

    def text(self):
        self.lines += ["## All keys", "", "Times are in the unit that the file has chosen for `dt`. A key without a "
                       "default can be left out.", ""]
        self.table(self.schema, "")
        self.follow(self.schema, "", set())
        lines = "\n".join(self.lines)
        return re.sub(r"\n{3,}", "\n\n", lines).rstrip("\n") + "\n"


def nodes(schema):
    yield schema
    for child in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else []:
        yield from nodes(child)


def plain(words):
    """What Markdown would take for a tag."""
    return words.replace("<", "&lt;")


def anchor(title):
    """As GitHub makes it of a title."""
    return "#" + re.sub("[^a-z0-9_ -]", "", title.lower())


def number(value):
    if isinstance(value, int) and (abs(value) < 1e7 or value % 1000):
        return f"{value:,}".replace(",", " ")
    if value and abs(value) >= 1e7:
        return re.sub(r"\.?0*e\+0*", "e", f"{value:.12e}")
    return re.sub(r"e([+-])0*", lambda sign: "e" + sign[1].strip("+"), f"{value:.12g}")


def yaml_text(value):
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {yaml_text(v)}" for key, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(yaml_text, value)) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return number(value).replace(" ", "") if isinstance(value, (int, float)) else value


def placeholder(pattern):
    """^[A-Za-z0-9_-]+\\.weight$ -> <name>.weight"""
    return re.sub(r"(\[[^]]*\](\+|\{[0-9,]+\})?)+", "<name>", pattern.strip("^$")).replace("\\.", ".")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("schema", "reference"):
        parser.add_argument(name, metavar=name.upper(), type=pathlib.Path)
    args = parser.parse_args()
    schema = json.loads(args.schema.read_text(encoding="utf-8"))
    head = args.reference.read_text(encoding="utf-8").split(MARK)[0]
    sys.stdout.write(head + MARK + "\n" + Reference(schema).text())


if __name__ == "__main__":
    main()
