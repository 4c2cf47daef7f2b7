#include "store/internal/policies/reuse_model.h"

#include <algorithm>

namespace spillway::internal {
namespace {

// What is believed before anything is known: in each quarter of an octave of age, this share of the
// objects that reach it is used again, which is LRU; and more, the more often they were used
// before. The belief weighs as much as this many objects.
constexpr float kPriorHazard = 0.03f;
constexpr float kPriorHazardPerFrequencyLevel = 0.6f;
constexpr float kPriorObjects = 20;

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
  known_.fill(true);
  Learn(1);
  known_.fill(false);
}

void ReuseModel::LearnClass(int object_class) {
  const std::array<float, kAges>& reused = (*reused_)[object_class];
  const std::array<float, kAges>& vanished = (*vanished_)[object_class];
  const std::array<float, kAges>& waiting = (*waiting_)[object_class];

  // Hazards. Who was used again at an age, vanished or waits at it has reached it; who vanished or
  // waits within a bucket counts for half of it.
  std::array<float, kAges> hazard;
  const float prior = PriorHazard(object_class) * kPriorObjects;
  float reached = 0;
  for (int age = kAges - 1; age >= 0; --age) {
    const float unresolved = vanished[age] + waiting[age];
    reached += reused[age] + unresolved;
    hazard[age] =
        std::min(1.0f, (reused[age] + prior) / (reached - 0.5f * unresolved + kPriorObjects));
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
  for (int age = 0; age < kAges; ++age) {
    const double used = waits * hazard[age];
    points[age + 1].x = points[age].x + kBuckets.width[age] * (waits - used / 2);
    waits -= used;
    points[age + 1].y = 1 - waits;
  }
  std::array<Point, kAges + 1> hull;  // the last one is the next point of the hull
  int hull_size = 0;
  hull[hull_size++] = points[kAges];
  std::array<float, kAges>& ranks = (*ranks_)[object_class];
  bool falls = true;
  for (int age = kAges - 1; age >= 0; --age) {
    const Point& from = points[age];
    while (hull_size > 1) {
      const Point& near = hull[hull_size - 1];
      const Point& far = hull[hull_size - 2];
      if ((far.y - from.y) * (near.x - from.x) < (near.y - from.y) * (far.x - from.x)) break;
      --hull_size;
    }
    const Point& to = hull[hull_size - 1];
    ranks[age] = static_cast<float>(to.x > from.x ? (to.y - from.y) / (to.x - from.x) : 0);
    falls = falls && (age == kAges - 1 || ranks[age] >= ranks[age + 1]);
    hull[hull_size++] = from;
  }
  rank_falls_[object_class] = falls;
}

void ReuseModel::Learn(float decay) {
  for (int object_class = 0; object_class < kClasses; ++object_class) {
    if (!known_[object_class]) continue;
    LearnClass(object_class);
    for (int age = 0; age < kAges; ++age) {
      At(reused_, object_class, age) *= decay;
      At(vanished_, object_class, age) *= decay;
      At(waiting_, object_class, age) = 0;
    }
  }
}

}  // namespace spillway::internal
