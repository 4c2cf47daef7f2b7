// Who runs what next: ready work, the workers that run it, and those that stand in for workers that
// wait.
//
// Slots. As many as the runtime has workers. Who has a slot may run; there is never more work at
// once than slots. A slot has a queue of its own, which its worker fills and empties at its ends,
// and from which workers that have found nothing else steal.
//
// Workers. A thread with a slot. It runs work until it has found none for a while, then gives the
// slot back and ends. A worker whose work is about to wait (BeginBlocking) gives its slot up, so
// that another thread can go on with it, and takes one again when the wait is over; it comes before
// new work then. Threads come from the executor, `workers` at most; those that are needed beyond
// that, because others are blocked, from a cache of the scheduler's own.
//
// Order. Work of higher priority first; then what a worker has just made ready itself (its `next`),
// its own queue, the common queue, others' queues, and work of lower priority. Once in kFairTicks
// work of lower priority, the common queue or its own queue comes first, each in turn, so that
// nothing starves.
//
// Idle. `searching_` counts workers that look for work. Whoever adds work when nobody searches and
// a slot is free wakes a worker; whoever stops searching looks once more after saying so. One of
// the two sees the other.
#ifndef SPILLWAY_RUNTIME_INTERNAL_SCHEDULER_H_
#define SPILLWAY_RUNTIME_INTERNAL_SCHEDULER_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "runtime/internal/thread_cache.h"
#include "runtime/task_executor.h"
#include "serialization/mutex.h"
#include "store/seams.h"
#include "store/wait_hook.h"

namespace spillway::internal {

// Something to be run. The queue owns one reference, which Run and Discard give up.
class Runnable {
 public:
  virtual void Run() = 0;
  virtual void Discard() = 0;
  int32_t priority() const { return priority_; }

 protected:
  virtual ~Runnable() = default;
  int32_t priority_ = 0;  // constant once it is in a queue
};

struct SchedulerOptions {
  int workers = 1;
  // Workers that may wait at once; the next one is refused.
  uint32_t blocked_max = 16384;
  TaskExecutor* executor = nullptr;  // outlives the scheduler's last thread
  Clock* clock = nullptr;
  // Set for each thread that runs work, while it does.
  WaitHook* wait_hook = nullptr;
  // Kept by every thread of the scheduler until it is through.
  std::weak_ptr<void> owner;
};

// Thread-safe.
class Scheduler {
 public:
  // Work taken from the common queue at once.
  static constexpr size_t kBatchMax = 32;
  static constexpr uint32_t kFairTicks = 61;
  // How long the executor may leave a worker waiting for a thread.
  static constexpr absl::Duration kExecutorGrace = absl::Milliseconds(10);

  explicit Scheduler(const SchedulerOptions& options);
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  // Has `work` run. Takes over a reference.
  void Enqueue(Runnable* work);

  // The number of the calling worker's slot, -1 if it is no worker of this scheduler or has none.
  int MySlot() const;
  bool OnWorker() const;
  int workers() const { return static_cast<int>(slots_.size()); }

  // The calling thread is about to wait: its slot goes to others. ResourceExhausted if too many
  // wait already. Nothing if the thread is no worker. `ready` is looked at for some microseconds
  // first; if it comes true, nothing is given up.
  absl::Status BeginBlocking(absl::FunctionRef<bool()> ready);
  // Waits for a slot.
  void EndBlocking();

  // Stack that is left to the calling thread, in bytes; 0 if it is no worker.
  size_t StackLeft() const;

  // Starts workers that the executor has left waiting too long. Returns when to be called again;
  // InfiniteFuture if none waits.
  absl::Time HelpExecutor();
  // Called once when HelpExecutor may be needed within kExecutorGrace. Set before the first work.
  void SetHelpWanted(std::function<void()> wanted) { help_wanted_ = std::move(wanted); }

  // No work runs and none is ready.
  bool Idle() const;
  // Slots in use: workers that run, not those that wait.
  int running() const { return workers() - static_cast<int>(free_count_.load()); }
  uint32_t blocked() const { return blocked_count_.load(std::memory_order_relaxed); }

  // Runs nothing new, discards what is queued, and waits until all threads are out, up to
  // `deadline`. Returns whether they are.
  bool Stop(absl::Time deadline);

 private:
  struct alignas(64) Slot {
    int number = 0;
    uint32_t tick = 0;                     // the worker's
    std::atomic<Runnable*> next{nullptr};  // what its worker has just made ready
    std::atomic<size_t> size{0};           // of the queue, as a hint
    Mutex mutex;
    std::deque<Runnable*> queue ABSL_GUARDED_BY(mutex);
  };
  struct Prioritized {
    Runnable* work;
    uint64_t sequence;
  };
  // A heap; what has the highest priority, and of that the oldest, on top.
  struct PriorityQueue {
    std::atomic<size_t> size{0};
    Mutex mutex;
    std::vector<Prioritized> heap ABSL_GUARDED_BY(mutex);
    uint64_t sequence ABSL_GUARDED_BY(mutex) = 0;
  };
  // A thread that runs work, or waits within it.
  struct Worker {
    Scheduler* scheduler = nullptr;
    std::atomic<Slot*> slot{nullptr};
    std::unique_ptr<Parker> parker;  // made when needed
    uintptr_t stack_end = 0;
    WaitHook* outer_hook = nullptr;
    bool searching = true;
    // What it has seen in another slot's `next`, and when.
    Runnable* seen = nullptr;
    int64_t seen_since_ns = 0;
  };
  // Slots that wait for a thread of the executor. Outlives the scheduler.
  struct Posts {
    Mutex mutex;
    struct Waiting {
      Slot* slot;
      absl::Time since;
    };
    std::deque<Waiting> waiting ABSL_GUARDED_BY(mutex);
    int in_executor ABSL_GUARDED_BY(mutex) = 0;  // posted, and not over
    int begun ABSL_GUARDED_BY(mutex) = 0;        // of those: in our code
    Parker* stop_parker ABSL_GUARDED_BY(mutex) = nullptr;
  };

  void WakeWorker();
  void Launch(Slot* slot);
  void LaunchOnOwnThread(Slot* slot);
  void Drain(Slot* slot);
  // The next work, or null.
  Runnable* Next(Worker* worker);
  Runnable* PopPriority(PriorityQueue* queue);
  Runnable* PopCommon(Slot* slot);
  Runnable* PopOwn(Slot* slot);
  Runnable* Steal(Worker* worker, Slot* slot);
  // Gives the worker's slot back. False if it has one again, because there is work.
  bool GoIdle(Worker* worker);
  // Gives `slot` to a worker whose wait is over, or sets it free.
  void PassOn(Slot* slot) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool HasWork() const;
  void StopSearching(Worker* worker);
  void EndDrain();
  void DiscardAll();

  static thread_local Worker* current_;

  const SchedulerOptions options_;
  const bool spins_;
  std::vector<std::unique_ptr<Slot>> slots_;
  std::function<void()> help_wanted_;
  const std::shared_ptr<Posts> posts_ = std::make_shared<Posts>();
  std::atomic<bool> help_asked_{false};

  PriorityQueue high_;
  PriorityQueue low_;

  alignas(64) Mutex common_mutex_;
  std::deque<Runnable*> common_ ABSL_GUARDED_BY(common_mutex_);
  std::atomic<size_t> common_size_{0};

  alignas(64) std::atomic<uint32_t> searching_{0};
  std::atomic<uint32_t> free_count_{0};
  std::atomic<uint32_t> resuming_count_{0};
  std::atomic<uint32_t> blocked_count_{0};
  std::atomic<bool> stopping_{false};
  std::atomic<bool> stopped_{false};  // there are no threads any more

  Mutex mutex_;
  std::vector<Slot*> free_ ABSL_GUARDED_BY(mutex_);
  std::deque<Worker*> resuming_ ABSL_GUARDED_BY(mutex_);
  int drains_ ABSL_GUARDED_BY(mutex_) = 0;
  Parker* stop_parker_ ABSL_GUARDED_BY(mutex_) = nullptr;

  ThreadCache threads_;
};

}  // namespace spillway::internal

#endif  // SPILLWAY_RUNTIME_INTERNAL_SCHEDULER_H_
