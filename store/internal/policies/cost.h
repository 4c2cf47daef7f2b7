// Cost: evicts what is least worth its bytes, judged by the time that restoring it would take.
//
// A miss on an object of s bytes costs about a + s / b. Keeping an object saves that cost each time
// it is used, so that its worth is
//
//     rank x (a / s + 1 / b)    nanoseconds saved per byte and unit of time,
//
// where rank, the expected uses per unit of time, is learned by ReuseModel from the uses
// themselves, of resident objects and of those that left. Nothing about the workload is assumed
// beyond a prior that a few dozen observations overrule.
//
// Objects of a class and size range form a list in order of their last use. The victim is the least
// worthy of all lists' tails and heads: the tail where ranks fall with age, as they mostly do, the
// head where they rise, as in a loop.
//
// What is remembered of an object that left stays in its slot, at no further cost, until it is
// removed or another object gets the slot. 20 bytes per slot; the model takes 170 KiB.
//
// Hits that follow a use closely belong to it: they are one use (the correlated references of E. J.
// O'Neil, P. E. O'Neil, G. Weikum, "The LRU-K page replacement algorithm", SIGMOD 1993), and cost
// next to nothing.
//
// Sources: see reuse_model.h; weighing by cost and size is GreedyDual-Size (P. Cao, S. Irani,
// "Cost-aware WWW proxy caching algorithms", USITS 1997).
#ifndef SPILLWAY_STORE_INTERNAL_POLICIES_COST_H_
#define SPILLWAY_STORE_INTERNAL_POLICIES_COST_H_

#include <array>

#include "store/eviction_policy.h"
#include "store/internal/policies/resident_table.h"
#include "store/internal/policies/reuse_model.h"

namespace spillway::internal {

class CostPolicy final : public EvictionPolicy {
 public:
  CostPolicy();

  std::string_view name() const override { return "cost"; }
  HitTracking hit_tracking() const override { return HitTracking::kOrderedOnce; }
  void SetCapacity(uint64_t) override {}
  void SetRestoreCosts(double per_miss_ns, double per_byte_ns) override;
  bool Admits(uint64_t) const override { return true; }
  void Miss(uint64_t, uint64_t) override {}
  void Insert(SlotIndex slot, uint64_t key, uint64_t size_bytes) override;
  void Hit(SlotIndex slot) override;
  void Remove(SlotIndex slot) override;
  std::optional<SlotIndex> Evict() override;
  void Readmit(SlotIndex slot, uint64_t key, uint64_t size_bytes) override;
  uint64_t objects() const override { return residents_.objects(); }
  uint64_t bytes() const override { return residents_.bytes(); }
  uint64_t MemoryBytes() const override {
    return residents_.MemoryBytes() + ReuseModel::MemoryBytes() + sizeof(*this);
  }

 private:
  static constexpr int kSizeLevels = 8;  // below 256 B, then two octaves each, 1 MiB and more
  static constexpr int kLists = ReuseModel::kClasses * kSizeLevels;
  static constexpr int kClassesPerGroup = 8;
  static constexpr int kGroups = (ReuseModel::kClasses + kClassesPerGroup - 1) / kClassesPerGroup;
  static constexpr int kUnknown = 1023;  // no list
  static constexpr int kUsesBits = 6;
  static constexpr uint32_t kUsesMax = (1u << kUsesBits) - 1;  // saturating
  static_assert(kLists <= kUnknown);

  // Filled in for objects that left, too, until the list is kUnknown.
  struct Node : LinkedNode {
    uint32_t used_at = 0;
    uint16_t list_and_uses = kUnknown << kUsesBits;
    uint16_t key_check = 0;  // tells whether the slot has got another object

    int list() const { return list_and_uses >> kUsesBits; }  // by class, then size level
    uint32_t uses() const { return list_and_uses & kUsesMax; }
    void Set(int list, uint32_t uses) {
      list_and_uses = static_cast<uint16_t>(static_cast<uint32_t>(list) << kUsesBits | uses);
    }
  };
  static_assert(sizeof(Node) == 20);

  uint32_t AgeOf(const Node& node) const { return clock_ - node.used_at; }
  float WorthOf(SlotIndex slot) const;
  // Whichever of the list's head and tail is less worth, and how much. REQUIRES: it is not empty.
  SlotIndex LeastWorthy(int list, float* worth) const;
  // Makes the object, which is in no list, one that is used now after having been used before.
  // Returns its new list.
  int Use(Node* node);
  void Link(SlotIndex slot, int list);
  void SetWorth(int list, float worth);
  // Looks at all lists anew.
  void Refresh();
  SlotIndex FindVictim();
  // Makes `list` the one from which victims are taken, the least worthy of which is `victim`.
  SlotIndex TakeFrom(int list, SlotIndex victim);
  void Learn();
  void SampleWaiting(uint64_t slots_wanted);
  void SetBackClock();

  ResidentTable<Node> residents_;
  ReuseModel model_;
  std::array<SlotList, kLists> lists_;

  // A tournament for the least worthy list: the worth of each, of each class's least, and of each
  // group of classes' least. A list's worth is that of the object to leave next, as of when it was
  // looked at last: too low if that object has gone since, a little too high if it has aged.
  // Infinite if the list is empty.
  std::array<float, kLists> worth_;
  std::array<float, kGroups * kClassesPerGroup> class_worth_;
  std::array<float, kGroups> group_worth_;
  int victims_list_ = 0;          // where the last victim came from
  float next_worth_ = 0;          // of the least worthy of the other lists then
  uint32_t victims_at_once_ = 1;  // as many tails of a list leave before their worth is looked at
  uint32_t victims_unseen_ = 0;   // how many of these are left

  float per_miss_ns_ = 100'000;
  float per_byte_ns_ = 1;
  uint32_t clock_ = 0;             // uses so far
  uint32_t same_use_age_max_ = 0;  // a hit at this age or below belongs to the use before
  uint32_t learn_at_ = 0;
  uint32_t learned_at_ = 0;
  uint32_t evictions_before_refresh_ = 0;
  uint64_t sample_begin_ = 0;
};

}  // namespace spillway::internal

#endif  // SPILLWAY_STORE_INTERNAL_POLICIES_COST_H_
