#include "runtime/internal/scheduler.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <functional>
#include <utility>

#include "absl/strings/str_format.h"
#include "glog/logging.h"

namespace spillway::internal {

namespace {

// How long a worker without work looks for some before it gives its thread back, and how long one
// whose work is about to wait looks whether it need not.
constexpr int64_t kSearchNanos = 50'000;
constexpr int64_t kBlockSpinNanos = 10'000;
// What a worker has just made ready is most often what it is about to wait for, and then best done
// on the spot. Others take it only if it has stayed for so long.
constexpr int64_t kNextKeptNanos = 20'000;
// Rounds of a search that only pause the processor; later ones offer it to other threads.
constexpr int kPauseRounds = 32;

constexpr absl::Duration kThreadsStopMax = absl::Seconds(10);

void Pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

void PauseOrYield(int round) {
  if (round < kPauseRounds) {
    for (int i = 0; i < 8; ++i) Pause();
  } else {
    sched_yield();
  }
}

uintptr_t StackEndOfThisThread() {
  static thread_local uintptr_t end = 0;
  if (end == 0) {
    pthread_attr_t attributes;
    void* lowest = nullptr;
    size_t bytes = 0;
    if (pthread_getattr_np(pthread_self(), &attributes) == 0) {
      if (pthread_attr_getstack(&attributes, &lowest, &bytes) == 0) {
        end = reinterpret_cast<uintptr_t>(lowest);
      }
      pthread_attr_destroy(&attributes);
    }
  }
  return end;
}

}  // namespace

thread_local Scheduler::Worker* Scheduler::current_ = nullptr;

Scheduler::Scheduler(const SchedulerOptions& options)
    : options_(options), spins_(options.executor->spins()) {
  CHECK_GE(options_.workers, 1);
  MutexLock lock(&mutex_);
  for (int i = 0; i < options_.workers; ++i) {
    slots_.push_back(std::make_unique<Slot>());
    slots_.back()->number = i;
    free_.push_back(slots_.back().get());
  }
  free_count_.store(static_cast<uint32_t>(free_.size()));
}

Scheduler::~Scheduler() {
  MutexLock lock(&mutex_);
  CHECK_EQ(drains_, 0) << "a scheduler ends while its threads run";
}

bool Scheduler::OnWorker() const { return current_ != nullptr && current_->scheduler == this; }

int Scheduler::MySlot() const {
  if (!OnWorker()) return -1;
  const Slot* slot = current_->slot.load(std::memory_order_relaxed);
  return slot == nullptr ? -1 : slot->number;
}

size_t Scheduler::StackLeft() const {
  if (!OnWorker() || current_->stack_end == 0) return 0;
  const auto here = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
  return here > current_->stack_end ? here - current_->stack_end : 0;
}

void Scheduler::Enqueue(Runnable* work) {
  if (stopped_.load(std::memory_order_relaxed)) [[unlikely]]
    return work->Discard();
  if (work->priority() != 0) [[unlikely]] {
    PriorityQueue& queue = work->priority() > 0 ? high_ : low_;
    MutexLock lock(&queue.mutex);
    queue.heap.push_back({work, queue.sequence++});
    std::push_heap(queue.heap.begin(), queue.heap.end(),
                   [](const Prioritized& a, const Prioritized& b) {
                     if (a.work->priority() != b.work->priority()) {
                       return a.work->priority() < b.work->priority();
                     }
                     return a.sequence > b.sequence;
                   });
    queue.size.store(queue.heap.size(), std::memory_order_relaxed);
  } else if (Slot* slot = OnWorker() ? current_->slot.load(std::memory_order_relaxed) : nullptr;
             slot != nullptr) {
    if (Runnable* before = slot->next.exchange(work, std::memory_order_acq_rel);
        before != nullptr) {
      MutexLock lock(&slot->mutex);
      slot->queue.push_back(before);
      slot->size.store(slot->queue.size(), std::memory_order_relaxed);
    }
  } else {
    MutexLock lock(&common_mutex_);
    common_.push_back(work);
    common_size_.store(common_.size(), std::memory_order_relaxed);
  }
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (searching_.load(std::memory_order_relaxed) == 0 &&
      free_count_.load(std::memory_order_relaxed) > 0) {
    WakeWorker();
  }
}

bool Scheduler::HasWork() const {
  if (common_size_.load(std::memory_order_relaxed) > 0) return true;
  if (high_.size.load(std::memory_order_relaxed) > 0) return true;
  if (low_.size.load(std::memory_order_relaxed) > 0) return true;
  for (const auto& slot : slots_) {
    if (slot->next.load(std::memory_order_relaxed) != nullptr) return true;
    if (slot->size.load(std::memory_order_relaxed) > 0) return true;
  }
  return false;
}

bool Scheduler::Idle() const { return free_count_.load() == slots_.size() && !HasWork(); }

void Scheduler::WakeWorker() {
  Slot* slot = nullptr;
  {
    MutexLock lock(&mutex_);
    if (searching_.load() > 0 || free_.empty() || stopping_.load()) return;
    slot = free_.back();
    free_.pop_back();
    free_count_.store(static_cast<uint32_t>(free_.size()));
    searching_.fetch_add(1);
    ++drains_;
  }
  Launch(slot);
}

void Scheduler::Launch(Slot* slot) {
  bool in_executor = false;
  {
    MutexLock lock(&posts_->mutex);
    if (posts_->in_executor < workers()) {
      ++posts_->in_executor;
      posts_->waiting.push_back({slot, options_.clock->Now()});
      in_executor = true;
    }
  }
  if (!in_executor) return LaunchOnOwnThread(slot);
  // The executor may come so late that the scheduler is gone. As long as its slot waits, it is not.
  options_.executor->Post([this, posts = posts_, owner = options_.owner] {
    Slot* mine = nullptr;
    std::shared_ptr<void> kept;
    {
      MutexLock lock(&posts->mutex);
      if (!posts->waiting.empty()) {
        kept = owner.lock();
        mine = posts->waiting.front().slot;
        posts->waiting.pop_front();
        ++posts->begun;
      }
    }
    if (mine != nullptr) Drain(mine);
    kept = nullptr;
    MutexLock lock(&posts->mutex);
    --posts->in_executor;
    if (mine != nullptr && --posts->begun == 0 && posts->stop_parker != nullptr) {
      posts->stop_parker->Unpark();
    }
  });
  if (spins_ && !help_asked_.exchange(true, std::memory_order_acq_rel) && help_wanted_) {
    help_wanted_();
  }
}

void Scheduler::LaunchOnOwnThread(Slot* slot) {
  const auto drain = [this, slot, kept = options_.owner.lock()] { Drain(slot); };
  if (options_.executor->PostBlocking(drain)) return;
  if (threads_.Run(drain)) return;
  // No more threads: the slot stays free until a wait ends.
  MutexLock lock(&mutex_);
  searching_.fetch_sub(1);
  PassOn(slot);
  --drains_;
}

absl::Time Scheduler::HelpExecutor() {
  help_asked_.store(false, std::memory_order_release);
  const absl::Time now = options_.clock->Now();
  std::vector<Slot*> late;
  absl::Time again = absl::InfiniteFuture();
  {
    MutexLock lock(&posts_->mutex);
    while (!posts_->waiting.empty() && posts_->waiting.front().since + kExecutorGrace <= now) {
      late.push_back(posts_->waiting.front().slot);
      posts_->waiting.pop_front();
    }
    if (!posts_->waiting.empty()) again = posts_->waiting.front().since + kExecutorGrace;
  }
  for (Slot* slot : late) LaunchOnOwnThread(slot);
  if (again != absl::InfiniteFuture()) help_asked_.store(true, std::memory_order_release);
  return again;
}

void Scheduler::Drain(Slot* slot) {
  Worker worker;
  worker.scheduler = this;
  worker.slot.store(slot, std::memory_order_relaxed);
  worker.stack_end = StackEndOfThisThread();
  Worker* const outer = std::exchange(current_, &worker);
  WaitHook* const outer_hook = SetWaitHook(options_.wait_hook);
  int round = 0;
  int64_t idle_since_ns = 0;
  for (;;) {
    Runnable* work = stopping_.load(std::memory_order_relaxed) ? nullptr : Next(&worker);
    if (work != nullptr) {
      if (worker.searching) StopSearching(&worker);
      work->Run();
      options_.executor->BetweenTasks();
      round = 0;
      if (resuming_count_.load(std::memory_order_relaxed) > 0) {
        MutexLock lock(&mutex_);
        if (!resuming_.empty()) {
          PassOn(worker.slot.exchange(nullptr, std::memory_order_relaxed));
          break;
        }
      }
      continue;
    }
    if (!worker.searching) {
      worker.searching = true;
      searching_.fetch_add(1);
      continue;  // to look once as one who searches
    }
    if (spins_ && !stopping_.load(std::memory_order_relaxed)) {
      if (round == 0) idle_since_ns = options_.clock->MonotonicNanos();
      PauseOrYield(round++);
      if (options_.clock->MonotonicNanos() - idle_since_ns < kSearchNanos) continue;
    }
    if (GoIdle(&worker)) break;
    round = 0;
  }
  SetWaitHook(outer_hook);
  current_ = outer;
  EndDrain();
}

void Scheduler::EndDrain() {
  MutexLock lock(&mutex_);
  if (--drains_ == 0 && stop_parker_ != nullptr) stop_parker_->Unpark();
}

void Scheduler::StopSearching(Worker* worker) {
  worker->searching = false;
  // The last one to find work lets another look, as there may be more.
  if (searching_.fetch_sub(1) == 1 && free_count_.load(std::memory_order_relaxed) > 0 &&
      HasWork()) {
    WakeWorker();
  }
}

bool Scheduler::GoIdle(Worker* worker) {
  {
    MutexLock lock(&mutex_);
    searching_.fetch_sub(1);
    PassOn(worker->slot.exchange(nullptr, std::memory_order_relaxed));
  }
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (stopping_.load() || !HasWork()) return true;
  MutexLock lock(&mutex_);
  if (searching_.load() > 0 || free_.empty()) return true;
  worker->slot.store(free_.back(), std::memory_order_relaxed);
  free_.pop_back();
  free_count_.store(static_cast<uint32_t>(free_.size()));
  searching_.fetch_add(1);
  return false;
}

void Scheduler::PassOn(Slot* slot) {
  if (!resuming_.empty()) {
    Worker* const worker = resuming_.front();
    resuming_.pop_front();
    resuming_count_.store(static_cast<uint32_t>(resuming_.size()));
    worker->slot.store(slot, std::memory_order_relaxed);
    worker->parker->Unpark();
    return;
  }
  free_.push_back(slot);
  free_count_.store(static_cast<uint32_t>(free_.size()));
}

absl::Status Scheduler::BeginBlocking(absl::FunctionRef<bool()> ready) {
  if (!OnWorker() || current_->slot.load(std::memory_order_relaxed) == nullptr) {
    return absl::OkStatus();
  }
  if (spins_) {
    const int64_t since_ns = options_.clock->MonotonicNanos();
    int round = 0;
    do {
      if (ready()) return absl::OkStatus();
      PauseOrYield(round++);
    } while (options_.clock->MonotonicNanos() - since_ns < kBlockSpinNanos);
  }
  {
    MutexLock lock(&mutex_);
    if (blocked_count_.load(std::memory_order_relaxed) >= options_.blocked_max) {
      return absl::ResourceExhaustedError(absl::StrFormat(
          "%d tasks wait for results already (blocked_tasks_max): this one cannot",  //
          options_.blocked_max));
    }
    blocked_count_.fetch_add(1, std::memory_order_relaxed);
    PassOn(current_->slot.exchange(nullptr, std::memory_order_relaxed));
  }
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (searching_.load(std::memory_order_relaxed) == 0 && HasWork()) WakeWorker();
  return absl::OkStatus();
}

void Scheduler::EndBlocking() {
  if (!OnWorker()) return;
  Worker* const worker = current_;
  if (worker->slot.load(std::memory_order_relaxed) != nullptr) return;  // it never gave it up
  {
    MutexLock lock(&mutex_);
    blocked_count_.fetch_sub(1, std::memory_order_relaxed);
    if (!free_.empty()) {
      worker->slot.store(free_.back(), std::memory_order_relaxed);
      free_.pop_back();
      free_count_.store(static_cast<uint32_t>(free_.size()));
      return;
    }
    if (worker->parker == nullptr) worker->parker = options_.clock->NewParker();
    resuming_.push_back(worker);
    resuming_count_.store(static_cast<uint32_t>(resuming_.size()));
  }
  // Who has given it the slot is through with the parker once this thread gets the lock.
  for (;;) {
    worker->parker->Park(absl::InfiniteFuture());
    MutexLock lock(&mutex_);
    if (worker->slot.load(std::memory_order_relaxed) != nullptr) return;
  }
}

Runnable* Scheduler::Next(Worker* worker) {
  Slot* const slot = worker->slot.load(std::memory_order_relaxed);
  if (++slot->tick % kFairTicks == 0) [[unlikely]] {
    // Each of them is the first in turn: none can be full for ever at the cost of the others.
    const uint32_t first = slot->tick / kFairTicks;
    for (uint32_t i = 0; i < 3; ++i) {
      const uint32_t queue = (first + i) % 3;
      Runnable* const work = queue == 0   ? PopPriority(&low_)
                             : queue == 1 ? PopCommon(slot)
                                          : PopOwn(slot);
      if (work != nullptr) return work;
    }
  }
  if (Runnable* work = PopPriority(&high_)) return work;
  if (slot->next.load(std::memory_order_relaxed) != nullptr) {
    if (Runnable* work = slot->next.exchange(nullptr, std::memory_order_acq_rel)) return work;
  }
  if (Runnable* work = PopOwn(slot)) return work;
  if (Runnable* work = PopCommon(slot)) return work;
  if (Runnable* work = Steal(worker, slot)) return work;
  return PopPriority(&low_);
}

Runnable* Scheduler::PopPriority(PriorityQueue* queue) {
  if (queue->size.load(std::memory_order_relaxed) == 0) return nullptr;
  MutexLock lock(&queue->mutex);
  if (queue->heap.empty()) return nullptr;
  std::pop_heap(queue->heap.begin(), queue->heap.end(),
                [](const Prioritized& a, const Prioritized& b) {
                  if (a.work->priority() != b.work->priority()) {
                    return a.work->priority() < b.work->priority();
                  }
                  return a.sequence > b.sequence;
                });
  Runnable* const work = queue->heap.back().work;
  queue->heap.pop_back();
  queue->size.store(queue->heap.size(), std::memory_order_relaxed);
  return work;
}

Runnable* Scheduler::PopOwn(Slot* slot) {
  if (slot->size.load(std::memory_order_relaxed) == 0) return nullptr;
  MutexLock lock(&slot->mutex);
  if (slot->queue.empty()) return nullptr;
  Runnable* const work = slot->queue.front();
  slot->queue.pop_front();
  slot->size.store(slot->queue.size(), std::memory_order_relaxed);
  return work;
}

Runnable* Scheduler::PopCommon(Slot* slot) {
  if (common_size_.load(std::memory_order_relaxed) == 0) return nullptr;
  Runnable* batch[kBatchMax];
  size_t count = 0;
  {
    MutexLock lock(&common_mutex_);
    // A share only, so that others find some too.
    const size_t share = common_.size() / slots_.size() + 1;
    const size_t wanted = std::min({common_.size(), share, kBatchMax});
    for (; count < wanted; ++count) {
      batch[count] = common_.front();
      common_.pop_front();
    }
    common_size_.store(common_.size(), std::memory_order_relaxed);
  }
  if (count == 0) return nullptr;
  if (count > 1) {
    MutexLock lock(&slot->mutex);
    for (size_t i = 1; i < count; ++i) slot->queue.push_back(batch[i]);
    slot->size.store(slot->queue.size(), std::memory_order_relaxed);
  }
  return batch[0];
}

Runnable* Scheduler::Steal(Worker* worker, Slot* slot) {
  const size_t count = slots_.size();
  for (size_t i = 1; i < count; ++i) {
    Slot* const victim = slots_[(static_cast<size_t>(slot->number) + i) % count].get();
    if (victim->size.load(std::memory_order_relaxed) > 0) {
      MutexLock lock(&victim->mutex);
      if (!victim->queue.empty()) {
        Runnable* const work = victim->queue.front();
        victim->queue.pop_front();
        victim->size.store(victim->queue.size(), std::memory_order_relaxed);
        return work;
      }
    }
  }
  for (size_t i = 1; i < count; ++i) {
    Slot* const victim = slots_[(static_cast<size_t>(slot->number) + i) % count].get();
    Runnable* const next = victim->next.load(std::memory_order_relaxed);
    if (next == nullptr) continue;
    if (spins_) {
      const int64_t now_ns = options_.clock->MonotonicNanos();
      if (worker->seen != next) {
        worker->seen = next;
        worker->seen_since_ns = now_ns;
        return nullptr;
      }
      if (now_ns - worker->seen_since_ns < kNextKeptNanos) return nullptr;
    }
    worker->seen = nullptr;
    if (Runnable* work = victim->next.exchange(nullptr, std::memory_order_acq_rel)) return work;
  }
  return nullptr;
}

bool Scheduler::Stop(absl::Time deadline) {
  stopping_.store(true);
  const std::unique_ptr<Parker> parker = options_.clock->NewParker();
  bool ended = false;
  for (;;) {
    // What waits for the executor is not waited for.
    std::deque<Posts::Waiting> unbegun;
    {
      MutexLock lock(&posts_->mutex);
      unbegun.swap(posts_->waiting);
    }
    {
      MutexLock lock(&mutex_);
      for (const Posts::Waiting& waiting : unbegun) {
        searching_.fetch_sub(1);
        --drains_;
        PassOn(waiting.slot);
      }
      ended = drains_ == 0;
      stop_parker_ = ended ? nullptr : parker.get();
    }
    if (ended || !parker->Park(deadline)) break;
  }
  {
    MutexLock lock(&mutex_);
    stop_parker_ = nullptr;
    ended = drains_ == 0;
  }
  if (!ended) return false;
  // The executor's threads are still on their way out of our code.
  for (;;) {
    {
      MutexLock lock(&posts_->mutex);
      posts_->stop_parker = posts_->begun == 0 ? nullptr : parker.get();
      if (posts_->begun == 0) break;
    }
    parker->Park(absl::InfiniteFuture());
  }
  threads_.Stop(kThreadsStopMax);
  stopped_.store(true);
  DiscardAll();
  return true;
}

void Scheduler::DiscardAll() {
  std::vector<Runnable*> left;
  for (PriorityQueue* queue : {&high_, &low_}) {
    MutexLock lock(&queue->mutex);
    for (const Prioritized& item : queue->heap) left.push_back(item.work);
    queue->heap.clear();
    queue->size.store(0);
  }
  for (const auto& slot : slots_) {
    if (Runnable* work = slot->next.exchange(nullptr)) left.push_back(work);
    MutexLock lock(&slot->mutex);
    left.insert(left.end(), slot->queue.begin(), slot->queue.end());
    slot->queue.clear();
    slot->size.store(0);
  }
  {
    MutexLock lock(&common_mutex_);
    left.insert(left.end(), common_.begin(), common_.end());
    common_.clear();
    common_size_.store(0);
  }
  for (Runnable* work : left) work->Discard();
}

}  // namespace spillway::internal
