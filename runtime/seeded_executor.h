// An executor for tests that plays a whole program on one processor, in an order that a seed
// chooses.
//
// Every thread that works for the runtime or the store runs under it, and one at a time: when it
// waits or ends, the seed says who goes on. Time stands still while anybody can run, and jumps to
// the next deadline when nobody can. So a run is the same every time for the same seed, it takes no
// longer than its computing, and another seed is another order of events. If nobody can run and
// nobody waits for a time, the program has locked itself up: the executor ends the process and says
// who waits, and the seed.
//
//     SeededExecutor executor(seed);
//     store_options.clock = executor.clock();
//     store_options.executor = executor.background();
//     runtime_options.executor = &executor;
//     ...
//
// The thread that makes the executor is one of those it plays; it must end all that uses it before
// it destroys it. No other thread may touch what runs under it.
#ifndef SPILLWAY_RUNTIME_SEEDED_EXECUTOR_H_
#define SPILLWAY_RUNTIME_SEEDED_EXECUTOR_H_

#include <cstdint>
#include <functional>
#include <memory>

#include "runtime/task_executor.h"
#include "store/seams.h"

namespace spillway {

class SeededExecutor final : public TaskExecutor {
 public:
  explicit SeededExecutor(uint64_t seed);
  ~SeededExecutor() override;

  // For StoreOptions and RuntimeOptions. They live as long as the executor.
  Clock* clock();
  Executor* background();

  void Post(std::function<void()> work) override;
  bool PostBlocking(std::function<void()> work) override;
  bool spins() const override { return false; }
  void BetweenTasks() override;

  // How often another thread went on: a measure of how much a run was mixed.
  uint64_t switches() const;

 private:
  class Stage;
  class StageClock;
  class StageExecutor;
  class StageParker;
  class StageJob;

  const std::unique_ptr<Stage> stage_;
  const std::unique_ptr<StageClock> clock_;
  const std::unique_ptr<StageExecutor> background_;
};

}  // namespace spillway

#endif  // SPILLWAY_RUNTIME_SEEDED_EXECUTOR_H_
