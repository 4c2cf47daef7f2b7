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

// How many uses lie between two rounds of learning: in proportion to the objects, but also to all
// uses so far, because a round takes as long as a thousand uses; within limits.
constexpr uint64_t kLearnObjectsShare = 4;
constexpr uint64_t kLearnUsesShare = 64;
constexpr uint64_t kLearnAfterMin = 1000;
constexpr uint64_t kLearnAfterMax = uint64_t{64} * 1024;

// Counts fade by 1/e in this many uses, and in this many per resident object.
constexpr float kFadeUsesMin = 100'000;
constexpr float kFadeUsesPerObject = 10;

// Before each round, a sample of slots shows who is waiting, resident or not: one slot for so many
// uses since the last round. They are looked at in runs, because neighbours share cache lines.
constexpr uint64_t kSampleUsesShare = 4;
constexpr uint64_t kSampleRun = 8;
constexpr uint64_t kSampleSlotsMin = 512;

// All lists are looked at anew after this share of the objects was evicted, within limits.
constexpr uint64_t kRefreshObjectsShare = 4;
constexpr uint64_t kRefreshAfterMin = 32;
constexpr uint64_t kRefreshAfterMax = 512;

// Neighbours in a list differ little, if there are many.
constexpr uint64_t kVictimsAtOnceObjectsShare = 256;
constexpr uint64_t kVictimsAtOnceMax = 4;

// A hit within this share of the objects' number of uses, or within the minimum, belongs to the use
// before.
constexpr uint64_t kSameUseObjectsShare = 8;
constexpr uint64_t kSameUseAgeMin = 32;

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
  Refresh();
}

float CostPolicy::WorthOf(SlotIndex slot) const {
  const Node& node = residents_[slot];
  const float size_bytes = static_cast<float>(std::max<uint64_t>(residents_.SizeOf(slot), 1));
  return model_.Rank(node.list() / kSizeLevels, AgeOf(node)) *
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
  const float* lists = worth_.data() + ptrdiff_t{object_class} * kSizeLevels;
  class_worth_[object_class] = *std::min_element(lists, lists + kSizeLevels);
  const int group = object_class / kClassesPerGroup;
  const float* classes = class_worth_.data() + ptrdiff_t{group} * kClassesPerGroup;
  group_worth_[group] = *std::min_element(classes, classes + kClassesPerGroup);
}

void CostPolicy::Refresh() {
  for (int list = 0; list < kLists; ++list) {
    if (worth_[list] == kNothing) continue;
    float worth = kNothing;
    if (!lists_[list].empty()) LeastWorthy(list, &worth);
    SetWorth(list, worth);
  }
  next_worth_ = 0;
  victims_unseen_ = 0;
  const uint64_t objects = residents_.objects();
  evictions_before_refresh_ = static_cast<uint32_t>(
      std::clamp(objects / kRefreshObjectsShare, kRefreshAfterMin, kRefreshAfterMax));
  victims_at_once_ = static_cast<uint32_t>(
      std::clamp<uint64_t>(objects / kVictimsAtOnceObjectsShare, 1, kVictimsAtOnceMax));
  same_use_age_max_ =
      static_cast<uint32_t>(std::max(objects / kSameUseObjectsShare, kSameUseAgeMin));
}

inline int CostPolicy::Use(Node* node) {
  const uint32_t age = AgeOf(*node);
  const int list = node->list();
  model_.Reused(list / kSizeLevels, age);
  const uint32_t uses = std::min(node->uses() + 1, kUsesMax);
  const int next_list = ReuseModel::ClassOf(uses, age) * kSizeLevels + list % kSizeLevels;
  node->Set(next_list, uses);
  node->used_at = clock_;
  return next_list;
}

inline void CostPolicy::Link(SlotIndex slot, int list) {
  lists_[list].PushHead(residents_, slot);
  if (worth_[list] == kNothing) {
    SetWorth(list, 0);
    next_worth_ = 0;
    victims_unseen_ = 0;
  }
}

void CostPolicy::Insert(SlotIndex slot, uint64_t key, uint64_t size_bytes) {
  if (++clock_ >= kClockMax) SetBackClock();
  const uint16_t key_check = static_cast<uint16_t>(HashKey(key));
  const bool known = slot < residents_.slots() && residents_[slot].list() != kUnknown &&
                     residents_[slot].key_check == key_check;
  if (known) {
    Link(slot, Use(&residents_.Revive(slot, size_bytes)));
  } else {
    Node& node = residents_.Add(slot, size_bytes);
    node.used_at = clock_;
    node.key_check = key_check;
    const int list = ReuseModel::kClassNew * kSizeLevels + SizeLevel(size_bytes);
    node.Set(list, 1);
    Link(slot, list);
  }
}

void CostPolicy::Hit(SlotIndex slot) {
  if (!residents_.Contains(slot)) return;
  Node& node = residents_[slot];
  if (++clock_ - node.used_at <= same_use_age_max_) return;
  if (clock_ >= kClockMax) SetBackClock();
  lists_[node.list()].Unlink(residents_, slot);
  Link(slot, Use(&node));
}

void CostPolicy::Remove(SlotIndex slot) {
  if (slot >= residents_.slots() || residents_[slot].list() == kUnknown) return;
  Node& node = residents_[slot];
  model_.Vanished(node.list() / kSizeLevels, AgeOf(node));
  if (residents_.Contains(slot)) {
    lists_[node.list()].Unlink(residents_, slot);
    residents_.Erase(slot);
  }
  node.Set(kUnknown, 0);
}

void CostPolicy::Readmit(SlotIndex slot, uint64_t key, uint64_t size_bytes) {
  Insert(slot, key, size_bytes);
}

SlotIndex CostPolicy::TakeFrom(int list, SlotIndex victim) {
  victims_list_ = list;
  victims_unseen_ = victim == lists_[list].tail() ? victims_at_once_ - 1 : 0;
  return victim;
}

SlotIndex CostPolicy::FindVictim() {
  // Another one of the last victim's list, while no other list can have a less worthy one.
  float worth = kNothing;
  if (!lists_[victims_list_].empty()) {
    if (victims_unseen_ > 0) {
      --victims_unseen_;
      return lists_[victims_list_].tail();
    }
    const SlotIndex victim = LeastWorthy(victims_list_, &worth);
    if (worth <= next_worth_) return TakeFrom(victims_list_, victim);
  }
  SetWorth(victims_list_, worth);
  // What is on record may be too low, never too high but for age: look, and look again if it was.
  // Each turn sets a list right, so that it ends.
  while (true) {
    const auto group = std::min_element(group_worth_.begin(), group_worth_.end());
    const auto classes = class_worth_.begin() + (group - group_worth_.begin()) * kClassesPerGroup;
    const auto of_class = std::min_element(classes, classes + kClassesPerGroup);
    const auto lists = worth_.begin() + (of_class - class_worth_.begin()) * kSizeLevels;
    const int list =
        static_cast<int>(std::min_element(lists, lists + kSizeLevels) - worth_.begin());
    CHECK(worth_[list] != kNothing)
        << residents_.objects() << " objects are resident, and no list has one";
    SlotIndex victim = kNoSlot;
    worth = kNothing;
    if (!lists_[list].empty()) victim = LeastWorthy(list, &worth);
    SetWorth(list, kNothing);
    next_worth_ = *std::min_element(group_worth_.begin(), group_worth_.end());
    SetWorth(list, worth);
    if (victim != kNoSlot && worth <= next_worth_) return TakeFrom(list, victim);
  }
}

std::optional<SlotIndex> CostPolicy::Evict() {
  if (residents_.objects() == 0) return std::nullopt;
  if (clock_ >= learn_at_) Learn();
  if (evictions_before_refresh_-- == 0) Refresh();
  const SlotIndex victim = FindVictim();
  lists_[residents_[victim].list()].Unlink(residents_, victim);
  residents_.Erase(victim);
  return victim;
}

void CostPolicy::SampleWaiting(uint64_t slots_wanted) {
  const uint64_t runs = residents_.slots() / kSampleRun;
  const uint64_t stride = std::max<uint64_t>(runs / (slots_wanted / kSampleRun), 1);
  sample_begin_ = (sample_begin_ + 1) % stride;
  for (uint64_t run = sample_begin_; run < runs; run += stride) {
    for (uint64_t slot = run * kSampleRun; slot < (run + 1) * kSampleRun; ++slot) {
      const Node& node = residents_[static_cast<SlotIndex>(slot)];
      if (node.list() == kUnknown) continue;
      model_.Waiting(node.list() / kSizeLevels, AgeOf(node), static_cast<float>(stride));
    }
  }
}

void CostPolicy::Learn() {
  const uint64_t objects = residents_.objects();
  const uint64_t learn_after =
      std::clamp(std::max(objects / kLearnObjectsShare, clock_ / kLearnUsesShare), kLearnAfterMin,
                 kLearnAfterMax);
  SampleWaiting(std::max(learn_after / kSampleUsesShare, kSampleSlotsMin));
  const float fade_uses = std::max(kFadeUsesMin, kFadeUsesPerObject * static_cast<float>(objects));
  model_.Learn(static_cast<float>(clock_ - learned_at_), fade_uses, clock_);
  learned_at_ = clock_;
  learn_at_ = clock_ + static_cast<uint32_t>(learn_after);
  Refresh();
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
