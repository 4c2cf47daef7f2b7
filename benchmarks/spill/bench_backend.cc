#include "benchmarks/spill/bench_backend.h"

#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <random>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "benchmarks/measure.h"
#include "glog/logging.h"

namespace spillway::benchmarks {
namespace {

constexpr uint64_t kPoolBytes = 96 * kBenchMiB;
constexpr int kWriters = 2;
constexpr int64_t kReclaimWaitMs = 60000;

}  // namespace

std::string SizeName(uint64_t bytes) {
  return bytes >= kBenchMiB ? absl::StrCat(bytes / kBenchMiB, "MiB")
                            : absl::StrCat(bytes / kBenchKiB, "KiB");
}

ScratchDirectory::ScratchDirectory(const std::string& under)
    : path_(under + "/spillway_benchmark_XXXXXX") {
  PCHECK(mkdtemp(path_.data()) != nullptr) << path_;
}

ScratchDirectory::~ScratchDirectory() {
  std::error_code error;
  std::filesystem::remove_all(path_, error);
}

PayloadPool::PayloadPool() : bytes_(kPoolBytes) {
  std::mt19937_64 random(7);
  for (size_t i = 0; i < bytes_.size(); i += 8) {
    const uint64_t number = random();
    std::memcpy(bytes_.data() + i, &number, 8);
  }
}

absl::Span<const char> PayloadPool::Payload(uint64_t object_id, uint64_t bytes) const {
  const uint64_t offset = object_id * (bytes + 64) % (bytes_.size() - bytes);
  return absl::MakeConstSpan(bytes_).subspan(offset, bytes);
}

RocksDbBackendOptions DefaultBackendOptions(const std::string& directory) {
  RocksDbBackendOptions options = RocksDbBackendOptions::ForMemoryLimit(kBenchGiB);
  options.spill_directory = directory;
  return options;
}

std::unique_ptr<SpillBackend> OpenBackend(const RocksDbBackendOptions& options) {
  absl::StatusOr<std::unique_ptr<SpillBackend>> backend = OpenRocksDbBackend(options);
  CHECK(backend.ok()) << backend.status();
  return *std::move(backend);
}

int64_t ObjectSet::WriteAll() {
  const uint64_t per_batch = std::max<uint64_t>(1, backend_->max_batch_bytes() / object_bytes_);
  std::atomic<uint64_t> next{0};
  return TimeThreads(kWriters, [&](int) {
    std::vector<SpillRecord> records;
    std::vector<SpillResult> results;
    for (;;) {
      const uint64_t first = next.fetch_add(per_batch);
      if (first >= count()) return;
      records.clear();
      for (uint64_t i = first; i < std::min(count(), first + per_batch); ++i) {
        SpillRecord record;
        record.object_id = i + 1;
        record.payload = pool_->Payload(i + 1, object_bytes_);
        records.push_back(record);
      }
      backend_->Write(records, &results);
      for (size_t i = 0; i < results.size(); ++i) {
        CHECK(results[i].status.ok()) << results[i].status;
        tickets_[first + i] = results[i].ticket;
      }
    }
  });
}

int64_t ObjectSet::ReadRandomly(uint64_t count_to_read, int callers) {
  const std::vector<uint32_t> order = ShuffledOrder(static_cast<uint32_t>(count()), 3);
  std::atomic<uint64_t> next{0};
  std::vector<std::vector<char>> buffers(static_cast<size_t>(callers),
                                         std::vector<char>(object_bytes_));
  return TimeThreads(callers, [&](int caller) {
    std::vector<absl::Status> statuses;
    for (;;) {
      const uint64_t turn = next.fetch_add(1);
      if (turn >= count_to_read) return;
      const uint64_t i = order[turn % order.size()];
      SpillRead read;
      read.ticket = tickets_[i];
      read.object_id = i + 1;
      read.out = absl::MakeSpan(buffers[static_cast<size_t>(caller)]);
      backend_->Read({&read, 1}, &statuses);
      CHECK(statuses[0].ok()) << statuses[0];
      CHECK_EQ(read.out[0], pool_->Payload(i + 1, object_bytes_)[0]);
    }
  });
}

void ObjectSet::Release() {
  for (SpillTicket& ticket : tickets_) backend_->Release(std::exchange(ticket, kNoTicket));
  CHECK(backend_->WaitForReclaim(kReclaimWaitMs));
}

double CpuSeconds() {
  rusage usage;
  PCHECK(getrusage(RUSAGE_SELF, &usage) == 0);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

}  // namespace spillway::benchmarks
