#include "tests/store/policies/naive_policies.h"

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <set>
#include <tuple>
#include <utility>

namespace spillway {
namespace {

// A cache of object numbers; each request says whether it hit.
class NaiveCache {
 public:
  NaiveCache(const Trace& trace, uint64_t capacity) : trace_(trace), capacity_(capacity) {}
  virtual ~NaiveCache() = default;
  virtual bool Get(uint32_t id) = 0;

 protected:
  uint64_t SizeOf(uint32_t id) const { return trace_.object_size_bytes[id]; }

  const Trace& trace_;
  const uint64_t capacity_;
  uint64_t used_ = 0;
};

// lru, fifo
class NaiveList : public NaiveCache {
 public:
  NaiveList(const Trace& trace, uint64_t capacity, bool move_on_hit)
      : NaiveCache(trace, capacity), move_on_hit_(move_on_hit) {}
  bool Get(uint32_t id) override {
    const auto it = std::find(list_.begin(), list_.end(), id);
    if (it != list_.end()) {
      if (move_on_hit_) list_.splice(list_.begin(), list_, it);
      return true;
    }
    if (SizeOf(id) > capacity_) return false;
    while (used_ + SizeOf(id) > capacity_) {
      used_ -= SizeOf(list_.back());
      list_.pop_back();
    }
    used_ += SizeOf(id);
    list_.push_front(id);
    return false;
  }

 private:
  const bool move_on_hit_;
  std::list<uint32_t> list_;
};

class NaiveSieve : public NaiveCache {
 public:
  using NaiveCache::NaiveCache;
  bool Get(uint32_t id) override {
    for (Item& item : queue_) {
      if (item.id == id) return item.visited = true;
    }
    if (SizeOf(id) > capacity_) return false;
    while (used_ + SizeOf(id) > capacity_) Evict();
    used_ += SizeOf(id);
    queue_.push_back({id, false});
    return false;
  }

 private:
  struct Item {
    uint32_t id;
    bool visited;
  };

  // queue_ is oldest first; hand_ is a position in it.
  void Evict() {
    if (hand_ == queue_.size()) hand_ = 0;
    while (queue_[hand_].visited) {
      queue_[hand_].visited = false;
      hand_ = (hand_ + 1) % queue_.size();
    }
    used_ -= SizeOf(queue_[hand_].id);
    queue_.erase(queue_.begin() + static_cast<std::ptrdiff_t>(hand_));
    // Past the newest object the next sweep begins at the oldest, also if newer ones come
    // meanwhile.
    if (hand_ == queue_.size()) hand_ = 0;
  }

  std::deque<Item> queue_;
  size_t hand_ = 0;
};

// lfu, gdsf: the least (priority, time) leaves.
class NaiveRanked : public NaiveCache {
 public:
  NaiveRanked(const Trace& trace, uint64_t capacity, bool by_size)
      : NaiveCache(trace, capacity), by_size_(by_size) {}
  bool Get(uint32_t id) override {
    const auto it = items_.find(id);
    if (it != items_.end()) {
      ++it->second.count;
      Rank(id, &it->second);
      return true;
    }
    if (SizeOf(id) > capacity_) return false;
    while (used_ + SizeOf(id) > capacity_) {
      auto victim = items_.begin();
      for (auto i = items_.begin(); i != items_.end(); ++i) {
        if (std::pair(i->second.priority, i->second.time) <
            std::pair(victim->second.priority, victim->second.time)) {
          victim = i;
        }
      }
      if (by_size_) inflation_ = victim->second.priority;
      used_ -= SizeOf(victim->first);
      items_.erase(victim);
    }
    used_ += SizeOf(id);
    Rank(id, &items_[id]);
    return false;
  }

 private:
  struct Item {
    uint64_t count = 1;
    double priority = 0;
    uint64_t time = 0;
  };

  void Rank(uint32_t id, Item* item) {
    const double count = static_cast<double>(item->count);
    item->priority = by_size_ ? inflation_ + count * 1e6 / static_cast<double>(SizeOf(id)) : count;
    item->time = ++time_;
  }

  const bool by_size_;
  std::map<uint32_t, Item> items_;
  double inflation_ = 0;
  uint64_t time_ = 0;
};

class NaiveS3Fifo : public NaiveCache {
 public:
  NaiveS3Fifo(const Trace& trace, uint64_t capacity)
      : NaiveCache(trace, capacity),
        small_max_(capacity / 10),
        main_max_(capacity - capacity / 10),
        ghost_max_(capacity * 9 / 10) {}
  bool Get(uint32_t id) override {
    for (Queue* queue : {&small_, &main_}) {
      for (Item& item : queue->items) {
        if (item.id == id) return ++item.count, true;
      }
    }
    if (SizeOf(id) >= small_max_) return false;
    const bool returning = Take(&ghost_, id);
    while (small_.bytes + main_.bytes + SizeOf(id) > capacity_) Evict();
    Push(returning ? &main_ : &small_, {id, 0});
    return false;
  }

 private:
  struct Item {
    uint32_t id;
    uint64_t count;
  };
  struct Queue {
    std::deque<Item> items;  // oldest first
    uint64_t bytes = 0;
  };

  void Push(Queue* queue, Item item) {
    queue->items.push_back(item);
    queue->bytes += SizeOf(item.id);
  }
  Item Pop(Queue* queue) {
    const Item item = queue->items.front();
    queue->items.pop_front();
    queue->bytes -= SizeOf(item.id);
    return item;
  }
  bool Take(Queue* queue, uint32_t id) {
    for (auto it = queue->items.begin(); it != queue->items.end(); ++it) {
      if (it->id != id) continue;
      queue->items.erase(it);
      queue->bytes -= SizeOf(id);
      return true;
    }
    return false;
  }

  void Evict() {
    if (main_.bytes > main_max_ || small_.items.empty()) return EvictFromMain();
    while (!small_.items.empty()) {
      const Item item = Pop(&small_);
      if (item.count >= 2) {
        Push(&main_, {item.id, 0});
        continue;
      }
      if (SizeOf(item.id) <= ghost_max_) Push(&ghost_, item);
      while (ghost_.bytes > ghost_max_) Pop(&ghost_);
      return;
    }
  }
  void EvictFromMain() {
    while (true) {
      const Item item = Pop(&main_);
      if (item.count == 0) return;
      Push(&main_, {item.id, std::min<uint64_t>(item.count, 3) - 1});
    }
  }

  const uint64_t small_max_;
  const uint64_t main_max_;
  const uint64_t ghost_max_;
  Queue small_;
  Queue main_;
  Queue ghost_;
};

std::unique_ptr<NaiveCache> MakeNaive(const Trace& trace, std::string_view name,
                                      uint64_t capacity) {
  if (name == "lru") return std::make_unique<NaiveList>(trace, capacity, true);
  if (name == "fifo") return std::make_unique<NaiveList>(trace, capacity, false);
  if (name == "sieve") return std::make_unique<NaiveSieve>(trace, capacity);
  if (name == "lfu") return std::make_unique<NaiveRanked>(trace, capacity, false);
  if (name == "gdsf") return std::make_unique<NaiveRanked>(trace, capacity, true);
  if (name == "s3fifo") return std::make_unique<NaiveS3Fifo>(trace, capacity);
  std::abort();
}

}  // namespace

std::vector<std::string_view> NaivePolicyNames() {
  return {"lru", "fifo", "lfu", "sieve", "s3fifo", "gdsf"};
}

NaiveResult NaiveReplay(const Trace& trace, std::string_view policy_name, uint64_t capacity_bytes) {
  const std::unique_ptr<NaiveCache> cache = MakeNaive(trace, policy_name, capacity_bytes);
  NaiveResult result;
  for (const uint32_t id : trace.requests) {
    if (cache->Get(id)) continue;
    ++result.misses;
    result.miss_bytes += trace.object_size_bytes[id];
  }
  return result;
}

}  // namespace spillway
