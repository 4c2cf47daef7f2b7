// How an object comes into the store: Begin, the caller writes, Seal.
#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "glog/logging.h"
#include "store/internal/handle.h"
#include "store/internal/store_core.h"
#include "store/object_ref.h"

namespace spillway::internal {

namespace {

// Puts between two looks at the clock, for the times of creation: a look costs more than most of a
// put.
constexpr uint64_t kIdsPerTimeNote = 64;

// A FlatBuffer stays where it was built if no more than this share of its block stays empty before
// it.
constexpr uint64_t kSkewShareMax = 8;
constexpr uint64_t kSkewUnitsMax = uint64_t{1} << 20;

// Ids taken at once from the 48 bits of a spill directory: enough for hours of puts without I/O,
// and for a quarter of a million opens.
constexpr uint64_t kIdsPerReservation = uint64_t{1} << 30;

// Of a block that will be written soon, this much is fetched. The hardware follows longer copies by
// itself.
constexpr uint64_t kFetchedBytesMax = 2048;
constexpr uint64_t kCacheLineBytes = 64;

void FetchForWriting(const char* bytes, uint64_t size) {
  for (uint64_t at = 0; at < std::min(size, kFetchedBytesMax); at += kCacheLineBytes) {
    __builtin_prefetch(bytes + at, /*rw=*/1);
  }
}

}  // namespace

absl::StatusOr<Entry*> StoreCore::Begin(uint64_t size, uint16_t type, const PutOptions& options) {
  if (closed()) return absl::UnavailableError("the store is closed");
  if (absl::Status status = CheckSize(size); !status.ok()) return status;
  if (!options.is_plain()) [[unlikely]] {
    if (absl::Status status = CheckPutOptions(options); !status.ok()) return status;
  }
  const absl::StatusOr<uint64_t> id = NewId();
  if (!id.ok()) return id.status();
  uint64_t offset = kNoBytes;
  absl::StatusOr<Entry*> acquired =
      AcquireEntry(*id, State::kBuilding, type, options, size, &offset);
  if (!acquired.ok()) return acquired.status();
  Entry* entry = *acquired;
  if (offset == kNoBytes) {
    absl::StatusOr<uint64_t> later = AcquireBlock(size, entry->slot, options.wait_for_room_max);
    if (!later.ok()) {
      Abandon(entry);
      return later.status();
    }
    offset = *later;
  }
  entry->place.store(PlaceOf(offset), std::memory_order_relaxed);
  entry->size.store(size, std::memory_order_relaxed);
  WakeSpillerIfNeeded();
  return entry;
}

absl::Status StoreCore::CheckPutOptions(const PutOptions& options) {
  if (absl::Status status = CheckDurable(options); !status.ok()) return status;
  return CheckContains(options.contains);
}

absl::Status StoreCore::CheckContains(absl::Span<const AnyRef> refs) {
  for (const AnyRef& ref : refs) {
    const Entry* entry = HandleAccess::EntryOf(ref);
    if (entry == nullptr) continue;
    if (SlabOf(entry).core != this) {
      return absl::InvalidArgumentError("an object cannot contain an object of another store");
    }
    const State state = StateOf(entry->word.load(std::memory_order_acquire));
    if (state == State::kDeleted || state == State::kClosed) {
      return absl::NotFoundError(
          absl::StrCat("an object cannot contain ", Describe(entry), ", which was deleted"));
    }
  }
  return absl::OkStatus();
}

void StoreCore::AddContained(absl::Span<const AnyRef> refs, EntryExtras* extras) {
  std::vector<Entry*>& contains = extras->contains;
  const auto by_id = [](const Entry* a, const Entry* b) {
    return a->id.load(std::memory_order_relaxed) < b->id.load(std::memory_order_relaxed);
  };
  const size_t sorted = contains.size();
  contains.reserve(contains.size() + refs.size());
  for (const AnyRef& ref : refs) {
    Entry* contained = HandleAccess::EntryOf(ref);
    if (contained == nullptr) continue;
    // A value that is set again contains mostly the same.
    const auto end = contains.begin() + static_cast<ptrdiff_t>(sorted);
    if (std::binary_search(contains.begin(), end, contained, by_id)) continue;
    internal::Ref(contained);
    contains.push_back(contained);
  }
  std::sort(contains.begin(), contains.end(), by_id);
}

absl::Status StoreCore::CheckSize(uint64_t size) {
  if (size <= max_object_bytes_.load(std::memory_order_relaxed)) [[likely]]
    return absl::OkStatus();
  counters_.Mine().Add(Counter::kRefusedTooLarge);
  return absl::ResourceExhaustedError(absl::StrFormat(
      "an object of %d bytes is larger than the largest that a memory limit of %d bytes can "
      "hold, "
      "%d bytes",
      size, budget_.limit_bytes(), max_object_bytes_.load(std::memory_order_relaxed)));
}

absl::StatusOr<uint64_t> StoreCore::NewId() {
  uint64_t id = next_id_.load(std::memory_order_relaxed);
  for (;;) {
    if (id >= end_id_.load(std::memory_order_acquire)) [[unlikely]] {
      if (absl::Status status = ReserveIds(); !status.ok()) return status;
      id = next_id_.load(std::memory_order_relaxed);
      continue;
    }
    if (next_id_.compare_exchange_weak(id, id + 1, std::memory_order_relaxed)) return id;
  }
}

absl::Status StoreCore::ReserveIds() {
  MutexLock lock(&ids_mutex_);
  if (reserved_ids_ && next_id_.load() < end_id_.load())
    return absl::OkStatus();  // another thread did
  absl::StatusOr<uint64_t> first = backend_->ReserveObjectIds(kIdsPerReservation);
  if (!first.ok()) return first.status();
  // The end first: no id between the two ranges may be given out.
  end_id_.store(0, std::memory_order_release);
  next_id_.store(*first, std::memory_order_relaxed);
  end_id_.store(*first + kIdsPerReservation, std::memory_order_release);
  reserved_ids_ = true;
  return absl::OkStatus();
}

absl::StatusOr<Entry*> StoreCore::AcquireEntry(uint64_t id, State state, uint16_t type,
                                               const PutOptions& options, uint64_t size,
                                               uint64_t* offset) {
  if (id % kIdsPerTimeNote == 0) NoteTime();
  // The policy's node first, then the entry, then the place in the index: each may need room.
  Entry* entry = nullptr;
  const absl::Status room = WithRoom(kSlabBytes, "metadata", Counter::kRefusedMetadata,
                                     options.wait_for_room_max, [&](AllocateEffort effort) {
                                       // Metadata is charged beside the arena's pages: free ones
                                       // are given back for it.
                                       if (effort == AllocateEffort::kReclaim)
                                         arena_->Trim(kSlabBytes);
                                       if (entry == nullptr) {
                                         if (!evictor_->ReserveForOneMore()) return false;
                                         entry = entries_->Allocate();
                                         if (entry == nullptr) return false;
                                         entry->id.store(id, std::memory_order_relaxed);
                                       }
                                       // The block's lines come from afar while the rest is done.
                                       uint64_t block = kNoOffset;
                                       if (offset != nullptr) {
                                         block = arena_->Allocate(size, entry->slot, effort);
                                       }
                                       if (block != kNoOffset) {
                                         FetchForWriting(arena_->At(block), size);
                                       }
                                       if (!index_->Insert(entry)) {
                                         // Nobody waits for room while he holds some.
                                         if (block != kNoOffset) arena_->Free(block, size);
                                         return false;
                                       }
                                       if (block != kNoOffset) *offset = block;
                                       return true;
                                     });
  if (!room.ok()) {
    if (entry != nullptr) {
      entry->id.store(0, std::memory_order_relaxed);
      entries_->Free(entry);
    }
    return room;
  }
  entry->place.store(kNoBytes, std::memory_order_relaxed);
  entry->size.store(0, std::memory_order_relaxed);
  entry->type = type;
  entry->created_ds = now_ds_.load(std::memory_order_relaxed);
  entry->accessed_ds.store(entry->created_ds, std::memory_order_relaxed);
  entry->marks.store(0, std::memory_order_relaxed);
  lives_.fetch_add(1, std::memory_order_relaxed);
  uint64_t word = kRefOne | kPinOne | StateBits(state);
  if (options.on_evict == OnEvict::kDrop) word |= kOnEvictDrop;
  if (options.on_evict == OnEvict::kNever) word |= kOnEvictNever;
  entry->word.store(word, std::memory_order_release);

  if (!options.is_plain()) [[unlikely]] {
    Stripe& stripe = StripeOf(entry);
    MutexLock lock(&stripe.mutex);
    EntryExtras& extras = stripe.extras[entry->slot];
    extras.kept = options.keep;
    AddContained(options.contains, &extras);
    if (options.durable || options.name.has_value()) {
      extras.persist = std::make_unique<DurableRequest>();
      if (options.name.has_value()) extras.persist->name = std::string(*options.name);
      extras.persist->replace = options.replace;
      extras.persist->wait = options.wait_for_room_max;
    }
    entry->word.fetch_or(kExtras, std::memory_order_relaxed);
    if (options.keep) internal::Ref(entry);
  }
  return entry;
}

absl::Status StoreCore::Seal(Entry* entry) {
  Stripe& stripe = StripeOf(entry);
  Aftermath after;
  bool published = false;
  bool was_pending = false;
  std::unique_ptr<DurableRequest> persist;
  {
    MutexLock lock(&stripe.mutex);
    const uint64_t word = entry->word.load(std::memory_order_acquire);
    const State state = StateOf(word);
    CHECK(state == State::kBuilding || state == State::kPending || state == State::kClosed ||
          state == State::kDeleted)
        << "Seal of an object in state " << StateName(state);
    if (state == State::kBuilding || state == State::kPending) {
      published = true;
      // The builder's pin goes with the state: nobody drops the bytes before we give up the lock.
      {
        const PinGuard guard(entry);
        PoisonBytes(entry);
        Transit(entry, State::kHot, 0, 0, kPinOne);
      }
      // Without a spill tier only droppable objects can ever leave.
      if (backend_ != nullptr || (word & kOnEvictDrop) != 0) evictor_->Insert(entry);
      if ((word & kExtras) != 0) {
        EntryExtras& extras = stripe.extras[entry->slot];
        TakeCallbacks(extras, &after);
        was_pending = state == State::kPending;
        persist = std::move(extras.persist);
        if (extras.empty()) {
          stripe.extras.erase(entry->slot);
          entry->word.fetch_and(~kExtras, std::memory_order_relaxed);
        }
      }
    }
  }
  if (!published) internal::Unpin(entry);
  Finish(std::move(after));
  if (!published) {
    return closed() ? absl::UnavailableError("the store was closed before the object was sealed")
                    : absl::NotFoundError("the object was deleted before it was sealed");
  }
  CounterBlock& mine = counters_.Mine();
  mine.Add(Counter::kPuts);
  mine.Add(Counter::kPutBytes, entry->size);
  mine.Record(Latency::kObjectBytes, entry->size);
  if (persist != nullptr) [[unlikely]]
    return SealDurable(entry, *persist, was_pending);
  return absl::OkStatus();
}

absl::Status StoreCore::SealDurable(Entry* entry, const DurableRequest& request, bool was_pending) {
  absl::Status status = MakeDurable(entry, request);
  // Who waited for a promised value has it by now; anything else that was not put is not there.
  if (!status.ok() && !was_pending) Delete(entry).IgnoreError();
  return status;
}

void StoreCore::Abandon(Entry* entry) {
  internal::Unpin(entry);
  internal::Unref(entry);
}

absl::StatusOr<uint64_t> StoreCore::Regrow(Entry* entry, uint64_t size, uint64_t keep_tail,
                                           uint64_t keep_head) {
  if (absl::Status status = CheckSize(size); !status.ok()) return status;
  absl::StatusOr<uint64_t> offset = AcquireBlock(size, entry->slot, -absl::Seconds(1));
  if (!offset.ok()) return offset.status();
  MutexLock lock(&StripeOf(entry).mutex);
  std::memcpy(arena_->At(*offset + size - keep_tail),
              arena_->At(BlockOffsetOf(entry) + BlockBytesOf(entry) - keep_tail), keep_tail);
  std::memcpy(arena_->At(*offset), arena_->At(BlockOffsetOf(entry)), keep_head);
  arena_->Free(BlockOffsetOf(entry), BlockBytesOf(entry));
  entry->place.store(PlaceOf(*offset), std::memory_order_relaxed);
  entry->size = size;
  return size;
}

void StoreCore::KeepTail(Entry* entry, uint64_t size) {
  const uint64_t front = entry->size - size;
  const uint64_t block = BlockOffsetOf(entry);
  MutexLock lock(&StripeOf(entry).mutex);
  if (front % kSkewUnit == 0 && front <= entry->size / kSkewShareMax &&
      front / kSkewUnit < kSkewUnitsMax) {
    entry->place.store(PlaceOf(block, front / kSkewUnit), std::memory_order_relaxed);
    entry->size = size;
    return;
  }
  // Too much would be wasted for good. A smaller block if one is at hand, else the same one.
  const uint64_t smaller = arena_->Allocate(size, entry->slot);
  if (smaller == kNoOffset) {
    std::memmove(arena_->At(block), arena_->At(block + front), size);
    arena_->ShrinkInPlace(block, entry->size, size);
  } else {
    std::memcpy(arena_->At(smaller), arena_->At(block + front), size);
    arena_->Free(block, entry->size);
    entry->place.store(PlaceOf(smaller), std::memory_order_relaxed);
  }
  entry->size = size;
}

}  // namespace spillway::internal
