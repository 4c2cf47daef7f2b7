#include "store/internal/policies/cost.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "glog/logging.h"
#include "store/internal/policies/key_hash.h"

namespace spillway::internal {
namespace {

constexpr float kNothing = std::numeric_limits<float>::infinity();

// Times are 32 bits wide; at this one all are set back.
constexpr uint32_t kClockMax = uint32_t{1} << 31;
constexpr uint32_t kClockSetBack = uint32_t{1} << 30;

// How many uses lie between two rounds of learning: half as many as there are objects, but also a
// share of all so far, because a round takes as long as a few thousand uses; within limits.
constexpr uint64_t kLearnAfterMin = 1000;
constexpr uint64_t kLearnAfterMax = 64 * 1024;
constexpr uint64_t kLearnAfterFew = 32 * 1024;  // at most, when there are few objects

// Counts fade by 1/e in this many uses, and in this many per resident object.
constexpr float kFadeUsesMin = 50'000;
constexpr float kFadeUsesPerObject = 25;

// Slots are sampled in runs, because neighbours share cache lines.
constexpr uint64_t kSampleRun = 8;
constexpr uint64_t kSampleSlotsMin = 1024;

constexpr uint64_t kUpdateAfterEvictionsMin = 32;
constexpr uint64_t kUpdateAfterEvictionsMax = 512;

constexpr uint64_t kSameUseAgeMaxMin = 32;
constexpr uint32_t kUsesMax = 63;

int SizeLevel(uint64_t size_bytes) {
  return std::clamp((static_cast<int>(std::bit_width(size_bytes)) - 7) / 2, 0, 7);
}

}  // namespace

CostPolicy::CostPolicy() {
  static_assert(kSizeLevels == 8);
  worth_.fill(kNothing);
  class_worth_.fill(kNothing);
  group_worth_.fill(kNothing);
}

void CostPolicy::SetRestoreCosts(double per_miss_ns, double per_byte_ns) {
  per_miss_ns_ = static_cast<float>(per_miss_ns);
  per_byte_ns_ = static_cast<float>(per_byte_ns);
  UpdateAllWorths();
}

float CostPolicy::WorthOf(SlotIndex slot) const {
  const Node& node = residents_[slot];
  const float size_bytes = static_cast<float>(std::max<uint64_t>(residents_.SizeOf(slot), 1));
  return model_.Rank(node.list / kSizeLevels, AgeOf(node)) *
         (per_miss_ns_ / size_bytes + per_byte_ns_);
}

SlotIndex CostPolicy::LeastWorthy(int list, float* worth) const {
  const SlotIndex tail = lists_[list].tail();
  *worth = WorthOf(tail);
  if (model_.RankFallsWithAge(list / kSizeLevels)) return tail;
  const SlotIndex head = lists_[list].head();
  const float head_worth = WorthOf(head);
  if (head_worth >= *worth) return tail;
  *worth = head_worth;
  return head;
}

void CostPolicy::SetWorth(int list, float worth) {
  worth_[list] = worth;
  const int object_class = list / kSizeLevels;
  const float* lists = &worth_[object_class * kSizeLevels];
  class_worth_[object_class] = *std::min_element(lists, lists + kSizeLevels);
  const int group = object_class / kClassesPerGroup;
  const float* classes = &class_worth_[group * kClassesPerGroup];
  group_worth_[group] = *std::min_element(classes, classes + kClassesPerGroup);
}

void CostPolicy::UpdateAllWorths() {
  for (int list = 0; list < kLists; ++list) {
    if (worth_[list] == kNothing) continue;
    float worth = kNothing;
    if (!lists_[list].empty()) LeastWorthy(list, &worth);
    SetWorth(list, worth);
  }
  const uint64_t objects = residents_.objects();
  evictions_before_update_ = static_cast<uint32_t>(
      std::clamp<uint64_t>(objects / 16, kUpdateAfterEvictionsMin, kUpdateAfterEvictionsMax));
  same_use_age_max_ = static_cast<uint32_t>(std::max<uint64_t>(objects / 16, kSameUseAgeMaxMin));
  next_worth_ = 0;
}

void CostPolicy::Use(Node* node) {
  const uint32_t age = AgeOf(*node);
  model_.Reused(node->list / kSizeLevels, age);
  if (node->uses < kUsesMax) ++node->uses;
  node->list = ReuseModel::ClassOf(node->uses, age) * kSizeLevels + node->list % kSizeLevels;
  node->used_at = clock_;
}

void CostPolicy::Link(SlotIndex slot) {
  const int list = residents_[slot].list;
  lists_[list].PushHead(residents_, slot);
  if (worth_[list] == kNothing) {
    SetWorth(list, 0);
    next_worth_ = 0;
  }
}

void CostPolicy::Insert(SlotIndex slot, uint64_t key, uint64_t size_bytes) {
  if (++clock_ >= kClockMax) SetBackClock();
  const uint16_t key_check = static_cast<uint16_t>(HashKey(key));
  const bool known = slot < residents_.slots() && residents_[slot].list != kUnknown &&
                     residents_[slot].key_check == key_check;
  if (known) {
    Use(&residents_.Revive(slot, size_bytes));
  } else {
    Node& node = residents_.Add(slot, size_bytes);
    node.used_at = clock_;
    node.uses = 1;
    node.list = ReuseModel::kClassNew * kSizeLevels + SizeLevel(size_bytes);
    node.key_check = key_check;
  }
  Link(slot);
}

void CostPolicy::Hit(SlotIndex slot) {
  if (!residents_.Contains(slot)) return;
  Node& node = residents_[slot];
  if (++clock_ - node.used_at <= same_use_age_max_) return;
  if (clock_ >= kClockMax) SetBackClock();
  lists_[node.list].Unlink(residents_, slot);
  Use(&node);
  Link(slot);
}

void CostPolicy::Remove(SlotIndex slot) {
  if (slot >= residents_.slots() || residents_[slot].list == kUnknown) return;
  Node& node = residents_[slot];
  model_.Vanished(node.list / kSizeLevels, AgeOf(node));
  if (residents_.Contains(slot)) {
    lists_[node.list].Unlink(residents_, slot);
    residents_.Erase(slot);
  }
  node.list = kUnknown;
}

void CostPolicy::Readmit(SlotIndex slot, uint64_t key, uint64_t size_bytes) {
  Insert(slot, key, size_bytes);
}

SlotIndex CostPolicy::FindVictim() {
  // Another one of the last victim's list, while no other list can have a less worthy one.
  float worth;
  if (!lists_[victims_list_].empty()) {
    const SlotIndex victim = LeastWorthy(victims_list_, &worth);
    if (worth <= next_worth_) return victim;
    SetWorth(victims_list_, worth);
  } else {
    SetWorth(victims_list_, kNothing);
  }
  while (true) {
    const auto group = std::min_element(group_worth_.begin(), group_worth_.end());
    const auto classes = class_worth_.begin() + (group - group_worth_.begin()) * kClassesPerGroup;
    const auto of_class = std::min_element(classes, classes + kClassesPerGroup);
    const auto lists = worth_.begin() + (of_class - class_worth_.begin()) * kSizeLevels;
    const auto least = std::min_element(lists, lists + kSizeLevels);
    const int list = static_cast<int>(least - worth_.begin());
    CHECK(*least != kNothing) << "no list has an object, but " << residents_.objects()
                              << " have been inserted";
    SlotIndex victim = kNoSlot;
    worth = kNothing;
    if (!lists_[list].empty()) victim = LeastWorthy(list, &worth);
    // The least of all the others.
    SetWorth(list, kNothing);
    next_worth_ = *std::min_element(group_worth_.begin(), group_worth_.end());
    SetWorth(list, worth);
    if (victim != kNoSlot && worth <= next_worth_) {
      victims_list_ = list;
      return victim;
    }
  }
}

std::optional<SlotIndex> CostPolicy::Evict() {
  if (residents_.objects() == 0) return std::nullopt;
  if (clock_ >= learn_at_) Learn();
  if (evictions_before_update_-- == 0) UpdateAllWorths();
  const SlotIndex victim = FindVictim();
  lists_[residents_[victim].list].Unlink(residents_, victim);
  residents_.Erase(victim);
  return victim;
}

void CostPolicy::Learn() {
  const uint64_t objects = residents_.objects();
  const uint64_t learn_after =
      std::clamp<uint64_t>(std::max<uint64_t>(objects / 2, clock_ / 32), kLearnAfterMin,
                           objects / 2 > kLearnAfterFew ? kLearnAfterMax : kLearnAfterFew);
  learn_at_ = clock_ + static_cast<uint32_t>(learn_after);

  // Who is waiting, resident or not: all, or a sample.
  const uint64_t runs = residents_.slots() / kSampleRun;
  const uint64_t runs_wanted = std::max(learn_after / 4, kSampleSlotsMin) / kSampleRun;
  const uint64_t stride = std::max<uint64_t>(runs / runs_wanted, 1);
  sample_begin_ = (sample_begin_ + 1) % stride;
  for (uint64_t run = sample_begin_; run < runs; run += stride) {
    for (uint64_t slot = run * kSampleRun; slot < (run + 1) * kSampleRun; ++slot) {
      const Node& node = residents_[static_cast<SlotIndex>(slot)];
      if (node.list == kUnknown) continue;
      model_.Waiting(node.list / kSizeLevels, AgeOf(node), static_cast<float>(stride));
    }
  }
  const float fade_uses = std::max(kFadeUsesMin, kFadeUsesPerObject * static_cast<float>(objects));
  model_.Learn(std::exp(-static_cast<float>(clock_ - learned_at_) / fade_uses));
  learned_at_ = clock_;
  UpdateAllWorths();
}

void CostPolicy::SetBackClock() {
  const auto set_back = [](uint32_t* time) {
    *time = std::max(*time, kClockSetBack) - kClockSetBack;
  };
  for (SlotIndex slot = 0; slot < residents_.slots(); ++slot) set_back(&residents_[slot].used_at);
  set_back(&clock_);
  set_back(&learn_at_);
  set_back(&learned_at_);
}

}  // namespace spillway::internal
