// Which task will produce an object: for cancelling by a ref, and for running on the spot what is
// waited for.
#ifndef SPILLWAY_RUNTIME_INTERNAL_PRODUCER_INDEX_H_
#define SPILLWAY_RUNTIME_INTERNAL_PRODUCER_INDEX_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "runtime/internal/task.h"
#include "serialization/mutex.h"

namespace spillway::internal {

// By AnyRef::key(). Holds no references: a task is taken out before its last one goes.
// Thread-safe.
class ProducerIndex {
 public:
  void Insert(const void* key, Task* task) {
    Shard& shard = ShardOf(key);
    MutexLock lock(&shard.mutex);
    shard.tasks.emplace(key, task);
  }

  // Nothing if the key is another task's.
  void Erase(const void* key, const Task* task) {
    Shard& shard = ShardOf(key);
    MutexLock lock(&shard.mutex);
    const auto found = shard.tasks.find(key);
    if (found != shard.tasks.end() && found->second == task) shard.tasks.erase(found);
  }

  // The task with one more reference, or null.
  Task* Find(const void* key) {
    Shard& shard = ShardOf(key);
    MutexLock lock(&shard.mutex);
    const auto found = shard.tasks.find(key);
    if (found == shard.tasks.end()) return nullptr;
    found->second->Ref();
    return found->second;
  }

  // All tasks, each with one more reference.
  std::vector<Task*> All() {
    std::vector<Task*> all;
    for (Shard& shard : shards_) {
      MutexLock lock(&shard.mutex);
      for (const auto& [key, task] : shard.tasks) {
        task->Ref();
        all.push_back(task);
      }
    }
    return all;
  }

 private:
  static constexpr size_t kShards = 64;
  struct alignas(64) Shard {
    Mutex mutex;
    absl::flat_hash_map<const void*, Task*> tasks ABSL_GUARDED_BY(mutex);
  };

  // Neighbouring keys are 64 bytes apart. A run of them shares a shard, so that a thread that makes
  // one after the other keeps to warm memory.
  Shard& ShardOf(const void* key) {
    return shards_[(reinterpret_cast<uintptr_t>(key) >> 12) % kShards];
  }

  std::array<Shard, kShards> shards_;
};

}  // namespace spillway::internal

#endif  // SPILLWAY_RUNTIME_INTERNAL_PRODUCER_INDEX_H_
