#include "tools/spillway/sort/sort_plan.h"

#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "store/options.h"

namespace spillway::sort {
namespace {

SortResources Resources(uint64_t usable_bytes, size_t threads,
                        std::optional<uint64_t> input_bytes) {
  SortResources resources;
  resources.usable_bytes = usable_bytes;
  resources.max_object_bytes = usable_bytes / 2;
  resources.threads = threads;
  resources.input_bytes = input_bytes;
  return resources;
}

TEST(SortPlanTest, WhatIsHeldAtOnceFitsIntoMemory) {
  for (uint64_t usable :
       {4 * kMiB, 10 * kMiB, 22 * kMiB, 50 * kMiB, 200 * kMiB, 4 * kGiB, 64 * kGiB}) {
    for (size_t threads : {1, 2, 8, 64}) {
      for (std::optional<uint64_t> input :
           {std::optional<uint64_t>(0), {kMiB}, {300 * kMiB}, {1024 * kGiB}, {}}) {
        const SortPlan plan = PlanSort(Resources(usable, threads, input)).value();
        SCOPED_TRACE(plan.ToString());
        EXPECT_GE(plan.workers, 1u);
        EXPECT_LE(plan.workers, threads);
        // Making runs: blocks, chunks being written, a long line read ahead and one being written.
        EXPECT_LE(plan.workers * (plan.block_bytes + plan.chunk_bytes) + 2 * plan.line_bytes_max,
                  usable);
        // Merging: two runs and the result with the longest lines; the output.
        EXPECT_LE(2 * plan.line_bytes_max + plan.chunk_bytes, plan.merge_bytes_max);
        EXPECT_LE(plan.merge_bytes_max + plan.line_bytes_max + 2 * plan.output_buffer_bytes,
                  usable);
        EXPECT_LE(plan.fetched_bytes_max, plan.merge_bytes_max);
        EXPECT_LE(plan.line_bytes_max, plan.block_bytes);
        EXPECT_GT(plan.chunk_bytes, 0u);
        EXPECT_GT(plan.read_bytes, 0u);
      }
    }
  }
}

TEST(SortPlanTest, OneMergeTakesTensOfTimesTheMemory) {
  const SortPlan plan = PlanSort(Resources(22 * kMiB, 2, 300 * kMiB)).value();
  const uint64_t runs = 300 * kMiB / (plan.block_bytes / 2);
  EXPECT_LE(runs * plan.chunk_bytes, plan.merge_bytes_max);
}

TEST(SortPlanTest, TooLittleMemoryIsSaidSo) {
  EXPECT_EQ(PlanSort(Resources(100 * kKiB, 1, {})).status().code(),
            absl::StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace spillway::sort
