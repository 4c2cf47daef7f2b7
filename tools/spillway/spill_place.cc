#include "tools/spillway/spill_place.h"

#include <errno.h>
#include <stdlib.h>

#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "tools/spillway/output_file.h"

namespace spillway {

std::string SpillPlace::DefaultParent() {
  const char* const parent = getenv("TMPDIR");  // NOLINT(concurrency-mt-unsafe): nobody sets it
  return parent != nullptr && *parent != '\0' ? parent : "/tmp";
}

absl::StatusOr<SpillPlace> SpillPlace::Make(const std::string& directory) {
  SpillPlace place;
  if (directory.empty()) {
    std::string fresh = absl::StrCat(DefaultParent(), "/spillway-XXXXXX");
    if (mkdtemp(fresh.data()) == nullptr)
      return FileError("make the spill directory", fresh, errno);
    place.directory_ = fresh;
    place.fresh_ = true;
    place.temporary_ = std::make_unique<TemporaryPath>(fresh, TemporaryPath::What::kTree);
    return place;
  }
  place.directory_ = directory;
  std::error_code error;
  if (!std::filesystem::exists(directory, error)) {
    place.was_missing_ = true;
    place.temporary_ = std::make_unique<TemporaryPath>(directory, TemporaryPath::What::kTree);
  } else if (std::filesystem::is_directory(directory, error) &&
             std::filesystem::is_empty(directory, error)) {
    place.temporary_ = std::make_unique<TemporaryPath>(directory, TemporaryPath::What::kContents);
  }
  // Anything else the store judges when it opens.
  return place;
}

void SpillPlace::GiveUp() {
  if (fresh_ || temporary_ == nullptr) return;
  temporary_->Keep();
  // The store may have made the directory before it found that it cannot work there.
  std::error_code error;
  if (was_missing_) std::filesystem::remove(directory_, error);  // only if it is empty
}

}  // namespace spillway
