// `spillway verify`: reads every durable object of a spill directory.
#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_format.h"
#include "store/object_id.h"
#include "tools/spillway/inspect_commands.h"
#include "tools/spillway/inspect_directory.h"
#include "tools/spillway/interruption.h"

namespace spillway {
namespace {

// Names that mean an object that is not there.
absl::StatusOr<uint64_t> VerifyNames(const InspectedDirectory& directory,
                                     const absl::flat_hash_set<uint64_t>& ids) {
  uint64_t damaged = 0;
  absl::Status status =
      directory.state().ListNames("", "", [&](absl::string_view name, uint64_t id) {
        if (ids.contains(id)) return true;
        ++damaged;
        absl::PrintF("damaged\tname %s\tobject %s is not there\n", NameForPeople(name),
                     ToString(ObjectId{id}));
        return true;
      });
  if (!status.ok()) return status;
  return damaged;
}

absl::Status RunVerify(const std::vector<std::string>& arguments) {
  if (arguments.size() != 1) return absl::InvalidArgumentError("it takes one directory");
  const absl::StatusOr<InspectedDirectory> directory = InspectedDirectory::Open(arguments[0]);
  if (!directory.ok()) return directory.status();
  const absl::StatusOr<std::vector<SpillScanEntry>> objects = directory->Objects();
  if (!objects.ok()) return objects.status();
  uint64_t damaged = 0;
  absl::flat_hash_set<uint64_t> ids;
  for (const SpillScanEntry& object : *objects) {
    if (absl::Status status = Interruption::Check(); !status.ok()) return status;
    ids.insert(object.object_id);
    const absl::Status status = directory->Read(object).status();
    const std::string id = ToString(ObjectId{object.object_id});
    if (status.ok()) {
      absl::PrintF("ok\t%s\t%d\n", id, object.payload_bytes);
    } else {
      ++damaged;
      absl::PrintF("damaged\t%s\t%d\t%s\n", id, object.payload_bytes, status.message());
    }
  }
  const absl::StatusOr<uint64_t> names = VerifyNames(*directory, ids);
  if (!names.ok()) return names.status();
  if (damaged == 0 && *names == 0) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrFormat("%d of %d objects are damaged, and %d names mean objects that are not there",
                      damaged, objects->size(), *names));
}

}  // namespace

Command VerifyCommand() {
  Command command;
  command.name = "verify";
  command.arguments = "DIR";
  command.summary = "read and check every durable object of a spill directory";
  command.details = std::string(
                        "One line per object, in the order of the disk, with tabs between: ok or "
                        "damaged, the id, the bytes\n"
                        "of the payload, what is wrong. Ends with exit code 1 if anything is "
                        "damaged. Takes as much memory as\n"
                        "the largest object.\n\n") +
                    kInspectDetails;
  command.flags = InspectFlagNames();
  command.run = RunVerify;
  return command;
}

}  // namespace spillway
