#include "store/internal/memory/run_tree.h"

#include <cstdint>
#include <memory>
#include <random>
#include <set>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "store/internal/memory/memory_budget.h"
#include "store/internal/memory/run_table.h"

namespace spillway {
namespace {

TEST(RunTreeTest, AgreesWithAnOrderedSet) {
  MemoryBudget budget(64 << 20);
  {
    std::unique_ptr<RunTable> runs = *RunTable::Create(1 << 20, /*tags=*/false, &budget);
    RunTree tree(runs.get());
    std::set<std::pair<uint32_t, uint32_t>> model;  // pages, start
    std::vector<RunId> in_tree;
    std::minstd_rand random(7);
    uint32_t next_start = 0;
    for (int i = 0; i < 100'000; ++i) {
      if (in_tree.empty() || (in_tree.size() < 3000 && random() % 2 == 0)) {
        ASSERT_EQ(runs->Prepare(1, 1, false), 0u);
        const RunId id = runs->TakeRun();
        (*runs)[id].pages = 1 + random() % 300;
        (*runs)[id].start_page = next_start++;
        tree.Insert(id);
        in_tree.push_back(id);
        model.emplace((*runs)[id].pages, (*runs)[id].start_page);
      } else {
        std::swap(in_tree[random() % in_tree.size()], in_tree.back());
        const RunId id = in_tree.back();
        in_tree.pop_back();
        tree.Erase(id);
        model.erase({(*runs)[id].pages, (*runs)[id].start_page});
        runs->PutRun(id);
      }
      const uint32_t pages = random() % 310;
      const auto fit = model.lower_bound({pages, 0});
      const RunId found = tree.BestFit(pages);
      ASSERT_EQ(found == kNoRun, fit == model.end());
      if (found != kNoRun) {
        ASSERT_EQ((*runs)[found].pages, fit->first);
        ASSERT_EQ((*runs)[found].start_page, fit->second);
        const RunId previous = tree.Previous(found);
        ASSERT_EQ(previous == kNoRun, fit == model.begin());
        if (previous != kNoRun) {
          ASSERT_EQ((*runs)[previous].start_page, std::prev(fit)->second);
        }
      }
      ASSERT_EQ(tree.empty(), model.empty());
      if (!model.empty()) {
        ASSERT_EQ((*runs)[tree.Largest()].start_page, model.rbegin()->second);
      }
    }
    EXPECT_EQ(budget.Snapshot().bytes(MemoryUse::kArenaMetadata), runs->metadata_bytes());
  }
  EXPECT_EQ(budget.used_bytes(), 0u);
}

}  // namespace
}  // namespace spillway
