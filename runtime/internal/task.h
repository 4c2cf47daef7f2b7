// A task: something to be called once its arguments have values, whose result is an object.
//
// Its life, file by file:
//
//     runtime_core.cc   Launch: counted, found by its result's key, called back by its arguments
//     runtime_core.cc   ArgumentsReady: fails by them, or goes on
//     admission.cc      room for its arguments, which are brought into memory
//     scheduler.cc      ready, in a queue
//     task.cc           Run: called; its result is stored, or it fails, or it is tried again
//     runtime_core.cc   Finished: not counted any more
//
// State. kWaiting -> kReady -> kRunning -> kDone; retried from kRunning to kWaiting; cancelled from
// kWaiting or kReady to kDone. Each step is a compare-and-swap, so one thread makes it: who brings
// a task to kRunning calls it, who brings it to kDone ends it.
//
// Results. Who sets `claimed_` may keep the promises of the results, nobody else: the worker when
// the call has returned, or before that whoever cancels it or its timer.
#ifndef SPILLWAY_RUNTIME_INTERNAL_TASK_H_
#define SPILLWAY_RUNTIME_INTERNAL_TASK_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/inlined_vector.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "runtime/internal/scheduler.h"
#include "runtime/internal/timers.h"
#include "runtime/task_options.h"
#include "serialization/mutex.h"
#include "store/object_store.h"

namespace spillway::internal {

class RuntimeCore;
class ActorCore;

// What few tasks have.
struct TaskDetails {
  TaskOptions options;
  int attempts = 0;  // so far

  // Of a reconstructible task, see lineage.cc: results that were lost and wait for a run.
  struct Lost {
    size_t index;
    const void* key;
    absl::Status why;
    AnyPromise promise;
  };
  Mutex lost_mutex;
  std::vector<Lost> lost ABSL_GUARDED_BY(lost_mutex);
  // From its launch until its run is over.
  bool busy ABSL_GUARDED_BY(lost_mutex) = true;
  int reconstructions ABSL_GUARDED_BY(lost_mutex) = 0;  // so far
  Timers::Handle timeout{absl::InfinitePast(), 0};
};

enum class TaskState : uint8_t { kWaiting, kReady, kRunning, kDone };

class Task : public Runnable {
 public:
  explicit Task(RuntimeCore* core) : core_(core) {}

  void Ref() { refs_.fetch_add(1, std::memory_order_relaxed); }
  void Unref() {
    if (refs_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }

  // Runnable.
  void Run() override;
  void Discard() override { Unref(); }

  bool Transit(TaskState from, TaskState to) {
    return state_.compare_exchange_strong(from, to, std::memory_order_acq_rel);
  }
  TaskState state() const { return state_.load(std::memory_order_acquire); }

  // Whether the caller may keep the promises now; true once.
  bool Claim() { return !claimed_.exchange(true, std::memory_order_acq_rel); }
  bool claimed() const { return claimed_.load(std::memory_order_acquire); }

  // REQUIRES: the caller brought the task to kRunning.
  void RunClaimed();

  // Fails the results with `status`, if nobody was quicker. Whether it did.
  bool FailIfUnclaimed(const absl::Status& status);

  // Asks the call to stop.
  virtual void RequestStop() { stop_requested_.store(true, std::memory_order_relaxed); }
  bool stop_requested() const { return stop_requested_.load(std::memory_order_relaxed); }

  // Whether the admission knows it; set by the admission.
  std::atomic<bool>& in_admission() { return in_admission_; }

  absl::string_view name() const;
  RuntimeCore* core() const { return core_; }
  ActorCore* actor() const { return actor_; }
  // Makes it a call of `actor`, which it keeps. REQUIRES: before it is entered.
  void SetActor(ActorCore* actor, uint64_t caller);
  // Of an actor's call: who made it, and whether it waits in its caller's line.
  uint64_t caller() const { return caller_; }
  bool deferred() const { return deferred_; }
  void SetDeferred() { deferred_ = true; }
  // Of one in its caller's line: whether its arguments have values. Guarded by the actor's lock.
  bool deliverable() const { return deliverable_; }
  void SetDeliverable() { deliverable_ = true; }
  // What tells it from all other callers: next(), the first time. REQUIRES: it is Current().
  template <typename Next>
  uint64_t NumberAsCaller(const Next& next) {
    if (number_as_caller_ == 0) number_as_caller_ = next();
    return number_as_caller_;
  }
  const AnyRef& dependency(size_t i) const { return dependencies_[i]; }
  size_t dependency_count() const { return dependencies_.size(); }
  // Adds an argument that has to have a value first; its index.
  uint32_t AddDependency(AnyRef ref) {
    dependencies_.push_back(std::move(ref));
    return static_cast<uint32_t>(dependencies_.size() - 1);
  }
  TaskDetails& details() {
    if (details_ == nullptr) details_ = std::make_unique<TaskDetails>();
    return *details_;
  }
  const TaskDetails* details_or_null() const { return details_.get(); }
  void SetOptions(const TaskOptions& options) {
    details().options = options;
    priority_ = options.priority;
  }
  // Whether it may be called more than once, so that its arguments must be kept.
  bool repeatable() const {
    return details_ != nullptr &&
           (details_->options.max_retries > 0 || details_->options.reconstructible);
  }

  bool reconstructible() const { return details_ != nullptr && details_->options.reconstructible; }
  // Has the task called when its result `index`, which `ref` refers to, is lost. REQUIRES: it is
  // reconstructible, and not launched yet.
  void WatchLoss(size_t index, const AnyRef& ref);

  static Task* Current();

 protected:
  friend class RuntimeCore;

  ~Task() override;

  // Resolves the arguments and calls. If that went well, and Claim() says so, stores the results
  // and returns OK; else returns why not, or OK if nobody wants them.
  virtual absl::Status Call() = 0;
  // Fails all promises.
  virtual void FailResults(const absl::Status& status) = 0;
  // Gives up callable and arguments by value. The task is not called again.
  virtual void ForgetCall() = 0;
  // Puts a promise in place of the one of result `index` that was kept.
  virtual absl::Status TakePromise(size_t index, AnyPromise promise) = 0;
  // REQUIRES: the results were claimed by the caller, and the call has returned a value. What is to
  // happen to the result keys before promises are kept.
  void BeforeResults();

  RuntimeCore* const core_;
  ActorCore* actor_ = nullptr;       // of an actor's call; one reference
  std::shared_ptr<void> core_kept_;  // while arguments have callbacks to the task
  std::atomic<uint32_t> refs_{1};    // the first one is given up at the end
  std::atomic<uint32_t> waiting_for_{1};
  std::atomic<TaskState> state_{TaskState::kWaiting};
  std::atomic<bool> claimed_{false};
  std::atomic<bool> stop_requested_{false};
  std::atomic<bool> in_admission_{false};
  bool failed_ = false;       // by whoever claimed
  uint64_t held_bytes_ = 0;   // as counted at its launch
  int64_t submitted_ns_ = 0;  // 0 unless its times are sampled
  uint64_t caller_ = 0;
  uint64_t number_as_caller_ = 0;
  bool deferred_ = false;  // constant once it was entered
  bool deliverable_ = false;
  absl::InlinedVector<AnyRef, 2> dependencies_;
  absl::InlinedVector<const void*, 1> result_keys_;
  std::unique_ptr<TaskDetails> details_;
};

// A counted reference to a task.
class TaskPtr {
 public:
  // Takes a reference of its own.
  explicit TaskPtr(Task* task) : task_(task) { task_->Ref(); }
  TaskPtr(const TaskPtr& other) : TaskPtr(other.task_) {}
  TaskPtr& operator=(const TaskPtr&) = delete;
  ~TaskPtr() { task_->Unref(); }

  Task* get() const { return task_; }
  Task* operator->() const { return task_; }

 private:
  Task* const task_;
};

}  // namespace spillway::internal

#endif  // SPILLWAY_RUNTIME_INTERNAL_TASK_H_
