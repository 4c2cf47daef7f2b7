// An eviction policy decides which resident object leaves memory next.
//
// The store tells the policy what becomes resident, what is hit and what goes away, and asks it for
// victims. A policy decides by bytes, knows objects by their slot (a small dense index that the
// store reuses after Remove or Evict), and keeps whatever it remembers of departed objects (ghosts)
// by key, the object's id, or in the slot. So an evicted object that comes back should come back to
// its old slot, if no other object has got it meanwhile.
//
// Replaying a trace sequentially means, for each request (key, size) that is not resident and that
// the policy admits (Admits) and that is not larger than the cache:
//
//     policy.Miss(key, size);
//     while (used + size > capacity) used -= size_of(*policy.Evict());
//     policy.Insert(slot, key, size);
//
// and for a resident one a hit, recorded as hit_tracking() asks. Replayed so, the classical
// policies give the published reference miss counts exactly.
//
// Thread-safety: none. The store calls a policy under one mutex; only HitMarks is written by
// readers without it.
#ifndef SPILLWAY_STORE_EVICTION_POLICY_H_
#define SPILLWAY_STORE_EVICTION_POLICY_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace spillway {

// Position of an object's entry in the store's entry table: dense, reused, never kNoSlot.
using SlotIndex = uint32_t;
inline constexpr SlotIndex kNoSlot = 0xffffffffu;

// How a policy wants to hear of hits.
enum class HitTracking {
  // Hits only count, their order does not matter: readers bump the object's counter in HitMarks
  // without a lock, and the policy reads and clears the counters when it looks for victims.
  kMarks,
  // Order matters: the store calls Hit() for each, in order, before it asks for a victim.
  kOrdered,
  // The same, but several hits on one object before the store asks for a victim are one: cheaper
  // for readers of objects that are read often.
  kOrderedOnce,
};

// Saturating hit counters (0..255) by slot, owned by the store and written by readers without a
// lock.
class HitMarks {
 public:
  virtual ~HitMarks() = default;
  virtual uint8_t Get(SlotIndex slot) const = 0;
  virtual void Set(SlotIndex slot, uint8_t hits) = 0;
};

class EvictionPolicy {
 public:
  virtual ~EvictionPolicy() = default;

  // The name by which options and flags choose it.
  virtual std::string_view name() const = 0;
  virtual HitTracking hit_tracking() const = 0;

  // Tells the bytes that the resident objects may take together. Queue shares and the reach of
  // ghosts follow from it. Called before the first Insert, and again when the limit changes.
  virtual void SetCapacity(uint64_t capacity_bytes) = 0;

  // Tells what a miss costs: `per_miss_ns` plus `per_byte_ns` for each byte. Only policies that
  // weigh costs listen; they assume 100 us and 1 ns until told otherwise.
  virtual void SetRestoreCosts(double /*per_miss_ns*/, double /*per_byte_ns*/) {}

  // Whether an object of this size should be taken in at all. Only replay asks: a store has to keep
  // what it is given, and inserts it anyway.
  virtual bool Admits(uint64_t size_bytes) const = 0;

  // `key` is about to be inserted; called before the evictions that make room for it.
  virtual void Miss(uint64_t key, uint64_t size_bytes) = 0;

  // `key` became resident in `slot`; its mark is zero. REQUIRES: the slot is not in the policy.
  virtual void Insert(SlotIndex slot, uint64_t key, uint64_t size_bytes) = 0;

  // A hit on a resident object. Called only if hit_tracking() is not kMarks. A slot that is not in
  // the policy any more is ignored: hits may be reported late.
  virtual void Hit(SlotIndex slot) = 0;

  // The object left otherwise than by Evict (deleted): forgotten without a ghost. May also tell
  // that an object which was evicted before is now gone for good. A slot that the policy does not
  // know is ignored.
  virtual void Remove(SlotIndex slot) = 0;

  // Chooses the next victim and removes it from the policy; nullopt if the policy holds nothing.
  virtual std::optional<SlotIndex> Evict() = 0;

  // Takes back the victim that Evict returned last, or an earlier one, which could not leave or was
  // hit while it waited to leave: resident again, as an object that deserves to stay a while.
  virtual void Readmit(SlotIndex slot, uint64_t key, uint64_t size_bytes) = 0;

  // Objects held and their bytes.
  virtual uint64_t objects() const = 0;
  virtual uint64_t bytes() const = 0;

  // Bytes of memory that the policy itself has allocated, exact enough to be charged to the budget.
  virtual uint64_t MemoryBytes() const = 0;
};

// Names of all policies, in the order in which help texts show them.
std::vector<std::string_view> EvictionPolicyNames();

// Makes the policy called `name`. `marks` must outlive it. InvalidArgument, listing the known
// names, if there is none of that name.
absl::StatusOr<std::unique_ptr<EvictionPolicy>> MakeEvictionPolicy(std::string_view name,
                                                                   HitMarks* marks);

}  // namespace spillway

#endif  // SPILLWAY_STORE_EVICTION_POLICY_H_
