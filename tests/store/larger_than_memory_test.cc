// The promise of the whole store, over the real spill tier: 512 MiB through 32 MiB of memory, bit
// for bit, within the memory bound, and no bytes left on disk when nobody needs them.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <random>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "store/object_store.h"
#include "store/open_store.h"
#include "store/options.h"

namespace spillway {
namespace {

uint64_t ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  uint64_t size = 0, resident = 0;
  statm >> size >> resident;
  return resident * 4096;
}

void Fill(absl::Span<char> bytes, uint64_t seed) {
  uint64_t x = seed * 0x9e3779b97f4a7c15ull + 1;
  size_t i = 0;
  for (; i + 8 <= bytes.size(); i += 8) {
    x ^= x << 13, x ^= x >> 7, x ^= x << 17;
    std::memcpy(&bytes[i], &x, 8);
  }
  for (; i < bytes.size(); ++i) bytes[i] = static_cast<char>(seed + i);
}

bool Same(absl::Span<const char> bytes, uint64_t seed) {
  uint64_t x = seed * 0x9e3779b97f4a7c15ull + 1;
  size_t i = 0;
  for (; i + 8 <= bytes.size(); i += 8) {
    x ^= x << 13, x ^= x >> 7, x ^= x << 17;
    if (std::memcmp(&bytes[i], &x, 8) != 0) return false;
  }
  for (; i < bytes.size(); ++i) {
    if (bytes[i] != static_cast<char>(seed + i)) return false;
  }
  return true;
}

uint64_t PayloadBytesOnDisk(const std::filesystem::path& directory) {
  uint64_t bytes = 0;
  for (const auto& file : std::filesystem::recursive_directory_iterator(directory)) {
    if (file.path().extension() != ".sst") continue;
    std::error_code gone;  // files go while we look
    const uint64_t size = file.file_size(gone);
    if (!gone) bytes += size;
  }
  return bytes;
}

TEST(LargerThanMemoryTest, ComesBackBitForBitWithinTheMemoryBound) {
  const std::filesystem::path directory = std::filesystem::path(testing::TempDir()) / "spill";
  const uint64_t baseline = ResidentBytes();
  StoreOptions options;
  options.memory_limit_bytes = 32 * kMiB;
  options.spill_directory = directory;
  auto opened = OpenStore(options);
  ASSERT_TRUE(opened.ok()) << opened.status();
  std::unique_ptr<ObjectStore> store = *std::move(opened);
  const uint64_t bound = baseline + options.memory_limit_bytes / 100 * 105 + 32 * kMiB;

  std::mt19937_64 random(1);
  std::vector<ObjectRef<RawBytes>> refs;
  uint64_t total = 0, resident_max = 0;
  while (total < 512 * kMiB) {
    // Log-uniform from 64 B to 8 MiB.
    const double exponent = 6.0 + 17.0 * std::uniform_real_distribution<>()(random);
    const auto size = static_cast<uint64_t>(std::exp2(exponent));
    auto builder = store->Create(size);
    ASSERT_TRUE(builder.ok()) << builder.status();
    Fill(builder->data(), refs.size());
    refs.push_back(builder->Seal().value());
    total += size;
    if (refs.size() % 16 == 0) resident_max = std::max(resident_max, ResidentBytes());
  }
  std::vector<size_t> order(refs.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::shuffle(order.begin(), order.end(), random);
  for (const size_t i : order) {
    auto view = refs[i].Get();
    ASSERT_TRUE(view.ok()) << view.status();
    ASSERT_TRUE(Same(**view, i)) << "object " << i << " of " << view->raw().size() << " bytes";
    if (i % 16 == 0) resident_max = std::max(resident_max, ResidentBytes());
  }
  const StoreStats stats = store->Stats();
  EXPECT_LE(stats.memory_used_bytes_peak, stats.memory_limit_bytes);
  EXPECT_LE(resident_max, bound) << "baseline " << baseline << "\n" << stats.ToString();

  refs.clear();
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(2);
  while (PayloadBytesOnDisk(directory) > 0 && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::yield();
  }
  EXPECT_EQ(PayloadBytesOnDisk(directory), 0u);
  EXPECT_TRUE(store->Close().ok());
}

}  // namespace
}  // namespace spillway
