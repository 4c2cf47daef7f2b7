// Gets in passing, which leave the hot tier as it is, and what gets of many objects share.
#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

#include "store/internal/async_gets.h"
#include "store/internal/store_core.h"
#include "store/internal/type_table.h"

namespace spillway::internal {

namespace {

// Objects on their way out that are looked at for the room of a copy.
constexpr int kOutgoingLookedAtMax = 256;

// Of prefetches under way: bytes, as a fraction of the limit.
constexpr uint64_t kPrefetchFraction = 4;

}  // namespace

absl::Status StoreCore::PinInPlaceOrPassing(Entry** entry, const GetOptions& options) {
  if (TryPin(*entry)) {
    CountHit(*entry);
    return absl::OkStatus();
  }
  if (!options.promote) return PinInPassing(entry, options);
  return PinSlow(*entry, options);
}

absl::Status StoreCore::PinInPassing(Entry** entry, const GetOptions& options) {
  Entry* original = *entry;
  SpillTicket ticket = kNoTicket;
  uint64_t word = 0;
  {
    MutexLock lock(&StripeOf(original).mutex);
    word = original->word.load(std::memory_order_acquire);
    if (StateOf(word) == State::kCold && (word & kRestoring) == 0) ticket = original->ticket;
  }
  // Whatever is not cold, or will not be in a moment, is had in the ordinary way.
  if (ticket == kNoTicket) return PinSlow(original, options);
  absl::StatusOr<Entry*> copy = MakeCopyEntry(original, word, options.wait_for_room_max);
  if (!copy.ok()) return copy.status();
  SpillRead read{ticket, original->id.load(std::memory_order_relaxed), TypeOf(original->type),
                 absl::MakeSpan(BytesOf(*copy), (*copy)->size)};
  std::vector<absl::Status> statuses;
  backend_->Read(absl::MakeConstSpan(&read, 1), &statuses);
  const absl::Status status = FollowMoves(original, read, statuses[0]);
  if (!status.ok()) {
    // Why, and what is to be done about it, is a matter of restores.
    internal::Unpin(*copy);
    return PinSlow(original, options);
  }
  CounterBlock& mine = counters_.Mine();
  mine.Add(Counter::kMissesPassing);
  mine.Add(Counter::kPassingBytes, (*copy)->size);
  *entry = *copy;
  return absl::OkStatus();
}

absl::StatusOr<Entry*> StoreCore::MakeCopyEntry(const Entry* original, uint64_t word,
                                                absl::Duration wait) {
  Entry* copy = nullptr;
  const absl::Status room =
      WithRoom(kSlabBytes, "metadata", Counter::kRefusedMetadata, wait, [&](AllocateEffort effort) {
        if (effort == AllocateEffort::kReclaim) arena_->Trim(kSlabBytes);
        copy = entries_->Allocate();
        return copy != nullptr;
      });
  if (!room.ok()) return room;
  const uint64_t size = original->size;
  const absl::StatusOr<uint64_t> offset = AcquireBlockInPassing(size, copy->slot, wait);
  if (!offset.ok()) {
    entries_->Free(copy);
    return offset.status();
  }
  // Dead from the start: nobody finds it, it is in no queue, and it goes with its last pin. Its id
  // is what its views tell.
  copy->id.store(original->id.load(std::memory_order_relaxed), std::memory_order_relaxed);
  copy->place.store(PlaceOf(*offset), std::memory_order_relaxed);
  copy->size.store(size, std::memory_order_relaxed);
  copy->type = original->type;
  copy->created_ds = original->created_ds;
  copy->accessed_ds.store(now_ds_.load(std::memory_order_relaxed), std::memory_order_relaxed);
  lives_.fetch_add(1, std::memory_order_relaxed);
  copy->word.store(kPinOne | StateBits(State::kDeleted) | kUnpinSlow | (word & kUnverified),
                   std::memory_order_release);
  return copy;
}

absl::StatusOr<uint64_t> StoreCore::AcquireBlockInPassing(uint64_t size, uint32_t slot,
                                                          absl::Duration wait) {
  uint64_t offset = arena_->Allocate(size, slot, AllocateEffort::kBalanced);
  for (int i = 0; offset == kNoOffset && i < kOutgoingLookedAtMax; ++i) {
    // What is on its way out anyhow.
    const std::optional<Evictor::Victim> victim = evictor_->NextOutgoing();
    if (!victim) break;
    uint64_t freed = 0;
    if (TryDrop(*victim, /*spare_needed=*/true, &freed) != DropResult::kDropped) continue;
    offset = arena_->Allocate(size, slot, AllocateEffort::kBalanced);
  }
  if (offset != kNoOffset) return offset;
  return AcquireBlock(size, slot, wait);
}

void StoreCore::SortByPlace(std::vector<Entry*>* entries, std::vector<size_t>* order) {
  std::vector<SpillTicket> tickets;
  for (Entry* entry : *entries) {
    MutexLock lock(&StripeOf(entry).mutex);
    tickets.push_back(entry->ticket);
  }
  order->resize(entries->size());
  std::iota(order->begin(), order->end(), size_t{0});
  std::stable_sort(order->begin(), order->end(),
                   [&](size_t a, size_t b) { return tickets[a] < tickets[b]; });
  std::vector<Entry*> sorted;
  for (const size_t i : *order) sorted.push_back((*entries)[i]);
  *entries = std::move(sorted);
}

void StoreCore::GetAsync(Entry* entry, const GetOptions& options,
                         std::function<void(absl::Status, Entry*)> callback) {
  async_gets_->Get(entry, options, std::move(callback));
}

size_t StoreCore::Prefetch(absl::Span<Entry* const> entries) {
  if (backend_ == nullptr) return 0;
  return async_gets_->Prefetch(entries, budget_.limit_bytes() / kPrefetchFraction);
}

}  // namespace spillway::internal
