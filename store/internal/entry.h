// An object's entry: one cache line that says everything about it that the hot path needs.
//
// The word. One atomic 64-bit word holds everything that decides races:
//
//     bit  0..23  pins    live views, Pin, and writers of the bytes to disk
//     bit 24..47  refs    the program's and the store's own
//     bit 48..52  state   bit 52 set: the bytes are resident and may be read
//     bit 53..    flags
//
// A pin is one atomic add: it holds if the old value said resident, else it is taken back. A drop
// is one compare-and-swap that succeeds only at zero pins. Everything else that changes the state
// happens under the entry's stripe lock (StoreCore), so that only counts change concurrently with
// it.
//
// Life. An entry is freed by whoever brings both counts to zero. So that nobody touches a freed
// entry, the decrement that may be the last one is made under the stripe lock: the last ref always,
// the last pin if a flag asks for it, which every deleted entry with pins has.
//
// Entries live in slabs aligned to their size, whose header leads to the store: a handle is one
// pointer.
#ifndef SPILLWAY_STORE_INTERNAL_ENTRY_H_
#define SPILLWAY_STORE_INTERNAL_ENTRY_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "glog/logging.h"
#include "store/internal/memory/block_poison.h"

namespace spillway::internal {

class StoreCore;

inline constexpr uint64_t kResidentState = 16;

// See store/STATES.md for the transitions.
enum class State : uint64_t {
  kFree = 0,
  kPending = 1,                 // no value yet: a promise will fulfil it or fail it
  kBuilding = 2,                // being written, not visible
  kCold = 3,                    // on disk only
  kFailed = 4,                  // an error in place of a value
  kDropped = 5,                 // was droppable and is gone
  kDeleted = 6,                 // nobody can get it any more; bytes stay while pinned
  kClosed = 7,                  // the store is closed; bytes stay while pinned
  kMoving = 8,                  // the bytes are being moved within memory, under the stripe lock
  kHot = kResidentState,        // resident, not on disk
  kClean = kResidentState + 1,  // resident and on disk
};

const char* StateName(State state);

// The parts of the word.
inline constexpr uint64_t kPinOne = 1;
inline constexpr uint64_t kPinMask = (uint64_t{1} << 24) - 1;
inline constexpr uint64_t kPinOverflow = uint64_t{1} << 23;
inline constexpr int kRefShift = 24;
inline constexpr uint64_t kRefOne = uint64_t{1} << kRefShift;
inline constexpr uint64_t kRefMask = kPinMask << kRefShift;
inline constexpr uint64_t kRefOverflow = uint64_t{1} << 47;
inline constexpr int kStateShift = 48;
inline constexpr uint64_t kStateMask = uint64_t{31} << kStateShift;
inline constexpr uint64_t kResident = kResidentState << kStateShift;
inline constexpr uint64_t kSpilling = uint64_t{1}
                                      << 53;  // being written to disk, under the writer's pin
inline constexpr uint64_t kRestoring = uint64_t{1} << 54;  // being read from disk, by one thread
// The last unpin goes through the store: the object is deleted, or somebody waits for its memory.
inline constexpr uint64_t kUnpinSlow = uint64_t{1} << 55;
inline constexpr uint64_t kExtras = uint64_t{1} << 56;  // the store's side table knows the entry
inline constexpr uint64_t kOnEvictDrop = uint64_t{1} << 57;  // OnEvict::kDrop
// The bytes come from outside the process and were not verified as their type yet.
inline constexpr uint64_t kUnverified = uint64_t{1} << 60;
inline constexpr uint64_t kNeededSoon = uint64_t{1} << 59;    // PolicyHint::kNeededSoon
inline constexpr uint64_t kOnEvictNever = uint64_t{1} << 58;  // OnEvict::kNever

// Of objects that outlive the process; see store_durable.cc.
inline constexpr uint64_t kPersisting = uint64_t{1} << 61;
inline constexpr uint64_t kDurable = uint64_t{1} << 62;
inline constexpr uint64_t kRetired = uint64_t{1} << 63;

inline State StateOf(uint64_t word) {
  return static_cast<State>((word & kStateMask) >> kStateShift);
}
inline uint64_t StateBits(State state) { return static_cast<uint64_t>(state) << kStateShift; }
inline uint32_t PinsOf(uint64_t word) { return static_cast<uint32_t>(word & kPinMask); }
inline uint32_t RefsOf(uint64_t word) {
  return static_cast<uint32_t>((word & kRefMask) >> kRefShift);
}
// Views and Pin alone, without whoever writes the bytes to disk.
inline uint32_t HolderPinsOf(uint64_t word) {
  return PinsOf(word) - ((word & kSpilling) != 0 ? 1 : 0);
}
// Nobody can get the object any more.
inline bool IsDead(uint64_t word) {
  return StateOf(word) == State::kDeleted || StateOf(word) == State::kClosed;
}
inline bool IsResident(uint64_t word) { return (word & kResident) != 0; }

// Where the evictor keeps an entry.
enum class QueuedIn : uint8_t { kNone, kPolicy, kOutgoing, kToSpill };

// A place: there are no bytes in memory. The arena's region is shorter.
inline constexpr int kSkewShift = 44;
inline constexpr uint64_t kNoBytes = (uint64_t{1} << kSkewShift) - 1;

// Bits 0..43: the payload's offset in the arena. Above: unused bytes before it in its block, in
// units of 64, because a FlatBuffer is built from the end of its block downwards.
inline constexpr uint64_t kSkewUnit = 64;
inline constexpr uint64_t PlaceOf(uint64_t block_offset, uint64_t skew = 0) {
  return (block_offset + skew * kSkewUnit) | skew << kSkewShift;
}
inline constexpr uint64_t PayloadOffset(uint64_t place) { return place & kNoBytes; }
inline constexpr uint64_t SkewBytes(uint64_t place) { return (place >> kSkewShift) * kSkewUnit; }

struct alignas(64) Entry {
  std::atomic<uint64_t> word{0};
  std::atomic<uint64_t> id{0};  // 0 while free
  // Where the bytes are; see PlaceOf. Changed by whoever builds the object, then under the stripe
  // lock and while nobody holds a pin; it holds under a pin or the lock.
  std::atomic<uint64_t> place{kNoBytes};
  // Payload bytes. Read by anybody at any time; constant under a pin, and from seal to delete
  // unless the value is lost and made anew.
  std::atomic<uint64_t> size{0};
  uint64_t ticket = 0;      // on the spill tier, 0 for none; guarded by the stripe lock
  uint32_t slot = 0;        // index of this entry; constant
  uint32_t created_ds = 0;  // deciseconds since the store opened
  std::atomic<uint32_t> accessed_ds{0};
  uint32_t previous = 0;                 // in the outgoing queue; guarded by the evictor's lock
  uint32_t next = 0;                     // in the outgoing queue, or of the free list
  uint16_t type = 0;                     // index in the type table; constant while not free
  std::atomic<uint8_t> marks{0};         // hits since the policy looked last, saturating
  QueuedIn queued_in = QueuedIn::kNone;  // guarded by the evictor's lock
};
static_assert(sizeof(Entry) == 64);

// Entries are carved from slabs of this size, aligned to it. The first entry's place is the
// header's.
inline constexpr size_t kSlabBytes = 64 * 1024;
inline constexpr uint32_t kSlotsPerSlab = kSlabBytes / sizeof(Entry);

struct alignas(64) SlabHeader {
  StoreCore* core = nullptr;
  char* arena_base = nullptr;
};
static_assert(sizeof(SlabHeader) == sizeof(Entry));

inline const SlabHeader& SlabOf(const Entry* entry) {
  return *reinterpret_cast<const SlabHeader*>(reinterpret_cast<uintptr_t>(entry) &
                                              ~static_cast<uintptr_t>(kSlabBytes - 1));
}

inline bool HasBytes(const Entry* entry) {
  return entry->place.load(std::memory_order_relaxed) != kNoBytes;
}
// What the arena was asked for: skew and payload.
inline uint64_t BlockOffsetOf(const Entry* entry) {
  const uint64_t place = entry->place.load(std::memory_order_relaxed);
  return PayloadOffset(place) - SkewBytes(place);
}
inline uint64_t BlockBytesOf(const Entry* entry) {
  return entry->size.load(std::memory_order_relaxed) +
         SkewBytes(entry->place.load(std::memory_order_relaxed));
}
inline char* BytesAt(const Entry* entry, uint64_t place) {
  return SlabOf(entry).arena_base + PayloadOffset(place);
}
inline char* BytesOf(const Entry* entry) {
  return BytesAt(entry, entry->place.load(std::memory_order_relaxed));
}

// Under the address sanitizer nobody may touch the bytes of an object without a pin: a view that
// dangles is found out at once, and not only when its memory has another owner. For that, changes
// of an object's pins are kept apart: bytes are poisoned before the last pin goes, and unpoisoned
// after the first one came. In other builds nothing of this is there.
#ifdef SPILLWAY_BLOCK_POISON
class PinGuard {
 public:
  explicit PinGuard(const Entry* entry);
  ~PinGuard();
  PinGuard(const PinGuard&) = delete;
  PinGuard& operator=(const PinGuard&) = delete;

 private:
  const uint32_t slot_;
};
#else
struct PinGuard {
  explicit PinGuard(const Entry*) {}
};
#endif

inline void PoisonBytes([[maybe_unused]] const Entry* entry) {
#ifdef SPILLWAY_BLOCK_POISON
  if (HasBytes(entry)) PoisonBlocks(BytesOf(entry), entry->size);
#endif
}
inline void UnpoisonBytes([[maybe_unused]] const Entry* entry) {
#ifdef SPILLWAY_BLOCK_POISON
  if (HasBytes(entry)) UnpoisonBlocks(BytesOf(entry), entry->size);
#endif
}

// The ends of handles that need the store. Defined in store_core.cc.
void UnpinSlow(Entry* entry);
void UnrefSlow(Entry* entry);

inline void Ref(Entry* entry) {
  const uint64_t old = entry->word.fetch_add(kRefOne, std::memory_order_relaxed);
  CHECK((old & kRefOverflow) == 0) << "too many refs to one object";
}

// Takes a ref if somebody holds one already.
inline bool RefIfNotZero(Entry* entry) {
  uint64_t old = entry->word.load(std::memory_order_relaxed);
  while ((old & kRefMask) != 0) {
    CHECK((old & kRefOverflow) == 0) << "too many refs to one object";
    if (entry->word.compare_exchange_weak(old, old + kRefOne, std::memory_order_acquire,
                                          std::memory_order_relaxed)) {
      return true;
    }
  }
  return false;
}

// Takes a pin on resident and verified bytes of an object that somebody holds a ref to. Unlike
// TryPin it never has a pin to give back, so it may be used under locks.
inline bool PinIfResident(Entry* entry) {
  const PinGuard guard(entry);
  uint64_t old = entry->word.load(std::memory_order_relaxed);
  while ((old & (kResident | kUnverified)) == kResident && (old & kRefMask) != 0) {
    CHECK((old & kPinOverflow) == 0) << "too many pins on one object";
    if (entry->word.compare_exchange_weak(old, old + kPinOne, std::memory_order_acquire,
                                          std::memory_order_relaxed)) {
      UnpoisonBytes(entry);
      return true;
    }
  }
  return false;
}

inline void Unref(Entry* entry) {
  uint64_t old = entry->word.load(std::memory_order_relaxed);
  for (;;) {
    DCHECK_NE(old & kRefMask, 0u);
    if ((old & kRefMask) == kRefOne) return UnrefSlow(entry);
    if (entry->word.compare_exchange_weak(old, old - kRefOne, std::memory_order_release,
                                          std::memory_order_relaxed)) {
      return;
    }
  }
}

#ifdef SPILLWAY_BLOCK_POISON
// Gives a pin back.
inline void Unpin(Entry* entry) {
  {
    const PinGuard guard(entry);
    uint64_t old = entry->word.load(std::memory_order_relaxed);
    while ((old & kUnpinSlow) == 0 || PinsOf(old) != 1) {
      CHECK_NE(PinsOf(old), 0u);
      if (PinsOf(old) == 1 && IsResident(old)) PoisonBytes(entry);
      if (entry->word.compare_exchange_weak(old, old - kPinOne, std::memory_order_release,
                                            std::memory_order_relaxed)) {
        return;
      }
    }
  }
  UnpinSlow(entry);
}
#else
// Gives a pin back.
inline void Unpin(Entry* entry) {
  uint64_t old = entry->word.load(std::memory_order_relaxed);
  for (;;) {
    DCHECK_NE(old & kPinMask, 0u);
    if ((old & kUnpinSlow) != 0 && (old & kPinMask) == kPinOne) [[unlikely]] {
      return UnpinSlow(entry);
    }
    if (entry->word.compare_exchange_weak(old, old - kPinOne, std::memory_order_release,
                                          std::memory_order_relaxed)) {
      return;
    }
  }
}
#endif

// A pin on resident and verified bytes by one atomic add. False: nothing is held, and the slow path
// must decide.
// REQUIRES: the caller keeps the entry alive by a ref or a pin.
inline bool TryPin(Entry* entry) {
  uint64_t old;
  {
    const PinGuard guard(entry);
    old = entry->word.fetch_add(kPinOne, std::memory_order_acquire);
    if ((old & (kResident | kPinOverflow | kUnverified)) == kResident) [[likely]] {
      UnpoisonBytes(entry);
      return true;
    }
  }
  CHECK((old & kPinOverflow) == 0) << "too many pins on one object";
  Unpin(entry);
  return false;
}

}  // namespace spillway::internal

#endif  // SPILLWAY_STORE_INTERNAL_ENTRY_H_
