#include "tools/spillway/schema_command.h"

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "serialization/type_registry.h"
#include "tools/spillway/command_line.h"

namespace spillway {
namespace {

constexpr char kDetails[] =
    "Without TYPE it lists the types that this program knows. TYPE may also be composed of those:\n"
    "vector<T>, optional<T>, array<T,N>, map<K,V>, pair<A,B>, tuple<...>, variant<...>, without\n"
    "spaces, and in quotes for the shell. A program that has types of its own knows their "
    "schemas,\n"
    "and prints them by spillway::SchemaText (serialization/type_registry.h).\n"
    "\n"
    "flatc takes what is printed, and reads a payload by it or makes code that does:\n"
    "\n"
    "    spillway schema 'vector<double>' > doubles.fbs\n"
    "    flatc --json --strict-json --raw-binary doubles.fbs -- PAYLOAD\n";

absl::Status RunSchema(const std::vector<std::string>& arguments) {
  if (arguments.size() > 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("it takes one type at a time, and was given ", arguments.size()));
  }
  if (arguments.empty()) {
    for (const std::string& name : RegisteredTypes()) absl::PrintF("%s\n", name);
    return absl::OkStatus();
  }
  const std::string& name = arguments[0];
  const absl::StatusOr<std::string> text = SchemaText(name);
  if (text.ok()) {
    absl::PrintF("%s", *text);
    return absl::OkStatus();
  }
  const std::string nearest = Nearest(name, RegisteredTypes());
  return absl::InvalidArgumentError(
      absl::StrCat("there is no type '", name, "', nor is it composed of known ones",
                   nearest.empty() ? "; `spillway schema` lists what is known"
                                   : absl::StrCat("; did you mean '", nearest, "'?")));
}

}  // namespace

Command SchemaCommand() {
  return {.name = "schema",
          .arguments = "[TYPE]",
          .summary = "print the FlatBuffers schema of a type's payloads",
          .details = kDetails,
          .flags = {},
          .run = RunSchema};
}

}  // namespace spillway
