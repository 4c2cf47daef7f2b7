// What the store tells of itself.
#include <algorithm>

#include "store/internal/store_core.h"

namespace spillway::internal {

StoreStats StoreCore::Stats() {
  StoreStats stats;
  // One snapshot of the budget is taken between two equal looks at the arena, so that the arena's
  // parts sum to what the budget has under its name; when the store is busy, the last look must do.
  MemorySnapshot budget;
  ArenaUsage arena;
  constexpr int kLooksMax = 16;
  for (int i = 0; i < kLooksMax; ++i) {
    arena = arena_->Usage();
    budget = budget_.Snapshot();
    if (budget.bytes(MemoryUse::kArena) == arena.committed_bytes) break;
  }
  // Of different moments, the parts may be more than the whole, which must not show.
  const uint64_t in_arena = budget.bytes(MemoryUse::kArena);
  stats.memory.payload_bytes = std::min(arena.payload_bytes, in_arena);
  stats.memory.rounding_bytes =
      std::min(arena.rounding_bytes, in_arena - stats.memory.payload_bytes);
  stats.memory.fragmentation_bytes =
      in_arena - stats.memory.payload_bytes - stats.memory.rounding_bytes;
  stats.memory.entries_bytes = budget.bytes(MemoryUse::kEntries);
  stats.memory.index_bytes = budget.bytes(MemoryUse::kIndex);
  stats.memory.policy_bytes = budget.bytes(MemoryUse::kPolicy);
  stats.memory.buffers_bytes =
      budget.bytes(MemoryUse::kSpillBuffers) + budget.bytes(MemoryUse::kRestoreBuffers);
  stats.memory.backend_bytes = budget.bytes(MemoryUse::kBackend);
  stats.memory.other_bytes =
      budget.bytes(MemoryUse::kOther) + budget.bytes(MemoryUse::kArenaMetadata);
  stats.memory_limit_bytes = budget.limit_bytes;
  stats.memory_used_bytes = budget.used_bytes;
  stats.memory_used_bytes_peak = budget.used_bytes_peak;
  stats.max_object_bytes = max_object_bytes();

  entries_->ForEach([&stats](const Entry* entry) {
    const uint64_t word = entry->word.load(std::memory_order_acquire);
    const State state = StateOf(word);
    if (state == State::kFree) return;
    ++stats.objects;
    const uint64_t bytes = entry->size;
    if (state == State::kHot) ++stats.hot_objects, stats.hot_bytes += bytes;
    if (state == State::kClean) ++stats.clean_objects, stats.clean_bytes += bytes;
    if (state == State::kCold) ++stats.cold_objects, stats.cold_bytes += bytes;
    if (HolderPinsOf(word) > 0) {
      ++stats.pinned_objects, stats.pinned_bytes += bytes;
    }
  });

  const auto sum = [this](Counter counter) { return counters_.Sum(counter); };
  stats.puts = sum(Counter::kPuts);
  stats.put_bytes = sum(Counter::kPutBytes);
  stats.hits = sum(Counter::kHits);
  stats.misses_cold = sum(Counter::kMissesCold);
  stats.misses_joined = sum(Counter::kMissesJoined);
  stats.misses_pending = sum(Counter::kMissesPending);
  stats.misses_passing = sum(Counter::kMissesPassing);
  stats.misses =
      stats.misses_cold + stats.misses_joined + stats.misses_pending + stats.misses_passing;
  stats.passing_bytes = sum(Counter::kPassingBytes);
  stats.lost = sum(Counter::kLost);
  stats.restores = sum(Counter::kRestores);
  stats.restored_bytes = sum(Counter::kRestoredBytes);
  stats.spills = sum(Counter::kSpills);
  stats.spilled_bytes = sum(Counter::kSpilledBytes);
  stats.dropped_clean = sum(Counter::kDroppedClean);
  stats.dropped_clean_bytes = sum(Counter::kDroppedCleanBytes);
  stats.dropped_lossy = sum(Counter::kDroppedLossy);
  stats.dropped_lossy_bytes = sum(Counter::kDroppedLossyBytes);
  stats.deletes = sum(Counter::kDeletes);
  stats.waits = sum(Counter::kWaits);
  stats.refused_memory = sum(Counter::kRefusedMemory);
  stats.refused_too_large = sum(Counter::kRefusedTooLarge);
  stats.refused_metadata = sum(Counter::kRefusedMetadata);
  stats.spill_failures = sum(Counter::kSpillFailures);
  stats.restore_failures = sum(Counter::kRestoreFailures);

  if (backend_ != nullptr) {
    const SpillUsage disk = backend_->Usage();
    stats.disk_live_bytes = disk.live_bytes;
    stats.disk_held_bytes = disk.held_bytes;
    stats.disk_held_bytes_peak = disk.held_bytes_peak;
  }
  stats.hit_ns = counters_.Sum(Latency::kHit);
  stats.restore_ns = counters_.Sum(Latency::kRestore);
  stats.put_ns = counters_.Sum(Latency::kPut);
  stats.wait_ns = counters_.Sum(Latency::kWait);
  stats.object_bytes = counters_.Sum(Latency::kObjectBytes);
  return stats;
}

void StoreCore::VisitHolders(
    absl::FunctionRef<void(const Entry*, const EntryExtras*, uint32_t)> visit) {
  // Who is contained how often, first: one stripe at a time, so that the whole is of no single
  // moment.
  absl::flat_hash_map<uint32_t, uint32_t> contained;
  for (Stripe& stripe : stripes_) {
    MutexLock lock(&stripe.mutex);
    for (const auto& [slot, extras] : stripe.extras) {
      for (const Entry* entry : extras.contains) ++contained[entry->slot];
    }
  }
  entries_->ForEach([&](Entry* entry) {
    Stripe& stripe = StripeOf(entry);
    MutexLock lock(&stripe.mutex);
    if (StateOf(entry->word.load(std::memory_order_acquire)) == State::kFree) return;
    const auto extras = stripe.extras.find(entry->slot);
    const auto count = contained.find(entry->slot);
    visit(entry, extras == stripe.extras.end() ? nullptr : &extras->second,
          count == contained.end() ? 0 : count->second);
  });
}

}  // namespace spillway::internal
