// Where a command's store spills to, left afterwards as it was found.
#ifndef SPILLWAY_TOOLS_SPILLWAY_SPILL_PLACE_H_
#define SPILLWAY_TOOLS_SPILLWAY_SPILL_PLACE_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "tools/spillway/temporary_path.h"

namespace spillway {

// A spill directory for the time of one command: the one that the user named, or a fresh one under
// TMPDIR. What the store puts there goes with this object if the directory was missing or empty
// before.
class SpillPlace {
 public:
  // `directory` may be empty. FailedPrecondition or PermissionDenied: no directory can be made.
  static absl::StatusOr<SpillPlace> Make(const std::string& directory);

  // TMPDIR, or what stands in for it.
  static std::string DefaultParent();

  const std::string& directory() const { return directory_; }

  // Says that no store could be opened there: what is in the directory is not this command's.
  void GiveUp();

 private:
  SpillPlace() = default;

  std::string directory_;
  bool fresh_ = false;  // under TMPDIR, by a name that nobody else has
  bool was_missing_ = false;
  std::unique_ptr<TemporaryPath> temporary_;
};

}  // namespace spillway

#endif  // SPILLWAY_TOOLS_SPILLWAY_SPILL_PLACE_H_
