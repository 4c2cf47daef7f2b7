"""Feeds build events to count_tests.py and looks at its closing line and its exit code."""

import json
import os
import subprocess
import tempfile
import unittest


def configured(label):
    return {"id": {"targetConfigured": {"label": label}}, "configured": {"testSize": "SMALL"}}


def summary(label, status):
    return {"id": {"testSummary": {"label": label}}, "testSummary": {"overallStatus": status}}


class CountTestsTest(unittest.TestCase):
    def count(self, runs, bazel_status=0, tail=""):
        """Returns (last line, exit code) for {configuration: events}; None leaves the file out."""
        with tempfile.TemporaryDirectory(dir=os.environ.get("TEST_TMPDIR")) as directory:
            for config, events in runs.items():
                if events is None:
                    continue
                with open(os.path.join(directory, config), "w", encoding="utf-8") as file:
                    file.write("".join(json.dumps(event) + "\n" for event in events) + tail)
            done = subprocess.run(
                ["/usr/bin/python3", "tools/lint/count_tests.py"]
                + [f"--bazel_status={bazel_status}", directory, *runs],
                stdout=subprocess.PIPE,
                check=False,
                text=True,
            )
        return done.stdout.splitlines()[-1], done.returncode

    def test_all_passed(self):
        events = [configured("//a:b"), summary("//a:b", "PASSED")]
        self.assertEqual(self.count({"default": events, "asan": events}), ("2 passed, 0 failed", 0))

    def test_failures_of_every_kind_count(self):
        events = [configured("//a:passes"), summary("//a:passes", "PASSED")]
        events += [configured("//a:fails"), summary("//a:fails", "FAILED")]
        events += [configured("//a:slow"), summary("//a:slow", "TIMEOUT")]
        events += [configured("//a:not_built")]
        self.assertEqual(self.count({"default": events}, 1), ("1 passed, 3 failed", 1))

    def test_other_targets_are_not_tests(self):
        library = {"id": {"targetConfigured": {"label": "//a:lib"}}, "configured": {}}
        events = [library, configured("//a:b"), summary("//a:b", "PASSED")]
        self.assertEqual(self.count({"default": events}), ("1 passed, 0 failed", 0))

    def test_a_configuration_that_ran_nothing_is_a_failure(self):
        events = [configured("//a:b"), summary("//a:b", "PASSED")]
        self.assertEqual(self.count({"default": events, "tsan": []}), ("1 passed, 1 failed", 1))
        self.assertEqual(self.count({"default": events, "tsan": None}), ("1 passed, 1 failed", 1))

    def test_a_broken_build_beside_passing_tests_is_a_failure(self):
        events = [configured("//a:b"), summary("//a:b", "PASSED")]
        self.assertEqual(self.count({"default": events}, 1), ("1 passed, 1 failed", 1))

    def test_events_cut_short_are_read_as_far_as_they_go(self):
        events = [configured("//a:b"), summary("//a:b", "PASSED"), configured("//a:c")]
        self.assertEqual(self.count({"default": events}, 8, '{"id": {"testS'), ("1 passed, 1 failed", 1))


if __name__ == "__main__":
    unittest.main()
