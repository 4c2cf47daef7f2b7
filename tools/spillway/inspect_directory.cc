#include "tools/spillway/inspect_directory.h"

#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gflags/gflags.h"
#include "spill/rocksdb_backend.h"

DEFINE_bool(read_only, false,
            "Look even while another process has the directory open, as far as it has got; what it "
            "deletes meanwhile cannot be read");

namespace spillway {

namespace {

// More payload than any store takes: a size above it was not written by one.
constexpr uint64_t kPayloadBytesMax = uint64_t{1} << 44;

}  // namespace

const char* const kInspectDetails =
    "DIR is a store's spill directory, in which nothing is changed. What a store keeps only for "
    "its "
    "own\n"
    "process is not shown. A directory that is in use is refused, unless --read-only is given.\n";

std::vector<std::string> InspectFlagNames() { return {"read_only"}; }

absl::StatusOr<InspectedDirectory> InspectedDirectory::Open(const std::string& path) {
  RocksDbBackendOptions options;
  options.spill_directory = path;
  options.recovery = SpillRecovery::kKeep;
  options.read_only = true;
  options.exclusive = !FLAGS_read_only;
  absl::StatusOr<std::unique_ptr<SpillBackend>> backend = OpenRocksDbBackend(options);
  if (absl::IsFailedPrecondition(backend.status()) &&
      absl::StrContains(backend.status().message(), " is in use by ")) {
    return absl::FailedPreconditionError(
        absl::StrCat(backend.status().message(), " (--read-only looks all the same)"));
  }
  if (!backend.ok()) return backend.status();
  return InspectedDirectory(*std::move(backend));
}

absl::StatusOr<std::vector<SpillScanEntry>> InspectedDirectory::Objects() const {
  std::vector<SpillScanEntry> objects;
  absl::Status status =
      backend_->Scan([&](const SpillScanEntry& object) { objects.push_back(object); });
  if (!status.ok()) return status;
  return objects;
}

absl::StatusOr<std::string> InspectedDirectory::Read(const SpillScanEntry& object) const {
  if (object.payload_bytes > kPayloadBytesMax) {
    return absl::DataLossError(
        absl::StrCat("its size of ", object.payload_bytes, " bytes is absurd"));
  }
  std::string payload;
  payload.resize(object.payload_bytes);
  const SpillRead read{object.ticket, object.object_id, object.type,
                       absl::MakeSpan(payload.data(), payload.size())};
  std::vector<absl::Status> statuses;
  backend_->Read(absl::MakeConstSpan(&read, 1), &statuses);
  if (!statuses[0].ok()) return statuses[0];
  return payload;
}

std::string NameForPeople(absl::string_view name) { return absl::Utf8SafeCEscape(name); }

}  // namespace spillway
