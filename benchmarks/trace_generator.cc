#include "benchmarks/trace_generator.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>

#include "absl/status/status.h"

namespace spillway {
namespace {

// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): the standard library's distributions differ between
// implementations, and a trace must not.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t Next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  uint32_t Below(uint32_t bound) { return static_cast<uint32_t>((Next() >> 32) * bound >> 32); }
  double Uniform() { return static_cast<double>(Next() >> 11) * 0x1p-53; }

 private:
  uint64_t state_;
};

// Draws ranks below `count` with probability proportional to (rank + 1)^-exponent.
class Zipf {
 public:
  Zipf(uint32_t count, double exponent) : cumulative_(count) {
    double sum = 0;
    for (uint32_t i = 0; i < count; ++i) cumulative_[i] = sum += std::pow(i + 1.0, -exponent);
  }
  uint32_t Draw(Random* random) const {
    const double at = random->Uniform() * cumulative_.back();
    const auto it = std::upper_bound(cumulative_.begin(), cumulative_.end() - 1, at);
    return static_cast<uint32_t>(it - cumulative_.begin());
  }

 private:
  std::vector<double> cumulative_;
};

uint32_t LogUniformSize(Random* random) {
  return static_cast<uint32_t>(64 * std::exp2(random->Uniform() * 10));
}

class Generator {
 public:
  Generator(uint32_t objects, uint32_t requests, uint64_t seed)
      : objects_(std::max<uint32_t>(objects, 16)), requests_(requests), random_(seed) {}

  // Adds `requests` requests of a kind; false if there is no such kind.
  bool Add(std::string_view kind, uint32_t requests) {
    const uint64_t end = trace_.requests.size() + requests;
    if (kind == "zipf") return Popular(end, 0), true;
    if (kind == "zipf_scan") return Popular(end, objects_ / 4), true;
    if (kind == "loop") return Loop(end), true;
    if (kind == "shifting") return Shifting(end), true;
    if (kind == "bimodal") return Bimodal(end), true;
    if (kind == "once") return Once(end), true;
    if (kind != "mixed") return false;
    static constexpr std::string_view kTurns[] = {"zipf", "loop", "shifting", "zipf_scan", "once"};
    uint32_t turn = 0;
    while (trace_.requests.size() < end) {
      const uint64_t left = end - trace_.requests.size();
      const uint64_t share = std::max<uint32_t>(requests_ / 10, 1);
      Add(kTurns[turn++ % 5], static_cast<uint32_t>(std::min(left, share)));
    }
    return true;
  }

  Trace Take() { return std::move(trace_); }

 private:
  uint32_t NewObject(uint32_t size_bytes) {
    trace_.object_size_bytes.push_back(size_bytes);
    return static_cast<uint32_t>(trace_.object_size_bytes.size() - 1);
  }

  // The objects that the popular kinds share, in order of popularity.
  const std::vector<uint32_t>& Catalogue() {
    while (catalogue_.size() < objects_) catalogue_.push_back(NewObject(LogUniformSize(&random_)));
    return catalogue_;
  }

  void Popular(uint64_t end, uint32_t scan_objects) {
    const std::vector<uint32_t>& catalogue = Catalogue();
    const Zipf zipf(objects_, 0.9);
    while (trace_.requests.size() < end) {
      for (uint32_t i = 0; i < 2 * objects_ && trace_.requests.size() < end; ++i) {
        trace_.requests.push_back(catalogue[zipf.Draw(&random_)]);
      }
      for (uint32_t i = 0; i < scan_objects && trace_.requests.size() < end; ++i) {
        trace_.requests.push_back(NewObject(LogUniformSize(&random_)));
      }
    }
  }

  void Loop(uint64_t end) {
    const std::vector<uint32_t>& catalogue = Catalogue();
    for (uint32_t i = 0; trace_.requests.size() < end; i = (i + 1) % objects_) {
      trace_.requests.push_back(catalogue[i]);
    }
  }

  void Shifting(uint64_t end) {
    const std::vector<uint32_t>& catalogue = Catalogue();
    const Zipf zipf(objects_ / 8, 0.7);
    for (uint64_t i = 0; trace_.requests.size() < end; ++i) {
      trace_.requests.push_back(catalogue[(i / 16 + zipf.Draw(&random_)) % objects_]);
    }
  }

  void Bimodal(uint64_t end) {
    std::vector<uint32_t> objects;
    for (uint32_t i = 0; i < objects_; ++i) {
      objects.push_back(NewObject(random_.Below(2) == 0 ? 200 : 1 << 20));
    }
    const Zipf zipf(objects_, 0.8);
    while (trace_.requests.size() < end) trace_.requests.push_back(objects[zipf.Draw(&random_)]);
  }

  void Once(uint64_t end) {
    while (trace_.requests.size() < end) {
      trace_.requests.push_back(NewObject(LogUniformSize(&random_)));
    }
  }

  const uint32_t objects_;
  const uint32_t requests_;
  Random random_;
  Trace trace_;
  std::vector<uint32_t> catalogue_;
};

}  // namespace

std::vector<std::string_view> SyntheticTraceKinds() {
  return {"zipf", "zipf_scan", "loop", "shifting", "bimodal", "once", "mixed"};
}

absl::StatusOr<Trace> MakeSyntheticTrace(std::string_view kind, uint32_t objects, uint32_t requests,
                                         uint64_t seed) {
  Generator generator(objects, requests, seed);
  if (!generator.Add(kind, requests)) {
    return absl::InvalidArgumentError("no kind of synthetic trace is called \"" +
                                      std::string(kind) + "\"");
  }
  Trace trace = generator.Take();
  trace.name = std::string(kind);
  return trace;
}

}  // namespace spillway
