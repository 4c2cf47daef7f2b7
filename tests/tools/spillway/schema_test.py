"""`spillway schema`: flatc understands what it prints, and reads payloads by it."""

import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import program  # pylint: disable=wrong-import-position

FLATC = "/usr/bin/flatc"
USAGE = 2

# Payloads as serialization/FORMAT.md shows them: the type, the bytes, what they mean.
PAYLOADS = [
    ("string", "04000000 f0ffffff 04000000 02000000 68690000 0600 0800 0400", {"value": "hi"}),
    ("vector<double>",
     "0c000000 0600 0800 0400 0000 08000000 04000000 02000000"
     "000000000000f03f 0000000000000040", {"value": [1.0, 2.0]}),
]

# Types that no code of the program mentions.
COMPOSED = [
    "optional<string>",
    "map<string,vector<pair<int32,float>>>",
    "tuple<bool,array<uint16,3>,variant<monostate,string,vector<vector<double>>>>",
]


class SchemaTest(program.ProgramTest):

  def schema(self, type_name):
    code, out, err = self.run_spillway("schema", type_name)
    self.assertEqual((code, err), (0, ""))
    return self.write("type.fbs", out)

  def flatc(self, *arguments):
    done = subprocess.run([FLATC, *arguments], cwd=self.directory, capture_output=True, text=True,
                          timeout=program.TIMEOUT_S, check=False)
    self.assertEqual(done.returncode, 0, f"{arguments}: {done.stdout}{done.stderr}")

  def test_flatc_compiles_every_schema(self):
    code, out, err = self.run_spillway("schema")
    self.assertEqual((code, err), (0, ""))
    types = out.decode().splitlines()
    self.assertEqual(types, sorted(types))
    self.assertGreater(len(types), 30)
    for name in types + COMPOSED:
      with self.subTest(name):
        schema = self.schema(name)
        if name == "raw":
          self.assertEqual(self.read("type.fbs"), b"// Bytes without structure.\n")
          continue
        self.flatc("--binary", "--schema", schema)
        self.assertGreater(os.path.getsize(self.path("type.bfbs")), 0)
        os.remove(self.path("type.bfbs"))

  def test_flatc_reads_payloads_by_it(self):
    for name, payload, value in PAYLOADS:
      with self.subTest(name):
        schema = self.schema(name)
        self.write("payload.bin", bytes.fromhex(payload))
        self.flatc("--json", "--strict-json", "--raw-binary", schema, "--", "payload.bin")
        self.assertEqual(json.loads(self.read("payload.json")), value)

  def test_unknown_types_are_named(self):
    for arguments, message in [
        (["no.Such"], "there is no type 'no.Such', nor is it composed of known ones; `spillway "
                      "schema` lists what is known"),
        (["vector<no.Such>"], "there is no type 'vector<no.Such>'"),
        (["vector<doubel>"], "did you mean 'vector<double>'?"),
        (["map<string, int32>"], "there is no type 'map<string, int32>'"),
        (["vector<" * 10000], "there is no type"),
        ([""], "there is no type ''"),
        (["string", "bool"], "it takes one type at a time, and was given 2"),
        (["--root_type=string"], "unknown flag --root_type"),
    ]:
      with self.subTest(arguments[0][:40]):
        code, out, err = self.run_spillway("schema", *arguments)
        self.assertEqual((code, out), (USAGE, b""), err)
        self.assertEqual(err.count("\n"), 1, err)
        self.assertTrue(err.startswith("spillway schema: "), err)
        self.assertIn(message, err)


if __name__ == "__main__":
  program.main()
