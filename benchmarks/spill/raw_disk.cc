#include "benchmarks/spill/raw_disk.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>

#include "benchmarks/measure.h"
#include "glog/logging.h"

namespace spillway::benchmarks {
namespace {

constexpr uint64_t kPieceBytes = 4 << 20;
constexpr size_t kAlignment = 4096;

struct Free {
  void operator()(char* memory) const { std::free(memory); }
};
using AlignedBuffer = std::unique_ptr<char, Free>;

AlignedBuffer RandomBuffer(size_t bytes) {
  void* memory = nullptr;
  CHECK_EQ(posix_memalign(&memory, kAlignment, bytes), 0);
  AlignedBuffer buffer(static_cast<char*>(memory));
  std::mt19937_64 random(1);
  for (size_t i = 0; i < bytes; i += 8) {
    const uint64_t number = random();
    std::memcpy(buffer.get() + i, &number, 8);
  }
  return buffer;
}

double MegabytesPerSecond(uint64_t bytes, int64_t nanos) {
  return static_cast<double>(bytes) * 1e3 / static_cast<double>(nanos);
}

}  // namespace

RawDisk::RawDisk(const std::string& directory) : path_(directory + "/raw") {
  fd_ = open(path_.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_DIRECT, 0600);
  PCHECK(fd_ >= 0) << path_;
}

RawDisk::~RawDisk() {
  close(fd_);
  unlink(path_.c_str());
}

void RawDisk::Truncate() {
  PCHECK(ftruncate(fd_, 0) == 0);
  file_bytes_ = 0;
}

double RawDisk::Write(uint64_t bytes, int depth) {
  Truncate();
  const AlignedBuffer buffer = RandomBuffer(kPieceBytes);
  std::atomic<uint64_t> next{0};
  const int64_t nanos = TimeThreads(depth, [&](int) {
    for (;;) {
      const uint64_t offset = next.fetch_add(kPieceBytes);
      if (offset >= bytes) return;
      PCHECK(pwrite(fd_, buffer.get(), kPieceBytes, static_cast<off_t>(offset)) ==
             static_cast<ssize_t>(kPieceBytes));
    }
  });
  file_bytes_ = bytes;
  return MegabytesPerSecond(bytes, nanos);
}

double RawDisk::BestWrite(uint64_t bytes) { return std::max(Write(bytes, 1), Write(bytes, 4)); }

double RawDisk::Read(uint64_t bytes, int depth) {
  CHECK_LE(bytes, file_bytes_);
  std::atomic<uint64_t> next{0};
  const int64_t nanos = TimeThreads(depth, [&](int) {
    const AlignedBuffer buffer = RandomBuffer(kPieceBytes);
    for (;;) {
      const uint64_t offset = next.fetch_add(kPieceBytes);
      if (offset >= bytes) return;
      PCHECK(pread(fd_, buffer.get(), kPieceBytes, static_cast<off_t>(offset)) ==
             static_cast<ssize_t>(kPieceBytes));
    }
  });
  return MegabytesPerSecond(bytes, nanos);
}

double RawDisk::BestRead(uint64_t bytes) { return std::max(Read(bytes, 1), Read(bytes, 4)); }

double RawDisk::ReadRandomly(uint64_t piece_bytes, uint64_t count, int threads) {
  const std::vector<uint32_t> order =
      ShuffledOrder(static_cast<uint32_t>(file_bytes_ / piece_bytes), 2);
  std::atomic<uint64_t> next{0};
  const int64_t nanos = TimeThreads(threads, [&](int) {
    const AlignedBuffer buffer = RandomBuffer(piece_bytes);
    for (;;) {
      const uint64_t i = next.fetch_add(1);
      if (i >= count) return;
      const uint64_t offset = order[i % order.size()] * piece_bytes;
      PCHECK(pread(fd_, buffer.get(), piece_bytes, static_cast<off_t>(offset)) ==
             static_cast<ssize_t>(piece_bytes));
    }
  });
  return MegabytesPerSecond(piece_bytes * count, nanos);
}

}  // namespace spillway::benchmarks
