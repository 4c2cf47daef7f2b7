// Room in memory for the arguments of tasks: who gets it, and when.
//
// A task whose arguments are objects is admitted when they fit, all of them, beside those of the
// tasks admitted before it; an object that several read counts once. From then on they are pinned:
// at once if they are in memory, else after a fetch thread has brought them in, while other tasks
// compute. When the task has run, its share goes to the next.
//
// Of those that wait, the first whose arguments are in memory is admitted, else the first that
// fits. A task that was passed over kPassedOverMax times is admitted before any other.
//
// The store's eviction policy is told: what the next waiting tasks will read is needed soon; what
// an admitted task has read and no waiting one will is not needed, as long as tasks wait.
#ifndef SPILLWAY_RUNTIME_INTERNAL_ADMISSION_H_
#define SPILLWAY_RUNTIME_INTERNAL_ADMISSION_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "runtime/internal/task.h"
#include "runtime/runtime_options.h"
#include "serialization/mutex.h"
#include "store/object_store.h"
#include "store/seams.h"

namespace spillway::internal {

// Thread-safe.
class Admission {
 public:
  // Arguments of a task that take less than this together are not worth the trouble.
  static constexpr uint64_t kSmallBytes = 4096;
  static constexpr uint32_t kPassedOverMax = 32;
  // Waiting tasks that are looked at for one whose arguments are in memory.
  static constexpr size_t kLookedAtMax = 64;
  // Of tasks with more arguments than this it is not asked whether they are in memory.
  static constexpr size_t kArgumentsAskedMax = 64;

  Admission(RuntimeCore* core, const RuntimeOptions& options, int workers);
  ~Admission();
  Admission(const Admission&) = delete;
  Admission& operator=(const Admission&) = delete;

  void Start(Executor* background);

  // Makes `task`, whose arguments have values, ready when they are in memory, or fails it:
  // ResourceExhausted if they can never be, or not before the store's deadline, and with what the
  // store says if they cannot be read.
  void Admit(Task* task);
  // An admitted task has left the queue of ready ones.
  void Started(Task* task);
  // The task will not read its arguments any more. Idempotent.
  void Release(Task* task);

  // If nothing has run for RuntimeOptions::no_progress_max, fails the youngest task that waits.
  // Returns when to be called again; InfiniteFuture if none waits.
  absl::Time CheckProgress(absl::Time now);

  uint64_t waiting() const;
  uint64_t fetching() const;
  uint64_t admitted_bytes() const;

  // Ends the fetch threads. Tasks that are not ready stay as they are. Idempotent.
  void Stop();

 private:
  struct Waiting {
    Task* task;  // one reference
    uint64_t bytes;
    uint32_t passed_over = 0;
    bool hinted = false;
  };
  struct Object {
    uint32_t admitted = 0;  // tasks that read it
    uint32_t waiting = 0;
    uint64_t bytes = 0;  // as admitted
  };
  // Of an admitted task.
  struct Share {
    std::vector<RawView> pins;
    bool staged = true;  // not started yet
  };
  using Line = std::list<Waiting>;

  uint64_t LimitBytes() const;
  // What admitting the task would add.
  uint64_t MissingBytes(const Task* task) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  static bool AllResident(const Task* task);
  // Moves from the line what is admitted now, and what is over.
  void AdmitSome(std::vector<Task*>* admitted, std::vector<Task*>* over)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Line::iterator Choose() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void TakeOut(Line::iterator at) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ExtendWindow(std::vector<std::pair<AnyRef, PolicyHint>>* hints)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Pins the arguments that are in memory, and has the rest fetched; then the task is ready.
  void Stage(Task* task);
  absl::Time FetchStep();
  void Update();

  RuntimeCore* const core_;
  const double share_max_;
  const absl::Duration no_progress_max_;
  const int fetch_threads_;
  const size_t staged_max_;

  mutable Mutex mutex_;
  Line line_ ABSL_GUARDED_BY(mutex_);
  Line::iterator first_unhinted_ ABSL_GUARDED_BY(mutex_) = line_.end();
  uint64_t hinted_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::flat_hash_map<const void*, Object> objects_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<Task*, Share> shares_ ABSL_GUARDED_BY(mutex_);
  uint64_t admitted_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t staged_ ABSL_GUARDED_BY(mutex_) = 0;           // admitted, and not started
  std::deque<Task*> to_fetch_ ABSL_GUARDED_BY(mutex_);  // one reference each
  size_t fetching_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  uint64_t progress_seen_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Time progress_at_ ABSL_GUARDED_BY(mutex_) = absl::InfiniteFuture();
  bool watched_ ABSL_GUARDED_BY(mutex_) = false;

  std::vector<std::unique_ptr<BackgroundJob>> jobs_;
};

}  // namespace spillway::internal

#endif  // SPILLWAY_RUNTIME_INTERNAL_ADMISSION_H_
