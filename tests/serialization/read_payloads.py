"""Reads payloads with the code that flatc generates for Python, and compares the values.

Run by interop_test in a directory with the payloads and the generated packages.
"""

import sys

sys.path.insert(0, ".")

from shop.Item import Item
from spillway.types.Int64 import Int64
from spillway.types.MapOfStringToVectorOfInt32 import MapOfStringToVectorOfInt32
from spillway.types.String import String
from spillway.types.VectorOfDouble import VectorOfDouble
from spillway.types.VectorOfFloat import VectorOfFloat
from spillway.types.VectorOfString import VectorOfString


def read(root, name):
    with open(name + ".bin", "rb") as file:
        return root.GetRootAs(file.read(), 0)


def expect(actual, expected):
    if actual != expected:
        sys.exit("expected %r, got %r" % (expected, actual))


def values(table):
    return [table.Value(i) for i in range(table.ValueLength())]


expect(values(read(VectorOfDouble, "doubles")), [0.5, 1.5, 2.5])
expect(values(read(VectorOfFloat, "many")), list(range(10000)))
expect(read(String, "string").Value().decode("utf-8"), "gr\u00fc\u00dfe")
expect(values(read(VectorOfString, "strings")), [b"a", b"", b"bc"])
expect(read(Int64, "number").Value(), 1 << 40)

ages = read(MapOfStringToVectorOfInt32, "map")
expect([ages.Keys(i) for i in range(ages.KeysLength())], [b"one", b"two"])
expect([values(ages.Values(i)) for i in range(ages.ValuesLength())], [[1], [1, 2]])

item = read(Item, "item")
expect(item.Name(), b"chair")
expect(item.Price(), 99)
expect(item.Stock(), 3)
expect((item.Size().Width(), item.Size().Height()), (1, 2))
expect([item.Samples(i).Width() for i in range(item.SamplesLength())], [3, 5])
expect(item.Ratings().Keys(0), b"bad")
expect(item.Ratings().Values(0), 0.25)
