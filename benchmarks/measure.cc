#include "benchmarks/measure.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <fstream>
#include <numeric>
#include <random>
#include <string>
#include <thread>

#include "glog/logging.h"

namespace spillway::benchmarks {
namespace {

uint64_t StatusBytes(const std::string& key) {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);) {
    if (line.compare(0, key.size(), key) == 0) return std::stoull(line.substr(key.size())) * 1024;
  }
  LOG(FATAL) << "/proc/self/status has no " << key;
  return 0;
}

}  // namespace

int64_t NowNanos() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

double Median(std::vector<double> values) {
  CHECK(!values.empty());
  const size_t middle = values.size() / 2;
  std::nth_element(values.begin(), values.begin() + middle, values.end());
  return values[middle];
}

double Spread(const std::vector<double>& values) {
  const auto [min, max] = std::minmax_element(values.begin(), values.end());
  return (*max - *min) / Median(values);
}

std::vector<Timing> Race(const RaceOptions& options, const std::vector<Contender>& contenders) {
  std::vector<std::vector<double>> repetitions(contenders.size());
  for (int repetition = 0; repetition < options.repetitions; ++repetition) {
    std::vector<std::vector<double>> slices(contenders.size());
    for (int slice = 0; slice < options.slices; ++slice) {
      for (size_t i = 0; i < contenders.size(); ++i) {
        contenders[i].prepare();
        const int64_t began = NowNanos();
        contenders[i].slice();
        slices[i].push_back(static_cast<double>(NowNanos() - began) /
                            static_cast<double>(contenders[i].operations));
      }
    }
    for (size_t i = 0; i < contenders.size(); ++i) repetitions[i].push_back(Median(slices[i]));
  }
  std::vector<Timing> timings;
  for (const std::vector<double>& values : repetitions) {
    timings.push_back({Median(values), Spread(values)});
  }
  return timings;
}

int64_t TimeThreads(int threads, const std::function<void(int)>& fn) {
  std::atomic<int> ready{0};
  std::atomic<bool> go{false};
  std::vector<std::thread> running;
  for (int i = 0; i < threads; ++i) {
    running.emplace_back([&, i] {
      ready.fetch_add(1);
      while (!go.load(std::memory_order_acquire)) std::this_thread::yield();
      fn(i);
    });
  }
  while (ready.load() < threads) std::this_thread::yield();
  const int64_t began = NowNanos();
  go.store(true, std::memory_order_release);
  for (std::thread& thread : running) thread.join();
  return NowNanos() - began;
}

std::vector<uint32_t> ShuffledOrder(uint32_t n, uint64_t seed) {
  std::vector<uint32_t> order(n);
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), std::mt19937_64(seed));
  return order;
}

std::vector<double> InProcessOfItsOwn(const std::function<std::vector<double>()>& fn) {
  int ends[2];
  PCHECK(pipe(ends) == 0);
  const pid_t child = fork();
  PCHECK(child >= 0);
  if (child == 0) {
    close(ends[0]);
    const std::vector<double> values = fn();
    const auto bytes = static_cast<ssize_t>(values.size() * sizeof(double));
    PCHECK(write(ends[1], values.data(), values.size() * sizeof(double)) == bytes);
    _exit(0);
  }
  close(ends[1]);
  std::vector<double> values;
  double value;
  while (read(ends[0], &value, sizeof(value)) == sizeof(value)) values.push_back(value);
  close(ends[0]);
  int status = 0;
  PCHECK(waitpid(child, &status, 0) == child);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) return {};
  return values;
}

uint64_t ResidentBytes() { return StatusBytes("VmRSS:"); }
uint64_t ResidentBytesPeak() { return StatusBytes("VmHWM:"); }

}  // namespace spillway::benchmarks
