// What a runtime tells of itself. All numbers are exact when the runtime is quiet.
#ifndef SPILLWAY_RUNTIME_RUNTIME_STATS_H_
#define SPILLWAY_RUNTIME_RUNTIME_STATS_H_

#include <cstdint>
#include <string>

#include "store/stats.h"

namespace spillway {

struct RuntimeStats {
  // Tasks and actors' calls, by where they are.
  uint64_t outstanding = 0;        // submitted and not finished: all of the following
  uint64_t blocked = 0;            // run, and wait inside for other results
  uint64_t admission_waiting = 0;  // wait for room for their arguments
  uint64_t fetching = 0;           // have the room, and are being brought their arguments
  uint64_t outstanding_bytes = 0;  // held by tasks and their arguments by value
  uint64_t admitted_bytes = 0;     // objects that admitted tasks read

  // Since the start.
  uint64_t submitted = 0;
  uint64_t finished = 0;  // however
  uint64_t failed = 0;    // of those: with an error, cancelled ones included
  uint64_t cancelled = 0;
  uint64_t retries = 0;
  uint64_t timeouts = 0;
  uint64_t run_inline = 0;       // on the stack of a task that waited for them
  uint64_t reconstructions = 0;  // run again because their result was lost
  uint64_t no_progress_failures = 0;
  uint64_t submit_waits = 0;  // Submits that waited for others to finish

  uint64_t actors_alive = 0;
  uint64_t actors_created = 0;
  uint64_t actors_died = 0;  // with an error
  uint64_t actor_restarts = 0;
  uint64_t checkpoints = 0;

  // Sampled times in nanoseconds, of one task in 16: from submission to start, and from start to
  // end.
  Histogram queue_ns, run_ns;

  // A table for people.
  std::string ToString() const;
};

}  // namespace spillway

#endif  // SPILLWAY_RUNTIME_RUNTIME_STATS_H_
