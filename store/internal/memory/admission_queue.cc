#include "store/internal/memory/admission_queue.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "glog/logging.h"

namespace spillway {

AdmissionQueue::AdmissionQueue(const AdmissionQueueOptions& options, Clock* clock)
    : options_(options), clock_(clock) {}

AdmissionQueue::~AdmissionQueue() {
  CHECK_EQ(waiters(), 0u) << "somebody still waits in the admission queue";
}

void AdmissionQueue::NotifyHead() {
  std::shared_ptr<Parker> parker;
  {
    SpinLockHolder hold(&lock_);
    if (head_ == nullptr) return;
    ++rooms_;
    parker = head_->parker_;
  }
  parker->Unpark();
}

void AdmissionQueue::CloseAll() {
  std::vector<std::shared_ptr<Parker>> parkers;
  parkers.reserve(options_.waiters_max);
  {
    SpinLockHolder hold(&lock_);
    closed_ = true;
    for (Ticket* ticket = head_; ticket != nullptr; ticket = ticket->next_) {
      parkers.push_back(ticket->parker_);
    }
  }
  for (const std::shared_ptr<Parker>& parker : parkers) parker->Unpark();
}

AdmissionQueue::Ticket::Ticket(AdmissionQueue* queue)
    : queue_(queue), parker_(queue->clock_->NewParker()) {
  SpinLockHolder hold(&queue_->lock_);
  const uint32_t waiters = queue_->waiters_.load(std::memory_order_relaxed);
  if (queue_->closed_ || waiters >= queue_->options_.waiters_max) return;
  previous_ = queue_->tail_;
  (previous_ == nullptr ? queue_->head_ : previous_->next_) = this;
  queue_->tail_ = this;
  queue_->waiters_.store(waiters + 1, std::memory_order_seq_cst);
  entered_ = true;
}

AdmissionQueue::Ticket::~Ticket() {
  if (!entered_) return;
  std::shared_ptr<Parker> heir;
  {
    SpinLockHolder hold(&queue_->lock_);
    if (queue_->head_ == this && next_ != nullptr) heir = next_->parker_;
    (previous_ == nullptr ? queue_->head_ : previous_->next_) = next_;
    (next_ == nullptr ? queue_->tail_ : next_->previous_) = previous_;
    queue_->waiters_.fetch_sub(1, std::memory_order_seq_cst);
  }
  if (heir != nullptr) heir->Unpark();
}

AdmissionQueue::Wake AdmissionQueue::Ticket::Await(absl::Time deadline) {
  CHECK(entered_) << "awaits its turn without a place in the queue";
  bool retry = false;
  while (true) {
    const absl::Time now = queue_->clock_->Now();
    const bool late = now >= deadline;
    {
      SpinLockHolder hold(&queue_->lock_);
      if (queue_->closed_) return Wake::kClosed;
      if (queue_->head_ == this && (retry || rooms_seen_ != queue_->rooms_) && !last_try_given_) {
        rooms_seen_ = queue_->rooms_;
        last_try_given_ = late;
        return Wake::kTryNow;
      }
    }
    if (late) return Wake::kDeadline;
    retry = !parker_->Park(std::min(deadline, now + queue_->options_.retry_period));
  }
}

}  // namespace spillway
