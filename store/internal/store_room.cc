// How room is made in memory: by dropping what can go without I/O, by moving what is spread thin,
// and by waiting in turn for the spiller.
#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "glog/logging.h"
#include "store/internal/store_core.h"

namespace spillway::internal {

namespace {

// Victims looked at by one DropSome before it gives up: pinned and dirty ones count, so that a
// caller does not walk through a whole store in which nothing can go.
constexpr int kVictimsLookedAtMax = 256;

// Bytes dropped beyond the need by one caller that found no room, so that the next ones find some.
constexpr uint64_t kDropStepBytes = 64 * kKiB;

// Once this many times the wanted bytes were dropped in vain, the free bytes are spread too thin,
// and objects are moved together.
constexpr uint64_t kDroppedInVainFactor = 2;

// Objects moved by one Compact.
constexpr size_t kMovesMax = 4096;

constexpr size_t kPinHoldersNamedMax = 3;

}  // namespace

absl::Time StoreCore::DeadlineOf(absl::Duration wait) const {
  return clock_->Now() + (wait < absl::ZeroDuration() ? options_.wait_for_room_max : wait);
}

absl::Time StoreCore::JoinDeadline(absl::Duration wait) const {
  return DeadlineOf(wait) + options_.wait_for_room_max;
}

absl::StatusOr<uint64_t> StoreCore::AcquireBlock(uint64_t size, uint32_t slot,
                                                 absl::Duration wait) {
  uint64_t offset = kNoOffset;
  const absl::Status status =
      WithRoom(size, "memory", Counter::kRefusedMemory, wait, [&](AllocateEffort effort) {
        offset = arena_->Allocate(size, slot, effort);
        return offset != kNoOffset;
      });
  if (!status.ok()) return status;
  return offset;
}

uint64_t StoreCore::TryAcquireBlock(uint64_t size, uint32_t slot) {
  uint64_t offset = kNoOffset;
  const auto attempt = [&](AllocateEffort effort) {
    offset = arena_->Allocate(size, slot, effort);
    return offset != kNoOffset;
  };
  if (room_queue_->empty() && TryWithDrops(size, attempt)) return offset;
  return kNoBytes;
}

absl::Status StoreCore::WithRoom(uint64_t size, const char* what, Counter refused,
                                 absl::Duration wait,
                                 absl::FunctionRef<bool(AllocateEffort)> attempt) {
  if (room_queue_->empty() && TryWithDrops(size, attempt)) return absl::OkStatus();
  return WaitForRoom(size, what, refused, wait, attempt);
}

bool StoreCore::TryWithDrops(uint64_t size, absl::FunctionRef<bool(AllocateEffort)> attempt) {
  if (attempt(AllocateEffort::kBalanced)) [[likely]]
    return true;
  uint64_t dropped_bytes = 0;
  // Who has dropped more than there was drops for others: then it is time to wait in turn.
  const uint64_t dropped_bytes_max = budget_.used_bytes() + size;
  for (;;) {
    const uint64_t dropped = DropSome(std::max(size, kDropStepBytes));
    if (attempt(AllocateEffort::kBalanced)) return true;
    dropped_bytes += dropped;
    if (dropped == 0 || dropped_bytes > kDroppedInVainFactor * size + kDropStepBytes) {
      if (attempt(AllocateEffort::kReclaim)) return true;
      if (Compact(size) > 0 && attempt(AllocateEffort::kReclaim)) return true;
      if (dropped == 0 || dropped_bytes > dropped_bytes_max) return false;
    }
  }
}

absl::Status StoreCore::WaitForRoom(uint64_t size, const char* what, Counter refused,
                                    absl::Duration wait,
                                    absl::FunctionRef<bool(AllocateEffort)> attempt) {
  // Nobody is asked to wait for what cannot come.
  if (backend_ == nullptr && room_queue_->empty() && !RoomMayCome())
    return NoRoom(size, what, refused);
  const int64_t began = clock_->MonotonicNanos();
  const absl::Time deadline = DeadlineOf(wait);
  AdmissionQueue::Ticket ticket(room_queue_.get());
  if (!ticket.entered()) {
    if (closed()) return absl::UnavailableError("the store is closed");
    counters_.Mine().Add(refused);
    return absl::ResourceExhaustedError(
        absl::StrFormat("no room for %d bytes, and %d callers wait for room already (waiters_max)",
                        size, room_queue_->waiters()));
  }
  counters_.Mine().Add(Counter::kWaits);
  for (;;) {
    if (spiller_ != nullptr) spiller_->Wake();
    switch (ticket.Await(deadline)) {
      case AdmissionQueue::Wake::kClosed:
        return absl::UnavailableError("the store was closed");
      case AdmissionQueue::Wake::kDeadline:
        return NoRoom(size, what, refused);
      case AdmissionQueue::Wake::kTryNow:
        break;
    }
    if (TryWithDrops(size, attempt)) break;
    if (backend_ == nullptr && !RoomMayCome()) return NoRoom(size, what, refused);
  }
  counters_.Mine().Record(Latency::kWait, static_cast<uint64_t>(clock_->MonotonicNanos() - began));
  room_queue_->NotifyRoom();  // for the next one: what was freed may do for both
  return absl::OkStatus();
}

bool StoreCore::RoomMayCome() const {
  if (spiller_ != nullptr && !spiller_->idle()) return true;
  return !evictor_->policy_empty() || evictor_->outgoing_bytes() > 0;
}

uint64_t StoreCore::DropSome(uint64_t want_bytes) {
  bool dirty = false;
  const uint64_t freed = DropSome(want_bytes, /*spare_needed=*/true, &dirty);
  if (freed > 0) return freed;
  // What is being written will make room, too, as long as the writes succeed.
  if (dirty && spiller_ != nullptr && spiller_->last_failure().ok()) return 0;
  return DropSome(want_bytes, /*spare_needed=*/false, &dirty);
}

uint64_t StoreCore::DropSome(uint64_t want_bytes, bool spare_needed, bool* found_dirty) {
  uint64_t freed = 0;
  bool dirty = false;
  for (int looked_at = 0; freed < want_bytes && looked_at < kVictimsLookedAtMax; ++looked_at) {
    std::optional<Evictor::Victim> victim = evictor_->NextOutgoing();
    if (!victim) victim = evictor_->NextVictim();
    if (!victim) break;
    switch (TryDrop(*victim, spare_needed, &freed)) {
      case DropResult::kDropped:
        looked_at = 0;
        break;
      case DropResult::kDirty:
        dirty = true;
        break;
      case DropResult::kPinned:
      case DropResult::kGone:
        break;
    }
    // What the spiller has been handed will do; more would only take it from the policy too early.
    if (dirty && evictor_->to_spill_bytes() >= want_bytes) break;
  }
  if (dirty && spiller_ != nullptr) spiller_->Wake();
  *found_dirty |= dirty;
  return freed;
}

StoreCore::DropResult StoreCore::TryDrop(const Evictor::Victim& victim, bool spare_needed,
                                         uint64_t* freed) {
  Entry* entry = victim.entry;
  Stripe& stripe = StripeOf(entry);
  Aftermath after;
  DropResult result;
  {
    MutexLock lock(&stripe.mutex);
    if (entry->id.load(std::memory_order_relaxed) != victim.id) return DropResult::kGone;
    const uint64_t block_bytes = Arena::BlockSize(BlockBytesOf(entry));
    result = DropLocked(entry, spare_needed, &after);
    if (result == DropResult::kDropped) {
      *freed += block_bytes;
      // While nobody had the victim's queue, a Flush may have written it and queued it again.
      evictor_->LeaveQueue(entry);
    }
    if (result == DropResult::kPinned) evictor_->Readmit(victim);
    if (result == DropResult::kDirty) {
      if (backend_ != nullptr) {
        evictor_->PushToSpill(victim);
      } else {
        evictor_->Readmit(victim);
      }
    }
  }
  return result;
}

StoreCore::DropResult StoreCore::DropLocked(Entry* entry, bool spare_needed, Aftermath* after) {
  uint64_t word = entry->word.load(std::memory_order_acquire);
  for (;;) {
    if (!IsResident(word)) return DropResult::kGone;
    if (PinsOf(word) > 0) {
      // Asks the last unpin to tell of the room.
      if (entry->word.compare_exchange_weak(word, word | kUnpinSlow, std::memory_order_acq_rel)) {
        return DropResult::kPinned;
      }
      continue;
    }
    if (spare_needed && (word & kNeededSoon) != 0) return DropResult::kPinned;
    const bool lossy = (word & kOnEvictDrop) != 0;
    if (StateOf(word) == State::kHot && !lossy) return DropResult::kDirty;
    const State next = lossy ? State::kDropped : State::kCold;
    if (!entry->word.compare_exchange_weak(word, (word & ~kStateMask) | StateBits(next),
                                           std::memory_order_acq_rel)) {
      continue;
    }
    CounterBlock& mine = counters_.Mine();
    mine.Add(lossy ? Counter::kDroppedLossy : Counter::kDroppedClean);
    mine.Add(lossy ? Counter::kDroppedLossyBytes : Counter::kDroppedCleanBytes, entry->size);
    FreeBytes(entry, after);
    return DropResult::kDropped;
  }
}

uint64_t StoreCore::Compact(uint64_t want_bytes) {
  std::vector<BlockTag> slots;
  arena_->CollectSparse(want_bytes, kMovesMax, &slots);
  uint64_t moved = 0;
  for (const BlockTag slot : slots) moved += Move(slot) ? 1 : 0;
  return moved;
}

bool StoreCore::Move(uint32_t slot) {
  Entry* entry = entries_->At(slot);
  MutexLock lock(&StripeOf(entry).mutex);
  uint64_t word = entry->word.load(std::memory_order_acquire);
  if (!IsResident(word) || PinsOf(word) > 0) return false;
  // Nothing but pages at hand: a move must not take what it is to set free.
  const uint64_t to = arena_->Allocate(entry->size, slot, AllocateEffort::kReuse);
  if (to == kNoOffset) return false;
  const State state = StateOf(word);
  if (!entry->word.compare_exchange_strong(word, (word & ~kStateMask) | StateBits(State::kMoving),
                                           std::memory_order_acq_rel)) {
    arena_->Free(to, entry->size);
    return false;
  }
  UnpoisonBytes(entry);
  std::memcpy(arena_->At(to), BytesOf(entry), entry->size);
  arena_->Free(BlockOffsetOf(entry), BlockBytesOf(entry));
  entry->place.store(PlaceOf(to), std::memory_order_relaxed);
  PoisonBytes(entry);
  Transit(entry, state);
  counters_.Mine().Add(Counter::kMoves);
  return true;
}

uint64_t StoreCore::UnreclaimableBytes() const {
  const uint64_t used = budget_.used_bytes();
  const uint64_t reclaimable = evictor_->outgoing_bytes() + arena_->reclaimable_bytes();
  return used > reclaimable ? used - reclaimable : 0;
}

void StoreCore::WakeSpillerIfNeeded() {
  if (spiller_ != nullptr) spiller_->WakeIfAboveHigh();
}

absl::Status StoreCore::NoRoom(uint64_t size, const char* what, Counter refused) {
  counters_.Mine().Add(refused);
  std::string message =
      absl::StrFormat("no room for %d bytes of %s: %s", size, what, budget_.Snapshot().ToString());
  if (backend_ == nullptr) {
    absl::StrAppend(&message,
                    "; the store has no spill directory, and nothing more can be dropped");
  } else if (absl::Status failure = spiller_->last_failure(); !failure.ok()) {
    absl::StrAppend(&message, "; spilling fails: ", failure.ToString());
  }
  absl::StrAppend(&message, LargestPinHolders());
  return absl::ResourceExhaustedError(message);
}

std::string StoreCore::LargestPinHolders() {
  struct Holder {
    uint64_t bytes;
    std::string text;
  };
  std::vector<Holder> largest;
  uint64_t pinned_bytes = 0, kept_bytes = 0;
  entries_->ForEach([&](Entry* entry) {
    MutexLock lock(&StripeOf(entry).mutex);
    const uint64_t word = entry->word.load(std::memory_order_acquire);
    if ((word & kOnEvictNever) != 0 && IsResident(word)) kept_bytes += entry->size;
    if (StateOf(word) == State::kCold || HolderPinsOf(word) == 0) return;
    const uint64_t bytes = entry->size;
    pinned_bytes += bytes;
    if (largest.size() == kPinHoldersNamedMax && largest.back().bytes >= bytes) return;
    if (largest.size() == kPinHoldersNamedMax) largest.pop_back();
    largest.push_back(
        {bytes, absl::StrFormat("%s with %d pins", Describe(entry), HolderPinsOf(word))});
    std::sort(largest.begin(), largest.end(),
              [](const Holder& a, const Holder& b) { return a.bytes > b.bytes; });
  });
  std::string text =
      absl::StrFormat("; pinned %d bytes, kept in memory by choice %d", pinned_bytes, kept_bytes);
  const char* separator = "; largest pinned: ";
  for (const Holder& holder : largest) {
    absl::StrAppend(&text, separator, holder.text);
    separator = ", ";
  }
  return text;
}

}  // namespace spillway::internal
