"""The README is right: its program runs, its tables show the flags there are, its links work."""

import os
import re
import subprocess
import sys
import tempfile
import unittest

README = os.path.abspath(sys.argv.pop(1))
PROGRAM = os.path.abspath(sys.argv.pop(1))
SPILLWAY = os.path.abspath(sys.argv.pop(1))

# Links are relative to where the README really stands.
ROOT = os.path.dirname(os.path.realpath(README))


def text():
  with open(README, encoding="utf-8") as file:
    return file.read()


class ReadmeTest(unittest.TestCase):

  def test_the_program_runs(self):
    with tempfile.TemporaryDirectory(dir=os.environ.get("TEST_TMPDIR")) as directory:
      done = subprocess.run([PROGRAM], cwd=directory, capture_output=True, text=True, timeout=60,
                            check=False)
    expected = f"256 MiB in 32 MiB: sum {sum(range(256))}\n"
    self.assertEqual((done.returncode, done.stdout), (0, expected), done.stderr)

  def test_the_program_is_about_20_lines(self):
    program = re.search(r"```cpp\n(.*?)```", text(), re.DOTALL).group(1)
    lines = [line for line in program.splitlines() if line.strip()]
    self.assertLessEqual(len(lines), 22)

  def test_the_flags_are_those_that_exist(self):
    rows = re.findall(r"^\| `--(\w+)` \| (?:`([^`]*)` )?\|", text(), re.MULTILINE)
    self.assertEqual(len(rows), len(dict(rows)), "a flag stands there twice")
    shown = subprocess.run([SPILLWAY, "help", "sort"], capture_output=True, text=True,
                           check=True).stdout
    existing = re.findall(r"^  --(\w+) \(default (.*)\)$", shown, re.MULTILINE)
    flags = {name: value.strip('"') for name, value in existing}
    self.assertGreater(len(flags), 5)
    self.assertEqual(dict(rows), flags)

  def test_the_commands_are_those_that_exist(self):
    rows = re.findall(r"^\| `spillway (\w+)` \| (.*) \|$", text(), re.MULTILINE)
    shown = subprocess.run([SPILLWAY, "help"], capture_output=True, text=True, check=True).stdout
    self.assertEqual(rows, re.findall(r"^  (\w+) +(.*)$", shown, re.MULTILINE))

  def test_commands_and_links_exist(self):
    for path in re.findall(r"\]\(([^)#:]+)\)", text()):
      self.assertTrue(os.path.exists(os.path.join(ROOT, path)), path)
    for folder in re.findall(r"^\| `(\w+)/` \|", text(), re.MULTILINE):
      self.assertTrue(os.path.isdir(os.path.join(ROOT, folder)), folder)
    usage = subprocess.run([os.path.join(ROOT, "tools/dev"), "help"], capture_output=True,
                           text=True, check=True).stdout
    for command in re.findall(r"tools/dev (\w+)", text()):
      known = re.search(rf"^  {command}\b", usage, re.MULTILINE)
      self.assertTrue(command == "help" or known, command)


if __name__ == "__main__":
  unittest.main(verbosity=2)
