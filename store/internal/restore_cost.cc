#include "store/internal/restore_cost.h"

#include <algorithm>

namespace spillway::internal {

namespace {

constexpr double kPerMissNs = 100'000;
constexpr double kPerByteNs = 1;

// Restores between two answers; the ones before them count for half then.
constexpr uint32_t kRestoresPerUpdate = 256;

// What is assumed weighs as much as so many restores of this size, and as many of no bytes.
constexpr double kAssumedRestores = 8;
constexpr double kAssumedBytes = 1 << 20;

// A restore that took longer says more of the machine than of the disk.
constexpr double kNanosMax = 1e9;

// No cost is less than this: a policy divides by neither, but compares by both.
constexpr double kPerMissNsMin = 100;
constexpr double kPerByteNsMin = 1e-3;

double Assumed(double bytes) { return kPerMissNs + kPerByteNs * bytes; }

}  // namespace

void RestoreCost::Sums::Add(double bytes, double nanos, double weight) {
  // Relative to what is assumed for the size, so that large restores do not outweigh all others.
  const double w = weight / (Assumed(bytes) * Assumed(bytes));
  n += w;
  s += w * bytes;
  ss += w * bytes * bytes;
  t += w * nanos;
  st += w * bytes * nanos;
}

RestoreCost::Costs RestoreCost::Solve(Sums sums) {
  sums.Add(0, Assumed(0), kAssumedRestores);
  sums.Add(kAssumedBytes, Assumed(kAssumedBytes), kAssumedRestores);
  const double determinant = sums.n * sums.ss - sums.s * sums.s;
  Costs costs;
  costs.per_miss_ns = (sums.ss * sums.t - sums.s * sums.st) / determinant;
  costs.per_byte_ns = (sums.n * sums.st - sums.s * sums.t) / determinant;
  // Where the best line has a negative part, the best one without it.
  if (costs.per_miss_ns < kPerMissNsMin) {
    costs.per_miss_ns = kPerMissNsMin;
    costs.per_byte_ns = (sums.st - kPerMissNsMin * sums.s) / sums.ss;
  } else if (costs.per_byte_ns < kPerByteNsMin) {
    costs.per_byte_ns = kPerByteNsMin;
    costs.per_miss_ns = (sums.t - kPerByteNsMin * sums.s) / sums.n;
  }
  costs.per_miss_ns = std::max(costs.per_miss_ns, kPerMissNsMin);
  costs.per_byte_ns = std::max(costs.per_byte_ns, kPerByteNsMin);
  return costs;
}

std::optional<RestoreCost::Costs> RestoreCost::Note(uint64_t bytes, int64_t nanos) {
  MutexLock lock(&mutex_);
  sums_.Add(static_cast<double>(bytes), std::clamp(static_cast<double>(nanos), 0.0, kNanosMax), 1);
  if (++since_update_ < kRestoresPerUpdate) return std::nullopt;
  since_update_ = 0;
  const Costs costs = Solve(sums_);
  for (double* sum : {&sums_.n, &sums_.s, &sums_.ss, &sums_.t, &sums_.st}) *sum /= 2;
  return costs;
}

}  // namespace spillway::internal
