// `spillway get`: the payload of one durable object.
#include <cstdio>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "store/object_id.h"
#include "tools/spillway/inspect_commands.h"
#include "tools/spillway/inspect_directory.h"

namespace spillway {
namespace {

// A name comes first: an id can be written with more zeros in front.
absl::StatusOr<SpillScanEntry> FindByNameOrId(const InspectedDirectory& directory,
                                              const std::string& wanted) {
  const absl::Status none = absl::NotFoundError(absl::StrCat(
      "there is no durable object of the name or id '", wanted, "'; `spillway ls` lists them"));
  absl::StatusOr<uint64_t> id = directory.state().FindName(wanted);
  if (absl::IsNotFound(id.status())) {
    const absl::StatusOr<ObjectId> parsed = ParseObjectId(wanted);
    if (!parsed.ok()) return none;
    id = parsed->value;
  }
  if (!id.ok()) return id.status();
  absl::StatusOr<SpillScanEntry> object = directory.state().FindObject(*id);
  if (absl::IsNotFound(object.status())) return none;
  return object;
}

absl::Status RunGet(const std::vector<std::string>& arguments) {
  if (arguments.size() != 2) {
    return absl::InvalidArgumentError("it takes a directory and the id or name of an object");
  }
  const absl::StatusOr<InspectedDirectory> directory = InspectedDirectory::Open(arguments[0]);
  if (!directory.ok()) return directory.status();
  const absl::StatusOr<SpillScanEntry> object = FindByNameOrId(*directory, arguments[1]);
  if (!object.ok()) return object.status();
  const absl::StatusOr<std::string> payload = directory->Read(*object);
  if (!payload.ok()) return payload.status();
  if (std::fwrite(payload->data(), 1, payload->size(), stdout) != payload->size()) {
    return absl::UnknownError("cannot write to standard output");
  }
  return absl::OkStatus();
}

}  // namespace

Command GetCommand() {
  Command command;
  command.name = "get";
  command.arguments = "DIR ID|NAME";
  command.summary = "print the payload of a durable object";
  command.details = std::string(
                        "The bytes as they are encoded; `spillway ls` tells their type. Takes as "
                        "much memory as the object.\n\n") +
                    kInspectDetails;
  command.flags = InspectFlagNames();
  command.run = RunGet;
  return command;
}

}  // namespace spillway
