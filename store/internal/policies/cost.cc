#include "store/internal/policies/cost.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "store/internal/policies/key_hash.h"

namespace spillway::internal {
namespace {

constexpr float kNothing = std::numeric_limits<float>::infinity();

// Times are 32 bits wide; at this one all are set back.
constexpr uint32_t kClockMax = uint32_t{1} << 31;
constexpr uint32_t kClockSetBack = uint32_t{1} << 30;

// How many uses lie between two rounds of learning: half as many as there are objects, within limits;
// the first rounds come soon.
constexpr uint32_t kLearnAfterMin = 1000;
constexpr uint32_t kLearnAfterMax = 64 * 1024;
constexpr uint32_t kLearnAfterFew = 32 * 1024;  // even for few objects, because a round costs some 50 us

// Counts fade by 1/e in this many uses, and in this many per resident object.
constexpr float kFadeUsesMin = 50'000;
constexpr float kFadeUsesPerObject = 25;

// Slots are sampled in runs, because neighbours share cache lines.
constexpr uint64_t kSampleRun = 8;

constexpr uint32_t kUpdateAfterEvictionsMin = 512;

int SizeLevel(uint64_t size_bytes) {
  return std::clamp((static_cast<int>(std::bit_width(size_bytes)) - 7) / 2, 0, 7);
}

}  // namespace

CostPolicy::CostPolicy() {
  static_assert(kSizeLevels == 8);
  worth_.fill(kNothing);
  class_worth_.fill(kNothing);
}

void CostPolicy::SetRestoreCosts(double per_miss_ns, double per_byte_ns) {
  per_miss_ns_ = static_cast<float>(per_miss_ns);
  per_byte_ns_ = static_cast<float>(per_byte_ns);
  UpdateAllWorths();
}

int CostPolicy::ListOf(SlotIndex slot) const {
  return residents_[slot].object_class * kSizeLevels + SizeLevel(residents_.SizeOf(slot));
}

float CostPolicy::WorthOf(SlotIndex slot) const {
  const Node& node = residents_[slot];
  const float size_bytes = static_cast<float>(std::max<uint64_t>(residents_.SizeOf(slot), 1));
  return model_.Rank(node.object_class, AgeOf(node)) * (per_miss_ns_ / size_bytes + per_byte_ns_);
}

float CostPolicy::WorthOfList(const SlotList& objects) const {
  return std::min(WorthOf(objects.tail()), WorthOf(objects.head()));
}

void CostPolicy::SetWorth(int list, float worth) {
  worth_[list] = worth;
  const int object_class = list / kSizeLevels;
  const float* of_class = &worth_[object_class * kSizeLevels];
  class_worth_[object_class] = *std::min_element(of_class, of_class + kSizeLevels);
}

void CostPolicy::UpdateAllWorths() {
  for (int list = 0; list < kLists; ++list) {
    if (worth_[list] == kNothing) continue;
    SetWorth(list, lists_[list].empty() ? kNothing : WorthOfList(lists_[list]));
  }
  evictions_before_update_ = static_cast<uint32_t>(
      std::clamp<uint64_t>(residents_.objects() / 16, 32, 512));
  next_worth_ = 0;
}

void CostPolicy::Tick() {
  if (++clock_ < kClockMax) return;
  for (SlotIndex slot = 0; slot < residents_.slots(); ++slot) {
    Node& node = residents_[slot];
    node.used_at = std::max(node.used_at, kClockSetBack) - kClockSetBack;
  }
  clock_ -= kClockSetBack;
  learn_at_ = std::max(learn_at_, kClockSetBack) - kClockSetBack;
  learned_at_ = std::max(learned_at_, kClockSetBack) - kClockSetBack;
}

void CostPolicy::Use(Node* node) {
  const uint32_t age = AgeOf(*node);
  model_.Reused(node->object_class, age);
  if (node->uses < 255) ++node->uses;
  node->object_class = static_cast<uint8_t>(ReuseModel::ClassOf(node->uses, age));
  node->used_at = clock_;
}

void CostPolicy::Link(SlotIndex slot) {
  const int list = ListOf(slot);
  lists_[list].PushHead(residents_, slot);
  if (worth_[list] == kNothing) {
    SetWorth(list, 0);
    next_worth_ = 0;
  }
}

void CostPolicy::Unlink(SlotIndex slot) { lists_[ListOf(slot)].Unlink(residents_, slot); }

void CostPolicy::Insert(SlotIndex slot, uint64_t key, uint64_t size_bytes) {
  Tick();
  const uint16_t key_check = static_cast<uint16_t>(HashKey(key));
  const bool known = slot < residents_.slots() && residents_[slot].object_class != kUnknown &&
                     residents_[slot].key_check == key_check;
  if (known) {
    Use(&residents_.Revive(slot, size_bytes));
  } else {
    Node& node = residents_.Add(slot, size_bytes);
    node.used_at = clock_;
    node.uses = 1;
    node.object_class = ReuseModel::kClassNew;
    node.key_check = key_check;
  }
  Link(slot);
}

void CostPolicy::Hit(SlotIndex slot) {
  if (!residents_.Contains(slot)) return;
  Tick();
  const int from = ListOf(slot);
  Use(&residents_[slot]);
  if (lists_[from].head() == slot && ListOf(slot) == from) return;
  lists_[from].Unlink(residents_, slot);
  Link(slot);
}

void CostPolicy::Remove(SlotIndex slot) {
  if (slot >= residents_.slots() || residents_[slot].object_class == kUnknown) return;
  Node& node = residents_[slot];
  model_.Vanished(node.object_class, AgeOf(node));
  if (residents_.Contains(slot)) {
    Unlink(slot);
    residents_.Erase(slot);
  }
  node.object_class = kUnknown;
}

void CostPolicy::Readmit(SlotIndex slot, uint64_t key, uint64_t size_bytes) {
  Insert(slot, key, size_bytes);
}

int CostPolicy::LeastWorthyList() {
  while (true) {
    int least_class = 0;
    float least = kNothing;
    float next = kNothing;
    for (int object_class = 0; object_class < ReuseModel::kClasses; ++object_class) {
      const float worth = class_worth_[object_class];
      if (worth >= next) continue;
      if (worth < least) {
        next = least;
        least = worth;
        least_class = object_class;
      } else {
        next = worth;
      }
    }
    int least_list = least_class * kSizeLevels;
    for (int list = least_list; list < (least_class + 1) * kSizeLevels; ++list) {
      if (worth_[list] < worth_[least_list]) least_list = list;
    }
    for (int list = least_class * kSizeLevels; list < (least_class + 1) * kSizeLevels; ++list) {
      if (list != least_list) next = std::min(next, worth_[list]);
    }
    const SlotList& objects = lists_[least_list];
    const float worth = objects.empty() ? kNothing : WorthOfList(objects);
    SetWorth(least_list, worth);
    if (worth <= next && worth != kNothing) {
      next_worth_ = next;
      return least_list;
    }
  }
}

std::optional<SlotIndex> CostPolicy::Evict() {
  if (residents_.objects() == 0) return std::nullopt;
  if (clock_ >= learn_at_) Learn();
  if (evictions_before_update_-- == 0) UpdateAllWorths();
  if (lists_[victims_list_].empty() || WorthOfList(lists_[victims_list_]) > next_worth_) {
    victims_list_ = LeastWorthyList();
  }
  const SlotList& objects = lists_[victims_list_];
  const SlotIndex victim =
      WorthOf(objects.head()) < WorthOf(objects.tail()) ? objects.head() : objects.tail();
  Unlink(victim);
  residents_.Erase(victim);
  return victim;
}

void CostPolicy::Learn() {
  const uint64_t objects = residents_.objects();
  const uint32_t learn_after = static_cast<uint32_t>(std::clamp<uint64_t>(
      std::max<uint64_t>(objects / 2, std::min(clock_ / 32, kLearnAfterFew)), kLearnAfterMin,
      kLearnAfterMax));
  learn_at_ = clock_ + learn_after;

  // Who is waiting, resident or not: all, or a sample of about as many slots as there were uses.
  const uint64_t slots = residents_.slots();
  const uint64_t runs = slots / kSampleRun;
  const uint64_t runs_wanted = std::max<uint64_t>(learn_after / 4, 1024) / kSampleRun;
  const uint64_t stride = std::max<uint64_t>(runs / runs_wanted, 1);
  waiting_sample_begin_ = (waiting_sample_begin_ + 1) % stride;
  for (uint64_t run = waiting_sample_begin_; run < runs; run += stride) {
    for (uint64_t slot = run * kSampleRun; slot < (run + 1) * kSampleRun; ++slot) {
      const Node& node = residents_[static_cast<SlotIndex>(slot)];
      if (node.object_class == kUnknown) continue;
      model_.Waiting(node.object_class, AgeOf(node), static_cast<float>(stride));
    }
  }
  const float fade_uses =
      std::max(kFadeUsesMin, kFadeUsesPerObject * static_cast<float>(objects));
  model_.Learn(std::exp(-static_cast<float>(clock_ - learned_at_) / fade_uses));
  learned_at_ = clock_;
  UpdateAllWorths();
}

}  // namespace spillway::internal
