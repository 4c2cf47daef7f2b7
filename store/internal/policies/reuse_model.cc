#include "store/internal/policies/reuse_model.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace spillway::internal {
namespace {

// What is believed before anything is known: in each quarter of an octave of age, this share of the
// objects that reach it is used again, which is LRU; and more, the more often they were used
// before. The belief weighs as much as this many objects.
constexpr float kPriorHazard = 0.03f;
constexpr float kPriorHazardPerFrequencyLevel = 0.6f;
constexpr float kPriorObjects = 20;

// A class of which less than this share of all uses was told since is left for a later round, but
// no longer than until every so many rounds all have their turn.
constexpr uint32_t kFewShare = 64;
constexpr uint32_t kRoundsOfAll = 4;

// Weights are brought back to 1 when they come to this; no step makes them larger than floats bear.
constexpr float kWeightMax = 1e6f;
constexpr float kFadeMax = 20;

float PriorHazard(int object_class) {
  if (object_class == ReuseModel::kClassNew) return kPriorHazard;
  const int frequency = (object_class - 1) % ReuseModel::kFrequencyLevels;
  return kPriorHazard * (1 + static_cast<float>(frequency + 1) * kPriorHazardPerFrequencyLevel);
}

// How many ages each bucket takes in.
struct Buckets {
  std::array<double, ReuseModel::kAges> width;
  constexpr Buckets() : width() {
    for (int i = 0; i < ReuseModel::kAges; ++i) {
      width[i] = i < 4 ? 1 : static_cast<double>(uint64_t{1} << (i / 4 - 1));
    }
  }
};
constexpr Buckets kBuckets;

}  // namespace

ReuseModel::ReuseModel()
    : reused_(std::make_unique<Table>()),
      vanished_(std::make_unique<Table>()),
      waiting_(std::make_unique<Table>()),
      ranks_(std::make_unique<Table>()) {
  Learn(0, 1, ~uint32_t{0});
}

void ReuseModel::LearnClass(int object_class, const std::array<float, kAges>& passed_weight,
                            int ages) {
  const std::array<float, kAges>& reused = (*reused_)[object_class];
  const std::array<float, kAges>& vanished = (*vanished_)[object_class];
  const std::array<float, kAges>& waiting = (*waiting_)[object_class];

  // Hazards. Who was used again at an age, vanished or waits at it has reached it; who vanished or
  // waits within a bucket counts for half of it.
  std::array<float, kAges> hazard;
  const float prior = PriorHazard(object_class) * kPriorObjects;
  const float share = 1 / weight_;
  float resolved_later = 0;
  float waits_later = 0;
  for (int age = ages - 1; age >= 0; --age) {
    const float used = reused[age] * share;
    const float gone = vanished[age] * share;
    resolved_later += used + gone;
    waits_later = waits_later * passed_weight[age] + waiting[age];
    const float reached = resolved_later + waits_later - 0.5f * (gone + waiting[age]);
    hazard[age] = std::min(1.0f, (used + prior) / (reached + kPriorObjects));
  }

  // With x the time for which an object of age zero is expected to have waited when it comes to an
  // age, and y the chance that it has been used again by then, the rank at an age is the steepest
  // slope from its point (x, y) to a later one: the upper hull, built from the end.
  struct Point {
    double x;
    double y;
  };
  std::array<Point, kAges + 1> points;
  double waits = 1;
  points[0] = {0, 0};
  for (int age = 0; age < ages; ++age) {
    const double used = waits * hazard[age];
    points[age + 1].x = points[age].x + kBuckets.width[age] * (waits - used / 2);
    waits -= used;
    points[age + 1].y = 1 - waits;
  }
  std::array<Point, kAges + 1> hull;  // the last one is the next point of the hull
  int hull_size = 0;
  hull[hull_size++] = points[ages];
  std::array<float, kAges>& ranks = (*ranks_)[object_class];
  bool falls = true;
  for (int age = ages - 1; age >= 0; --age) {
    const Point& from = points[age];
    while (hull_size > 1) {
      const Point& near = hull[hull_size - 1];
      const Point& far = hull[hull_size - 2];
      if ((far.y - from.y) * (near.x - from.x) < (near.y - from.y) * (far.x - from.x)) break;
      --hull_size;
    }
    const Point& to = hull[hull_size - 1];
    ranks[age] = static_cast<float>(to.x > from.x ? (to.y - from.y) / (to.x - from.x) : 0);
    falls = falls && (age == ages - 1 || ranks[age] >= ranks[age + 1]);
    hull[hull_size++] = from;
  }
  rank_falls_[object_class] = falls;
}

void ReuseModel::Learn(float uses, float fade_uses, uint32_t age_max) {
  weight_ *= std::exp(std::min(uses / fade_uses, kFadeMax));
  const int ages = AgeBucket(age_max) + 1;
  // An object that waits at some age passed the ages before long ago; that has faded, too.
  std::array<float, kAges> passed_weight;
  for (int age = 0; age < ages; ++age) {
    passed_weight[age] = 1 / (1 + static_cast<float>(kBuckets.width[age]) / fade_uses);
  }
  const uint32_t few = std::accumulate(news_.begin(), news_.end(), 0u) / kFewShare;
  for (int object_class = 0; object_class < kClasses; ++object_class) {
    const bool changed = news_[object_class] > 0 || waits_[object_class] || rounds_ == 0;
    if (changed && (rounds_ % kRoundsOfAll == 0 || news_[object_class] >= few)) {
      LearnClass(object_class, passed_weight, ages);
      news_[object_class] = 0;
    }
    if (waits_[object_class]) (*waiting_)[object_class].fill(0);
    waits_[object_class] = false;
  }
  ++rounds_;
  if (weight_ > kWeightMax) Rescale();
}

void ReuseModel::Rescale() {
  const float share = 1 / weight_;
  for (Table* table : {reused_.get(), vanished_.get()}) {
    for (std::array<float, kAges>& of_class : *table) {
      for (float& count : of_class) count *= share;
    }
  }
  weight_ = 1;
}

}  // namespace spillway::internal
