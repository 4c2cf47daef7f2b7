// How the benchmarks measure: contenders in turn, in slices that are short against the scheduler's,
// medians of medians.
//
// A machine that is shared with others disturbs a measurement in bursts. So every contender runs a
// short slice, then the next one does, and a slice that was interrupted counts as one of many. What
// a row says is a comparison of contenders in the same seconds.
#ifndef SPILLWAY_BENCHMARKS_MEASURE_H_
#define SPILLWAY_BENCHMARKS_MEASURE_H_

#include <cstdint>
#include <functional>
#include <vector>

namespace spillway::benchmarks {

int64_t NowNanos();

// REQUIRES: not empty.
double Median(std::vector<double> values);
// (max - min) / median.
double Spread(const std::vector<double>& values);

struct Timing {
  double ns = 0;  // per operation: the median of the repetitions
  double spread = 0;
};

struct Contender {
  uint64_t operations = 1;  // in one slice
  std::function<void()> slice;
  std::function<void()> prepare = [] {};  // before each slice, not timed: warms caches, say
};

struct RaceOptions {
  int repetitions = 9;
  int slices = 15;  // per repetition and contender; a repetition's value is their median
};

// Lets the contenders run in turn. One Timing for each.
std::vector<Timing> Race(const RaceOptions& options, const std::vector<Contender>& contenders);

// Runs fn(0) .. fn(threads - 1) at once, each on a thread of its own. Nanoseconds from the moment
// when all are ready until the last is done.
int64_t TimeThreads(int threads, const std::function<void(int)>& fn);

// The numbers 0 .. n - 1 in an order that depends on nothing but `seed`.
std::vector<uint32_t> ShuffledOrder(uint32_t n, uint64_t seed);

// Runs `fn` in a process of its own, forked from this one, and returns what it returned: for what
// resident memory is measured of. An empty result if that process failed.
// REQUIRES: this process has no other threads.
std::vector<double> InProcessOfItsOwn(const std::function<std::vector<double>()>& fn);

// Resident memory of this process: now, and at most since it was started or forked.
uint64_t ResidentBytes();
uint64_t ResidentBytesPeak();

// Keeps the compiler from leaving out what nobody uses.
template <typename T>
inline void KeepAlive(const T& value) {
  asm volatile("" : : "r,m"(value) : "memory");
}

}  // namespace spillway::benchmarks

#endif  // SPILLWAY_BENCHMARKS_MEASURE_H_
