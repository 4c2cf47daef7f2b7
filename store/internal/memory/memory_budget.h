// One byte budget for everything the store allocates.
//
// Bytes are acquired before the memory is allocated and released after it was freed, each under the
// name of its use. The budget never grants beyond its limit; when the limit is lowered below what
// is in use, nothing is granted until enough has been released.
//
//     std::optional<Reservation> room = budget.TryReserve(MemoryUse::kRestoreBuffers, 1 << 20);
//     if (!room) ...make room and try again, or wait in an AdmissionQueue...
//     buffer.resize(1 << 20);
//
// The budget does not wait: whoever wants to wait for room does so in an AdmissionQueue.
#ifndef SPILLWAY_STORE_INTERNAL_MEMORY_MEMORY_BUDGET_H_
#define SPILLWAY_STORE_INTERNAL_MEMORY_MEMORY_BUDGET_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "store/internal/memory/spin_lock.h"

namespace spillway {

// What bytes of the budget are used for.
enum class MemoryUse : uint8_t {
  kArena = 0,       // committed payload pages: payload, its rounding, and pages kept for reuse
  kArenaMetadata,   // the allocator's own tables
  kEntries,         // entries of objects
  kIndex,           // lookup by id and by name
  kPolicy,          // the eviction policy
  kSpillBuffers,    // writes in flight
  kRestoreBuffers,  // reads in flight
  kBackend,         // the spill backend, RocksDB included
  kOther,
  kCount,
};
inline constexpr size_t kMemoryUseCount = static_cast<size_t>(MemoryUse::kCount);

// "arena", "entries", ...: as statistics show it.
std::string_view MemoryUseName(MemoryUse use);

// The budget at one moment: the bytes by use sum to `used_bytes`, exactly.
struct MemorySnapshot {
  uint64_t limit_bytes = 0;
  uint64_t used_bytes = 0;
  uint64_t used_bytes_peak = 0;  // since construction
  std::array<uint64_t, kMemoryUseCount> bytes_by_use = {};

  uint64_t bytes(MemoryUse use) const { return bytes_by_use[static_cast<size_t>(use)]; }
  // One line: "used 12345 of 67890 bytes: arena 12000, entries 345".
  std::string ToString() const;
};

class MemoryBudget;

// Owns bytes of a budget and releases them when it goes. Move-only; empty after it was moved from.
// The budget must outlive it.
//
// Thread-safety: compatible, as an int.
class Reservation {
 public:
  Reservation() = default;
  Reservation(Reservation&& other) noexcept;
  Reservation& operator=(Reservation&& other) noexcept;
  ~Reservation() { Release(); }

  uint64_t bytes() const { return bytes_; }
  MemoryUse use() const { return use_; }

  // Adds `bytes` if the budget has them; false, and nothing changed, if not. REQUIRES: not empty.
  [[nodiscard]] bool TryGrow(uint64_t bytes);
  // Gives `bytes` back. REQUIRES: bytes <= bytes().
  void Shrink(uint64_t bytes);
  // Takes `bytes` out into a reservation of their own. REQUIRES: bytes <= bytes().
  Reservation Split(uint64_t bytes);
  // From now on the bytes count under `use`.
  void Transfer(MemoryUse use);
  // Gives everything back.
  void Release();
  // Gives up ownership without releasing: the caller releases bytes() by MemoryBudget::Release.
  uint64_t Detach();

 private:
  friend class MemoryBudget;
  Reservation(MemoryBudget* budget, MemoryUse use, uint64_t bytes)
      : budget_(budget), bytes_(bytes), use_(use) {}

  MemoryBudget* budget_ = nullptr;
  uint64_t bytes_ = 0;
  MemoryUse use_ = MemoryUse::kOther;
};

// Thread-safety: every method may be called by any thread.
class MemoryBudget {
 public:
  explicit MemoryBudget(uint64_t limit_bytes);
  // REQUIRES: everything was released.
  ~MemoryBudget();
  MemoryBudget(const MemoryBudget&) = delete;
  MemoryBudget& operator=(const MemoryBudget&) = delete;

  // Reserves `bytes`, or nullopt if that would pass the limit.
  [[nodiscard]] std::optional<Reservation> TryReserve(MemoryUse use, uint64_t bytes);

  // The same for owners that keep the count themselves: what was acquired must be released under
  // the same use, in any portions.
  [[nodiscard]] bool TryAcquire(MemoryUse use, uint64_t bytes);
  void Release(MemoryUse use, uint64_t bytes);

  // Moves acquired bytes from one use to another. REQUIRES: `from` holds them.
  void Transfer(MemoryUse from, MemoryUse to, uint64_t bytes);

  // May lower the limit below what is in use.
  void SetLimit(uint64_t limit_bytes);
  uint64_t limit_bytes() const { return limit_.load(std::memory_order_relaxed); }
  uint64_t used_bytes() const { return used_.load(std::memory_order_relaxed); }
  // What could be acquired now: 0 when more than the limit is in use.
  uint64_t available_bytes() const;
  // Bytes in use beyond the limit, after it was lowered; else 0.
  uint64_t excess_bytes() const;

  MemorySnapshot Snapshot() const;

 private:
  // All of it shares one cache line with its lock as far as it fits: one transfer per operation.
  mutable SpinLock lock_;
  // Written under the lock, read without by those who want no more than the number.
  std::atomic<uint64_t> limit_;
  std::atomic<uint64_t> used_{0};
  uint64_t used_peak_ ABSL_GUARDED_BY(lock_) = 0;
  std::array<uint64_t, kMemoryUseCount> by_use_ ABSL_GUARDED_BY(lock_) = {};
};

}  // namespace spillway

#endif  // SPILLWAY_STORE_INTERNAL_MEMORY_MEMORY_BUDGET_H_
