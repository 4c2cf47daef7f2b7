// Eviction policies written for nothing but being obviously right: standard containers, no slots,
// no marks, every rule spelled out. The library's policies must agree with them to the miss.
#ifndef SPILLWAY_TESTS_STORE_POLICIES_NAIVE_POLICIES_H_
#define SPILLWAY_TESTS_STORE_POLICIES_NAIVE_POLICIES_H_

#include <cstdint>
#include <string_view>
#include <vector>

#include "benchmarks/trace.h"

namespace spillway {

struct NaiveResult {
  uint64_t misses = 0;
  uint64_t miss_bytes = 0;
};

std::vector<std::string_view> NaivePolicyNames();

NaiveResult NaiveReplay(const Trace& trace, std::string_view policy_name, uint64_t capacity_bytes);

}  // namespace spillway

#endif  // SPILLWAY_TESTS_STORE_POLICIES_NAIVE_POLICIES_H_
