"""`spillway ls`, `stat`, `verify` and `get`: what they show, and what they leave alone."""

import glob
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import program  # pylint: disable=wrong-import-position

DURABLE_OBJECTS = os.path.abspath(sys.argv.pop(2))
FAILURE = 1
USAGE = 2
COMMANDS = [["ls"], ["stat"], ["verify"], ["get", "small"]]
LARGE = b"L" * 300000 + b"large"


class InspectTest(program.ProgramTest):

  def setUp(self):
    super().setUp()
    self.spill = self.path("spill")

  def make(self):
    done = subprocess.run([DURABLE_OBJECTS, self.spill], capture_output=True, text=True,
                          timeout=program.TIMEOUT_S, check=True)
    return done.stdout.split()

  def look(self, command, *arguments):
    """Runs a command on the directory, with its further arguments behind the directory."""
    return self.run_spillway(command[0], *arguments, self.spill, *command[1:])

  def contents(self):
    """All files of the directory with their bytes, but for who holds it."""
    found = {}
    for folder, _, names in os.walk(self.spill):
      for name in names:
        if name != "OWNER":
          with open(os.path.join(folder, name), "rb") as file:
            found[os.path.join(folder, name)] = file.read()
    return found

  def test_they_show_what_is_there_and_change_nothing(self):
    small, large, nameless = self.make()
    before = self.contents()
    code, out, err = self.look(["ls"])
    self.assertEqual((code, err), (0, ""))
    self.assertEqual(out.decode().splitlines(), [
        f"{small}\t11\traw\talso\\nsmall\tsmall",
        f"{large}\t300005\traw\tlarge",
        f"{nameless}\t14\traw\t",
    ])
    code, out, err = self.look(["stat"])
    self.assertEqual((code, err), (0, ""))
    numbers = dict(line.split("\t") for line in out.decode().splitlines())
    self.assertEqual(numbers["objects"], "3")
    self.assertEqual(numbers["names"], "3")
    self.assertEqual(numbers["payload bytes"], str(11 + 300005 + 14))
    self.assertGreater(int(numbers["live bytes on disk"]), 300000)
    code, out, err = self.look(["verify"])
    self.assertEqual((code, err), (0, ""))
    self.assertEqual(sorted(out.decode().splitlines()), sorted([
        f"ok\t{small}\t11", f"ok\t{large}\t300005", f"ok\t{nameless}\t14"]))
    for wanted, payload in [("small", b"small bytes"), (small, b"small bytes"),
                            ("also\nsmall", b"small bytes"), ("large", LARGE),
                            (large.lstrip("0"), LARGE), (nameless, b"without a name")]:
      self.assertEqual(self.look(["get", wanted]), (0, payload, ""))
    self.assertEqual(self.contents(), before)

  def test_a_directory_in_use_is_refused_but_can_be_read(self):
    with subprocess.Popen([DURABLE_OBJECTS, self.spill, "hold"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as holder:
      ids = [holder.stdout.readline().decode().strip() for _ in range(3)]
      for command in COMMANDS:
        with self.subTest(command):
          code, out, err = self.look(command)
          self.assertEqual((code, out), (FAILURE, b""))
          self.assertEqual(err.count("\n"), 1, err)
          self.assertIn(f"is in use by process {holder.pid} (durable_object", err)
          self.assertIn("--read-only", err)
          code, out, err = self.look(command, "--read-only")
          self.assertEqual((code, err), (0, ""))
          self.assertGreater(len(out), 0)
      self.assertEqual(self.look(["get", ids[1]], "--read-only"), (0, LARGE, ""))
      holder.stdin.close()
      self.assertEqual(holder.wait(timeout=program.TIMEOUT_S), 0)
    self.assertEqual(self.look(["verify"])[0], 0)

  def test_damage_is_found_and_named(self):
    small, large, nameless = self.make()
    tables = [path for path in glob.glob(os.path.join(self.spill, "db", "*.sst"))
              if os.path.getsize(path) > 300000]
    self.assertEqual(len(tables), 1)
    with open(tables[0], "r+b") as table:
      table.seek(100000)
      table.write(b"X")
    code, out, err = self.look(["verify"])
    self.assertEqual(code, FAILURE)
    lines = {line.split("\t")[1]: line for line in out.decode().splitlines()}
    self.assertEqual(lines[small], f"ok\t{small}\t11")
    self.assertEqual(lines[nameless], f"ok\t{nameless}\t14")
    self.assertTrue(lines[large].startswith(f"damaged\t{large}\t300005\t"), lines[large])
    self.assertIn("1 of 3 objects are damaged", err)
    self.assertEqual(self.look(["get", "large"])[0], FAILURE)
    self.assertEqual(self.look(["get", "small"])[:2], (0, b"small bytes"))
    os.remove(tables[0])
    code, out, err = self.look(["verify"])
    self.assertEqual(code, FAILURE)
    self.assertIn(f"damaged\t{large}\t300005\t", out.decode())
    self.assertEqual(out.decode().count("ok\t"), 2)

  def test_bad_input_is_named(self):
    self.make()
    os.mkdir(self.path("empty"))
    for arguments, exit_code, message in [
        (["ls"], USAGE, "it takes one directory"),
        (["stat", self.spill, "more"], USAGE, "it takes one directory"),
        (["verify"], USAGE, "it takes one directory"),
        (["get", self.spill], USAGE, "it takes a directory and the id or name"),
        (["ls", "nothing"], FAILURE, "nothing is not a spill directory"),
        (["stat", "empty"], FAILURE, "empty is not a spill directory"),
        (["verify", "empty", "--read-only"], FAILURE, "empty is not a spill directory"),
        (["get", self.spill, "nobody"], FAILURE, "there is no durable object of the name or id"),
        (["get", self.spill, "ffff"], FAILURE, "there is no durable object of the name or id"),
        (["get", self.spill, ""], FAILURE, "there is no durable object of the name or id"),
        (["ls", "--memory_limit=1G", self.spill], USAGE, "memory_limit"),
    ]:
      with self.subTest(arguments):
        code, out, err = self.run_spillway(*arguments)
        self.assertEqual((code, out), (exit_code, b""), err)
        self.assertEqual(err.count("\n"), 1, err)
        self.assertIn(message, err)
    self.assertEqual(os.listdir(self.path("empty")), [])


if __name__ == "__main__":
  program.main()
