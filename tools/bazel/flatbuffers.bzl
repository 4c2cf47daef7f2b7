"""C++ code and binary schemas from FlatBuffers schemas, by the system's flatc."""

# Both outputs of one schema come from one run of this list of options, so that they cannot disagree.
_FLATC_OPTIONS = " ".join([
    "--cpp",
    "--cpp-std c++17",
    "--gen-object-api",
    "--gen-compare",
    "--scoped-enums",
    "--gen-name-strings",
    "--reflect-names",
    "--keep-prefix",
    "--no-warnings",
])

# A source file with the binary schema's bytes, which registers them when the program starts.
_REGISTRATION = """
{
  echo '#include "serialization/binary_schema.h"'
  echo 'namespace {'
  echo 'alignas(16) constexpr unsigned char kSchema[] = {'
  od -An -v -tx1 $< | sed 's/ \\([0-9a-f][0-9a-f]\\)/0x\\1,/g'
  echo '};'
  echo '[[maybe_unused]] const bool kRegistered ='
  echo '    spillway::RegisterBinarySchema(kSchema, sizeof(kSchema));'
  echo '}  // namespace'
} > $@
"""

def flatbuffers_cc_library(name, srcs, deps = [], visibility = None, testonly = False):
    """Generates `x_generated.h` and `x.bfbs` for each `x.fbs` and makes a cc_library of the headers.

    Programs that link the library know the tables' schemas: fingerprints and file identifiers are checked,
    and `spillway schema` prints them.

    The header of serialization/x.fbs is included as "serialization/x_generated.h"; a schema includes
    another one by its path from the top of the tree, as in `include "serialization/x.fbs";`.

    Three targets come out:
      name          the cc_library;
      name_fbs      the schemas, with those of `deps`, for use as data or by other schemas;
      name_bfbs     the binary schemas (reflection data), for use as data.

    Args:
      name: the cc_library's name.
      srcs: the .fbs files, in this package.
      deps: flatbuffers_cc_library targets whose schemas are included by those of `srcs`.
      visibility: of all three targets.
      testonly: of all three targets.
    """
    schemas_of_deps = [_companion(dep, "fbs") for dep in deps]
    headers = []
    binary_schemas = []
    registrations = []

    for src in srcs:
        if not src.endswith(".fbs"):
            fail("%s is not a .fbs file" % src)
        stem = src[:-len(".fbs")]
        header = stem + "_generated.h"
        binary_schema = stem + ".bfbs"
        registration = stem + "_schema.cc"
        headers.append(header)
        binary_schemas.append(binary_schema)
        registrations.append(registration)

        native.genrule(
            name = name + "_" + stem.replace("/", "_") + "_flatc",
            # The schemas that this one may include are inputs too.
            srcs = [src] + [other for other in srcs if other != src] + schemas_of_deps,
            outs = [header, binary_schema],
            cmd = " && ".join([
                "header=$(location %s)" % header,
                # flatc chooses the file name itself; it is the one that Bazel expects.
                "/usr/bin/flatc %s -I . -o $$(dirname $$header) $(location %s)" % (_FLATC_OPTIONS, src),
                "/usr/bin/flatc -b --schema --bfbs-comments --bfbs-builtins -I . " +
                "-o $$(dirname $$header) $(location %s)" % src,
                # Generated code is not ours to keep free of warnings.
                "sed -i '1i #pragma GCC system_header' $$header",
            ]),
            message = "Generating FlatBuffers code of",
            testonly = testonly,
            visibility = ["//visibility:private"],
        )

        native.genrule(
            name = name + "_" + stem.replace("/", "_") + "_schema",
            srcs = [binary_schema],
            outs = [registration],
            cmd = _REGISTRATION,
            message = "Embedding the binary schema of",
            testonly = testonly,
            visibility = ["//visibility:private"],
        )

    native.cc_library(
        name = name,
        srcs = registrations,
        hdrs = headers,
        # Nothing refers to the registrations.
        alwayslink = True,
        deps = deps + [
            "//serialization:codec",
            "@system//:flatbuffers",
        ],
        testonly = testonly,
        visibility = visibility,
    )
    native.filegroup(
        name = name + "_fbs",
        srcs = srcs + schemas_of_deps,
        testonly = testonly,
        visibility = visibility,
    )
    native.filegroup(
        name = name + "_bfbs",
        srcs = binary_schemas,
        testonly = testonly,
        visibility = visibility,
    )

def _companion(label, suffix):
    """The label of a library's filegroup: //a:b -> //a:b_fbs, //a/b -> //a/b:b_fbs."""
    if ":" in label:
        return "%s_%s" % (label, suffix)
    return "%s:%s_%s" % (label, label.split("/")[-1], suffix)
