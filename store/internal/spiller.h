// Writes victims to the spill tier in batches, in the background.
//
// Runs between the two watermarks: when the bytes that cannot be had back without I/O exceed the
// high one, it writes what the policy gives up until they are below the low one. What is written
// stays in memory, Clean, until a put or a restore wants the room.
#ifndef SPILLWAY_STORE_INTERNAL_SPILLER_H_
#define SPILLWAY_STORE_INTERNAL_SPILLER_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "serialization/mutex.h"
#include "spill/spill_backend.h"
#include "store/internal/evictor.h"
#include "store/seams.h"

namespace spillway::internal {

class StoreCore;

// Thread-safe.
class Spiller {
 public:
  // Batches are written by this many jobs at once: one builds while the other waits for the disk.
  static constexpr int kJobs = 2;
  // Bytes that the tables of one batch take per record.
  static constexpr uint64_t kTableBytesPerRecord =
      sizeof(SpillRecord) + sizeof(SpillResult) + sizeof(Evictor::Victim);

  // Objects that one batch may have under a limit of `memory_limit_bytes`.
  static uint64_t BatchRecordsMax(uint64_t memory_limit_bytes);

  // `core` must outlive the spiller.
  Spiller(StoreCore* core, SpillBackend* backend);
  ~Spiller() { Stop(); }

  // Starts the jobs. REQUIRES: they are not running.
  void Start(Executor* executor);

  // There may be something to do.
  void Wake();
  // The same, if the high watermark was passed and nobody has woken the jobs for it. Cheap.
  void WakeIfAboveHigh();
  // Whether nothing is being written and nothing waits to be.
  bool idle() const;
  // The last failure, OK after a success.
  absl::Status last_failure() const;

  // Writes everything that was put before, is Hot and may be spilled, on the calling thread. The
  // first error met.
  absl::Status WriteAll();

  // Around a write of an object by somebody else, who has set its kSpilling.
  void BeginOutside();
  void EndOutside();

  // Waits for writes in flight and ends the jobs. Idempotent.
  void Stop();

 private:
  // One job's tables, reused from batch to batch.
  struct Batch {
    std::vector<Evictor::Victim> victims;
    std::vector<SpillRecord> records;
    std::vector<SpillResult> results;
    uint64_t bytes = 0;
    bool found_room = false;         // objects that need no writing came up and can be dropped
    std::atomic<uint64_t> steps{0};  // begun and ended; odd while the job is at work
    void Clear();
  };

  absl::Time Step(Batch& batch);
  bool Wanted();
  void Collect(Batch& batch);
  // Adds the victim, pinned, if it has to be written and can be.
  void Claim(const Evictor::Victim& victim, Batch& batch);
  // The same with the entry's stripe lock held, for an entry that still is the victim's.
  void ClaimLocked(const Evictor::Victim& victim, Batch& batch);
  // Takes an entry with an id below `end_id` out of whatever queue it is in and claims it. False:
  // it has to be written, and somebody else is at it.
  bool ClaimHot(Entry* entry, uint64_t end_id, Batch& batch);
  void EndStep(Batch& batch);
  // Waits until the steps that are running now have ended, and one write from outside if there are
  // any.
  void AwaitSteps();
  void AwaitOutside(Parker* parker);
  // Writes and settles. OK if all of it was written.
  absl::Status Write(Batch& batch);
  absl::Status WriteAllThrough(Batch& batch);
  void Settle(const Evictor::Victim& victim, const SpillResult& result);

  StoreCore* const core_;
  SpillBackend* const backend_;
  const uint64_t batch_bytes_max_;
  const uint64_t batch_records_max_;

  std::atomic<bool> stopping_{false};
  std::atomic<int> writing_{0};  // batches in flight
  std::atomic<uint64_t> writing_bytes_{0};
  std::atomic<bool> above_low_{
      false};  // the high watermark was passed and the low one not yet reached

  mutable Mutex mutex_;
  absl::Status last_failure_ ABSL_GUARDED_BY(mutex_);
  absl::Time retry_at_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  absl::Duration backoff_ ABSL_GUARDED_BY(mutex_) = absl::ZeroDuration();
  std::vector<Parker*> step_waiters_ ABSL_GUARDED_BY(mutex_);
  uint64_t outside_begun_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t outside_ended_ ABSL_GUARDED_BY(mutex_) = 0;

  std::array<Batch, kJobs> batches_;
  Mutex write_all_mutex_;
  Batch write_all_batch_ ABSL_GUARDED_BY(write_all_mutex_);
  std::array<std::unique_ptr<BackgroundJob>, kJobs> jobs_;  // last: they use everything else
};

}  // namespace spillway::internal

#endif  // SPILLWAY_STORE_INTERNAL_SPILLER_H_
