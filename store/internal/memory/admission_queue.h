// A fair queue of those who wait for room in memory.
//
// Strictly first come, first served: only the head of the queue is told to try, and a newcomer
// queues when anybody waits, so that a large request is not starved by small ones. Every wait ends
// by a deadline, and the number of waiters is bounded.
//
//     if (queue.empty() && TryPut()) return absl::OkStatus();        // nobody waits: the fast path
//     AdmissionQueue::Ticket ticket(&queue);
//     if (!ticket.entered()) ...full or closed: refuse...
//     while (true) {
//       switch (ticket.Await(deadline)) {
//         case AdmissionQueue::Wake::kTryNow:   if (TryPut()) return absl::OkStatus(); break;
//         case AdmissionQueue::Wake::kDeadline: return absl::ResourceExhaustedError(...);
//         case AdmissionQueue::Wake::kClosed:   return absl::UnavailableError(...);
//       }
//     }
//
// Whoever makes room calls NotifyRoom afterwards. No wake-up is lost provided that room is made,
// and looked for, under one lock or by atomic read-modify-writes of one word: a ticket is told to
// try after it has entered, so it either sees the room or is seen by NotifyRoom.
#ifndef SPILLWAY_STORE_INTERNAL_MEMORY_ADMISSION_QUEUE_H_
#define SPILLWAY_STORE_INTERNAL_MEMORY_ADMISSION_QUEUE_H_

#include <atomic>
#include <cstdint>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "store/internal/memory/spin_lock.h"
#include "store/seams.h"

namespace spillway {

struct AdmissionQueueOptions {
  // Those who come when so many wait are turned away.
  uint32_t waiters_max = 1024;
  // The head is told to try at least this often: room may also come without anybody telling of it.
  absl::Duration retry_period = absl::Milliseconds(20);
};

// Thread-safety: every method may be called by any thread; a Ticket belongs to one thread.
class AdmissionQueue {
 public:
  enum class Wake {
    kTryNow,    // head of the queue, and room may have appeared, or a retry period has passed
    kDeadline,  // the deadline passed
    kClosed,    // the queue was closed
  };

  // A place in the queue, from construction to destruction.
  class Ticket {
   public:
    explicit Ticket(AdmissionQueue* queue);
    ~Ticket();
    Ticket(const Ticket&) = delete;
    Ticket& operator=(const Ticket&) = delete;

    // False if the queue was full or closed: then there is nothing to wait for.
    bool entered() const { return entered_; }

    // Waits for this ticket's turn. Called again after kTryNow if the try failed. A ticket whose
    // deadline has passed is still told once to try if it is the head and has not just tried.
    // REQUIRES: entered().
    Wake Await(absl::Time deadline);

   private:
    friend class AdmissionQueue;

    AdmissionQueue* const queue_;
    bool entered_ = false;
    bool last_try_given_ = false;  // after the deadline
    // Shared with whoever is about to unpark it.
    std::shared_ptr<Parker> parker_;
    // Guarded by queue_->lock_.
    uint64_t rooms_seen_ = 0;  // 0: has not been told to try yet
    Ticket* previous_ = nullptr;
    Ticket* next_ = nullptr;
  };

  // `clock` must outlive the queue.
  AdmissionQueue(const AdmissionQueueOptions& options, Clock* clock);
  // REQUIRES: no ticket is left.
  ~AdmissionQueue();
  AdmissionQueue(const AdmissionQueue&) = delete;
  AdmissionQueue& operator=(const AdmissionQueue&) = delete;

  // Whether nobody waits. One atomic load.
  bool empty() const { return waiters_.load(std::memory_order_seq_cst) == 0; }
  uint32_t waiters() const { return waiters_.load(std::memory_order_seq_cst); }

  // Room may have appeared: lets the head try. One atomic load if nobody waits.
  void NotifyRoom() {
    if (!empty()) NotifyHead();
  }

  // Ends all waits with kClosed, and turns newcomers away. Idempotent.
  void CloseAll();

 private:
  void NotifyHead();

  // Constant after construction.
  const AdmissionQueueOptions options_;
  Clock* const clock_;

  std::atomic<uint32_t> waiters_{0};  // written under lock_

  mutable SpinLock lock_;
  bool closed_ ABSL_GUARDED_BY(lock_) = false;
  uint64_t rooms_ ABSL_GUARDED_BY(lock_) = 1;  // NotifyRoom calls that found a waiter, plus one
  Ticket* head_ ABSL_GUARDED_BY(lock_) = nullptr;
  Ticket* tail_ ABSL_GUARDED_BY(lock_) = nullptr;
};

}  // namespace spillway

#endif  // SPILLWAY_STORE_INTERNAL_MEMORY_ADMISSION_QUEUE_H_
