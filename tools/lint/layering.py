#!/usr/bin/python3
"""Checks who includes whom, and who depends on whom.

    runtime -> store -> spill -> serialization

A folder may use itself and what stands to its right. Tests, benchmarks and tools may use everything,
and nothing uses them. Bazel's visibility says the same to the linker; this check says it to the reader,
and also sees an include that happens to compile because its target comes in by another way.

Usage: layering.py ROOT    prints one line per violation; exits 1 if there is any.
"""

import ast
import os
import re
import sys

# From the top layer to the bottom one.
LAYERS = ["runtime", "store", "spill", "serialization"]
# What sees everything and is seen by nothing.
OUTSIDE = ["tests", "benchmarks", "tools"]

SOURCE_SUFFIXES = (".h", ".cc", ".fbs")
BUILD_FILES = ("BUILD", "BUILD.bazel")

# `#include "a/b.h"` and `#include <a/b.h>` of C++, `include "a/b.fbs";` of FlatBuffers.
INCLUDE = re.compile(r'^[ \t]*#?[ \t]*include[ \t]*(["<])([^">]+)[">]', re.MULTILINE)

# Attributes that name targets without using them.
NOT_USES = {"visibility", "name", "tags", "default_visibility", "packages"}


def may_use(user, used):
    """Whether the folder `user` may use the folder `used`; both are top-level folder names."""
    if user in OUTSIDE or user == used:
        return True
    if user not in LAYERS:  # The top-level BUILD file.
        return True
    return used in LAYERS and LAYERS.index(user) < LAYERS.index(used)


def is_rocksdb_part(path):
    """Whether a file (or package:target) below spill/ belongs to the RocksDB backend, by its name."""
    return path.startswith("spill/") and "rocksdb" in path


def without_comments(text):
    text = re.sub(r"/\*.*?\*/", lambda m: "\n" * m.group().count("\n"), text, flags=re.DOTALL)
    return re.sub(r"//[^\n]*", "", text)


def check_source(root, path):
    """Yields (line, message) for each include of `path` that breaks a rule."""
    with open(os.path.join(root, path), encoding="utf-8", errors="replace") as file:
        text = without_comments(file.read())
    folder = path.split("/")[0]
    for match in INCLUDE.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        quote, included = match.groups()
        used = included.split("/")[0]
        if ".." in included.split("/"):
            yield line, f"includes {included}: write the path from the top of the tree"
        elif used in LAYERS + OUTSIDE:
            if not may_use(folder, used):
                yield line, f"{folder}/ must not include {used}/: {included}"
            elif folder in LAYERS and folder != used and "/internal/" in included:
                yield line, f"{folder}/ must not include what is internal to {used}/: {included}"
        elif used == "rocksdb":
            if folder in LAYERS and not is_rocksdb_part(path):
                yield line, f"only the RocksDB backend in spill/ may include RocksDB: {included}"
        elif quote == '"' and os.path.exists(
            os.path.join(root, os.path.dirname(path), included)
        ):
            yield line, f"includes {included}: write the path from the top of the tree"


def labels_in(node):
    """Yields (line, label) of every string in a rule's attribute that looks like a label."""
    for child in ast.walk(node):
        if isinstance(child, ast.Constant) and isinstance(child.value, str):
            if child.value.startswith(("//", "@", ":")):
                yield child.lineno, child.value


def check_build(root, path):
    """Yields (line, message) for each dependency in the BUILD file `path` that breaks a rule."""
    with open(os.path.join(root, path), encoding="utf-8") as file:
        text = file.read()
    try:
        tree = ast.parse(text)  # A BUILD file is, syntactically, Python.
    except SyntaxError as error:
        yield error.lineno or 1, f"cannot be parsed: {error.msg}"
        return
    package = os.path.dirname(path)
    folder = package.split("/")[0]
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call) or getattr(call.func, "id", "") in ("load", "package"):
            continue
        attributes = {keyword.arg: keyword.value for keyword in call.keywords}
        name = attributes.get("name")
        name = name.value if isinstance(name, ast.Constant) else "?"
        for attribute, value in attributes.items():
            if attribute in NOT_USES:
                continue
            for line, label in labels_in(value):
                message = check_label(folder, f"{package}:{name}", label)
                if message:
                    yield line, message


def check_label(folder, target, label):
    """What is wrong with `target`, in the top-level `folder`, naming `label`; None if nothing is."""
    if label == "@system//:rocksdb":
        if folder in LAYERS and not is_rocksdb_part(target.replace(":", "/")):
            return f"//{target} must not link RocksDB: only spill/'s RocksDB backend does"
        return None
    label = label[len("@spillway"):] if label.startswith("@spillway//") else label
    if not label.startswith("//"):
        return None
    used = label[2:].split(":")[0].split("/")[0]
    if used in LAYERS + OUTSIDE and not may_use(folder, used):
        return f"//{target} must not depend on {label}"
    return None


def check(root):
    """Returns (violations, files read); a violation is a line of text."""
    violations = []
    files = 0
    for top in LAYERS + OUTSIDE:
        for directory, folders, names in os.walk(os.path.join(root, top)):
            folders.sort()
            for name in sorted(names):
                path = os.path.relpath(os.path.join(directory, name), root)
                if name.endswith(SOURCE_SUFFIXES):
                    checker = check_source
                elif name in BUILD_FILES:
                    checker = check_build
                else:
                    continue
                files += 1
                violations += [f"{path}:{line}: {what}" for line, what in checker(root, path)]
    return violations, files


def main(arguments):
    if len(arguments) != 2 or not os.path.isdir(arguments[1]):
        print(__doc__.strip().splitlines()[-1], file=sys.stderr)
        return 2
    violations, files = check(arguments[1])
    for violation in violations:
        print(violation)
    if files == 0:
        print(f"no source under {arguments[1]}: nothing was checked")
        return 1
    print(f"layering: {files} files, {len(violations)} violations")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
