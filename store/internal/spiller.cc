#include "store/internal/spiller.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "store/internal/store_core.h"
#include "store/internal/type_table.h"

namespace spillway::internal {

namespace {

constexpr absl::Duration kBackoffMin = absl::Milliseconds(10);
constexpr absl::Duration kBackoffMax = absl::Seconds(1);

}  // namespace

uint64_t Spiller::BatchRecordsMax(uint64_t memory_limit_bytes) {
  return std::clamp<uint64_t>(memory_limit_bytes / 8192, 512, 32768);
}

void Spiller::Batch::Clear() {
  victims.clear();
  records.clear();
  results.clear();
  bytes = 0;
  found_room = false;
}

Spiller::Spiller(StoreCore* core, SpillBackend* backend)
    : core_(core),
      backend_(backend),
      batch_bytes_max_(backend->max_batch_bytes()),
      batch_records_max_(BatchRecordsMax(core->budget_.limit_bytes())) {
  // At their full size from the start: that is what the budget was told.
  for (Batch& batch : batches_) {
    batch.victims.reserve(batch_records_max_);
    batch.records.reserve(batch_records_max_);
    batch.results.reserve(batch_records_max_);
  }
}

void Spiller::Start(Executor* executor) {
  stopping_.store(false, std::memory_order_release);
  for (int i = 0; i < kJobs; ++i) {
    jobs_[i] =
        executor->Start(absl::StrCat("spiller-", i), [this, i] { return Step(batches_[i]); });
  }
}

void Spiller::Stop() {
  stopping_.store(true, std::memory_order_release);
  for (auto& job : jobs_) {
    if (job != nullptr) job->Stop();
    job.reset();
  }
}

void Spiller::Wake() {
  for (auto& job : jobs_) {
    if (job != nullptr) job->Wake();
  }
}

void Spiller::WakeIfAboveHigh() {
  if (above_low_.load(std::memory_order_relaxed)) return;  // awake already
  const auto high = static_cast<uint64_t>(core_->options_.high_watermark *
                                          static_cast<double>(core_->budget_.limit_bytes()));
  if (core_->UnreclaimableBytes() > high && !above_low_.exchange(true)) Wake();
}

bool Spiller::idle() const {
  return writing_.load(std::memory_order_acquire) == 0 && core_->evictor_->to_spill_bytes() == 0 &&
         !above_low_.load(std::memory_order_relaxed);
}

absl::Status Spiller::last_failure() const {
  MutexLock lock(&mutex_);
  return last_failure_;
}

bool Spiller::Wanted() {
  const auto limit = static_cast<double>(core_->budget_.limit_bytes());
  const auto low = static_cast<uint64_t>(core_->options_.low_watermark * limit);
  const auto high = static_cast<uint64_t>(core_->options_.high_watermark * limit);
  // What is on its way to disk will be reclaimable soon.
  const uint64_t writing = writing_bytes_.load(std::memory_order_relaxed);
  const uint64_t unreclaimable = core_->UnreclaimableBytes();
  const uint64_t left = unreclaimable > writing ? unreclaimable - writing : 0;
  if (left > high) above_low_.store(true, std::memory_order_relaxed);
  if (left <= low) above_low_.store(false, std::memory_order_relaxed);
  return above_low_.load(std::memory_order_relaxed);
}

absl::Time Spiller::Step(Batch& batch) {
  if (stopping_.load(std::memory_order_acquire)) return absl::InfiniteFuture();
  {
    MutexLock lock(&mutex_);
    if (core_->clock_->Now() < retry_at_) return retry_at_;
  }
  batch.steps.fetch_add(1, std::memory_order_acq_rel);
  writing_.fetch_add(1, std::memory_order_acq_rel);
  Collect(batch);
  const bool wrote = !batch.records.empty();
  if (wrote) Write(batch).IgnoreError();
  writing_.fetch_sub(1, std::memory_order_acq_rel);
  EndStep(batch);
  // What was found clean, or droppable, is room too. But a waiter that is told of room where there
  // is none wakes this job again, and so on.
  if (wrote || batch.found_room) core_->room_queue_->NotifyRoom();
  if (wrote) return absl::InfinitePast();
  above_low_.store(false, std::memory_order_relaxed);
  return absl::InfiniteFuture();
}

void Spiller::EndStep(Batch& batch) {
  batch.steps.fetch_add(1, std::memory_order_acq_rel);
  MutexLock lock(&mutex_);
  for (Parker* waiter : step_waiters_) waiter->Unpark();
}

void Spiller::BeginOutside() {
  MutexLock lock(&mutex_);
  ++outside_begun_;
}

void Spiller::EndOutside() {
  MutexLock lock(&mutex_);
  ++outside_ended_;
  for (Parker* waiter : step_waiters_) waiter->Unpark();
}

void Spiller::AwaitSteps() {
  std::unique_ptr<Parker> parker = core_->clock_->NewParker();
  {
    // Before the steps are looked at, so that the end of none is missed.
    MutexLock lock(&mutex_);
    step_waiters_.push_back(parker.get());
  }
  AwaitOutside(parker.get());
  for (const Batch& batch : batches_) {
    const uint64_t step = batch.steps.load(std::memory_order_acquire);
    while (step % 2 != 0 && batch.steps.load(std::memory_order_acquire) == step) {
      parker->Park(absl::InfiniteFuture());
    }
  }
  MutexLock lock(&mutex_);
  std::erase(step_waiters_, parker.get());
}

void Spiller::AwaitOutside(Parker* parker) {
  const auto ended = [this](uint64_t since) {
    MutexLock lock(&mutex_);
    return outside_ended_ == outside_begun_ || outside_ended_ > since;
  };
  uint64_t since;
  {
    MutexLock lock(&mutex_);
    since = outside_ended_;
  }
  while (!ended(since)) parker->Park(absl::InfiniteFuture());
}

void Spiller::Collect(Batch& batch) {
  batch.Clear();
  while (batch.bytes < batch_bytes_max_ && batch.records.size() < batch_records_max_) {
    std::optional<Evictor::Victim> victim = core_->evictor_->NextToSpill();
    if (!victim && Wanted()) victim = core_->evictor_->NextVictim();
    if (!victim) return;
    Claim(*victim, batch);
  }
}

void Spiller::Claim(const Evictor::Victim& victim, Batch& batch) {
  Entry* entry = victim.entry;
  MutexLock lock(&core_->StripeOf(entry).mutex);
  if (entry->id.load(std::memory_order_relaxed) == victim.id) ClaimLocked(victim, batch);
}

bool Spiller::ClaimHot(Entry* entry, uint64_t end_id, Batch& batch) {
  MutexLock lock(&core_->StripeOf(entry).mutex);
  const uint64_t word = entry->word.load(std::memory_order_acquire);
  if (StateOf(word) != State::kHot || (word & (kOnEvictDrop | kOnEvictNever)) != 0) return true;
  const uint64_t id = entry->id.load(std::memory_order_relaxed);
  if (id >= end_id) return true;
  if ((word & kSpilling) != 0) return false;
  core_->evictor_->Remove(entry);
  ClaimLocked({entry, id}, batch);
  return true;
}

void Spiller::ClaimLocked(const Evictor::Victim& victim, Batch& batch) {
  Entry* entry = victim.entry;
  const uint64_t word = entry->word.load(std::memory_order_acquire);
  if (StateOf(word) == State::kClean || (word & kOnEvictDrop) != 0) {
    if (!IsResident(word)) return;
    core_->evictor_->PushOutgoing(victim);
    if (PinsOf(word) == 0) batch.found_room = true;
    return;
  }
  if (StateOf(word) != State::kHot || (word & kSpilling) != 0) return;
  // Flag and pin at once: whoever reads the word subtracts the one by the other.
  {
    const PinGuard guard(entry);
    entry->word.fetch_add(kSpilling + kPinOne, std::memory_order_acquire);
    UnpoisonBytes(entry);
  }
  batch.victims.push_back(victim);
  batch.records.push_back(
      {victim.id, TypeOf(entry->type), absl::MakeConstSpan(BytesOf(entry), entry->size)});
  batch.bytes += entry->size;
  writing_bytes_.fetch_add(entry->size, std::memory_order_relaxed);
}

absl::Status Spiller::Write(Batch& batch) {
  backend_->Write(batch.records, &batch.results);
  CHECK_EQ(batch.results.size(), batch.records.size());
  absl::Status failure;
  for (size_t i = 0; i < batch.victims.size(); ++i) {
    if (!batch.results[i].status.ok()) failure.Update(batch.results[i].status);
    writing_bytes_.fetch_sub(batch.records[i].payload.size(), std::memory_order_relaxed);
    Settle(batch.victims[i], batch.results[i]);
  }
  MutexLock lock(&mutex_);
  last_failure_ = failure;
  if (failure.ok()) {
    backoff_ = absl::ZeroDuration();
    retry_at_ = absl::InfinitePast();
  } else {
    backoff_ = std::clamp(backoff_ * 2, kBackoffMin, kBackoffMax);
    retry_at_ = core_->clock_->Now() + backoff_;
  }
  return failure;
}

void Spiller::Settle(const Evictor::Victim& victim, const SpillResult& result) {
  Entry* entry = victim.entry;  // kept by our pin
  CounterBlock& mine = core_->counters_.Mine();
  {
    MutexLock lock(&core_->StripeOf(entry).mutex);
    entry->word.fetch_and(~kSpilling, std::memory_order_relaxed);
    const State state = StateOf(entry->word.load(std::memory_order_acquire));
    if (!result.status.ok()) {
      mine.Add(Counter::kSpillFailures);
      if (state == State::kHot) core_->evictor_->Readmit(victim);
    } else if (state == State::kHot) {
      entry->ticket = result.ticket;
      StoreCore::Transit(entry, State::kClean);
      core_->evictor_->PushOutgoing(victim);
      mine.Add(Counter::kSpills);
      mine.Add(Counter::kSpilledBytes, entry->size);
    } else {
      // Deleted, closed or made durable while it was being written: nobody will ask for it.
      backend_->Release(result.ticket);
    }
    if (state == State::kClean) core_->evictor_->PushOutgoing(victim);
  }
  internal::Unpin(entry);
}

absl::Status Spiller::WriteAll() {
  MutexLock lock(&write_all_mutex_);
  return WriteAllThrough(write_all_batch_);
}

absl::Status Spiller::WriteAllThrough(Batch& batch) {
  // What is put from now on is not waited for, lest a busy store is never done.
  const uint64_t end_id = core_->next_id_.load(std::memory_order_relaxed);
  absl::Status status;
  const auto write = [&] {
    if (batch.records.empty()) return;
    writing_.fetch_add(1, std::memory_order_acq_rel);
    status.Update(Write(batch));
    writing_.fetch_sub(1, std::memory_order_acq_rel);
    batch.Clear();
  };
  for (;;) {
    bool complete = true;
    batch.Clear();
    core_->entries_->ForEach([&](Entry* entry) {
      if (!status.ok()) return;
      if (!ClaimHot(entry, end_id, batch)) complete = false;
      if (batch.bytes >= batch_bytes_max_ || batch.records.size() >= batch_records_max_) write();
    });
    write();
    if (!status.ok() || complete) return status;
    // The jobs are writing the rest; what they fail to write is ours the next time round.
    AwaitSteps();
  }
}

}  // namespace spillway::internal
