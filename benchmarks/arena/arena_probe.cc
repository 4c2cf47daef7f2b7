// Measures what the arena's and the budget's constants were chosen by, with the system's malloc and
// oneTBB's memory pool (which can live in given memory) beside it.
#include <sys/mman.h>
#include <sys/resource.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "benchmark/benchmark.h"
#include "glog/logging.h"
#include "oneapi/tbb/scalable_allocator.h"
#include "store/internal/memory/arena.h"
#include "store/internal/memory/memory_budget.h"

namespace spillway {
namespace {

constexpr uint64_t kMiB = 1 << 20;

void BudgetAcquireRelease(benchmark::State& state) {
  static MemoryBudget budget(1 << 30);
  for (auto _ : state) {
    CHECK(budget.TryAcquire(MemoryUse::kArena, 4096));
    budget.Release(MemoryUse::kArena, 4096);
  }
}
BENCHMARK(BudgetAcquireRelease);
BENCHMARK(BudgetAcquireRelease)->Threads(2)->UseRealTime();

// Memory from one of the three allocators. Each is made for `limit` bytes.
class ArenaSource {
 public:
  explicit ArenaSource(uint64_t limit, bool huge_pages = false, uint32_t shards = 0)
      : budget_(limit) {
    ArenaOptions options;
    options.huge_pages = huge_pages;
    options.shards = shards;
    arena_ = *Arena::Create(options, &budget_);
  }
  char* Allocate(uint64_t size) {
    const uint64_t offset = arena_->Allocate(size);
    return offset == kNoOffset ? nullptr : arena_->At(offset);
  }
  void Free(char* data, uint64_t size) {
    arena_->Free(static_cast<uint64_t>(data - arena_->region()), size);
  }
  Arena* arena() { return arena_.get(); }

 private:
  MemoryBudget budget_;
  std::unique_ptr<Arena> arena_;
};

class MallocSource {
 public:
  explicit MallocSource(uint64_t) {}
  char* Allocate(uint64_t size) {
    void* data = nullptr;
    return posix_memalign(&data, 64, size) == 0 ? static_cast<char*>(data) : nullptr;
  }
  void Free(char* data, uint64_t) { free(data); }
};

// A fixed pool: one buffer, never more.
class TbbPoolSource {
 public:
  explicit TbbPoolSource(uint64_t limit) : limit_(limit) {
    buffer_ = mmap(nullptr, limit, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const rml::MemPoolPolicy policy(&GetBuffer, nullptr, 0, /*fixedPool=*/true);
    CHECK_EQ(rml::pool_create_v1(reinterpret_cast<intptr_t>(this), &policy, &pool_), rml::POOL_OK);
  }
  ~TbbPoolSource() {
    rml::pool_destroy(pool_);
    munmap(buffer_, limit_);
  }
  char* Allocate(uint64_t size) {
    return static_cast<char*>(rml::pool_aligned_malloc(pool_, size, 64));
  }
  void Free(char* data, uint64_t) { rml::pool_free(pool_, data); }

 private:
  static void* GetBuffer(intptr_t self, size_t& bytes) {
    TbbPoolSource* const source = reinterpret_cast<TbbPoolSource*>(self);
    bytes = source->limit_;
    return std::exchange(source->left_, nullptr) == nullptr ? nullptr : source->buffer_;
  }

  const uint64_t limit_;
  void* buffer_ = nullptr;
  void* left_ = this;
  rml::MemoryPool* pool_ = nullptr;
};

template <typename Source>
Source* SharedSource(uint64_t limit) {
  static Source source(limit);
  return &source;
}

// Allocate and free the same block.
template <typename Source>
void AllocateFree(benchmark::State& state) {
  Source* const source = SharedSource<Source>(256 * kMiB);
  const uint64_t size = static_cast<uint64_t>(state.range(0));
  char* const keeper = source->Allocate(size);
  for (auto _ : state) {
    char* const data = source->Allocate(size);
    benchmark::DoNotOptimize(data);
    source->Free(data, size);
  }
  state.SetItemsProcessed(state.iterations());
  source->Free(keeper, size);
}
#define ALLOCATE_FREE(source)                                                               \
  BENCHMARK(AllocateFree<source>)->Arg(64)->Arg(1024)->Arg(4096)->Arg(65536)->Arg(1 << 20); \
  BENCHMARK(AllocateFree<source>)->Arg(64)->Threads(2)->UseRealTime()
ALLOCATE_FREE(ArenaSource);
ALLOCATE_FREE(MallocSource);
ALLOCATE_FREE(TbbPoolSource);

// 10,000 live blocks per thread; each step frees one at random and allocates another.
template <typename Source>
void Steady10k(benchmark::State& state) {
  Source* const source = SharedSource<Source>(256 * kMiB);
  const uint64_t size = static_cast<uint64_t>(state.range(0));
  std::vector<char*> live(10'000);
  for (char*& data : live) data = source->Allocate(size);
  std::minstd_rand random(state.thread_index() + 1);
  for (auto _ : state) {
    char*& data = live[random() % live.size()];
    source->Free(data, size);
    data = source->Allocate(size);
  }
  state.SetItemsProcessed(state.iterations());
  for (char* data : live) source->Free(data, size);
}
#define STEADY(source)                                         \
  BENCHMARK(Steady10k<source>)->Arg(64)->Arg(1024)->Arg(4096); \
  BENCHMARK(Steady10k<source>)->Arg(64)->Threads(2)->UseRealTime()
STEADY(ArenaSource);
STEADY(MallocSource);
STEADY(TbbPoolSource);

// Blocks in order, each filled by a copy, the whole memory walked through.
void CopyWalk(benchmark::State& state) {
  const uint64_t size = static_cast<uint64_t>(state.range(0));
  const bool reuse = state.range(1) != 0;
  const bool huge_pages = state.range(2) != 0;
  const uint64_t limit = 256 * kMiB;
  std::vector<char> from(size, 'x');
  auto source = std::make_unique<ArenaSource>(limit, huge_pages);
  std::vector<char*> live;
  size_t next = 0;
  for (auto _ : state) {
    char* data = source->Allocate(size);
    if (data == nullptr) {
      if (reuse) {
        source->Free(live[next], size);
        data = source->Allocate(size);
        CHECK(data != nullptr);
        live[next] = data;
        next = (next + 1) % live.size();
      } else {
        state.PauseTiming();
        for (char* at : live) source->Free(at, size);
        live.clear();
        source->arena()->Trim(limit);
        state.ResumeTiming();
        data = source->Allocate(size);
        live.push_back(data);
      }
    } else {
      live.push_back(data);
    }
    std::memcpy(data, from.data(), size);
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * size));
  for (char* at : live) source->Free(at, size);
}
BENCHMARK(CopyWalk)
    ->ArgNames({"size", "reuse", "huge"})
    ->ArgsProduct({{64 << 10, 1 << 20, 16 << 20}, {0, 1}, {0, 1}})
    ->MinTime(1);

// A full store: log-uniform sizes, the oldest or a random one evicted until the new one fits.
void Churn(benchmark::State& state) {
  const bool random_victim = state.range(0) != 0;
  const uint64_t limit = static_cast<uint64_t>(state.range(1)) * kMiB;
  const bool huge_pages = state.range(2) != 0;
  // Sizes from here to 1024 times as much.
  const double size_min = static_cast<double>(state.range(3));
  MemoryBudget budget(limit);
  ArenaOptions options;
  options.huge_pages = huge_pages;
  std::unique_ptr<Arena> arena = *Arena::Create(options, &budget);
  std::mt19937_64 random(1);
  std::vector<uint64_t> sizes(1 << 16);
  for (uint64_t& size : sizes) {
    const double u = std::uniform_real_distribution<double>(0, 1)(random);
    size = static_cast<uint64_t>(size_min * std::pow(1024.0, u));
  }
  struct Block {
    uint64_t offset, size;
  };
  std::vector<Block> live;  // a ring when full
  size_t oldest = 0;
  uint64_t live_count = 0;
  std::vector<size_t> holes;
  uint64_t evictions = 0, next = 0;
  const auto evict = [&] {
    if (random_victim) {
      size_t i;
      do {
        i = random() % live.size();
      } while (live[i].offset == kNoOffset);
      arena->Free(live[i].offset, live[i].size);
      live[i].offset = kNoOffset;
      holes.push_back(i);
    } else {
      while (live[oldest].offset == kNoOffset) oldest = (oldest + 1) % live.size();
      arena->Free(live[oldest].offset, live[oldest].size);
      live[oldest].offset = kNoOffset;
      holes.push_back(oldest);
      oldest = (oldest + 1) % live.size();
    }
    --live_count;
    ++evictions;
  };
  const auto put = [&] {
    const uint64_t size = sizes[next++ % sizes.size()];
    uint64_t offset;
    while ((offset = arena->Allocate(size)) == kNoOffset) evict();
    arena->At(offset)[0] = arena->At(offset)[size - 1] = 1;
    for (uint64_t i = 4096; i < size; i += 4096) arena->At(offset)[i] = 1;
    if (holes.empty()) {
      live.push_back({offset, size});
    } else {
      // Victims leave in the order of the ring, so the first hole is the oldest place.
      live[holes.front()] = {offset, size};
      holes.erase(holes.begin());
    }
    ++live_count;
  };
  for (uint64_t bytes = 0; bytes < 4 * limit; bytes += sizes[next % sizes.size()]) put();
  const ArenaUsage before = arena->Usage();
  evictions = 0;
  double payload = 0;
  uint64_t samples = 0;
  for (auto _ : state) {
    put();
    if ((next & 4095) == 0) {
      payload += static_cast<double>(arena->Usage().payload_bytes);
      ++samples;
    }
  }
  const ArenaUsage after = arena->Usage();
  const double puts = static_cast<double>(state.iterations());
  state.counters["evict/put"] = static_cast<double>(evictions) / puts;
  state.counters["commit/put"] =
      static_cast<double>(after.pages_committed_total - before.pages_committed_total) / puts;
  state.counters["return/put"] =
      static_cast<double>(after.pages_returned_total - before.pages_returned_total) / puts;
  if (samples > 0) {
    state.counters["payload%"] = 100 * payload / static_cast<double>(samples * limit);
  }
  state.counters["meta%"] =
      100.0 * static_cast<double>(after.metadata_bytes) / static_cast<double>(limit);
  state.counters["frontier/limit"] =
      static_cast<double>(after.frontier_bytes) / static_cast<double>(limit);
  for (const Block& block : live) {
    if (block.offset != kNoOffset) arena->Free(block.offset, block.size);
  }
}
BENCHMARK(Churn)
    ->ArgNames({"random", "MiB", "huge", "from"})
    ->ArgsProduct({{0, 1}, {64, 512}, {0, 1}, {64}})
    ->Iterations(1'000'000)
    ->Unit(benchmark::kNanosecond);
BENCHMARK(Churn)
    ->ArgNames({"random", "MiB", "huge", "from"})
    ->ArgsProduct({{0, 1}, {512}, {0, 1}, {16384}})
    ->Iterations(10'000)
    ->Unit(benchmark::kNanosecond);

// How much payload of one size fits.
template <typename Source>
void Fit(benchmark::State& state) {
  const uint64_t size = static_cast<uint64_t>(state.range(0));
  constexpr uint64_t kLimit = 64 * kMiB;
  uint64_t count = 0;
  for (auto _ : state) {
    Source source(kLimit);
    count = 0;
    while (source.Allocate(size) != nullptr) ++count;
  }
  state.counters["payload%"] = 100.0 * static_cast<double>(count * size) / kLimit;
}
BENCHMARK(Fit<ArenaSource>)
    ->Arg(64)
    ->Arg(100)
    ->Arg(1088)
    ->Arg(4096)
    ->Arg(4160)
    ->Arg(70000)
    ->Iterations(1);
BENCHMARK(Fit<TbbPoolSource>)
    ->Arg(64)
    ->Arg(100)
    ->Arg(1088)
    ->Arg(4096)
    ->Arg(4160)
    ->Arg(70000)
    ->Iterations(1);

}  // namespace
}  // namespace spillway

BENCHMARK_MAIN();
