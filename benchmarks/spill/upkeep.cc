// What the spill tier costs beyond its transfers: disk space and writes of its own in a steady
// churn, syncs of durable puts, memory.
#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "benchmarks/measure.h"
#include "benchmarks/spill/bench_backend.h"
#include "benchmarks/spill/rows.h"
#include "glog/logging.h"
#include "serialization/mutex.h"

namespace spillway::benchmarks {
namespace {

// Follows the records, as a store does.
class Tickets final : public RelocationListener {
 public:
  void Put(uint64_t object_id, SpillTicket ticket) {
    MutexLock lock(&mutex_);
    tickets_[object_id] = ticket;
  }
  SpillTicket Get(uint64_t object_id) {
    MutexLock lock(&mutex_);
    return tickets_.at(object_id);
  }
  SpillTicket Take(uint64_t object_id) {
    MutexLock lock(&mutex_);
    const auto found = tickets_.find(object_id);
    const SpillTicket ticket = found->second;
    tickets_.erase(found);
    return ticket;
  }
  bool OnRelocated(uint64_t object_id, SpillTicket from, SpillTicket to) override {
    MutexLock lock(&mutex_);
    const auto found = tickets_.find(object_id);
    if (found == tickets_.end() || found->second != from) return false;
    found->second = to;
    return true;
  }

 private:
  Mutex mutex_;
  absl::flat_hash_map<uint64_t, SpillTicket> tickets_ ABSL_GUARDED_BY(mutex_);
};

// Puts, random gets and random deletes around a steady number of live bytes.
class Churn {
 public:
  Churn(SpillBackend* backend, uint64_t live_bytes_max)
      : backend_(backend), live_bytes_max_(live_bytes_max) {
    backend_->SetRelocationListener(&tickets_);
  }

  void Run(uint64_t bytes_to_write) {
    std::vector<SpillRecord> records;
    std::vector<SpillResult> results;
    for (uint64_t written = 0; written < bytes_to_write;) {
      records.clear();
      uint64_t batch_bytes = 0;
      while (batch_bytes < backend_->max_batch_bytes() - 2 * kBenchMiB) {
        SpillRecord record;
        record.object_id = next_id_++;
        record.payload = pool_.Payload(record.object_id, SizeOf(record.object_id));
        batch_bytes += record.payload.size();
        records.push_back(record);
      }
      backend_->Write(records, &results);
      for (size_t i = 0; i < results.size(); ++i) {
        CHECK(results[i].status.ok()) << results[i].status;
        tickets_.Put(records[i].object_id, results[i].ticket);
        live_.push_back(records[i].object_id);
      }
      live_bytes_ += batch_bytes;
      written += batch_bytes;
      while (live_bytes_ > live_bytes_max_) {
        if (random_() % 16 == 0) Get(live_[random_() % live_.size()]);
        Delete(random_() % live_.size());
        NoteHeld();
      }
    }
  }

  void DeleteAll() {
    while (!live_.empty()) Delete(live_.size() - 1);
  }

  // Most bytes held, as a share of the bound 1.75 x live + 2 batches at that moment.
  double held_share_max() const { return held_share_max_; }

 private:
  static uint64_t SizeOf(uint64_t object_id) {
    const std::vector<uint64_t> sizes = {4096, 20000, 65536, 300000, 1 << 20};
    return sizes[object_id * 2654435761 % sizes.size()];
  }

  void Get(uint64_t object_id) {
    std::vector<char> out(SizeOf(object_id));
    std::vector<absl::Status> statuses;
    do {
      const SpillTicket ticket = tickets_.Get(object_id);
      const SpillRead read{ticket, object_id, ObjectType(), absl::MakeSpan(out)};
      backend_->Read({&read, 1}, &statuses);
      // The record may have been copied forward since we looked.
    } while (absl::IsNotFound(statuses[0]));
    CHECK(statuses[0].ok()) << statuses[0];
  }

  void Delete(size_t index) {
    live_bytes_ -= SizeOf(live_[index]);
    backend_->Release(tickets_.Take(live_[index]));
    live_[index] = live_.back();
    live_.pop_back();
  }

  void NoteHeld() {
    if (++looks_ % 16 != 0) return;
    const SpillUsage usage = backend_->Usage();
    const double bound = 1.75 * static_cast<double>(usage.live_bytes) +
                         2 * static_cast<double>(backend_->max_batch_bytes());
    held_share_max_ = std::max(held_share_max_, static_cast<double>(usage.held_bytes) / bound);
  }

  SpillBackend* const backend_;
  const uint64_t live_bytes_max_;
  const PayloadPool pool_;
  Tickets tickets_;
  std::mt19937_64 random_{5};
  std::vector<uint64_t> live_;
  uint64_t next_id_ = 1;
  uint64_t live_bytes_ = 0;
  uint64_t looks_ = 0;
  double held_share_max_ = 0;
};

double WriteAmplification(const SpillUsage& before, const SpillUsage& after) {
  return static_cast<double>(after.device_written_bytes - before.device_written_bytes) /
         static_cast<double>(after.written_bytes - before.written_bytes);
}

// Durable puts of 1 KiB per second.
double DurablePutsPerSecond(SpillBackend* backend, const PayloadPool& pool, int callers,
                            absl::Duration time, std::atomic<uint64_t>* next_id) {
  std::atomic<uint64_t> done{0};
  const absl::Time end = absl::Now() + time;
  const int64_t nanos = TimeThreads(callers, [&](int) {
    std::vector<SpillResult> results;
    while (absl::Now() < end) {
      SpillRecord record;
      record.object_id = next_id->fetch_add(1);
      record.payload = pool.Payload(record.object_id, kBenchKiB);
      record.durable = true;
      backend->Write({&record, 1}, &results);
      CHECK(results[0].status.ok()) << results[0].status;
      done.fetch_add(1);
    }
  });
  return static_cast<double>(done.load()) * 1e9 / static_cast<double>(nanos);
}

// Resident memory that a backend for the given limit takes at most under load, and what it
// promised.
std::vector<double> MemoryUnderLoad(const std::string& under, uint64_t limit, uint64_t bytes) {
  const ScratchDirectory directory(under);
  const PayloadPool pool;
  std::vector<char> out(4 * kBenchMiB, 'x');
  const auto before = static_cast<double>(ResidentBytes());
  RocksDbBackendOptions options = RocksDbBackendOptions::ForMemoryLimit(limit);
  options.spill_directory = directory.path() + "/spill";
  std::unique_ptr<SpillBackend> backend = OpenBackend(options);
  double peak = 0;
  for (const uint64_t object_bytes : {4 * kBenchKiB, 64 * kBenchKiB, kBenchMiB}) {
    ObjectSet objects(backend.get(), &pool, object_bytes, bytes / 3 / object_bytes);
    objects.WriteAll();
    const double held_here = static_cast<double>(objects.count() * sizeof(SpillTicket));
    objects.ReadRandomly(std::min<uint64_t>(objects.count(), 4000), 4);
    // The callers' own buffers are not the backend's.
    const double buffers = 4 * static_cast<double>(object_bytes);
    peak = std::max(peak, static_cast<double>(ResidentBytes()) - before - held_here - buffers);
  }
  return {peak, static_cast<double>(backend->memory_bytes_max())};
}

}  // namespace

void MeasureChurn(const BenchmarkOptions& options, Report* report) {
  if (!options.wanted("churn_held") && !options.wanted("churn_write_amplification") &&
      !options.wanted("churn_drain") && !options.wanted("write_amplification")) {
    return;
  }
  const ScratchDirectory directory(options.directory);
  std::unique_ptr<SpillBackend> backend =
      OpenBackend(DefaultBackendOptions(directory.path() + "/spill"));
  const uint64_t live_bytes = (options.quick ? 256 : 512) * kBenchMiB;
  Churn churn(backend.get(), live_bytes);
  const SpillUsage at_start = backend->Usage();
  churn.Run(live_bytes - 2 * backend->max_batch_bytes());
  const SpillUsage when_full = backend->Usage();
  churn.Run((options.quick ? 4 : 10) * live_bytes);
  const SpillUsage after_churn = backend->Usage();

  Result row;
  row.name = "write_amplification";
  row.ours = WriteAmplification(at_start, when_full);
  row.unit = "x";
  row.goal = "<= 1.02";
  row.met = row.ours <= 1.02;
  report->Add(row);

  row.name = "churn_write_amplification";
  row.ours = WriteAmplification(when_full, after_churn);
  row.goal = "<= 1.45";
  row.met = row.ours <= 1.45;
  report->Add(row);

  row.name = "churn_held";
  row.ours = churn.held_share_max();
  row.unit = "of the bound";
  row.goal = "<= 1.00";
  row.met = row.ours <= 1.0;
  report->Add(row);

  churn.DeleteAll();
  const int64_t began = NowNanos();
  CHECK(backend->WaitForReclaim(60000));
  CHECK_EQ(backend->Usage().held_bytes, 0u);
  row.name = "churn_drain";
  row.ours = static_cast<double>(NowNanos() - began) / 1e9;
  row.unit = "s";
  row.goal = "<= 2";
  row.met = row.ours <= 2.0;
  report->Add(row);
}

void MeasureDurablePuts(const BenchmarkOptions& options, Report* report) {
  const ScratchDirectory directory(options.directory);
  const PayloadPool pool;
  RocksDbBackendOptions backend_options = DefaultBackendOptions(directory.path() + "/spill");
  backend_options.recovery = SpillRecovery::kKeep;
  std::unique_ptr<SpillBackend> backend = OpenBackend(backend_options);
  std::atomic<uint64_t> next_id{1};
  for (const int callers : {1, 64}) {
    Result row;
    row.name = absl::StrCat("durable_puts_", callers, callers == 1 ? "caller" : "callers");
    if (!options.wanted(row.name)) continue;
    std::vector<double> rates;
    for (int repetition = 0; repetition < (options.quick ? 3 : 5); ++repetition) {
      rates.push_back(
          DurablePutsPerSecond(backend.get(), pool, callers, absl::Milliseconds(500), &next_id));
    }
    row.ours = Median(rates);
    row.unit = "1/s";
    row.better = Better::kHigher;
    row.spread = Spread(rates);
    report->Add(row);
  }
}

void MeasureMemory(const BenchmarkOptions& options, Report* report) {
  for (const uint64_t limit : {16 * kBenchMiB, 64 * kBenchMiB, kBenchGiB}) {
    Result row;
    row.name = absl::StrCat("memory_", SizeName(limit), "_limit");
    if (!options.wanted(row.name)) continue;
    const uint64_t bytes = (options.quick ? 192 : 768) * kBenchMiB;
    const std::vector<double> measured =
        InProcessOfItsOwn([&] { return MemoryUnderLoad(options.directory, limit, bytes); });
    CHECK_EQ(measured.size(), 2u);
    row.ours = measured[0] / static_cast<double>(kBenchMiB);
    row.unit = "MiB";
    row.goal = absl::StrFormat("<= %.1f as promised", measured[1] / static_cast<double>(kBenchMiB));
    row.met = measured[0] <= measured[1];
    report->Add(row);
  }
}

}  // namespace spillway::benchmarks
