#include <sys/mman.h>

#include <cstring>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "benchmarks/hot_tier/rows.h"
#include "benchmarks/measure.h"
#include "glog/logging.h"

namespace spillway::benchmarks {
namespace {

constexpr uint32_t kLive = 10'000;

// The map under a mutex again, as a place to put into: a copy of the bytes, a new id.
class NaiveStore {
 public:
  uint64_t Put(const std::string& value) {
    auto object = std::make_shared<const std::string>(value);
    std::lock_guard<std::mutex> lock(mutex_);
    objects_.emplace(++last_id_, std::move(object));
    return last_id_;
  }
  void Delete(uint64_t id) {
    std::lock_guard<std::mutex> lock(mutex_);
    objects_.erase(id);
  }

 private:
  std::mutex mutex_;
  uint64_t last_id_ = 0;
  std::unordered_map<uint64_t, std::shared_ptr<const std::string>> objects_;
};

// Puts and deletes in steady state: each put takes the place of the oldest of kLive objects, in an
// order that is not that of memory.
void MeasureSmallPut(const BenchmarkOptions& options, const std::string& name, size_t size,
                     double goal_ns, Report* report) {
  std::unique_ptr<ObjectStore> store = OpenInMemory(StoreOptions());
  NaiveStore naive;
  const RawBytes value{std::string(size, 'x')};
  std::vector<ObjectRef<RawBytes>> refs;
  std::vector<uint64_t> naive_ids;
  for (uint32_t i = 0; i < kLive; ++i) {
    refs.push_back(store->Put(value).value());
    naive_ids.push_back(naive.Put(value.bytes));
  }
  const std::vector<uint32_t> order = ShuffledOrder(kLive, 1);
  constexpr uint32_t kPerSlice = 1000;
  uint32_t at = 0, naive_at = 0;
  const std::vector<Timing> timings = Race({.repetitions = options.quick ? 7 : 15, .slices = 101},
                                           {{kPerSlice,
                                             [&] {
                                               for (uint32_t i = 0; i < kPerSlice; ++i) {
                                                 refs[order[at]] = store->Put(value).value();
                                                 at = (at + 1) % kLive;
                                               }
                                             }},
                                            {kPerSlice, [&] {
                                               for (uint32_t i = 0; i < kPerSlice; ++i) {
                                                 uint64_t& id = naive_ids[order[naive_at]];
                                                 const uint64_t old =
                                                     std::exchange(id, naive.Put(value.bytes));
                                                 naive.Delete(old);
                                                 naive_at = (naive_at + 1) % kLive;
                                               }
                                             }}});
  report->Add({.name = name,
               .ours = timings[0].ns,
               .unit = "ns",
               .baseline = timings[1].ns,
               .baseline_name = "mutex+unordered_map",
               .spread = timings[0].spread,
               .goal = absl::StrCat("<= ", goal_ns, " ns"),
               .met = timings[0].ns <= goal_ns});
}

// Memory that was touched, in pages as the arena's are.
class TouchedMemory {
 public:
  explicit TouchedMemory(size_t bytes) : bytes_(bytes) {
    void* mapped = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    PCHECK(mapped != MAP_FAILED);
    data_ = static_cast<char*>(mapped);
    madvise(data_, bytes, MADV_NOHUGEPAGE);
    std::memset(data_, 1, bytes);
  }
  ~TouchedMemory() { munmap(data_, bytes_); }
  TouchedMemory(const TouchedMemory&) = delete;
  TouchedMemory& operator=(const TouchedMemory&) = delete;
  char* At(size_t offset) { return data_ + offset; }

 private:
  const size_t bytes_;
  char* data_ = nullptr;
};

// Puts into a full store whose victims are clean, against a copy of the same bytes into as much
// memory, walked through from begin to end.
void MeasureLargePut(const BenchmarkOptions& options, const std::string& name, size_t size,
                     Report* report) {
  constexpr uint64_t kLimit = 512 * kMiB;
  StoreOptions store_options;
  store_options.memory_limit_bytes = kLimit;
  // Nothing is written in the background: Flush does it, outside of what is timed.
  store_options.high_watermark = 1.0;
  std::unique_ptr<ObjectStore> store = OpenInMemory(store_options);
  const RawBytes value{std::string(size, 'x')};
  const size_t resident = kLimit / size;
  const size_t between_flushes = resident / 4;
  std::deque<ObjectRef<RawBytes>> refs;
  size_t unflushed = 0;
  const auto put = [&] {
    refs.push_back(store->Put(value).value());
    ++unflushed;
  };
  const auto prepare = [&] {
    if (unflushed < between_flushes) return;
    CHECK(store->Flush().ok());
    unflushed = 0;
    while (refs.size() > 2 * resident) refs.pop_front();  // cold ones
  };
  while (refs.size() < 2 * resident) {
    prepare();
    put();
  }
  TouchedMemory memory(resident * size);
  size_t at = 0;
  const auto copy = [&] {
    std::memcpy(memory.At(at), value.bytes.data(), size);
    at = at + size == resident * size ? 0 : at + size;
  };
  const uint64_t commits_before = store->Stats().waits;
  const std::vector<Timing> timings =
      Race({.repetitions = options.quick ? 5 : 11, .slices = size > kMiB ? 31 : 201},
           {{1, put, prepare}, {1, copy}});
  CHECK_EQ(store->Stats().waits, commits_before) << "puts had to wait for victims";
  report->Add({.name = name,
               .ours = timings[0].ns / 1000,
               .unit = "us",
               .baseline = timings[1].ns / 1000,
               .baseline_name = "memcpy into touched memory",
               .spread = timings[0].spread,
               .goal = "ratio >= 0.9",
               .met = timings[1].ns >= 0.9 * timings[0].ns});
}

// Create and Seal of 1 MiB, and the end of an older object, without the caller's writing.
void MeasureCreateSeal(const BenchmarkOptions& options, Report* report) {
  std::unique_ptr<ObjectStore> store = OpenInMemory(StoreOptions());
  std::vector<ObjectRef<RawBytes>> refs(64);
  size_t at = 0;
  constexpr uint32_t kPerSlice = 100;
  const std::vector<Timing> timings = Race({.repetitions = options.quick ? 5 : 15, .slices = 101},
                                           {{kPerSlice, [&] {
                                               for (uint32_t i = 0; i < kPerSlice; ++i) {
                                                 absl::StatusOr<ObjectBuilder> builder =
                                                     store->Create(kMiB);
                                                 refs[at] = builder->Seal().value();
                                                 at = (at + 1) % refs.size();
                                               }
                                             }}});
  report->Add({.name = "create_seal_1MiB",
               .ours = timings[0].ns / 1000,
               .unit = "us",
               .spread = timings[0].spread,
               .goal = "<= 2 us",
               .met = timings[0].ns <= 2000});
}

}  // namespace

void MeasurePuts(const BenchmarkOptions& options, Report* report) {
  if (options.wanted("put_64B")) MeasureSmallPut(options, "put_64B", 64, 300, report);
  if (options.wanted("put_1KiB")) MeasureSmallPut(options, "put_1KiB", kKiB, 400, report);
  if (options.wanted("put_1MiB")) MeasureLargePut(options, "put_1MiB", kMiB, report);
  if (options.wanted("put_16MiB")) MeasureLargePut(options, "put_16MiB", 16 * kMiB, report);
  if (options.wanted("create_seal_1MiB")) MeasureCreateSeal(options, report);
}

}  // namespace spillway::benchmarks
