// Counters that cost a plain add: every thread has its own, a reader sums them.
//
// A thread finds its own block through one thread-local variable that remembers the store it used
// last. A thread that ends leaves its block to the next one that comes, so that blocks are as many
// as threads were at once.
#ifndef SPILLWAY_STORE_INTERNAL_COUNTERS_H_
#define SPILLWAY_STORE_INTERNAL_COUNTERS_H_

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "serialization/mutex.h"
#include "store/stats.h"

namespace spillway::internal {

enum class Counter : uint8_t {
  kHits,  // first: beside the ring's ends
  kMissesCold,
  kMissesJoined,
  kMissesPending,
  kMissesPassing,
  kPassingBytes,
  kLost,
  kPuts,
  kPutBytes,
  kRestores,
  kRestoredBytes,
  kSpills,
  kSpilledBytes,
  kDroppedClean,
  kDroppedCleanBytes,
  kDroppedLossy,
  kDroppedLossyBytes,
  kDeletes,
  kWaits,
  kRefusedMemory,
  kRefusedTooLarge,
  kRefusedMetadata,
  kSpillFailures,
  kRestoreFailures,
  kMoves,
  kCount,
};

// Of so many hits and puts the time of one is taken: reading the clock costs as much as both.
inline constexpr uint64_t kHitsPerSample = 1024;
inline constexpr uint64_t kPutsPerSample = 64;

enum class Latency : uint8_t { kHit, kRestore, kPut, kWait, kObjectBytes, kCount };

// One thread's numbers. Written by one thread at a time, read by any.
struct alignas(64) CounterBlock {
  // Hits in the order they came, for policies to which order matters: slots, oldest at `hits_read`.
  // A full ring forgets new hits; who looks for victims drains it.
  static constexpr uint32_t kHitRing = 64;
  std::atomic<uint32_t> hits_written{0};
  std::atomic<uint32_t> hits_read{0};
  std::array<std::atomic<uint64_t>, static_cast<size_t>(Counter::kCount)> counts{};
  std::array<std::atomic<uint32_t>, kHitRing> hit_ring{};
  std::array<std::array<std::atomic<uint64_t>, 65>, static_cast<size_t>(Latency::kCount)>
      histograms{};
  std::atomic<bool> in_use{true};

  // Returns the sum.
  uint64_t Add(Counter counter, uint64_t n = 1) {
    auto& count = counts[static_cast<size_t>(counter)];
    const uint64_t sum = count.load(std::memory_order_relaxed) + n;
    count.store(sum, std::memory_order_relaxed);
    return sum;
  }
  void Record(Latency latency, uint64_t value) {
    auto& bucket = histograms[static_cast<size_t>(latency)][std::bit_width(value)];
    bucket.store(bucket.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }
  // Whether to take the time of the next operation that `counter` counts: of one in `every`, a
  // power of two.
  bool Samples(Counter counter, uint64_t every) const {
    return (counts[static_cast<size_t>(counter)].load(std::memory_order_relaxed) & (every - 1)) ==
           every - 1;
  }
  // False if the ring is full.
  bool PushHit(uint32_t slot) {
    const uint32_t at = hits_written.load(std::memory_order_relaxed);
    if (at - hits_read.load(std::memory_order_acquire) == kHitRing) return false;
    hit_ring[at % kHitRing].store(slot, std::memory_order_relaxed);
    hits_written.store(at + 1, std::memory_order_release);
    return true;
  }
};

// A store's counters. Thread-safe.
class Counters {
 public:
  Counters();
  ~Counters();
  Counters(const Counters&) = delete;
  Counters& operator=(const Counters&) = delete;

  // The calling thread's block.
  CounterBlock& Mine() {
    if (last_.owner == number_) [[likely]]
      return *last_.block;
    return MineSlow();
  }

  uint64_t Sum(Counter counter) const;
  Histogram Sum(Latency latency) const;

  // Calls fn(slot) for all hits in the rings, each thread's in order. One caller at a time.
  template <typename Fn>
  void DrainHits(Fn fn) {
    MutexLock lock(&mutex_);
    for (const auto& block : blocks_) {
      const uint32_t end = block->hits_written.load(std::memory_order_acquire);
      const uint32_t begin = block->hits_read.load(std::memory_order_relaxed);
      uint32_t at = begin;
      for (; at != end; ++at) {
        fn(block->hit_ring[at % CounterBlock::kHitRing].load(std::memory_order_relaxed));
      }
      if (at != begin) block->hits_read.store(at, std::memory_order_release);
    }
  }

 private:
  // What a thread used last: the store's number (never reused, 0 is none) and its block there.
  struct Last {
    uint64_t owner = 0;
    CounterBlock* block = nullptr;
  };

  // The blocks that one thread holds; defined in counters.cc.
  struct ThreadBlocks;
  static ThreadBlocks& MyBlocks();

  CounterBlock& MineSlow();

  static thread_local constinit Last last_;

  const uint64_t number_;
  mutable Mutex mutex_;
  std::vector<std::shared_ptr<CounterBlock>> blocks_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace spillway::internal

#endif  // SPILLWAY_STORE_INTERNAL_COUNTERS_H_
