#include "store/eviction_policy.h"

#include "absl/status/status.h"
#include "store/internal/policies/cost.h"
#include "store/internal/policies/fifo.h"
#include "store/internal/policies/gdsf.h"
#include "store/internal/policies/lfu.h"
#include "store/internal/policies/lru.h"
#include "store/internal/policies/s3fifo.h"
#include "store/internal/policies/sieve.h"

namespace spillway {
namespace {

using PolicyPtr = std::unique_ptr<EvictionPolicy>;

struct PolicyMaker {
  std::string_view name;
  PolicyPtr (*make)(HitMarks* marks);
};

constexpr PolicyMaker kPolicyMakers[] = {
    {"lru", [](HitMarks*) -> PolicyPtr { return std::make_unique<internal::LruPolicy>(); }},
    {"fifo", [](HitMarks*) -> PolicyPtr { return std::make_unique<internal::FifoPolicy>(); }},
    {"lfu", [](HitMarks*) -> PolicyPtr { return std::make_unique<internal::LfuPolicy>(); }},
    {"sieve", [](HitMarks* m) -> PolicyPtr { return std::make_unique<internal::SievePolicy>(m); }},
    {"s3fifo",
     [](HitMarks* m) -> PolicyPtr { return std::make_unique<internal::S3FifoPolicy>(m); }},
    {"gdsf", [](HitMarks*) -> PolicyPtr { return std::make_unique<internal::GdsfPolicy>(); }},
    {"cost", [](HitMarks*) -> PolicyPtr { return std::make_unique<internal::CostPolicy>(); }},
};

}  // namespace

std::vector<std::string_view> EvictionPolicyNames() {
  std::vector<std::string_view> names;
  for (const PolicyMaker& maker : kPolicyMakers) names.push_back(maker.name);
  return names;
}

absl::StatusOr<std::unique_ptr<EvictionPolicy>> MakeEvictionPolicy(std::string_view name,
                                                                   HitMarks* marks) {
  for (const PolicyMaker& maker : kPolicyMakers) {
    if (maker.name == name) return maker.make(marks);
  }
  std::string known;
  for (const PolicyMaker& maker : kPolicyMakers) {
    if (!known.empty()) known += ", ";
    known += maker.name;
  }
  return absl::InvalidArgumentError("no eviction policy is called \"" + std::string(name) +
                                    "\"; there are " + known);
}

}  // namespace spillway
