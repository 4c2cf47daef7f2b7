// Objects whose value is still to come, and what is known of objects' future.
#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "store/internal/store_core.h"
#include "store/wait_hook.h"

namespace spillway::internal {

namespace {

// Counts objects that are ready, and wakes who waits for enough of them. Shared with callbacks that
// may come after the wait is over.
struct ReadyCount {
  explicit ReadyCount(Clock* clock) : parker(clock->NewParker()) {}

  std::unique_ptr<Parker> parker;
  std::atomic<size_t> ready{0};
};

}  // namespace

absl::StatusOr<Entry*> StoreCore::BeginPending(uint16_t type, const PutOptions& options) {
  if (closed()) return absl::UnavailableError("the store is closed");
  if (!options.is_plain()) {
    if (absl::Status status = CheckPutOptions(options); !status.ok()) return status;
  }
  const absl::StatusOr<uint64_t> id = NewId();
  if (!id.ok()) return id.status();
  absl::StatusOr<Entry*> acquired = AcquireEntry(*id, State::kPending, type, options);
  if (!acquired.ok()) return acquired.status();
  internal::Ref(*acquired);
  return acquired;
}

absl::Status StoreCore::Fulfil(Entry* entry, uint64_t size) {
  if (absl::Status status = CheckSize(size); !status.ok()) return status;
  absl::StatusOr<uint64_t> offset = AcquireBlock(size, entry->slot, -absl::Seconds(1));
  if (!offset.ok()) return offset.status();
  Stripe& stripe = StripeOf(entry);
  MutexLock lock(&stripe.mutex);
  const State state = StateOf(entry->word.load(std::memory_order_acquire));
  if (state != State::kPending) {
    arena_->Free(*offset, size);
    return WhyNoBytes(entry, state, stripe);
  }
  CHECK(!HasBytes(entry)) << Describe(entry) << " is fulfilled twice";
  entry->place.store(PlaceOf(*offset), std::memory_order_relaxed);
  entry->size = size;
  return absl::OkStatus();
}

void StoreCore::Fail(Entry* entry, absl::Status status) {
  CHECK(!status.ok()) << "an object cannot fail with OK";
  Stripe& stripe = StripeOf(entry);
  Aftermath after;
  {
    MutexLock lock(&stripe.mutex);
    const uint64_t word = entry->word.load(std::memory_order_acquire);
    if (StateOf(word) == State::kPending) {
      EntryExtras& extras = stripe.extras[entry->slot];
      extras.failure = std::move(status);
      TakeCallbacks(extras, &after);
      FreeBytes(entry, &after);
      entry->size = 0;
      Transit(entry, State::kFailed, kExtras);
    }
  }
  Finish(std::move(after));
}

absl::Status StoreCore::Contain(Entry* entry, absl::Span<const AnyRef> refs) {
  if (absl::Status status = CheckContains(refs); !status.ok()) return status;
  Stripe& stripe = StripeOf(entry);
  MutexLock lock(&stripe.mutex);
  const State state = StateOf(entry->word.load(std::memory_order_acquire));
  if (state != State::kPending) return WhyNoBytes(entry, state, stripe);
  AddContained(refs, &stripe.extras[entry->slot]);
  entry->word.fetch_or(kExtras, std::memory_order_relaxed);
  return absl::OkStatus();
}

void StoreCore::OnLoss(Entry* entry, LossCallback callback) {
  // Whatever goes is destroyed after the lock is given back: it may hold refs.
  Stripe& stripe = StripeOf(entry);
  MutexLock lock(&stripe.mutex);
  if (IsDead(entry->word.load(std::memory_order_acquire))) return;
  entry->word.fetch_or(kExtras, std::memory_order_relaxed);
  std::swap(stripe.extras[entry->slot].on_loss, callback);
}

void StoreCore::TakeCallbacks(EntryExtras& extras, Aftermath* after) {
  for (auto& [number, callback] : extras.on_ready) after->callbacks.push_back(std::move(callback));
  extras.on_ready.clear();
}

uint64_t StoreCore::OnReady(Entry* entry, std::function<void()> callback) {
  Stripe& stripe = StripeOf(entry);
  {
    MutexLock lock(&stripe.mutex);
    const uint64_t word = entry->word.load(std::memory_order_acquire);
    if (StateOf(word) == State::kPending) {
      const uint64_t number = next_callback_.fetch_add(1, std::memory_order_relaxed);
      stripe.extras[entry->slot].on_ready.emplace_back(number, std::move(callback));
      entry->word.fetch_or(kExtras, std::memory_order_relaxed);
      return number;
    }
  }
  callback();
  return 0;
}

void StoreCore::RemoveCallback(Entry* entry, uint64_t number) {
  if (number == 0) return;
  Stripe& stripe = StripeOf(entry);
  ReadyCallback removed;  // destroyed after the lock is given back
  MutexLock lock(&stripe.mutex);
  const auto extras = stripe.extras.find(entry->slot);
  if (extras == stripe.extras.end()) return;
  auto& callbacks = extras->second.on_ready;
  const auto found = std::find_if(callbacks.begin(), callbacks.end(),
                                  [number](const auto& item) { return item.first == number; });
  if (found == callbacks.end()) return;
  removed = std::move(found->second);
  callbacks.erase(found);
}

size_t StoreCore::WaitReady(absl::Span<Entry* const> entries, size_t count, absl::Time deadline,
                            absl::Status* refused) {
  auto state = std::make_shared<ReadyCount>(clock_);
  std::vector<uint64_t> numbers;
  numbers.reserve(entries.size());
  for (Entry* entry : entries) {
    numbers.push_back(OnReady(entry, [state] {
      state->ready.fetch_add(1, std::memory_order_acq_rel);
      state->parker->Unpark();
    }));
  }
  const auto ready = [&] { return state->ready.load(std::memory_order_acquire) >= count; };
  WaitHook* const hook = ready() ? nullptr : CurrentWaitHook();
  absl::Status allowed;
  if (hook != nullptr) {
    const absl::InlinedVector<const void*, 1> keys(entries.begin(), entries.end());
    allowed = hook->BeforeWait(keys, count, deadline == absl::InfiniteFuture(), ready);
  }
  while (allowed.ok() && !ready()) {
    if (!state->parker->Park(deadline) && clock_->Now() >= deadline) break;
  }
  if (hook != nullptr && allowed.ok()) hook->AfterWait();
  if (refused != nullptr) *refused = std::move(allowed);
  for (size_t i = 0; i < entries.size(); ++i) RemoveCallback(entries[i], numbers[i]);
  return state->ready.load(std::memory_order_acquire);
}

absl::Status StoreCore::WaitWhilePending(Entry* entry, absl::Duration wait) {
  absl::Status refused;
  if (WaitReady(absl::MakeConstSpan(&entry, 1), 1, clock_->Now() + wait, &refused) == 1) {
    return absl::OkStatus();
  }
  if (!refused.ok()) return refused;
  return absl::DeadlineExceededError(
      absl::StrCat(Describe(entry), " is still pending after ", absl::FormatDuration(wait)));
}

absl::Status StoreCore::ErrorOf(Entry* entry) {
  Stripe& stripe = StripeOf(entry);
  MutexLock lock(&stripe.mutex);
  const State state = StateOf(entry->word.load(std::memory_order_acquire));
  if (state == State::kPending || state == State::kBuilding || state == State::kCold ||
      state == State::kHot || state == State::kClean) {
    return absl::OkStatus();
  }
  if (state == State::kDropped) {
    // Somebody can make it again.
    const auto extras = stripe.extras.find(entry->slot);
    if (extras != stripe.extras.end() && extras->second.on_loss) return absl::OkStatus();
  }
  return WhyNoBytes(entry, state, stripe);
}

void StoreCore::Hint(Entry* entry, PolicyHint hint) {
  Stripe& stripe = StripeOf(entry);
  MutexLock lock(&stripe.mutex);
  if (hint == PolicyHint::kNeededSoon) {
    entry->word.fetch_or(kNeededSoon, std::memory_order_relaxed);
    return;
  }
  const uint64_t word = entry->word.fetch_and(~kNeededSoon, std::memory_order_acq_rel);
  if (hint != PolicyHint::kNotNeeded || !IsResident(word) ||
      (word & (kOnEvictNever | kSpilling)) != 0) {
    return;
  }
  evictor_->Remove(entry);
  const Evictor::Victim victim{entry, entry->id.load(std::memory_order_relaxed)};
  if (StateOf(word) == State::kClean || (word & kOnEvictDrop) != 0) {
    evictor_->PushOutgoingFirst(victim);
  } else if (backend_ != nullptr) {
    evictor_->PushToSpill(victim);
  }
}

}  // namespace spillway::internal
