// What the commands that look into a spill directory share.
#ifndef SPILLWAY_TOOLS_SPILLWAY_INSPECT_DIRECTORY_H_
#define SPILLWAY_TOOLS_SPILLWAY_INSPECT_DIRECTORY_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "spill/durable_state.h"
#include "spill/spill_backend.h"

namespace spillway {

// The flags that all of them take, and what help says of them.
std::vector<std::string> InspectFlagNames();
extern const char* const kInspectDetails;

// A spill directory opened to be looked at: nothing in it is changed.
class InspectedDirectory {
 public:
  // FailedPrecondition, naming the process, if the directory is in use, unless --read-only was
  // given; NotFound if it is no spill directory; others as OpenRocksDbBackend.
  static absl::StatusOr<InspectedDirectory> Open(const std::string& path);

  SpillBackend& backend() const { return *backend_; }
  DurableState& state() const { return *backend_->durable_state(); }

  // All durable objects, in the order in which they lie on disk.
  absl::StatusOr<std::vector<SpillScanEntry>> Objects() const;

  // The object's payload, every byte verified.
  absl::StatusOr<std::string> Read(const SpillScanEntry& object) const;

 private:
  explicit InspectedDirectory(std::unique_ptr<SpillBackend> backend)
      : backend_(std::move(backend)) {}

  std::unique_ptr<SpillBackend> backend_;
};

// Without control characters.
std::string NameForPeople(absl::string_view name);

}  // namespace spillway

#endif  // SPILLWAY_TOOLS_SPILLWAY_INSPECT_DIRECTORY_H_
