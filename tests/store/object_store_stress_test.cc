// Many threads on one small store: every get must see exactly what was put, whatever is being
// spilled, dropped, restored, deleted or moved meanwhile.
#include <atomic>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "spill/memory_backend.h"
#include "store/object_store.h"
#include "store/options.h"

namespace spillway {
namespace {

#if defined(SPILLWAY_TSAN) || defined(SPILLWAY_ASAN)
constexpr int kOperations = 4000;
#else
constexpr int kOperations = 30000;
#endif

// A vector whose every element says which object it is.
std::vector<uint64_t> Value(uint64_t seed, size_t length) {
  return std::vector<uint64_t>(length, seed);
}

void Churn(ObjectStore* store, int thread, std::vector<ObjectRef<std::vector<uint64_t>>>* shared,
           std::atomic<int>* failures) {
  std::mt19937_64 random(thread);
  struct Mine {
    ObjectRef<std::vector<uint64_t>> ref;
    uint64_t seed;
    size_t length;
  };
  std::vector<Mine> mine;
  const auto fail = [&](const absl::Status& status) {
    if (failures->fetch_add(1) == 0) ADD_FAILURE() << status;
  };
  for (int i = 0; i < kOperations; ++i) {
    const int what = static_cast<int>(random() % 10);
    if (what < 4 || mine.empty()) {
      const uint64_t seed = static_cast<uint64_t>(thread) << 32 | static_cast<uint64_t>(i);
      const size_t length = size_t{1} << (random() % 14);
      auto ref = store->Put(Value(seed, length));
      if (!ref.ok()) {
        fail(ref.status());
      } else {
        mine.push_back({*std::move(ref), seed, length});
      }
    } else if (what < 8) {
      const Mine& one = mine[random() % mine.size()];
      auto view = one.ref.Get();
      if (!view.ok()) {
        fail(view.status());
      } else if ((*view)->size() != one.length || (*view)->front() != one.seed ||
                 (*view)->back() != one.seed) {
        fail(absl::DataLossError("another object's bytes"));
      }
    } else if (what == 8) {
      const size_t at = random() % shared->size();
      auto view = (*shared)[at].Get();
      if (!view.ok()) {
        fail(view.status());
      } else if ((*view)->front() != at) {
        fail(absl::DataLossError("another object's bytes"));
      }
    } else {
      const size_t at = random() % mine.size();
      if (random() % 2 == 0) {
        if (absl::Status status = store->Delete(mine[at].ref.id()); !status.ok()) fail(status);
      }
      std::swap(mine[at], mine.back());
      mine.pop_back();
    }
    if (mine.size() > 600) mine.erase(mine.begin(), mine.begin() + 100);
  }
}

class ObjectStoreStressTest : public testing::TestWithParam<const char*> {};

TEST_P(ObjectStoreStressTest, GetsSeeWhatWasPut) {
  StoreOptions options;
  options.memory_limit_bytes = 16 * kMiB;
  options.eviction_policy = GetParam();
  auto store = ObjectStore::Open(options, NewMemoryBackend()).value();
  std::vector<ObjectRef<std::vector<uint64_t>>> shared;
  for (uint64_t i = 0; i < 200; ++i) shared.push_back(store->Put(Value(i, 4096)).value());
  std::atomic<int> failures{0};
  std::vector<std::thread> threads;
  for (int t = 1; t <= 4; ++t) {
    threads.emplace_back(Churn, store.get(), t, &shared, &failures);
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failures.load(), 0);
  shared.clear();
  // A batch that is being written holds its objects until it is settled, deleted ones too.
  const absl::Time deadline = absl::Now() + absl::Seconds(30);
  while (store->Stats().objects > 0 && absl::Now() < deadline) std::this_thread::yield();
  const StoreStats stats = store->Stats();
  EXPECT_EQ(stats.memory.payload_bytes, 0u);
  EXPECT_EQ(stats.objects, 0u);
  EXPECT_GT(stats.restores, 0u);
  EXPECT_LE(stats.memory_used_bytes_peak, stats.memory_limit_bytes);
  ASSERT_TRUE(store->Close().ok());
}

INSTANTIATE_TEST_SUITE_P(Policies, ObjectStoreStressTest,
                         testing::Values("lru", "s3fifo", "lfu", "cost"));

}  // namespace
}  // namespace spillway
