// What a store tells of itself. All numbers are exact when the store is quiet.
#ifndef SPILLWAY_STORE_STATS_H_
#define SPILLWAY_STORE_STATS_H_

#include <array>
#include <cstdint>
#include <string>

namespace spillway {

// Counts by power of two: bucket i counts values v with bit_width(v) == i.
struct Histogram {
  std::array<uint64_t, 65> buckets{};

  uint64_t count() const;
  // Upper bound of the bucket in which the fraction `q` (0..1) of the values is reached; 0 if
  // empty.
  uint64_t Quantile(double q) const;
};

struct StoreStats {
  // Where the bytes under the memory limit are. They sum to memory_used_bytes exactly.
  struct Memory {
    uint64_t payload_bytes = 0;        // as put
    uint64_t rounding_bytes = 0;       // blocks are larger than payloads
    uint64_t fragmentation_bytes = 0;  // touched pages that hold no payload
    uint64_t entries_bytes = 0;
    uint64_t index_bytes = 0;
    uint64_t policy_bytes = 0;
    uint64_t buffers_bytes = 0;  // spills and restores in flight
    uint64_t backend_bytes = 0;  // the spill tier's own
    uint64_t other_bytes = 0;    // allocator metadata, containers, labels
  } memory;
  uint64_t memory_limit_bytes = 0;
  uint64_t memory_used_bytes = 0;
  uint64_t memory_used_bytes_peak = 0;
  uint64_t max_object_bytes = 0;  // the largest object that a put or a restore can take in

  // Objects by state, and their payload bytes.
  uint64_t objects = 0;
  uint64_t hot_objects = 0, hot_bytes = 0;      // resident, not on disk
  uint64_t clean_objects = 0, clean_bytes = 0;  // resident and on disk
  uint64_t cold_objects = 0, cold_bytes = 0;    // on disk only
  uint64_t pinned_objects = 0, pinned_bytes = 0;

  uint64_t puts = 0, put_bytes = 0;
  uint64_t hits = 0;            // gets served from memory
  uint64_t misses = 0;          // gets that had to wait, for one of these:
  uint64_t misses_cold = 0;     // to restore the object
  uint64_t misses_joined = 0;   // for another get's restore
  uint64_t misses_pending = 0;  // for a value that was still to come
  uint64_t misses_passing = 0;  // to read a copy, by GetOptions::promote = false
  uint64_t passing_bytes = 0;   // of such copies
  uint64_t restores = 0, restored_bytes = 0;
  uint64_t spills = 0, spilled_bytes = 0;
  uint64_t dropped_clean = 0, dropped_clean_bytes = 0;  // left memory without I/O
  uint64_t dropped_lossy = 0, dropped_lossy_bytes = 0;  // droppable objects that are gone
  // Values that were found gone and asked for anew, by AnyRef::OnLoss. Once nothing is pending,
  // puts are deletes, lost ones and objects that are there.
  uint64_t lost = 0;
  uint64_t deletes = 0;
  uint64_t waits = 0;              // puts and restores that waited for room
  uint64_t refused_memory = 0;     // ResourceExhausted: no room before the deadline
  uint64_t refused_too_large = 0;  // larger than max_object_bytes
  uint64_t refused_metadata = 0;   // no room for one more entry
  uint64_t spill_failures = 0, restore_failures = 0;

  // The spill tier.
  uint64_t disk_live_bytes = 0, disk_held_bytes = 0, disk_held_bytes_peak = 0;

  // Latencies in nanoseconds: after one hit in 1024, of the same get once more; of one put in 64;
  // of every restore and wait.
  Histogram hit_ns, restore_ns, put_ns, wait_ns;
  Histogram object_bytes;  // sizes put

  // A table for people.
  std::string ToString() const;
};

}  // namespace spillway

#endif  // SPILLWAY_STORE_STATS_H_
