// A run of everything that changes a spill directory, and what must be there after it was cut
// short: by an error of the file system at any operation, or by the end of the process.
//
//   Scenario scenario(backend);           // or without a backend, to judge what another process
//   did for (size_t i = 0; i < Scenario::steps(); ++i) scenario.Run(i);
//   ... open the directory again ...
//   scenario.ExpectAfterRecovery(backend);
#ifndef SPILLWAY_TESTS_SPILL_DURABLE_SCENARIO_H_
#define SPILLWAY_TESTS_SPILL_DURABLE_SCENARIO_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "serialization/mutex.h"
#include "spill/spill_backend.h"

namespace spillway::testing {

// Spills, small and large durable records, names, their replacement, deletes, and enough of what is
// dead for both kinds of reclaim. Thread-safe only in so far as reclaim may run.
class Scenario final : public RelocationListener {
 public:
  // Numbered from 0, to be run one after the other. There is one more, steps() itself, that shows
  // that work goes on.
  static size_t steps();

  // Runs a step, and takes note of what was acknowledged.
  void Run(SpillBackend* backend, size_t step) ABSL_LOCKS_EXCLUDED(mutex_);
  // The same for a step of another process, of which is known that it has begun, or that it was
  // acknowledged as a whole.
  void NoteBegun(size_t step) ABSL_LOCKS_EXCLUDED(mutex_) { Note(step, Outcome::kUnknown); }
  void NoteDone(size_t step) ABSL_LOCKS_EXCLUDED(mutex_) { Note(step, Outcome::kDone); }

  // Everything that was acknowledged and not ended, scratch records included, can be read; what
  // failed has changed nothing.
  void ExpectReadable(SpillBackend* backend) ABSL_LOCKS_EXCLUDED(mutex_);
  // In a backend that was opened anew: what was acknowledged is there bit for bit, what was ended
  // is not, and what was neither has happened as a whole or not at all; or not at all, if after it
  // the other backend worked again and ended its work.
  void ExpectAfterRecovery(SpillBackend* backend, bool worked_again) ABSL_LOCKS_EXCLUDED(mutex_);

  bool OnRelocated(uint64_t object_id, SpillTicket from, SpillTicket to) override
      ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  enum class Known { kThere, kMaybe, kGone };
  enum class Outcome { kDone, kFailed, kUnknown };
  struct Object {
    Known known = Known::kGone;
    bool durable = true;
    size_t bytes = 0;
  };
  struct State {
    std::map<uint64_t, Object> objects;               // by id
    std::map<std::string, std::set<uint64_t>> names;  // what each may be bound to; 0 is nothing
  };

  void Note(size_t step, Outcome outcome) ABSL_LOCKS_EXCLUDED(mutex_);
  void NotePut(size_t step, size_t put, Outcome outcome) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void NoteCommit(size_t step, Outcome outcome) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void NoteReleases(size_t step) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  static void Bind(State* state, const std::string& name, uint64_t id, bool surely);
  static void End(State* state, uint64_t id, bool surely);
  SpillTicket TicketOf(uint64_t id) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Mutex mutex_;
  // What failed may have happened, or has not happened.
  State loose_ ABSL_GUARDED_BY(mutex_);
  State strict_ ABSL_GUARDED_BY(mutex_);
  std::set<uint64_t> released_ ABSL_GUARDED_BY(mutex_);
  std::map<uint64_t, SpillTicket> tickets_ ABSL_GUARDED_BY(mutex_);  // of this process, by id
};

// The files of batches below `directory` take no more than what the backend says it holds, and
// none of them is unfinished. Call when reclaim has ended.
void ExpectNoSpaceLeak(const std::string& directory, SpillBackend* backend);

}  // namespace spillway::testing

#endif  // SPILLWAY_TESTS_SPILL_DURABLE_SCENARIO_H_
