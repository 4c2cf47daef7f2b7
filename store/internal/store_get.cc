// How an object's bytes come back: a pin after the fast path failed, and the restore behind it.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "glog/logging.h"
#include "store/internal/store_core.h"
#include "store/internal/type_table.h"

namespace spillway::internal {

namespace {

// A record may move while it is read; a read that found nothing follows it this often.
constexpr int kFollowMovesMax = 8;

// Of those whom one PinMany restores together: bytes, as a fraction of the limit.
constexpr uint64_t kTogetherFraction = 8;

}  // namespace

absl::Status RestoreOperation::Wait(Clock* clock, absl::Time deadline) {
  std::unique_ptr<Parker> parker = clock->NewParker();
  {
    MutexLock lock(&mutex_);
    if (done_) return status_;
    waiters_.push_back(parker.get());
  }
  for (;;) {
    const bool in_time = parker->Park(deadline);
    MutexLock lock(&mutex_);
    if (done_) return status_;
    if (!in_time) {
      waiters_.erase(std::find(waiters_.begin(), waiters_.end(), parker.get()));
      return absl::DeadlineExceededError("a restore by another caller took too long");
    }
  }
}

void RestoreOperation::Finish(absl::Status status) {
  MutexLock lock(&mutex_);
  done_ = true;
  status_ = std::move(status);
  // Under the lock: a waiter's parker is gone once it has seen done_.
  for (Parker* waiter : waiters_) waiter->Unpark();
}

absl::Status StoreCore::WhyNoBytes(Entry* entry, State state, Stripe& stripe) {
  switch (state) {
    case State::kFailed:
      return stripe.extras[entry->slot].failure;
    case State::kClosed:
      return absl::UnavailableError("the store is closed");
    case State::kDropped:
      return absl::NotFoundError(
          absl::StrCat(Describe(entry), " was dropped to make room, as its put allowed"));
    case State::kBuilding:
      return absl::FailedPreconditionError(absl::StrCat(Describe(entry), " is not sealed yet"));
    default:
      return absl::NotFoundError(absl::StrCat(Describe(entry), " was deleted"));
  }
}

bool StoreCore::BeginAnew(Entry* entry, Stripe& stripe, absl::Status why, Aftermath* after) {
  const auto extras = stripe.extras.find(entry->slot);
  if (extras == stripe.extras.end() || !extras->second.on_loss) return false;
  const uint64_t word = entry->word.load(std::memory_order_relaxed);
  if ((word & (kDurable | kRetired)) == (kDurable | kRetired)) {
    // Nothing keeps it beyond its refs: the record ends here, and the new value is as any other.
    entry->word.fetch_and(~(kDurable | kRetired), std::memory_order_relaxed);
  } else if ((word & kDurable) != 0) {
    // Its names stay; the new value takes the place of what is left of the old one.
    entry->ticket = kNoTicket;
    entry->word.fetch_and(~kDurable, std::memory_order_relaxed);
    extras->second.persist = std::make_unique<DurableRequest>();
  }
  ReleaseTicket(entry);
  internal::Ref(entry);
  entry->word.fetch_add(kPinOne, std::memory_order_relaxed);
  Transit(entry, State::kPending, 0, kRestoring | kUnverified);
  counters_.Mine().Add(Counter::kLost);
  after->callbacks.push_back(
      [callback = extras->second.on_loss, why = std::move(why), entry] { callback(why, entry); });
  return true;
}

std::shared_ptr<RestoreOperation> StoreCore::BeginRestore(Entry* entry, Stripe& stripe) {
  auto operation = std::make_shared<RestoreOperation>();
  stripe.restores.emplace(entry->slot, operation);
  entry->word.fetch_or(kRestoring, std::memory_order_relaxed);
  return operation;
}

void StoreCore::TimeHit(Entry* entry) {
  const int64_t began = clock_->MonotonicNanos();
  if (!TryPin(entry)) return;
  internal::Unpin(entry);
  counters_.Mine().Record(Latency::kHit, static_cast<uint64_t>(clock_->MonotonicNanos() - began));
}

absl::Status StoreCore::PinSlow(Entry* entry, const GetOptions& options) {
  Stripe& stripe = StripeOf(entry);
  bool counted = false;
  for (;;) {
    bool pending = false;
    bool mine = false;
    std::shared_ptr<RestoreOperation> operation;
    SpillTicket ticket = kNoTicket;
    Aftermath after;
    {
      MutexLock lock(&stripe.mutex);
      const uint64_t word = entry->word.load(std::memory_order_acquire);
      const State state = StateOf(word);
      if (IsResident(word)) {
        {
          const PinGuard guard(entry);
          entry->word.fetch_add(kPinOne, std::memory_order_acquire);
          UnpoisonBytes(entry);
        }
        if (!counted) CountHit(entry);
        return absl::OkStatus();
      }
      if (state == State::kPending ||
          (state == State::kDropped &&
           BeginAnew(entry, stripe, WhyNoBytes(entry, state, stripe), &after))) {
        pending = true;
      } else if (state != State::kCold) {
        return WhyNoBytes(entry, state, stripe);
      } else if ((word & kRestoring) != 0) {
        operation = stripe.restores.at(entry->slot);
      } else {
        operation = BeginRestore(entry, stripe);
        ticket = entry->ticket;
        mine = true;
      }
    }
    Finish(std::move(after));
    if (!counted) {
      counters_.Mine().Add(mine      ? Counter::kMissesCold
                           : pending ? Counter::kMissesPending
                                     : Counter::kMissesJoined);
    }
    counted = true;
    absl::Status status;
    if (mine) {
      status = Restore(entry, ticket, options.wait_for_room_max);
      if (!absl::IsAborted(status)) return status;
    } else if (pending) {
      status = WaitWhilePending(entry, options.wait_for_value_max);
    } else {
      status = operation->Wait(clock_, JoinDeadline(options.wait_for_room_max));
    }
    if (!status.ok() && !absl::IsAborted(status)) return status;
  }
}

absl::Status StoreCore::Restore(Entry* entry, SpillTicket ticket, absl::Duration wait) {
  const int64_t began = clock_->MonotonicNanos();
  absl::StatusOr<uint64_t> offset = AcquireBlock(entry->size, entry->slot, wait);
  if (!offset.ok()) return FinishRestore(entry, kNoBytes, offset.status());
  const int64_t read_began = clock_->MonotonicNanos();
  const SpillRead read{ticket, entry->id.load(std::memory_order_relaxed), TypeOf(entry->type),
                       absl::MakeSpan(arena_->At(*offset), entry->size)};
  std::vector<absl::Status> statuses;
  backend_->Read(absl::MakeConstSpan(&read, 1), &statuses);
  absl::Status status = FollowMoves(entry, read, statuses[0]);
  const int64_t read_ended = clock_->MonotonicNanos();
  status = FinishRestore(entry, *offset, status);
  if (status.ok()) {
    counters_.Mine().Record(Latency::kRestore, static_cast<uint64_t>(read_ended - began));
    if (auto costs = restore_cost_.Note(read.out.size(), read_ended - read_began)) {
      evictor_->SetRestoreCosts(costs->per_miss_ns, costs->per_byte_ns);
    }
  }
  return status;
}

absl::Status StoreCore::FollowMoves(Entry* entry, SpillRead read, absl::Status status) {
  for (int i = 0; i < kFollowMovesMax && !status.ok(); ++i) {
    if (absl::IsNotFound(status)) FollowDurable(entry);
    {
      MutexLock lock(&StripeOf(entry).mutex);
      if (entry->ticket == read.ticket || entry->ticket == kNoTicket) return status;
      read.ticket = entry->ticket;
    }
    std::vector<absl::Status> statuses;
    backend_->Read(absl::MakeConstSpan(&read, 1), &statuses);
    status = statuses[0];
  }
  return status;
}

absl::Status StoreCore::FinishRestore(Entry* entry, uint64_t offset, absl::Status status) {
  Stripe& stripe = StripeOf(entry);
  std::shared_ptr<RestoreOperation> operation;
  Aftermath after;
  absl::Status failure;  // of the spill tier
  {
    MutexLock lock(&stripe.mutex);
    const auto found = stripe.restores.find(entry->slot);
    operation = std::move(found->second);
    stripe.restores.erase(found);
    const State state = StateOf(entry->word.load(std::memory_order_acquire));
    if (state != State::kCold) {
      // Deleted or closed meanwhile: nothing is published.
      entry->word.fetch_and(~kRestoring, std::memory_order_relaxed);
      status = WhyNoBytes(entry, state, stripe);
    } else if (status.ok()) {
      entry->place.store(PlaceOf(offset), std::memory_order_relaxed);
      offset = kNoBytes;
      entry->word.fetch_add(kPinOne, std::memory_order_relaxed);
      Transit(entry, State::kClean, 0, kRestoring);
      evictor_->Insert(entry);
    } else {
      if (absl::IsNotFound(status)) {
        // To callers NotFound means deleted, which the object is not.
        status = absl::DataLossError(
            absl::StrCat(Describe(entry), " is lost to the spill tier: ", status.message()));
      }
      if (absl::IsDataLoss(status) || absl::IsInternal(status)) failure = status;
      if (absl::IsDataLoss(status) && BeginAnew(entry, stripe, status, &after)) {
        status = absl::AbortedError("the value is to come anew");
      }
      entry->word.fetch_and(~kRestoring, std::memory_order_relaxed);
    }
    if (offset != kNoBytes) {
      arena_->Free(offset, entry->size);
      after.room_made = true;
    }
  }
  CounterBlock& mine = counters_.Mine();
  if (status.ok()) {
    mine.Add(Counter::kRestores);
    mine.Add(Counter::kRestoredBytes, entry->size);
    NoteTime();
    entry->accessed_ds.store(now_ds_.load(std::memory_order_relaxed), std::memory_order_relaxed);
  } else if (!failure.ok()) {
    mine.Add(Counter::kRestoreFailures);
    LOG(ERROR) << "cannot restore " << Describe(entry) << ": " << failure;
  }
  operation->Finish(status);
  Finish(std::move(after));
  WakeSpillerIfNeeded();
  return status;
}

void StoreCore::PinMany(absl::Span<Entry* const> entries, const GetOptions& options,
                        std::vector<absl::Status>* statuses, bool may_wait) {
  statuses->assign(entries.size(), absl::OkStatus());
  const uint64_t together_max = budget_.limit_bytes() / kTogetherFraction;
  size_t next = 0;
  while (next < entries.size()) {
    // Take as many cold ones as may be restored together, and read them with one call.
    std::vector<SpillRead> reads;
    std::vector<uint64_t> offsets;
    std::vector<size_t> reading, later;
    uint64_t bytes = 0;
    for (; next < entries.size() && (reading.empty() || bytes < together_max); ++next) {
      Entry* entry = entries[next];
      if (entry == nullptr) {
        (*statuses)[next] = absl::InvalidArgumentError("get of an empty ref");
        continue;
      }
      if (TryPin(entry)) {
        CountHit(entry);
        continue;
      }
      // Only what finds room without a wait goes along, and the room comes first: nobody waits for
      // room while others wait for restores that it has begun.
      uint64_t offset = kNoBytes;
      const uint64_t word = entry->word.load(std::memory_order_acquire);
      const uint64_t size = entry->size;  // of a value that may be lost, and replaced, meanwhile
      if (StateOf(word) == State::kCold && (word & kRestoring) == 0) {
        offset = TryAcquireBlock(size, entry->slot);
      }
      SpillTicket ticket = kNoTicket;
      if (offset != kNoBytes) {
        Stripe& stripe = StripeOf(entry);
        MutexLock lock(&stripe.mutex);
        const uint64_t now = entry->word.load(std::memory_order_acquire);
        if (StateOf(now) == State::kCold && (now & kRestoring) == 0 && entry->size == size) {
          BeginRestore(entry, stripe);
          ticket = entry->ticket;
        }
      }
      if (ticket == kNoTicket) {
        if (offset != kNoBytes) arena_->Free(offset, size);
        later.push_back(next);
        continue;
      }
      counters_.Mine().Add(Counter::kMissesCold);
      reads.push_back({ticket, entry->id.load(std::memory_order_relaxed), TypeOf(entry->type),
                       absl::MakeSpan(arena_->At(offset), size)});
      offsets.push_back(offset);
      reading.push_back(next);
      bytes += size;
    }
    if (!reads.empty()) {
      std::vector<absl::Status> results;
      backend_->Read(reads, &results);
      for (size_t i = 0; i < reads.size(); ++i) {
        Entry* entry = entries[reading[i]];
        (*statuses)[reading[i]] =
            FinishRestore(entry, offsets[i], FollowMoves(entry, reads[i], results[i]));
        if (absl::IsAborted((*statuses)[reading[i]])) later.push_back(reading[i]);
      }
    }
    for (size_t i : later) {
      (*statuses)[i] =
          may_wait ? PinSlow(entries[i], options) : absl::UnavailableError("not without a wait");
    }
  }
}

}  // namespace spillway::internal
