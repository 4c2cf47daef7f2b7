#include "store/internal/policies/reuse_model.h"

#include <algorithm>

namespace spillway::internal {
namespace {

// What is believed before anything is known: in each quarter of an octave of age, this share of the
// objects that reach it is used again, which is LRU; and more, the more often they were used before.
// The belief weighs as much as this many objects.
constexpr float kPriorHazard = 0.03f;
constexpr float kPriorHazardPerFrequencyLevel = 0.6f;
constexpr float kPriorObjects = 20;

float PriorHazard(int object_class) {
  if (object_class == ReuseModel::kClassNew) return kPriorHazard;
  const int frequency = (object_class - 1) % ReuseModel::kFrequencyLevels;
  return kPriorHazard * (1 + static_cast<float>(frequency + 1) * kPriorHazardPerFrequencyLevel);
}

// The first age of a bucket.
double BucketBegin(int bucket) {
  if (bucket < 4) return bucket;
  return static_cast<double>(4 + bucket % 4) * static_cast<double>(uint64_t{1} << (bucket / 4 - 1));
}

}  // namespace

ReuseModel::ReuseModel()
    : reused_(std::make_unique<Table>()),
      vanished_(std::make_unique<Table>()),
      waiting_(std::make_unique<Table>()),
      ranks_(std::make_unique<Table>()) {
  Learn(1);
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

  // With x the time for which an object of age zero is expected to have waited when it comes to an age,
  // and y the chance that it has been used again by then, the rank at an age is the steepest slope from
  // its point (x, y) to a later one: the upper hull, built from the end.
  std::array<double, kAges + 1> x;
  std::array<double, kAges + 1> y;
  double waits = 1;
  x[0] = y[0] = 0;
  for (int age = 0; age < kAges; ++age) {
    const double used = waits * hazard[age];
    x[age + 1] = x[age] + (BucketBegin(age + 1) - BucketBegin(age)) * (waits - used / 2);
    waits -= used;
    y[age + 1] = 1 - waits;
  }
  std::array<int, kAges + 1> hull;  // the last one is the next point of the hull
  int hull_size = 0;
  hull[hull_size++] = kAges;
  const auto slope = [&](int from, int to) {
    return x[to] > x[from] ? (y[to] - y[from]) / (x[to] - x[from]) : 0.0;
  };
  for (int age = kAges - 1; age >= 0; --age) {
    while (hull_size > 1 && slope(age, hull[hull_size - 2]) >= slope(age, hull[hull_size - 1])) {
      --hull_size;
    }
    (*ranks_)[object_class][age] = static_cast<float>(slope(age, hull[hull_size - 1]));
    hull[hull_size++] = age;
  }
}

void ReuseModel::Learn(float decay) {
  for (int object_class = 0; object_class < kClasses; ++object_class) {
    if (known_ && !known_classes_[object_class]) continue;
    LearnClass(object_class);
    for (int age = 0; age < kAges; ++age) {
      At(reused_, object_class, age) *= decay;
      At(vanished_, object_class, age) *= decay;
      At(waiting_, object_class, age) = 0;
    }
  }
  known_ = true;
}

}  // namespace spillway::internal
