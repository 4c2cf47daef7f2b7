// `spillway ls`: the durable objects of a spill directory.
#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "serialization/type_registry.h"
#include "store/object_id.h"
#include "tools/spillway/inspect_commands.h"
#include "tools/spillway/inspect_directory.h"
#include "tools/spillway/interruption.h"

namespace spillway {
namespace {

absl::Status RunLs(const std::vector<std::string>& arguments) {
  if (arguments.size() != 1) return absl::InvalidArgumentError("it takes one directory");
  const absl::StatusOr<InspectedDirectory> directory = InspectedDirectory::Open(arguments[0]);
  if (!directory.ok()) return directory.status();
  absl::StatusOr<std::vector<SpillScanEntry>> objects = directory->Objects();
  if (!objects.ok()) return objects.status();
  std::sort(objects->begin(), objects->end(),
            [](const auto& a, const auto& b) { return a.object_id < b.object_id; });
  for (const SpillScanEntry& object : *objects) {
    if (absl::Status status = Interruption::Check(); !status.ok()) return status;
    absl::StatusOr<std::vector<std::string>> names = directory->state().NamesOf(object.object_id);
    if (!names.ok()) return names.status();
    for (std::string& name : *names) name = NameForPeople(name);
    absl::PrintF("%s\t%d\t%s\t%s%s\n", ToString(ObjectId{object.object_id}), object.payload_bytes,
                 TypeNameOf(object.type), absl::StrJoin(*names, "\t"),
                 object.retired && names->empty() ? "(ends at the next open)" : "");
  }
  return absl::OkStatus();
}

}  // namespace

Command LsCommand() {
  Command command;
  command.name = "ls";
  command.arguments = "DIR";
  command.summary = "list the durable objects of a spill directory";
  command.details = std::string(
                        "One line each, in the order of their ids, with tabs between: the id, the "
                        "bytes of the payload, the\n"
                        "type, the names.\n\n") +
                    kInspectDetails;
  command.flags = InspectFlagNames();
  command.run = RunLs;
  return command;
}

}  // namespace spillway
