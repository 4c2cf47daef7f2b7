// A spill backend with a directory of its own, and objects to write to it and read from it.
#ifndef SPILLWAY_BENCHMARKS_SPILL_BENCH_BACKEND_H_
#define SPILLWAY_BENCHMARKS_SPILL_BENCH_BACKEND_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "spill/rocksdb_backend.h"
#include "spill/spill_backend.h"

namespace spillway::benchmarks {

inline constexpr uint64_t kBenchKiB = 1024;
inline constexpr uint64_t kBenchMiB = 1024 * kBenchKiB;
inline constexpr uint64_t kBenchGiB = 1024 * kBenchMiB;

// "4KiB", "16MiB"
std::string SizeName(uint64_t bytes);

// A directory that is removed, contents included, with the object.
class ScratchDirectory {
 public:
  explicit ScratchDirectory(const std::string& under);
  ~ScratchDirectory();
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Bytes that cannot be compressed; objects take theirs from here.
class PayloadPool {
 public:
  PayloadPool();
  absl::Span<const char> Payload(uint64_t object_id, uint64_t bytes) const;

 private:
  std::vector<char> bytes_;
};

// As for a store of 1 GiB.
RocksDbBackendOptions DefaultBackendOptions(const std::string& directory);
std::unique_ptr<SpillBackend> OpenBackend(const RocksDbBackendOptions& options);

// Objects 1 ... n of one size, written in batches by two threads as a store does.
class ObjectSet {
 public:
  ObjectSet(SpillBackend* backend, const PayloadPool* pool, uint64_t object_bytes, uint64_t count)
      : backend_(backend), pool_(pool), object_bytes_(object_bytes), tickets_(count, kNoTicket) {}

  uint64_t bytes() const { return object_bytes_ * tickets_.size(); }
  uint64_t count() const { return tickets_.size(); }
  uint64_t object_bytes() const { return object_bytes_; }

  // Nanoseconds that it took.
  int64_t WriteAll();
  // Reads `count` objects in random order on `callers` threads; nanoseconds.
  int64_t ReadRandomly(uint64_t count, int callers);
  // Gives all up and waits until their space has come back.
  void Release();

 private:
  SpillBackend* const backend_;
  const PayloadPool* const pool_;
  const uint64_t object_bytes_;
  std::vector<SpillTicket> tickets_;
};

// Processor seconds that this process has taken.
double CpuSeconds();

}  // namespace spillway::benchmarks

#endif  // SPILLWAY_BENCHMARKS_SPILL_BENCH_BACKEND_H_
