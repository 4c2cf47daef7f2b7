// Decides what leaves memory next, and keeps what is on its way out.
//
//     policy --NextVictim--> clean or droppable --> outgoing --NextOutgoing--> dropped when memory
//     is wanted
//                            dirty --> to_spill --NextToSpill--> written --> outgoing
//
// So objects are written early and dropped late: what waits in `outgoing` still serves gets, and
// one that is hit there goes back to the policy.
#ifndef SPILLWAY_STORE_INTERNAL_EVICTOR_H_
#define SPILLWAY_STORE_INTERNAL_EVICTOR_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "serialization/mutex.h"
#include "store/eviction_policy.h"
#include "store/internal/counters.h"
#include "store/internal/entry.h"
#include "store/internal/entry_table.h"
#include "store/internal/memory/memory_budget.h"

namespace spillway::internal {

// Thread-safe. Its lock is below the stripe locks: methods may be called with a stripe lock held,
// and take none. A victim is an entry and the id it had when it was chosen: the caller takes the
// stripe lock and checks that the entry still has it.
class Evictor final : public HitMarks {
 public:
  // Marks of an object for a policy that hears of hits once: the hit is in a ring, or none had room
  // for it.
  static constexpr uint8_t kHitReported = 1;
  static constexpr uint8_t kHitUnreported = 2;

  struct Victim {
    Entry* entry = nullptr;
    uint64_t id = 0;
  };

  // InvalidArgument for an unknown policy.
  static absl::StatusOr<std::unique_ptr<Evictor>> Create(std::string_view policy_name,
                                                         uint64_t capacity_bytes,
                                                         EntryTable* entries, Counters* counters,
                                                         MemoryBudget* budget);
  ~Evictor() override;

  // How gets have to report their hits.
  HitTracking hit_tracking() const { return hit_tracking_; }

  // Makes sure that the policy's memory for one more object is in the budget. False: make room
  // first. Takes no lock unless the policy has grown.
  bool ReserveForOneMore() {
    return !short_of_memory_.load(std::memory_order_relaxed) || Reserve();
  }

  // The object became resident, by a put or a restore, and may be chosen. Does nothing for
  // OnEvict::kNever. REQUIRES: it is in no queue.
  void Insert(Entry* entry);
  // The object leaves, otherwise than as a victim; or never mind, if it is in no queue.
  void Remove(Entry* entry);
  // The object leaves memory, and may come back: what the policy remembers of it stays.
  void LeaveQueue(Entry* entry);

  // The oldest object that waits to be dropped, unless it was hit there: such are given back to the
  // policy on the way.
  std::optional<Victim> NextOutgoing();
  // The oldest object that waits to be written.
  std::optional<Victim> NextToSpill();
  // What the policy gives up next.
  std::optional<Victim> NextVictim();

  // Puts a victim where it belongs now. Ignored if the entry is no longer the victim's.
  void PushOutgoing(const Victim& victim);
  // The same, to be dropped before all others.
  void PushOutgoingFirst(const Victim& victim);
  void PushToSpill(const Victim& victim);
  void Readmit(const Victim& victim);

  // Payload bytes that wait to be dropped without I/O, and to be written.
  uint64_t outgoing_bytes() const { return outgoing_.bytes.load(std::memory_order_relaxed); }
  uint64_t to_spill_bytes() const { return to_spill_.bytes.load(std::memory_order_relaxed); }
  bool policy_empty() const;

  void SetCapacity(uint64_t capacity_bytes);
  // What a restore costs, for policies that weigh it.
  void SetRestoreCosts(double per_miss_ns, double per_byte_ns);

  // HitMarks, for the policy.
  uint8_t Get(SlotIndex slot) const override;
  void Set(SlotIndex slot, uint8_t hits) override;

 private:
  // A first-in-first-out list through the entries' links.
  struct Queue {
    uint32_t oldest = 0;
    uint32_t newest = 0;
    std::atomic<uint64_t> bytes{0};  // changed under the lock
  };

  Evictor(uint64_t capacity_bytes, EntryTable* entries, Counters* counters, MemoryBudget* budget);

  bool Reserve();
  // After the policy may have grown.
  void NoteGrowth() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Takes the entry out of the queue in which it waits, but not out of the policy.
  void UnlinkFromQueue(Entry* entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ReadmitLocked(Entry* entry, uint64_t id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void DrainHits() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Push(Queue& queue, QueuedIn name, const Victim& victim)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Unlink(Queue& queue, Entry* entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::optional<Victim> Pop(Queue& queue) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  EntryTable* const entries_;
  Counters* const counters_;
  MemoryBudget* const budget_;
  HitTracking hit_tracking_ = HitTracking::kMarks;  // constant after Create

  mutable Mutex mutex_;
  std::unique_ptr<EvictionPolicy> policy_ ABSL_GUARDED_BY(mutex_);
  uint64_t capacity_bytes_ ABSL_GUARDED_BY(mutex_);
  uint64_t charged_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  // The policy has less than its headroom in the budget; written under the lock.
  std::atomic<bool> short_of_memory_{true};
  Queue outgoing_;  // links guarded by mutex_
  Queue to_spill_;  // links guarded by mutex_
};

}  // namespace spillway::internal

#endif  // SPILLWAY_STORE_INTERNAL_EVICTOR_H_
