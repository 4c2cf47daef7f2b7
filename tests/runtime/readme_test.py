"""The runtime's README is right: its program runs, and the limits that it names exist."""

import os
import re
import subprocess
import sys
import tempfile
import unittest

README = os.path.abspath(sys.argv.pop(1))
PROGRAM = os.path.abspath(sys.argv.pop(1))
ROOT = os.path.dirname(os.path.dirname(os.path.realpath(README)))


def text():
  with open(README, encoding="utf-8") as file:
    return file.read()


class ReadmeTest(unittest.TestCase):

  def test_the_program_runs(self):
    with tempfile.TemporaryDirectory(dir=os.environ.get("TEST_TMPDIR")) as directory:
      done = subprocess.run([PROGRAM], cwd=directory, capture_output=True, text=True, timeout=60,
                            check=False)
    expected = f"64 MiB in 32 MiB: sum {float(128 * 1024 * sum(range(64))):.6g}\n"
    self.assertEqual((done.returncode, done.stdout), (0, expected), done.stderr)

  def test_the_limits_exist(self):
    rows = re.findall(r"^\| (`\w+Options::.*?) \|", text(), re.MULTILINE)
    self.assertGreater(len(rows), 5)
    headers = {"RuntimeOptions": "runtime_options.h", "TaskOptions": "task_options.h",
               "ActorOptions": "actor_options.h"}
    for row in rows:
      names = re.findall(r"`(?:(\w+)::)?(\w+)`", row)
      with open(os.path.join(ROOT, "runtime", headers[names[0][0]]), encoding="utf-8") as file:
        header = file.read()
      for _, name in names:
        self.assertRegex(header, rf"\b{name} = ", name)

  def test_the_headers_exist(self):
    for name in re.findall(r"`(\w+\.h)`", text()):
      self.assertTrue(os.path.exists(os.path.join(ROOT, "runtime", name)), name)


if __name__ == "__main__":
  unittest.main(verbosity=2)
