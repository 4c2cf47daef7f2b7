#include "runtime/memory_size.h"

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace spillway {
namespace {

using ::testing::EndsWith;

constexpr uint64_t kMachineBytes = uint64_t{8} << 30;

// A stand-in for the root directory, with a machine of 8 GiB.
class MemorySizeTest : public testing::Test {
 protected:
  void SetUp() override {
    const testing::TestInfo* info = testing::UnitTest::GetInstance()->current_test_info();
    root_ = testing::TempDir() + "/memory_size_" + info->name();
    std::filesystem::remove_all(root_);
    Write("/proc/meminfo", "MemTotal:        8388608 kB\nMemFree:  12 kB\n");
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  void Write(const std::string& path, const std::string& text) {
    const std::filesystem::path file = root_ + path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }

  uint64_t Bytes() { return FindMemorySize(root_).value().bytes; }

  std::string root_;
};

TEST_F(MemorySizeTest, IsTheMachinesWithoutGroups) {
  EXPECT_EQ(Bytes(), kMachineBytes);
  EXPECT_THAT(FindMemorySize(root_).value().source, EndsWith("/proc/meminfo"));
}

TEST_F(MemorySizeTest, VersionTwoLimitsFromTheGroupUpwards) {
  Write("/proc/self/cgroup", "0::/pod/app\n");
  Write("/sys/fs/cgroup/pod/app/memory.max", "max\n");
  Write("/sys/fs/cgroup/pod/memory.max", "1073741824\n");
  EXPECT_EQ(Bytes(), uint64_t{1} << 30);
  Write("/sys/fs/cgroup/pod/app/memory.max", "536870912\n");
  EXPECT_EQ(Bytes(), uint64_t{512} << 20);
  EXPECT_THAT(FindMemorySize(root_).value().source, EndsWith("/pod/app/memory.max"));
}

TEST_F(MemorySizeTest, VersionTwoInAContainerWhoseOwnPathIsNotVisible) {
  Write("/proc/self/cgroup", "0::/\n");
  Write("/sys/fs/cgroup/memory.max", "268435456\n");
  EXPECT_EQ(Bytes(), uint64_t{256} << 20);
  Write("/proc/self/cgroup", "0::/docker/0123\n");
  EXPECT_EQ(Bytes(), uint64_t{256} << 20);
}

TEST_F(MemorySizeTest, VersionOne) {
  Write("/proc/self/cgroup", "9:name=systemd:/\n4:cpu,memory:/batch/job\n0::/\n");
  Write("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_EQ(Bytes(), kMachineBytes);
  Write("/sys/fs/cgroup/memory/batch/memory.limit_in_bytes", "2147483648\n");
  Write("/sys/fs/cgroup/memory/batch/job/memory.limit_in_bytes", "4294967296\n");
  EXPECT_EQ(Bytes(), uint64_t{2} << 30);
}

TEST_F(MemorySizeTest, LimitsAboveTheMachinesAndGarbageDoNotCount) {
  Write("/proc/self/cgroup", "rubbish\n0::/a\n::\n");
  Write("/sys/fs/cgroup/a/memory.max", "99999999999999\n");
  Write("/sys/fs/cgroup/memory.max", "not a number\n");
  EXPECT_EQ(Bytes(), kMachineBytes);
}

TEST_F(MemorySizeTest, WithoutMeminfoNothingIsKnown) {
  EXPECT_EQ(FindMemorySize(root_ + "/nowhere").status().code(), absl::StatusCode::kNotFound);
}

TEST(MemorySizeOfThisMachineTest, IsPlausible) {
  EXPECT_GT(FindMemorySize().value().bytes, uint64_t{16} << 20);
}

}  // namespace
}  // namespace spillway
