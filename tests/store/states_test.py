"""Checks that store/STATES.md tells of tests that exist, and of a test for every race."""

import re
import sys

DOCUMENT = "store/STATES.md"


def table_rows(text):
    """The rows of the race table, without its head."""
    section = text.split("## The race table", 1)[1]
    rows = [line for line in section.splitlines() if line.startswith("|")]
    return rows[2:]


def main(sources):
    with open(DOCUMENT, encoding="utf-8") as document:
        text = document.read()
    defined = set()
    for path in sources:
        with open(path, encoding="utf-8") as source:
            for suite, name in re.findall(
                r"^TEST(?:_[FP])?\(\s*(\w+),\s*(\w+)\)", source.read(), re.M
            ):
                defined.add(f"{suite}.{name}")
    problems = []
    if not defined:
        problems.append("no tests were found in the sources")
    named = re.findall(r"`(\w+Test\.\w+)`", text)
    for test in named:
        if test not in defined:
            problems.append(f"{DOCUMENT} names {test}, which does not exist")
    rows = table_rows(text)
    if len(rows) < 10:
        problems.append(f"{DOCUMENT}: the race table has only {len(rows)} rows")
    for row in rows:
        if not re.search(r"`\w+Test\.\w+`", row.rsplit("|", 2)[1]):
            problems.append(f"{DOCUMENT}: no test proves the row {row}")
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"{len(named)} tests named, {len(defined)} found, {len(rows)} rows")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
