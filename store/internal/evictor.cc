#include "store/internal/evictor.h"

#include <utility>

#include "glog/logging.h"

namespace spillway::internal {

namespace {

// The policy's memory is reserved this far ahead, so that it is in the budget before it is
// allocated.
constexpr uint64_t kHeadroomBytes = 64 * 1024;
constexpr uint64_t kChargeStepBytes = 64 * 1024;

// Victims that one search gives back because they were hit.
constexpr int kSparedMax = 64;

}  // namespace

absl::StatusOr<std::unique_ptr<Evictor>> Evictor::Create(std::string_view policy_name,
                                                         uint64_t capacity_bytes,
                                                         EntryTable* entries, Counters* counters,
                                                         MemoryBudget* budget) {
  auto evictor = std::unique_ptr<Evictor>(new Evictor(capacity_bytes, entries, counters, budget));
  absl::StatusOr<std::unique_ptr<EvictionPolicy>> policy =
      MakeEvictionPolicy(policy_name, evictor.get());
  if (!policy.ok()) return policy.status();
  evictor->hit_tracking_ = (*policy)->hit_tracking();
  MutexLock lock(&evictor->mutex_);
  evictor->policy_ = *std::move(policy);
  evictor->policy_->SetCapacity(capacity_bytes);
  return evictor;
}

Evictor::Evictor(uint64_t capacity_bytes, EntryTable* entries, Counters* counters,
                 MemoryBudget* budget)
    : entries_(entries), counters_(counters), budget_(budget), capacity_bytes_(capacity_bytes) {}

Evictor::~Evictor() {
  MutexLock lock(&mutex_);
  budget_->Release(MemoryUse::kPolicy, charged_bytes_);
}

bool Evictor::Reserve() {
  MutexLock lock(&mutex_);
  const uint64_t wanted = policy_->MemoryBytes() + kHeadroomBytes;
  while (charged_bytes_ < wanted) {
    if (!budget_->TryAcquire(MemoryUse::kPolicy, kChargeStepBytes)) return false;
    charged_bytes_ += kChargeStepBytes;
  }
  short_of_memory_.store(false, std::memory_order_relaxed);
  return true;
}

void Evictor::NoteGrowth() {
  if (policy_->MemoryBytes() + kHeadroomBytes > charged_bytes_) {
    short_of_memory_.store(true, std::memory_order_relaxed);
  }
}

void Evictor::Insert(Entry* entry) {
  if ((entry->word.load(std::memory_order_relaxed) & kOnEvictNever) != 0) return;
  MutexLock lock(&mutex_);
  CHECK(entry->queued_in == QueuedIn::kNone) << "an object comes in that was still on its way out";
  const uint64_t id = entry->id.load(std::memory_order_relaxed);
  entry->marks.store(0, std::memory_order_relaxed);
  policy_->Miss(id, entry->size);
  policy_->Insert(entry->slot, id, entry->size);
  NoteGrowth();
  entry->queued_in = QueuedIn::kPolicy;
}

void Evictor::Remove(Entry* entry) {
  MutexLock lock(&mutex_);
  UnlinkFromQueue(entry);
  // Also if the policy gave it up before: it may remember.
  policy_->Remove(entry->slot);
  entry->queued_in = QueuedIn::kNone;
}

void Evictor::LeaveQueue(Entry* entry) {
  MutexLock lock(&mutex_);
  UnlinkFromQueue(entry);
  if (entry->queued_in == QueuedIn::kPolicy) policy_->Remove(entry->slot);
  entry->queued_in = QueuedIn::kNone;
}

void Evictor::UnlinkFromQueue(Entry* entry) {
  if (entry->queued_in == QueuedIn::kOutgoing) Unlink(outgoing_, entry);
  if (entry->queued_in == QueuedIn::kToSpill) Unlink(to_spill_, entry);
}

std::optional<Evictor::Victim> Evictor::NextOutgoing() {
  MutexLock lock(&mutex_);
  while (std::optional<Victim> victim = Pop(outgoing_)) {
    if (victim->entry->marks.load(std::memory_order_relaxed) == 0) return victim;
    ReadmitLocked(victim->entry, victim->id);
  }
  return std::nullopt;
}

std::optional<Evictor::Victim> Evictor::NextToSpill() {
  MutexLock lock(&mutex_);
  return Pop(to_spill_);
}

std::optional<Evictor::Victim> Evictor::NextVictim() {
  MutexLock lock(&mutex_);
  DrainHits();
  for (int spared = 0;; ++spared) {
    const std::optional<SlotIndex> slot = policy_->Evict();
    if (!slot) return std::nullopt;
    Entry* entry = entries_->At(*slot);
    entry->queued_in = QueuedIn::kNone;
    const uint64_t id = entry->id.load(std::memory_order_relaxed);
    // A hit for which no ring had room is made up for here.
    const bool hit = hit_tracking_ == HitTracking::kOrderedOnce &&
                     entry->marks.load(std::memory_order_relaxed) == kHitUnreported;
    if (!hit || spared == kSparedMax) return Victim{entry, id};
    ReadmitLocked(entry, id);
  }
}

void Evictor::PushOutgoing(const Victim& victim) {
  MutexLock lock(&mutex_);
  victim.entry->marks.store(0, std::memory_order_relaxed);
  Push(outgoing_, QueuedIn::kOutgoing, victim);
}

void Evictor::PushOutgoingFirst(const Victim& victim) {
  MutexLock lock(&mutex_);
  Entry* entry = victim.entry;
  if (entry->queued_in != QueuedIn::kNone) return;
  entry->marks.store(0, std::memory_order_relaxed);
  entry->queued_in = QueuedIn::kOutgoing;
  entry->previous = 0;
  entry->next = outgoing_.oldest;
  (outgoing_.oldest != 0 ? entries_->At(outgoing_.oldest)->previous : outgoing_.newest) =
      entry->slot;
  outgoing_.oldest = entry->slot;
  outgoing_.bytes.fetch_add(entry->size, std::memory_order_relaxed);
}

void Evictor::PushToSpill(const Victim& victim) {
  MutexLock lock(&mutex_);
  Push(to_spill_, QueuedIn::kToSpill, victim);
}

void Evictor::Readmit(const Victim& victim) {
  MutexLock lock(&mutex_);
  Entry* entry = victim.entry;
  if (entry->queued_in != QueuedIn::kNone) return;
  ReadmitLocked(entry, victim.id);
}

void Evictor::ReadmitLocked(Entry* entry, uint64_t id) {
  policy_->Readmit(entry->slot, id, entry->size);
  entry->queued_in = QueuedIn::kPolicy;
  // A mark says that a hit is on its way to the policy, which this one was.
  if (hit_tracking_ == HitTracking::kOrderedOnce) {
    entry->marks.store(0, std::memory_order_relaxed);
  }
}

bool Evictor::policy_empty() const {
  MutexLock lock(&mutex_);
  return policy_->objects() == 0;
}

void Evictor::SetCapacity(uint64_t capacity_bytes) {
  MutexLock lock(&mutex_);
  capacity_bytes_ = capacity_bytes;
  policy_->SetCapacity(capacity_bytes);
  NoteGrowth();
}

void Evictor::SetRestoreCosts(double per_miss_ns, double per_byte_ns) {
  MutexLock lock(&mutex_);
  policy_->SetRestoreCosts(per_miss_ns, per_byte_ns);
}

uint8_t Evictor::Get(SlotIndex slot) const {
  return entries_->At(slot)->marks.load(std::memory_order_relaxed);
}

void Evictor::Set(SlotIndex slot, uint8_t hits) {
  entries_->At(slot)->marks.store(hits, std::memory_order_relaxed);
}

void Evictor::DrainHits() {
  if (hit_tracking_ == HitTracking::kMarks) return;
  counters_->DrainHits([this](uint32_t slot) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    Entry* entry = entries_->At(slot);
    // On its way out it keeps the mark, which saves it. Elsewhere the mark goes first: a hit that
    // comes between is one of its own.
    if (hit_tracking_ == HitTracking::kOrderedOnce && entry->queued_in == QueuedIn::kPolicy) {
      entry->marks.store(0, std::memory_order_relaxed);
    }
    policy_->Hit(slot);
  });
}

void Evictor::Push(Queue& queue, QueuedIn name, const Victim& victim) {
  Entry* entry = victim.entry;
  if (entry->queued_in != QueuedIn::kNone) return;
  entry->queued_in = name;
  entry->next = 0;
  entry->previous = queue.newest;
  if (queue.newest != 0) {
    entries_->At(queue.newest)->next = entry->slot;
  } else {
    queue.oldest = entry->slot;
  }
  queue.newest = entry->slot;
  queue.bytes.fetch_add(entry->size, std::memory_order_relaxed);
}

void Evictor::Unlink(Queue& queue, Entry* entry) {
  (entry->previous != 0 ? entries_->At(entry->previous)->next : queue.oldest) = entry->next;
  (entry->next != 0 ? entries_->At(entry->next)->previous : queue.newest) = entry->previous;
  queue.bytes.fetch_sub(entry->size, std::memory_order_relaxed);
  entry->next = entry->previous = 0;
}

std::optional<Evictor::Victim> Evictor::Pop(Queue& queue) {
  if (queue.oldest == 0) return std::nullopt;
  Entry* entry = entries_->At(queue.oldest);
  Unlink(queue, entry);
  entry->queued_in = QueuedIn::kNone;
  return Victim{entry, entry->id.load(std::memory_order_relaxed)};
}

}  // namespace spillway::internal
