// A spill directory of a test, over which stores are opened one after the other.
#ifndef SPILLWAY_TESTS_STORE_STORE_DIRECTORY_H_
#define SPILLWAY_TESTS_STORE_STORE_DIRECTORY_H_

#include <stdlib.h>

#include <filesystem>
#include <memory>
#include <string>
#include <system_error>

#include "glog/logging.h"
#include "store/object_store.h"
#include "store/open_store.h"
#include "store/options.h"

namespace spillway {

class StoreDirectory {
 public:
  StoreDirectory() {
    const char* base = getenv("TEST_TMPDIR");
    path_ = std::string(base == nullptr ? "/tmp" : base) + "/store.XXXXXX";
    CHECK(mkdtemp(path_.data()) != nullptr);
  }
  ~StoreDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  StoreDirectory(const StoreDirectory&) = delete;
  StoreDirectory& operator=(const StoreDirectory&) = delete;

  const std::string& path() const { return path_; }

  static StoreOptions Options(const std::string& path,
                              SpillRecovery recovery = SpillRecovery::kKeep) {
    StoreOptions options;
    options.memory_limit_bytes = 32 * kMiB;
    options.spill_directory = path;
    options.recovery = recovery;
    return options;
  }

  std::unique_ptr<ObjectStore> Open(SpillRecovery recovery = SpillRecovery::kKeep) const {
    auto store = OpenStore(Options(path_, recovery));
    CHECK(store.ok()) << store.status();
    return *std::move(store);
  }

 private:
  std::string path_;
};

}  // namespace spillway

#endif  // SPILLWAY_TESTS_STORE_STORE_DIRECTORY_H_
