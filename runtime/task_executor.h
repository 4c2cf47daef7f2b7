// Where a runtime's workers run: a seam for programs that have threads of their own, and for tests.
//
// A runtime asks its executor for a thread when there is work and one of its workers is idle. The
// worker then runs task after task on that thread, and gives it back when it has found no more work
// for some microseconds. So an executor is asked rarely, and needs to be neither clever nor fast.
//
//     class PoolExecutor final : public TaskExecutor {
//      public:
//       void Post(std::function<void()> work) override { pool_->Add(std::move(work)); }
//     };
#ifndef SPILLWAY_RUNTIME_TASK_EXECUTOR_H_
#define SPILLWAY_RUNTIME_TASK_EXECUTOR_H_

#include <functional>
#include <memory>

namespace spillway {

// Thread-safety: every method may be called by any thread.
class TaskExecutor {
 public:
  virtual ~TaskExecutor() = default;

  // Runs `work` once on another thread, soon. Must not run it within the call. An executor without
  // a free thread may be late: after 10 ms the runtime helps itself with a thread of its own.
  virtual void Post(std::function<void()> work) = 0;

  // The same for work that stands in for a worker that waits, on a thread that no Post waits for.
  // False: there is none, and the runtime takes a thread of its own.
  virtual bool PostBlocking(std::function<void()> work);

  // Whether a worker without work may look for it for some microseconds before it gives its thread
  // back: not where threads are only played.
  virtual bool spins() const { return true; }

  // Called by a worker between two tasks, with no lock held.
  virtual void BetweenTasks() {}
};

// The default: threads of oneTBB, up to `workers` of them at once, in an arena of the executor's
// own. REQUIRES: workers >= 1.
std::unique_ptr<TaskExecutor> NewTbbExecutor(int workers);

}  // namespace spillway

#endif  // SPILLWAY_RUNTIME_TASK_EXECUTOR_H_
