// `spillway stat`: what a spill directory holds, in numbers.
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "tools/spillway/inspect_commands.h"
#include "tools/spillway/inspect_directory.h"

namespace spillway {
namespace {

absl::Status RunStat(const std::vector<std::string>& arguments) {
  if (arguments.size() != 1) return absl::InvalidArgumentError("it takes one directory");
  const absl::StatusOr<InspectedDirectory> directory = InspectedDirectory::Open(arguments[0]);
  if (!directory.ok()) return directory.status();
  const absl::StatusOr<std::vector<SpillScanEntry>> objects = directory->Objects();
  if (!objects.ok()) return objects.status();
  uint64_t payload_bytes = 0, largest_bytes = 0, retired = 0, names = 0;
  for (const SpillScanEntry& object : *objects) {
    payload_bytes += object.payload_bytes;
    largest_bytes = std::max(largest_bytes, object.payload_bytes);
    retired += object.retired ? 1 : 0;
  }
  const absl::Status status =
      directory->state().ListNames("", "", [&names](absl::string_view, uint64_t) {
        ++names;
        return true;
      });
  if (!status.ok()) return status;
  const SpillUsage usage = directory->backend().Usage();
  absl::PrintF("objects\t%d\n", objects->size());
  absl::PrintF("retired objects\t%d\n", retired);
  absl::PrintF("names\t%d\n", names);
  absl::PrintF("payload bytes\t%d\n", payload_bytes);
  absl::PrintF("largest payload bytes\t%d\n", largest_bytes);
  absl::PrintF("live bytes on disk\t%d\n", usage.live_bytes);
  absl::PrintF("held bytes on disk\t%d\n", usage.held_bytes);
  absl::PrintF("objects without a file\t%d\n", usage.damaged_records);
  return absl::OkStatus();
}

}  // namespace

Command StatCommand() {
  Command command;
  command.name = "stat";
  command.arguments = "DIR";
  command.summary = "tell what a spill directory holds, in numbers";
  command.details =
      std::string(
          "One number per line, after a tab. Retired objects were in use when their "
          "last name went, and end at\n"
          "the next open. Held bytes are those of live and dead records together.\n\n") +
      kInspectDetails;
  command.flags = InspectFlagNames();
  command.run = RunStat;
  return command;
}

}  // namespace spillway
