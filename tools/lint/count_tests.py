#!/usr/bin/python3
"""Counts passed and failed tests from Bazel's build events and prints a closing line.

    count_tests.py --bazel_status=N DIR CONFIG...

DIR holds one file of JSON build events per configuration, named after it. A test target under one
configuration counts as one test; it has failed if it has no passing result, for whatever reason: it did
not build, was not reached, or ran out of time. The last line printed is 'N passed, N failed'. The exit code is 0
only if every test passed, at least one ran, and Bazel itself was content.
"""

import argparse
import json
import os
import sys


def read_events(path):
    """Yields the events of a file; the last line may be cut short if Bazel was stopped."""
    if not os.path.exists(path):
        return
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                yield json.loads(line)
            except ValueError:
                continue


def results(path):
    """Returns {label: what became of it} for the tests of one run; 'PASSED' is the good one."""
    expected = set()
    statuses = {}
    for event in read_events(path):
        event_id = event.get("id", {})
        if "targetConfigured" in event_id and event.get("configured", {}).get("testSize"):
            expected.add(event_id["targetConfigured"]["label"])
        elif "testSummary" in event_id:
            status = event.get("testSummary", {}).get("overallStatus", "NO_STATUS")
            statuses[event_id["testSummary"]["label"]] = status
        elif "pattern" in event_id and "aborted" in event:
            for pattern in event_id["pattern"].get("pattern", []):
                statuses[pattern] = event["aborted"].get("description", "not loaded")
    for label in expected:
        statuses.setdefault(label, "NOT RUN (did it build?)")
    return statuses


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bazel_status", type=int, required=True)
    parser.add_argument("directory")
    parser.add_argument("configs", nargs="+")
    arguments = parser.parse_args()

    passed = 0
    failures = []
    for config in arguments.configs:
        statuses = results(os.path.join(arguments.directory, config))
        for label, status in sorted(statuses.items()):
            if status in ("PASSED", "FLAKY"):
                passed += 1
            else:
                failures.append(f"{label} ({config}): {status}")
        if not statuses:
            failures.append(f"no test ran in the configuration {config}")
    if arguments.bazel_status != 0 and not failures:
        failures.append(f"bazel or a fuzz target ended with status {arguments.bazel_status}: see above")

    print()
    for failure in failures:
        print(f"FAILED {failure}")
    print(f"{passed} passed, {len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
