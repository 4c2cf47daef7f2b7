// What happens to the directory underneath: it is turned read-only, removed, or its file system is
// full. Real files and the kernel's own errors; where a test needs a right that this process does
// not have, it says so and is skipped.
#include <linux/capability.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "spill/durable_state.h"
#include "spill/rocksdb_backend.h"
#include "tests/spill/durable_scenario.h"
#include "tests/spill/spill_test_util.h"

namespace spillway {
namespace {

namespace fs = std::filesystem;
using ::spillway::testing::ExpectNoSpaceLeak;
using ::spillway::testing::RandomPayload;
using ::spillway::testing::ReadBack;
using ::spillway::testing::SmallRocksDbOptions;
using ::spillway::testing::TemporaryDirectory;
using ::spillway::testing::TypeOf;
using ::spillway::testing::WriteAll;
using ::spillway::testing::WriteOne;
using ::spillway::testing::Written;
using ::testing::HasSubstr;

// So that directories' modes hold for the superuser too. For the whole process, before it has
// threads.
bool GiveUpOverridingModes() {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  if (syscall(SYS_capget, &header, data) != 0) return false;
  const uint32_t overriding = (1u << CAP_DAC_OVERRIDE) | (1u << CAP_DAC_READ_SEARCH);
  data[0].effective &= ~overriding;
  return syscall(SYS_capset, &header, data) == 0;
}

// A file system of so many bytes at `path`, seen by this process alone; why not, if there is none.
std::string MountSmall(const std::string& path, uint64_t bytes) {
  if (unshare(CLONE_NEWNS) != 0) return absl::StrCat("unshare: ", strerror(errno));
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return absl::StrCat("making mounts private: ", strerror(errno));
  }
  const std::string size = absl::StrCat("size=", bytes);
  if (mount("tmpfs", path.c_str(), "tmpfs", 0, size.c_str()) != 0) {
    return absl::StrCat("mounting a tmpfs: ", strerror(errno));
  }
  return "";
}

std::unique_ptr<SpillBackend> Open(const std::string& directory) {
  RocksDbBackendOptions options = SmallRocksDbOptions(directory);
  options.recovery = SpillRecovery::kKeep;
  return OpenRocksDbBackend(options).value();
}

std::vector<Written> WriteBoth(SpillBackend* backend, uint64_t first_id) {
  std::vector<Written> written = WriteAll(
      backend, first_id, {RandomPayload(first_id, 50000), RandomPayload(first_id + 1, 70000)},
      /*durable=*/true);
  written.push_back(WriteOne(backend, first_id + 2, RandomPayload(first_id + 2, 500),
                             /*durable=*/true));
  return written;
}

SpillResult TryWrite(SpillBackend* backend, uint64_t id, size_t bytes, bool durable) {
  const std::string payload = RandomPayload(id, bytes);
  SpillRecord record;
  record.object_id = id;
  record.type = TypeOf(id);
  record.payload = payload;
  record.durable = durable;
  std::vector<SpillResult> results;
  backend->Write({&record, 1}, &results);
  return results[0];
}

void ExpectThere(SpillBackend* backend, const std::vector<Written>& objects) {
  for (const Written& object : objects) {
    EXPECT_EQ(ReadBack(backend, object), absl::OkStatus());
  }
}

TEST(DirectoryFaultsTest, ADirectoryTurnedReadOnlyRefusesWritesAndIsReadOn) {
  TemporaryDirectory directory;
  const std::vector<std::string> places = {directory.path() + "/building",
                                           directory.path() + "/db"};
  std::vector<Written> kept;
  {
    std::unique_ptr<SpillBackend> backend = Open(directory.path());
    kept = WriteBoth(backend.get(), 1);
    const std::vector<Written> released = WriteBoth(backend.get(), 11);
    for (const std::string& place : places) fs::permissions(place, fs::perms(0500));
    if (std::ofstream(places[0] + "/probe").is_open()) {
      GTEST_SKIP() << "this process may write to a read-only directory";
    }
    for (const bool durable : {false, true}) {
      const SpillResult refused = TryWrite(backend.get(), 100, 100000, durable);
      EXPECT_FALSE(refused.status.ok());
      EXPECT_THAT(std::string(refused.status.message()), HasSubstr("Permission denied"));
      EXPECT_EQ(refused.ticket, kNoTicket);
      EXPECT_FALSE(backend->Health().ok());
    }
    ExpectThere(backend.get(), kept);
    // The file of these cannot be deleted now.
    for (const Written& object : released) backend->Release(object.ticket);
    EXPECT_FALSE(backend->WaitForReclaim(100));
    for (const std::string& place : places) fs::permissions(place, fs::perms(0700));
    // It goes on by itself.
    EXPECT_EQ(TryWrite(backend.get(), 200, 100000, /*durable=*/false).status, absl::OkStatus());
    EXPECT_EQ(backend->Health(), absl::OkStatus());
    const std::vector<Written> more = WriteBoth(backend.get(), 21);
    kept.insert(kept.end(), more.begin(), more.end());
    ExpectThere(backend.get(), kept);
    EXPECT_TRUE(backend->WaitForReclaim(20000));
    ExpectNoSpaceLeak(directory.path(), backend.get());
  }
  std::unique_ptr<SpillBackend> backend = Open(directory.path());
  ExpectThere(backend.get(), kept);
  EXPECT_EQ(backend->Usage().live_records, kept.size());
}

TEST(DirectoryFaultsTest, ADirectoryThatIsRemovedAndMadeAnewIsLeftAlone) {
  for (const SpillRecovery recovery : {SpillRecovery::kKeep, SpillRecovery::kDiscard}) {
    TemporaryDirectory directory;
    RocksDbBackendOptions options = SmallRocksDbOptions(directory.path());
    options.recovery = recovery;
    std::unique_ptr<SpillBackend> backend = OpenRocksDbBackend(options).value();
    WriteBoth(backend.get(), 1);
    fs::remove_all(directory.path());
    EXPECT_FALSE(TryWrite(backend.get(), 100, 100000, /*durable=*/false).status.ok());
    EXPECT_FALSE(backend->ReserveObjectIds(10).ok());
    EXPECT_FALSE(backend->Health().ok());
    // Somebody else's, made meanwhile.
    fs::create_directories(directory.path() + "/db");
    for (const char* file : {"/OWNER", "/db/CURRENT", "/db/000001.sst"}) {
      std::ofstream(directory.path() + file) << "theirs";
    }
    backend->Close().IgnoreError();
    backend.reset();
    for (const char* file : {"/OWNER", "/db/CURRENT", "/db/000001.sst"}) {
      EXPECT_TRUE(fs::exists(directory.path() + file)) << file;
    }
    // And what is removed for good can be begun anew.
    fs::remove_all(directory.path());
    ExpectThere(Open(directory.path()).get(), {});
  }
}

TEST(DirectoryFaultsTest, AFullFileSystemLosesNothingAndComesBack) {
  TemporaryDirectory directory;
  if (const std::string why = MountSmall(directory.path(), 12 << 20); !why.empty()) {
    GTEST_SKIP() << "no small file system can be had here: " << why;
  }
  std::vector<Written> kept;
  {
    std::unique_ptr<SpillBackend> backend = Open(directory.path() + "/spill");
    kept = WriteBoth(backend.get(), 1);
    // With different sizes, so that space runs out at different steps.
    std::vector<SpillTicket> scratch;
    for (size_t bytes : {900000, 300000, 70000, 20000, 5000, 1000}) {
      for (uint64_t id = 100; id < 1000; ++id) {
        const SpillResult result = TryWrite(backend.get(), id, bytes, /*durable=*/false);
        if (result.status.ok()) {
          scratch.push_back(result.ticket);
          continue;
        }
        EXPECT_TRUE(absl::IsResourceExhausted(result.status)) << result.status;
        EXPECT_THAT(std::string(result.status.message()), HasSubstr("the disk is full"));
        break;
      }
      // The last bytes go to what is none of ours.
      std::ofstream other(absl::StrCat(directory.path(), "/other-", bytes), std::ios::binary);
      const std::string block(4096, 'x');
      while (other.write(block.data(), static_cast<std::streamsize>(block.size())).flush()) {
      }
      EXPECT_FALSE(TryWrite(backend.get(), 2000, 100000, /*durable=*/true).status.ok());
      EXPECT_FALSE(TryWrite(backend.get(), 2001, 500, /*durable=*/true).status.ok());
      ExpectThere(backend.get(), kept);
    }
    for (const fs::directory_entry& entry : fs::directory_iterator(directory.path())) {
      if (entry.is_regular_file()) fs::remove(entry.path());
    }
    for (SpillTicket ticket : scratch) backend->Release(ticket);
    EXPECT_TRUE(backend->WaitForReclaim(20000));
    const std::vector<Written> more = WriteBoth(backend.get(), 21);
    kept.insert(kept.end(), more.begin(), more.end());
    EXPECT_EQ(backend->Health(), absl::OkStatus());
    ExpectThere(backend.get(), kept);
    ExpectNoSpaceLeak(directory.path() + "/spill", backend.get());
  }
  std::unique_ptr<SpillBackend> backend = Open(directory.path() + "/spill");
  ExpectThere(backend.get(), kept);
  EXPECT_EQ(backend->Usage().live_records, kept.size());
  backend.reset();
  umount2(directory.path().c_str(), MNT_DETACH);
}

}  // namespace
}  // namespace spillway

int main(int argc, char** argv) {
  if (!spillway::GiveUpOverridingModes()) perror("giving up the right to override modes");
  ::testing::InitGoogleMock(&argc, argv);
  return RUN_ALL_TESTS();
}
