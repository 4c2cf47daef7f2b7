// ReuseModel: learns how soon objects are used again, and what it is worth to keep them until then.
//
// Objects are told apart by their class, which says what their past looks like: how often they were
// used, and the time between their last two uses. Within a class, the model counts how many were
// used again at which age (time since their last use) and how many are still waiting at which age.
// That gives the hazard: the chance that an object of this class which reached this age is used in
// the next moment. The rank of a class and age is then
//
//     max over T of  P(used again within T) / E[time for which it occupies memory until then, or
//     T],
//
// the uses per unit of time that keeping the object can be expected to give, if it is kept as long
// as it pays best. A scan's objects, a loop's, and those of a working set get the ranks that they
// deserve without being recognised as such.
//
// Sources: N. Beckmann, H. Chen, A. Cidon, "LHD: improving cache hit rate by maximizing hit
// density", NSDI 2018, for ranking by hits per time and space; J. C. Gittins, "Bandit processes and
// dynamic allocation indices", J. R. Stat. Soc. B 41(2), 1979, for the maximum over T; E. L.
// Kaplan, P. Meier, "Nonparametric estimation from incomplete observations", JASA 53, 1958, for
// hazards of objects of which some are still waiting.
//
// Time is counted in uses of any object. Thread-safety: none.
#ifndef SPILLWAY_STORE_INTERNAL_POLICIES_REUSE_MODEL_H_
#define SPILLWAY_STORE_INTERNAL_POLICIES_REUSE_MODEL_H_

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <memory>

namespace spillway::internal {

class ReuseModel {
 public:
  // Ages are told apart by four steps an octave: enough buckets for any 32-bit age.
  static constexpr int kAges = 124;
  static constexpr int kFrequencyLevels = 6;  // used 2, 3, 4-7, 8-15, 16-31, 32 or more times
  static constexpr int kGapLevels = 14;       // the time between the last two uses, by two octaves
  static constexpr int kClasses = 1 + kFrequencyLevels * kGapLevels;
  static constexpr int kClassNew = 0;  // used once

  ReuseModel();

  static int AgeBucket(uint32_t age) {
    if (age < 4) return static_cast<int>(age);
    const int octave = static_cast<int>(std::bit_width(age)) - 1;
    return 4 * (octave - 1) + static_cast<int>((age >> (octave - 2)) & 3);
  }

  // The class of an object that has been used `uses` >= 2 times, the last time at age `gap`.
  static int ClassOf(uint32_t uses, uint32_t gap) {
    const int gap_level =
        std::min((static_cast<int>(std::bit_width(gap | 1)) - 1) / 2, kGapLevels - 1);
    const int frequency =
        uses < 4 ? static_cast<int>(uses) - 2 : static_cast<int>(std::bit_width(uses)) - 1;
    return 1 + gap_level * kFrequencyLevels + std::min(frequency, kFrequencyLevels - 1);
  }

  // An object of the class was used again at this age.
  void Reused(int object_class, uint32_t age) {
    At(reused_, object_class, AgeBucket(age)) += weight_;
    ++news_[object_class];
  }

  // One went away for good without having been used again.
  void Vanished(int object_class, uint32_t age) {
    At(vanished_, object_class, AgeBucket(age)) += weight_;
    ++news_[object_class];
  }

  // About `objects` of the class are waiting at this age. All that are waiting have to be told anew
  // before each Learn.
  void Waiting(int object_class, uint32_t age, float objects) {
    At(waiting_, object_class, AgeBucket(age)) += objects;
    waits_[object_class] = true;
  }

  // Computes the ranks, for ages up to `age_max`, from what was told. What was told before counts
  // less by 1/e for each `fade_uses` that have passed since; `uses` have since the last call.
  void Learn(float uses, float fade_uses, uint32_t age_max);

  // Expected uses per unit of time of keeping an object.
  float Rank(int object_class, uint32_t age) const {
    return ranks_->at(object_class)[AgeBucket(age)];
  }

  // Whether no object of the class ranks below an older one.
  bool RankFallsWithAge(int object_class) const { return rank_falls_[object_class]; }

  static uint64_t MemoryBytes() { return 4 * sizeof(Table); }

 private:
  using Table = std::array<std::array<float, kAges>, kClasses>;

  static float& At(const std::unique_ptr<Table>& table, int object_class, int age_bucket) {
    return (*table)[object_class][age_bucket];
  }

  void LearnClass(int object_class, const std::array<float, kAges>& passed_weight, int ages);

  void Rescale();

  // What is told weighs more and more, instead of everything before less and less.
  float weight_ = 1;
  uint32_t rounds_ = 0;
  // Uses of each class since its ranks were computed. Few are not worth the work.
  std::array<uint32_t, kClasses> news_ = {};
  std::array<bool, kClasses> waits_ = {};
  std::array<bool, kClasses> rank_falls_ = {};
  std::unique_ptr<Table> reused_;
  std::unique_ptr<Table> vanished_;
  std::unique_ptr<Table> waiting_;
  std::unique_ptr<Table> ranks_;
};

}  // namespace spillway::internal

#endif  // SPILLWAY_STORE_INTERNAL_POLICIES_REUSE_MODEL_H_
