#include "store/internal/store_core.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "glog/logging.h"
#include "store/internal/type_table.h"

namespace spillway::internal {

namespace {

// Stripes, counters of the first threads and the like.
constexpr uint64_t kFixedBytes = 64 * kKiB;

// Views of one object whose labels are noted; the numbers have 16 bits.
constexpr size_t kLabelsMax = 65535;

// Objects named in the message of a Close that is refused.
constexpr int kPinnedNamedMax = 5;

// Whether a put was counted for an object in this state, whose end counts as a delete then.
bool WasPut(State state) {
  return state == State::kHot || state == State::kClean || state == State::kCold ||
         state == State::kDropped;
}

}  // namespace

void UnpinSlow(Entry* entry) { SlabOf(entry).core->Unpin(entry); }
void UnrefSlow(Entry* entry) { SlabOf(entry).core->Unref(entry); }

StoreCore::StoreCore(const StoreOptions& options)
    : options_(options),
      clock_(options.clock != nullptr ? options.clock : Clock::Real()),
      executor_(options.executor != nullptr ? options.executor : Executor::Real()),
      opened_(clock_->Now()),
      budget_(options.memory_limit_bytes),
      claims_(clock_, options.waiters_max) {}

StoreCore::~StoreCore() {
  async_gets_.reset();
  spiller_.reset();
  backend_.reset();
  evictor_.reset();
  index_.reset();
  entries_.reset();
  arena_.reset();
}

absl::StatusOr<StoreCore*> StoreCore::Open(const StoreOptions& options,
                                           std::unique_ptr<SpillBackend> backend) {
  if (absl::Status status = ValidateStoreOptions(options); !status.ok()) return status;
  auto* core = new StoreCore(options);
  if (absl::Status status = core->Start(std::move(backend)); !status.ok()) {
    core->Orphan();
    return status;
  }
  return core;
}

absl::Status StoreCore::Start(std::unique_ptr<SpillBackend> backend) {
  const auto too_small = [this](const char* what, uint64_t bytes) {
    return absl::ResourceExhaustedError(absl::StrFormat(
        "memory_limit_bytes = %d does not hold %s, which needs %d bytes: raise the limit",
        options_.memory_limit_bytes, what, bytes));
  };
  backend_ = std::move(backend);
  uint64_t fixed = kFixedBytes;
  if (backend_ != nullptr) {
    backend_memory_bytes_ = backend_->memory_bytes_max();
    fixed += (Spiller::kJobs + 1) * Spiller::BatchRecordsMax(options_.memory_limit_bytes) *
             Spiller::kTableBytesPerRecord;
    std::optional<Reservation> held =
        budget_.TryReserve(MemoryUse::kBackend, backend_memory_bytes_);
    if (!held) return too_small("the spill tier", backend_memory_bytes_);
    backend_reservation_ = *std::move(held);
  }
  std::optional<Reservation> held = budget_.TryReserve(MemoryUse::kOther, fixed);
  if (!held) return too_small("the store's tables", fixed);
  fixed_ = *std::move(held);

  ArenaOptions arena_options;
  arena_options.huge_pages = options_.huge_pages;
  absl::StatusOr<std::unique_ptr<Arena>> arena = Arena::Create(arena_options, &budget_);
  if (!arena.ok()) return arena.status();
  arena_ = *std::move(arena);
  CHECK_LT(arena_->region_bytes(), kNoBytes);
  entries_ = std::make_unique<EntryTable>(this, arena_->region(), &budget_);
  index_ = std::make_unique<IdIndex>(entries_.get(), &budget_);
  absl::StatusOr<std::unique_ptr<Evictor>> evictor = Evictor::Create(
      options_.eviction_policy, PolicyCapacity(), entries_.get(), &counters_, &budget_);
  if (!evictor.ok()) return evictor.status();
  evictor_ = *std::move(evictor);
  hit_tracking_ = evictor_->hit_tracking();
  room_queue_ =
      std::make_unique<AdmissionQueue>(AdmissionQueueOptions{options_.waiters_max}, clock_);
  max_object_bytes_.store(LargestObject(), std::memory_order_relaxed);
  async_gets_ = std::make_unique<AsyncGets>(this, executor_, options_.async_gets_max);
  if (options_.prefault) arena_->Prefault(max_object_bytes());
  if (backend_ != nullptr) {
    if (absl::Status status = ReserveIds(); !status.ok()) return status;
    backend_->SetRelocationListener(this);
    spiller_ = std::make_unique<Spiller>(this, backend_.get());
    spiller_->Start(executor_);
  }
  return absl::OkStatus();
}

uint64_t StoreCore::PolicyCapacity() const {
  const uint64_t fixed = backend_memory_bytes_ + fixed_.bytes();
  const uint64_t limit = budget_.limit_bytes();
  return limit > fixed ? limit - fixed : 1;
}

uint64_t StoreCore::LargestObject() const {
  // What the arena could grant if nothing but the fixed parts and a first slab of entries stood in
  // the budget; a 32nd of the limit is left to tables that grow.
  const uint64_t limit = budget_.limit_bytes();
  const uint64_t taken = PolicyCapacity() == 1 ? limit : limit - PolicyCapacity();
  const uint64_t tables = std::max<uint64_t>(limit / 32, kMiB);
  return limit > taken + tables ? Arena::LargestBlock(limit - taken - tables) : 0;
}

absl::Time StoreCore::TimeOf(uint32_t deciseconds) const {
  return opened_ + absl::Milliseconds(100) * deciseconds;
}

void StoreCore::NoteTime() {
  now_ds_.store(static_cast<uint32_t>((clock_->Now() - opened_) / absl::Milliseconds(100)),
                std::memory_order_relaxed);
}

std::string StoreCore::Describe(const Entry* entry) const {
  return absl::StrFormat("object %016x (%s, %d bytes)", entry->id.load(std::memory_order_relaxed),
                         DescribeType(entry->type), entry->size.load());
}

absl::StatusOr<Entry*> StoreCore::Find(ObjectId id) {
  if (closed()) return absl::UnavailableError("the store is closed");
  Entry* entry = id ? index_->FindAndRef(id.value) : nullptr;
  if (entry == nullptr ||
      StateOf(entry->word.load(std::memory_order_acquire)) == State::kBuilding) {
    if (entry != nullptr) internal::Unref(entry);
    if (id && options_.recovery == SpillRecovery::kKeep) return FindDurable(id.value);
    return absl::NotFoundError(absl::StrCat("no object ", ToString(id), ": unknown or deleted"));
  }
  return entry;
}

Entry* StoreCore::FindContained(Entry* container, ObjectId id) {
  // What a durable container of another run contains, nobody has told this process.
  if ((container->word.load(std::memory_order_acquire) & kDurable) != 0) {
    const absl::StatusOr<Entry*> found = Find(id);
    if (found.ok()) return *found;
  }
  Stripe& stripe = StripeOf(container);
  MutexLock lock(&stripe.mutex);
  const auto extras = stripe.extras.find(container->slot);
  if (extras == stripe.extras.end()) return nullptr;
  const std::vector<Entry*>& contains = extras->second.contains;
  const auto found = std::lower_bound(contains.begin(), contains.end(), id.value,
                                      [](const Entry* entry, uint64_t wanted) {
                                        return entry->id.load(std::memory_order_relaxed) < wanted;
                                      });
  if (found == contains.end() || (*found)->id.load(std::memory_order_relaxed) != id.value) {
    return nullptr;
  }
  internal::Ref(*found);  // the container's ref keeps it
  return *found;
}

uint64_t StoreCore::Transit(Entry* entry, State state, uint64_t set_flags, uint64_t clear_flags,
                            uint64_t counts) {
  uint64_t old = entry->word.load(std::memory_order_relaxed);
  for (;;) {
    const uint64_t next =
        (((old - counts) & ~kStateMask & ~clear_flags) | StateBits(state)) | set_flags;
    if (entry->word.compare_exchange_weak(old, next, std::memory_order_acq_rel,
                                          std::memory_order_relaxed)) {
      return next;
    }
  }
}

void StoreCore::FreeBytes(Entry* entry, Aftermath* after) {
  if (!HasBytes(entry)) return;
  UnpoisonBytes(entry);
  arena_->Free(BlockOffsetOf(entry), BlockBytesOf(entry));
  entry->place.store(kNoBytes, std::memory_order_relaxed);
  after->room_made = true;
}

void StoreCore::ReleaseTicket(Entry* entry) {
  if (entry->ticket == kNoTicket) return;
  backend_->Release(entry->ticket);
  entry->ticket = kNoTicket;
}

void StoreCore::MarkDead(Entry* entry, Stripe& stripe, State state, Aftermath* after) {
  if (IsDead(entry->word.load(std::memory_order_relaxed))) return;
  Bury(entry, stripe, Transit(entry, state, kUnpinSlow), after);
}

void StoreCore::Bury(Entry* entry, Stripe& stripe, uint64_t word, Aftermath* after) {
  evictor_->Remove(entry);
  // Before it can be looked for elsewhere than in the index.
  if (StateOf(word) == State::kDeleted) {
    if ((word & (kDurable | kRetired)) == kDurable) entry->ticket = kNoTicket;
    ReleaseTicket(entry);
  }
  index_->Erase(entry);
  if ((word & kExtras) != 0) {
    auto extras = stripe.extras.find(entry->slot);
    if (extras != stripe.extras.end()) {
      // Nobody can name the object to Unpin it any more.
      const uint64_t pins = kPinOne * std::exchange(extras->second.explicit_pins, 0);
      word = entry->word.fetch_sub(pins, std::memory_order_acq_rel) - pins;
      after->released.insert(after->released.end(), extras->second.contains.begin(),
                             extras->second.contains.end());
      extras->second.contains.clear();
      TakeCallbacks(extras->second, after);
      after->discarded = std::exchange(extras->second.on_loss, nullptr);
    }
  }
  if (PinsOf(word) == 0) FreeBytes(entry, after);
}

void StoreCore::FreeEntryIfUnused(Entry* entry, Stripe& stripe, Aftermath* after) {
  const uint64_t word = entry->word.load(std::memory_order_acquire);
  if ((word & (kPinMask | kRefMask)) != 0) return;
  DCHECK(StateOf(word) == State::kDeleted || StateOf(word) == State::kClosed);
  FreeBytes(entry, after);
  if ((word & kExtras) != 0) stripe.extras.erase(entry->slot);
  entry->word.store(0, std::memory_order_relaxed);
  entry->id.store(0, std::memory_order_relaxed);
  entry->ticket = kNoTicket;
  entries_->Free(entry);
  after->entry_freed = true;
}

void StoreCore::Finish(Aftermath after) {
  if (after.room_made && !closed()) room_queue_->NotifyRoom();
  for (const ReadyCallback& callback : after.callbacks) callback();
  // A container's refs may be the last ones of further containers, and so may those of a callback:
  // a loop, not a recursion, so that a chain of any length is released in constant stack. The lists
  // belong to the outermost call.
  if (!after.released.empty() || after.discarded) {
    struct Lists {
      std::vector<Entry*> released;
      std::vector<LossCallback> discarded;
    };
    static thread_local Lists* pending = nullptr;
    Lists mine;
    const bool outermost = pending == nullptr;
    if (outermost) pending = &mine;
    pending->released.insert(pending->released.end(), after.released.begin(), after.released.end());
    if (after.discarded) pending->discarded.push_back(std::move(after.discarded));
    while (outermost && !(mine.released.empty() && mine.discarded.empty())) {
      if (!mine.released.empty()) {
        Entry* entry = mine.released.back();
        mine.released.pop_back();
        internal::Unref(entry);
      } else {
        LossCallback discarded = std::move(mine.discarded.back());
        mine.discarded.pop_back();
      }
    }
    if (outermost) pending = nullptr;
  }
  if (after.holds_life) DropLife();
  if (after.entry_freed) DropLife();
}

void StoreCore::DropLife() {
  if (lives_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
}

void StoreCore::Unpin(Entry* entry) {
  Stripe& stripe = StripeOf(entry);
  Aftermath after;
  {
    MutexLock lock(&stripe.mutex);
    const PinGuard guard(entry);
    uint64_t old = entry->word.load(std::memory_order_acquire);
    for (;;) {
      if (PinsOf(old) == 1) {
        const State state = StateOf(old);
        if (state == State::kDeleted || state == State::kClosed) {
          FreeBytes(entry, &after);  // under our pin, which keeps the entry
        } else {
          after.room_made = true;
        }
      }
      if (PinsOf(old) == 1 && IsResident(old)) PoisonBytes(entry);
      // A flag that only asked to be told is answered; a dead entry keeps its.
      uint64_t next = old - kPinOne;
      if (PinsOf(old) == 1 && after.room_made && StateOf(old) != State::kDeleted &&
          StateOf(old) != State::kClosed) {
        next &= ~kUnpinSlow;
      }
      if (entry->word.compare_exchange_weak(old, next, std::memory_order_acq_rel,
                                            std::memory_order_acquire)) {
        break;
      }
    }
    const State state = StateOf(old);
    if (state == State::kDeleted || state == State::kClosed)
      FreeEntryIfUnused(entry, stripe, &after);
    if (after.room_made) {
      // With our pin gone only a life of our own keeps the core until the room was told of: the
      // last handle may go as soon as the lock is given back.
      lives_.fetch_add(1, std::memory_order_relaxed);
      after.holds_life = true;
    }
  }
  Finish(std::move(after));
}

void StoreCore::Unref(Entry* entry) {
  Stripe& stripe = StripeOf(entry);
  Aftermath after;
  {
    MutexLock lock(&stripe.mutex);
    // The last ref goes and the object dies by one exchange: whoever finds it by id meanwhile gets
    // a ref to a living object, or none.
    uint64_t old = entry->word.load(std::memory_order_relaxed);
    uint64_t next;
    bool dies;
    do {
      next = old - kRefOne;
      dies = RefsOf(old) == 1 && !IsDead(old);
      if (dies) next = (next & ~kStateMask) | StateBits(State::kDeleted) | kUnpinSlow;
    } while (!entry->word.compare_exchange_weak(old, next, std::memory_order_acq_rel,
                                                std::memory_order_relaxed));
    if (dies) {
      const bool stays_on_disk = (old & (kDurable | kRetired)) == kDurable;
      if (WasPut(StateOf(old)) && !stays_on_disk) counters_.Mine().Add(Counter::kDeletes);
      Bury(entry, stripe, next, &after);
    }
    if (RefsOf(old) == 1) FreeEntryIfUnused(entry, stripe, &after);
  }
  Finish(std::move(after));
}

absl::Status StoreCore::Delete(Entry* entry) {
  const absl::Status status = DeleteEntry(entry, kDurable | kPersisting);
  return absl::IsAborted(status) ? DeleteDurable(entry) : status;
}

absl::Status StoreCore::DeleteEntry(Entry* entry, uint64_t unless) {
  Stripe& stripe = StripeOf(entry);
  Aftermath after;
  bool kept = false;
  {
    MutexLock lock(&stripe.mutex);
    const uint64_t word = entry->word.load(std::memory_order_acquire);
    const State state = StateOf(word);
    if (state == State::kClosed) return absl::UnavailableError("the store is closed");
    if (state == State::kDeleted) {
      return absl::NotFoundError(absl::StrCat(Describe(entry), " was deleted"));
    }
    // A durable value that is lost and to come anew: what is on disk of the old one must go, too.
    const auto known = stripe.extras.find(entry->slot);
    const bool to_be_durable = state == State::kPending && known != stripe.extras.end() &&
                               known->second.persist != nullptr;
    if ((word & unless) != 0 || (unless != 0 && to_be_durable)) {
      return absl::AbortedError("not in this way");
    }
    if (WasPut(state)) counters_.Mine().Add(Counter::kDeletes);
    MarkDead(entry, stripe, State::kDeleted, &after);
    auto extras = stripe.extras.find(entry->slot);
    if (extras != stripe.extras.end()) kept = std::exchange(extras->second.kept, false);
  }
  // The store's own ref goes; the caller's keeps the entry meanwhile.
  if (kept) internal::Unref(entry);
  Finish(std::move(after));
  return absl::OkStatus();
}

void StoreCore::AddExplicitPin(Entry* entry) {
  Stripe& stripe = StripeOf(entry);
  bool dead = false;
  {
    MutexLock lock(&stripe.mutex);
    const uint64_t word = entry->word.fetch_or(kExtras, std::memory_order_relaxed);
    dead = StateOf(word) == State::kDeleted || StateOf(word) == State::kClosed;
    if (!dead) ++stripe.extras[entry->slot].explicit_pins;
  }
  if (dead) internal::Unpin(entry);
}

absl::Status StoreCore::RemoveExplicitPin(Entry* entry) {
  Stripe& stripe = StripeOf(entry);
  {
    MutexLock lock(&stripe.mutex);
    auto extras = stripe.extras.find(entry->slot);
    if (extras == stripe.extras.end() || extras->second.explicit_pins == 0) {
      return absl::FailedPreconditionError(
          absl::StrCat("Unpin of ", Describe(entry), ", which Pin does not hold"));
    }
    --extras->second.explicit_pins;
  }
  internal::Unpin(entry);
  return absl::OkStatus();
}

uint16_t StoreCore::AddLabel(Entry* entry, const char* label) {
  Stripe& stripe = StripeOf(entry);
  MutexLock lock(&stripe.mutex);
  entry->word.fetch_or(kExtras, std::memory_order_relaxed);
  std::vector<const char*>& labels = stripe.extras[entry->slot].labels;
  auto free = std::find(labels.begin(), labels.end(), nullptr);
  if (free == labels.end()) {
    if (labels.size() == kLabelsMax) return 0;
    free = labels.insert(free, nullptr);
  }
  *free = label;
  return static_cast<uint16_t>(free - labels.begin() + 1);
}

void StoreCore::RemoveLabel(Entry* entry, uint16_t number) {
  Stripe& stripe = StripeOf(entry);
  MutexLock lock(&stripe.mutex);
  stripe.extras[entry->slot].labels.at(number - 1) = nullptr;
}

bool StoreCore::OnRelocated(uint64_t object_id, SpillTicket from, SpillTicket to) {
  Entry* entry = index_->FindAndRef(object_id);
  if (entry == nullptr) return IsDurableAt(object_id, to);
  bool exchanged = false;
  {
    MutexLock lock(&StripeOf(entry).mutex);
    if (entry->ticket == from) {
      entry->ticket = to;
      exchanged = true;
    }
  }
  internal::Unref(entry);
  // A durable object is kept whether or not there is an entry, or one that knows of it yet.
  return exchanged || IsDurableAt(object_id, to);
}

bool StoreCore::OnDamaged(SpillTicket ticket) {
  // Damage is rare enough for a look at all entries.
  bool given_up = false;
  entries_->ForEach([&](Entry* entry) {
    MutexLock lock(&StripeOf(entry).mutex);
    if (given_up || entry->ticket != ticket) return;
    const uint64_t word = entry->word.load(std::memory_order_acquire);
    if (StateOf(word) != State::kClean || (word & kDurable) != 0) return;
    // Hot again: whoever wants its memory finds it dirty, and has it written anew.
    LOG(WARNING) << "the copy of " << Describe(entry)
                 << " on disk is damaged; it is in memory still, and will be written anew";
    entry->ticket = kNoTicket;
    Transit(entry, State::kHot);
    given_up = true;
  });
  return given_up;
}

absl::Status StoreCore::Flush() {
  if (closed()) return absl::UnavailableError("the store is closed");
  if (spiller_ == nullptr) {
    return absl::FailedPreconditionError("a memory-only store has nowhere to write to");
  }
  return spiller_->WriteAll();
}

absl::Status StoreCore::SetMemoryLimit(uint64_t memory_limit_bytes) {
  if (closed()) return absl::UnavailableError("the store is closed");
  StoreOptions wanted = options_;
  wanted.memory_limit_bytes = memory_limit_bytes;
  if (absl::Status status = ValidateStoreOptions(wanted); !status.ok()) return status;
  budget_.SetLimit(memory_limit_bytes);
  evictor_->SetCapacity(PolicyCapacity());
  max_object_bytes_.store(LargestObject(), std::memory_order_relaxed);
  room_queue_->NotifyRoom();
  return WithRoom(0, "lowering the memory limit", Counter::kRefusedMemory, -absl::Seconds(1),
                  [this](AllocateEffort) {
                    arena_->Trim(budget_.excess_bytes());
                    return budget_.excess_bytes() == 0;
                  });
}

absl::Status StoreCore::Close() {
  // Live views refuse the close, before anything is given up.
  uint64_t pinned = 0;
  std::string named;
  const auto look = [&] {
    pinned = 0;
    named.clear();
    entries_->ForEach([&](Entry* entry) {
      const uint64_t word = entry->word.load(std::memory_order_acquire);
      if (PinsOf(word) == 0 || StateOf(word) == State::kFree) return;
      if (++pinned <= kPinnedNamedMax)
        absl::StrAppend(&named, named.empty() ? "" : ", ", Describe(entry));
    });
  };
  if (closed()) return absl::OkStatus();
  async_gets_->Stop();
  if (spiller_ != nullptr) spiller_->Stop();  // its own pins are gone after this
  look();
  if (pinned > 0) {
    if (spiller_ != nullptr) spiller_->Start(executor_);
    async_gets_->Resume();
    return absl::FailedPreconditionError(absl::StrFormat(
        "cannot close the store: %d objects are pinned by views, builders or Pin: %s%s", pinned,
        named, pinned > kPinnedNamedMax ? ", ..." : ""));
  }
  if (closed_.exchange(true)) return absl::OkStatus();
  room_queue_->CloseAll();
  entries_->ForEach([this](Entry* entry) { CloseEntry(entry); });
  async_gets_->Cancel(absl::UnavailableError("the store was closed"));
  absl::Status status = backend_ != nullptr ? backend_->Close() : absl::OkStatus();
  arena_->Trim(~uint64_t{0});
  return status;
}

void StoreCore::CloseEntry(Entry* entry) {
  Stripe& stripe = StripeOf(entry);
  Aftermath after;
  bool kept = false;
  {
    MutexLock lock(&stripe.mutex);
    const uint64_t word = entry->word.load(std::memory_order_acquire);
    if (StateOf(word) == State::kFree) return;
    internal::Ref(entry);  // ours, so that nothing below frees it under our hands
    MarkDead(entry, stripe, State::kClosed, &after);
    auto extras = stripe.extras.find(entry->slot);
    if (extras != stripe.extras.end()) kept = std::exchange(extras->second.kept, false);
  }
  if (kept) internal::Unref(entry);
  internal::Unref(entry);
  Finish(std::move(after));
}

void StoreCore::Orphan() {
  if (!closed_.exchange(true)) {
    if (async_gets_ != nullptr) async_gets_->Stop();
    if (spiller_ != nullptr) spiller_->Stop();
    if (room_queue_ != nullptr) room_queue_->CloseAll();
    if (entries_ != nullptr) entries_->ForEach([this](Entry* entry) { CloseEntry(entry); });
    if (async_gets_ != nullptr) {
      async_gets_->Cancel(absl::UnavailableError("the store was closed"));
    }
    if (backend_ != nullptr) {
      if (absl::Status status = backend_->Close(); !status.ok()) {
        LOG(WARNING) << "closing the spill tier: " << status;
      }
    }
  }
  DropLife();
}

}  // namespace spillway::internal
