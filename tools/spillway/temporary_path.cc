#include "tools/spillway/temporary_path.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "glog/logging.h"
#include "serialization/mutex.h"

namespace spillway {
namespace {

struct Registry {
  Mutex mutex;
  std::vector<const TemporaryPath*> paths ABSL_GUARDED_BY(mutex);
};

Registry& TheRegistry() {
  static Registry* const registry = new Registry;  // outlives every thread
  return *registry;
}

void RemoveFrom(const std::string& path, TemporaryPath::What what) {
  std::error_code error;
  if (what == TemporaryPath::What::kFile) {
    std::filesystem::remove(path, error);
  } else if (what == TemporaryPath::What::kTree) {
    std::filesystem::remove_all(path, error);
  } else {
    for (auto entry = std::filesystem::directory_iterator(path, error);
         !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
      std::error_code ignored;
      std::filesystem::remove_all(entry->path(), ignored);
    }
  }
  if (error) LOG(ERROR) << "cannot remove " << path << ": " << error.message();
}

}  // namespace

TemporaryPath::TemporaryPath(std::string path, What what) : path_(std::move(path)), what_(what) {
  Registry& registry = TheRegistry();
  MutexLock lock(&registry.mutex);
  registry.paths.push_back(this);
}

TemporaryPath::~TemporaryPath() { Remove(); }

void TemporaryPath::Remove() {
  Registry& registry = TheRegistry();
  MutexLock lock(&registry.mutex);
  const auto at = std::find(registry.paths.begin(), registry.paths.end(), this);
  if (at == registry.paths.end()) return;
  registry.paths.erase(at);
  RemoveFrom(path_, what_);
}

void TemporaryPath::Keep() {
  Registry& registry = TheRegistry();
  MutexLock lock(&registry.mutex);
  registry.paths.erase(std::remove(registry.paths.begin(), registry.paths.end(), this),
                       registry.paths.end());
}

void TemporaryPath::RemoveAll() ABSL_NO_THREAD_SAFETY_ANALYSIS {
  Registry& registry = TheRegistry();
  registry.mutex.Lock();
  for (const TemporaryPath* path : registry.paths) RemoveFrom(path->path_, path->what_);
}

}  // namespace spillway
