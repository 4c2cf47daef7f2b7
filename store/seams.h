// The seams through which the store tells time, waits and starts background work.
//
// Everything in the store that looks at a clock, blocks a thread or runs beside its callers does so
// through the two interfaces here, Clock and Executor. Production code uses Clock::Real() and
// Executor::Real(); a test or a simulator passes its own and decides when time passes and whose
// turn it is, if need be with everything on one thread:
//
//     std::unique_ptr<Parker> parker = clock->NewParker();
//     parker->Park(clock->Now() + absl::Seconds(1));      // until Unpark, or a second has passed
//
//     std::unique_ptr<BackgroundJob> job = executor->Start("spiller", [&]() -> absl::Time {
//       SpillOneBatch();
//       return MoreToDo() ? absl::InfinitePast() : absl::InfiniteFuture();
//     });
//     job->Wake();
#ifndef SPILLWAY_STORE_SEAMS_H_
#define SPILLWAY_STORE_SEAMS_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include "absl/time/time.h"

namespace spillway {

// A place where one thread at a time waits. It holds at most one permit, which Unpark gives and
// Park takes: an Unpark that comes before the Park is not lost, several of them count as one.
//
// Thread-safety: Unpark may be called by any thread; Park by one thread at a time. The parker must
// not be destroyed while a call is running.
class Parker {
 public:
  virtual ~Parker() = default;

  // Waits for the permit and takes it. Returns true if it got the permit, false if `deadline` (on
  // the clock that made the parker) passed first. A permit that is already there is taken even if
  // the deadline has passed. absl::InfiniteFuture() waits without a deadline.
  virtual bool Park(absl::Time deadline) = 0;

  // Gives the permit, and ends a Park that waits for it.
  virtual void Unpark() = 0;
};

// Tells time, and makes what waits for it.
//
// Thread-safety: every method may be called by any thread.
class Clock {
 public:
  virtual ~Clock() = default;

  // The time of day, on a line that never goes back: steps of the system's clock after the process
  // started are not followed. Deadlines are times on this line.
  virtual absl::Time Now() const = 0;

  // Nanoseconds since an arbitrary moment, never going back: for measuring durations cheaply.
  virtual int64_t MonotonicNanos() const = 0;

  // Makes a parker whose deadlines are on this clock. The clock must outlive it.
  virtual std::unique_ptr<Parker> NewParker() = 0;

  // The system's clock. Never deleted.
  static Clock* Real();
};

// Background work in progress. The destructor calls Stop.
class BackgroundJob {
 public:
  virtual ~BackgroundJob() = default;

  // Has the step called soon, whatever time it asked for. A Wake during a step leads to one more
  // step. May be called by any thread, from within the step too.
  virtual void Wake() = 0;

  // Waits for a step that is running and ends the job: no step runs when Stop has returned.
  // Idempotent. Must not be called from within the step.
  virtual void Stop() = 0;
};

// Runs background work. Work is given as a step that is called again and again, so that a simulator
// can run it between other things on a single thread.
//
// Thread-safety: every method may be called by any thread.
class Executor {
 public:
  virtual ~Executor() = default;

  // Starts a job that calls `step` at once, and then whenever the time that the last step returned
  // has come or Wake was called: absl::InfinitePast() for at once, absl::InfiniteFuture() for not
  // before the next Wake. Steps of one job never overlap. `name` is what debuggers and `top -H`
  // show; 15 characters of it count. The executor must outlive the job.
  virtual std::unique_ptr<BackgroundJob> Start(std::string_view name,
                                               std::function<absl::Time()> step) = 0;

  // One thread of the system per job, with times on Clock::Real(). Never deleted.
  static Executor* Real();
};

}  // namespace spillway

#endif  // SPILLWAY_STORE_SEAMS_H_
