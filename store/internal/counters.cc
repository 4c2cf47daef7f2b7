#include "store/internal/counters.h"

#include <pthread.h>

#include <algorithm>
#include <utility>

#include "glog/logging.h"

namespace spillway::internal {

namespace {

std::atomic<uint64_t> next_number{1};

}  // namespace

thread_local constinit Counters::Last Counters::last_{};

// The blocks that a thread holds, one per store it has used; given up when the thread ends.
struct Counters::ThreadBlocks {
  std::vector<std::pair<uint64_t, std::shared_ptr<CounterBlock>>> held;

  ~ThreadBlocks() {
    last_ = {};
    for (auto& [number, block] : held) block->in_use.store(false, std::memory_order_release);
  }

  // Forgets blocks whose store is gone: then nobody else holds them.
  void Sweep() {
    held.erase(std::remove_if(held.begin(), held.end(),
                              [](const auto& item) { return item.second.use_count() == 1; }),
               held.end());
  }
};

// Not a thread_local: those are destroyed in an order that the program cannot choose, and one of
// them may hold a ref or a view whose end counts. The system ends its keys' values after all of
// them, and again if one comes anew.
Counters::ThreadBlocks& Counters::MyBlocks() {
  static const pthread_key_t key = [] {
    pthread_key_t made;
    const int error =
        pthread_key_create(&made, [](void* blocks) { delete static_cast<ThreadBlocks*>(blocks); });
    CHECK_EQ(error, 0) << "no key for a thread's counters";
    return made;
  }();
  auto* blocks = static_cast<ThreadBlocks*>(pthread_getspecific(key));
  if (blocks == nullptr) {
    blocks = new ThreadBlocks;
    CHECK_EQ(pthread_setspecific(key, blocks), 0);
  }
  return *blocks;
}

Counters::Counters() : number_(next_number.fetch_add(1, std::memory_order_relaxed)) {}

Counters::~Counters() = default;

CounterBlock& Counters::MineSlow() {
  ThreadBlocks& mine = MyBlocks();
  for (const auto& [number, block] : mine.held) {
    if (number == number_) {
      last_ = {number_, block.get()};
      return *block;
    }
  }
  mine.Sweep();
  std::shared_ptr<CounterBlock> block;
  {
    MutexLock lock(&mutex_);
    for (const auto& old : blocks_) {
      bool free = false;
      if (old->in_use.compare_exchange_strong(free, true, std::memory_order_acq_rel)) {
        block = old;
        break;
      }
    }
    if (block == nullptr) {
      block = std::make_shared<CounterBlock>();
      blocks_.push_back(block);
    }
  }
  mine.held.emplace_back(number_, block);
  last_ = {number_, block.get()};
  return *block;
}

uint64_t Counters::Sum(Counter counter) const {
  MutexLock lock(&mutex_);
  uint64_t sum = 0;
  for (const auto& block : blocks_) {
    sum += block->counts[static_cast<size_t>(counter)].load(std::memory_order_relaxed);
  }
  return sum;
}

Histogram Counters::Sum(Latency latency) const {
  MutexLock lock(&mutex_);
  Histogram sum;
  for (const auto& block : blocks_) {
    for (size_t i = 0; i < sum.buckets.size(); ++i) {
      sum.buckets[i] +=
          block->histograms[static_cast<size_t>(latency)][i].load(std::memory_order_relaxed);
    }
  }
  return sum;
}

}  // namespace spillway::internal
