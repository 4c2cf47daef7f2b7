// Gets that do not make their caller wait, and prefetches: requests that threads of the store's own
// serve, several together in the order in which the bytes lie on disk.
#ifndef SPILLWAY_STORE_INTERNAL_ASYNC_GETS_H_
#define SPILLWAY_STORE_INTERNAL_ASYNC_GETS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "serialization/mutex.h"
#include "store/internal/entry.h"
#include "store/options.h"
#include "store/seams.h"

namespace spillway::internal {

class StoreCore;

// Thread-safe, but for Stop and Resume, which one thread calls at a time.
class AsyncGets {
 public:
  // Threads, which exist from the first request on.
  static constexpr int kJobs = 2;

  // On OK it takes over a pin on the bytes of `pinned`, which is the entry that was asked for or a
  // copy of it.
  using Callback = std::function<void(absl::Status status, Entry* pinned)>;

  // At most `requests_max` wait at once. `core` must outlive it.
  AsyncGets(StoreCore* core, Executor* executor, uint32_t requests_max)
      : core_(core), executor_(executor), requests_max_(requests_max) {}
  ~AsyncGets() { Stop(); }

  // Calls back on a thread of the store's own: once the object is ready, if it is pending. At once,
  // on this one, with ResourceExhausted if too many wait already. REQUIRES: the caller keeps the
  // entry during the call.
  void Get(Entry* entry, const GetOptions& options, Callback callback);

  // Brings cold objects in, if there is room. Ignores, from the first that would be too many, those
  // beyond `bytes_max` under way. Returns how many it took on.
  size_t Prefetch(absl::Span<Entry* const> entries, uint64_t bytes_max);

  // Waits for what is being served, and ends the threads; what waits stays.
  void Stop();
  // Takes up what waits.
  void Resume();
  // Calls back all that wait with `status`. REQUIRES: stopped.
  void Cancel(const absl::Status& status);

 private:
  // Holds a ref to its entry.
  struct Request {
    Entry* entry = nullptr;
    GetOptions options;
    Callback callback;
  };
  // One whose object is pending.
  struct Waiting {
    Request request;
    absl::Time deadline;
    uint64_t on_ready = 0;  // for RemoveCallback
  };

  absl::Time Step();
  // Requests that are served together, from the front of the queue.
  std::vector<Request> TakeBatch();
  void Serve(std::vector<Request> batch);
  std::vector<Entry*> TakePrefetches();
  void ServePrefetches(std::vector<Entry*> entries);
  // Those whose value has not come in time.
  std::vector<Waiting> TakeLate();
  // REQUIRES: the caller keeps the entry meanwhile.
  void AwaitValue(Request request);
  void OnReady(uint64_t number);
  void StartJobs() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void WakeJobs() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  StoreCore* const core_;
  Executor* const executor_;
  const uint32_t requests_max_;

  Mutex mutex_;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  std::deque<Request> queue_ ABSL_GUARDED_BY(mutex_);
  std::map<uint64_t, Waiting> waiting_ ABSL_GUARDED_BY(mutex_);  // by number
  uint64_t next_number_ ABSL_GUARDED_BY(mutex_) = 1;
  std::deque<Entry*> prefetches_ ABSL_GUARDED_BY(mutex_);  // one ref held on each
  uint64_t prefetch_bytes_ ABSL_GUARDED_BY(mutex_) = 0;    // those being served, too
  std::array<std::unique_ptr<BackgroundJob>, kJobs> jobs_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace spillway::internal

#endif  // SPILLWAY_STORE_INTERNAL_ASYNC_GETS_H_
